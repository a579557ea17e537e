/**
 * Links that a HIS or `mkiso link` signs, for those who have no key: `...?accession_number=X&expires=T&signature=S`. The signature is an
 * HMAC-SHA256, in hexadecimal, of lines: the path of the route, the accession numbers as they stand in the link, `expires`, and for each of
 * {@link BOUND} that the link was signed with, `name=value`. Which disc of a set is asked for is not signed: a link is good for the whole set.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { SignedLinkSettings } from '../config/schema.ts'
import { MkisoError } from '../errors.ts'

/** The page of a download: what it asks for by itself is covered by its link. */
export const DOWNLOAD_PAGE = '/download'

/** What a link may be signed with beside, in the order of their lines. */
export const BOUND = ['once', 'modality', 'series'] as const

/** What a link says. */
export interface LinkTerms extends Partial<Record<typeof BOUND[number], string>> {
  /** Path of the route, not the one that nginx maps to it: `/api/iso/download`. */
  path: string
  /** The list as it stands in the link, decoded: `X,Y`. */
  accessionNumbers: string
  /** End of its validity, seconds since 1970. */
  expires: string
}

export interface SignedLink extends Omit<LinkTerms, 'path'> {
  /** It is right when it was signed for one of them. */
  paths: readonly string[]
  /** 64 hexadecimal digits. */
  signature: string
}

export function signatureOf (secret: string, { path, accessionNumbers, expires, ...bound }: LinkTerms): string {
  const lines = [path, accessionNumbers, expires, ...BOUND.flatMap(name => bound[name] === undefined ? [] : [`${name}=${bound[name]}`])]
  return createHmac('sha256', secret).update(lines.join('\n')).digest('hex')
}

/** Path and query of a link. @param more what is not signed: `format=zip` */
export function signedLink (secret: string, terms: LinkTerms, more: Readonly<Record<string, string>> = {}): string {
  const { path, accessionNumbers, expires, ...bound } = terms
  const query = new URLSearchParams({ accession_number: accessionNumbers, ...more, expires })
  for (const name of BOUND) if (bound[name] !== undefined) query.set(name, bound[name])
  query.set('signature', signatureOf(secret, terms))
  // as the HIS writes it: nginx chooses the machine by the text of the list
  return `${path}?${query.toString().replaceAll('%2C', ',')}`
}

/**
 * A link to a whole study opens a part of it, too (the ticks of the page); one that was signed with a part opens that part only.
 * @throws MkisoError UNAUTHORIZED; why, only when the signature is right
 */
export function checkSignedLink ({ secret, maxAgeMs }: SignedLinkSettings, link: SignedLink, nowMs = Date.now()): void {
  const { paths, series: _series, modality: _modality, ...whole } = link
  const signed = paths.some(path => [{ ...link, path }, { ...whole, path }].some(terms => isSame(link.signature, signatureOf(secret, terms))))
  if (!signed || !/^\d{1,12}$/.test(link.expires)) throw new MkisoError('UNAUTHORIZED', 'the signature of the link is not right')
  if (expiryMsOf(link) - nowMs > maxAgeMs) throw new MkisoError('UNAUTHORIZED', 'the link is valid for longer than auth.signed_links.max_age allows')
}

/** What is wrong with the time of a link whose signature is right; undefined while it is good. */
export function expiryFault (link: Pick<SignedLink, 'expires'>, nowMs = Date.now()): MkisoError | undefined {
  const expiresMs = expiryMsOf(link)
  return expiresMs > nowMs ? undefined : new MkisoError('LINK_EXPIRED', `the link was good until ${new Date(expiresMs).toISOString()}`)
}

export function expiryMsOf ({ expires }: Pick<SignedLink, 'expires'>): number {
  return Number(expires) * 1_000
}

function isSame (given: string, expected: string): boolean {
  const bytes = Buffer.from(/^[0-9a-f]{64}$/i.test(given) ? given : '', 'hex')
  const wanted = Buffer.from(expected, 'hex')
  return bytes.length === wanted.length && timingSafeEqual(bytes, wanted)
}
