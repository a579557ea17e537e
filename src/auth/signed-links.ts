/**
 * Links that a HIS signs, for sites where nginx cannot hold a key: `...?accession_number=X&expires=T&signature=S`. The signature is an
 * HMAC-SHA256, in hexadecimal, of three lines: the path of the route, the accession numbers as they stand in the link, and `expires`.
 * Which disc of a set is asked for is not signed: a link is good for the whole set.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { SignedLinkSettings } from '../config/schema.ts'
import { MkisoError } from '../errors.ts'

/** What a link says. */
export interface SignedLink {
  /** Path of the route, not the one that nginx maps to it: `/api/iso/download`. */
  path: string
  /** The list as it stands in the link, decoded: `X,Y`. */
  accessionNumbers: string
  /** End of its validity, seconds since 1970. */
  expires: string
  /** 64 hexadecimal digits. */
  signature: string
}

export function signatureOf (secret: string, { path, accessionNumbers, expires }: Omit<SignedLink, 'signature'>): string {
  return createHmac('sha256', secret).update(`${path}\n${accessionNumbers}\n${expires}`).digest('hex')
}

/**
 * @throws MkisoError UNAUTHORIZED; why, only when the signature is right
 */
export function checkSignedLink ({ secret, maxAgeMs }: SignedLinkSettings, link: SignedLink, nowMs = Date.now()): void {
  const given = Buffer.from(/^[0-9a-f]{64}$/i.test(link.signature) ? link.signature : '', 'hex')
  const expected = Buffer.from(signatureOf(secret, link), 'hex')
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw new MkisoError('UNAUTHORIZED', 'the signature of the link is not right')
  const expiresMs = /^\d{1,12}$/.test(link.expires) ? Number(link.expires) * 1_000 : Number.NaN
  if (!(expiresMs > nowMs)) throw new MkisoError('UNAUTHORIZED', 'the link has expired: open it anew from the HIS')
  if (expiresMs - nowMs > maxAgeMs) throw new MkisoError('UNAUTHORIZED', 'the link is valid for longer than auth.signed_links.max_age allows')
}
