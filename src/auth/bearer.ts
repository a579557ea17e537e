/** A bearer token (RFC 6750 2.1). */
import { timingSafeEqual } from 'node:crypto'
import { digestOf } from '../digest.ts'

/** @param header the value of Authorization */
export function isBearer (header: string | undefined, token: string): boolean {
  const given = /^Bearer +(\S+) *$/i.exec(header ?? '')?.[1]
  // digests have one length, so the comparison takes the same time whatever was sent
  return given !== undefined && timingSafeEqual(digestOf(given), digestOf(token))
}
