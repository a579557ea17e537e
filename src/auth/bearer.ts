/** A bearer token (RFC 6750 2.1). */
import { createHash, timingSafeEqual } from 'node:crypto'

/** @param header the value of Authorization */
export function isBearer (header: string | undefined, token: string): boolean {
  const given = /^Bearer +(\S+) *$/i.exec(header ?? '')?.[1]
  // digests have one length, so the comparison takes the same time whatever was sent
  return given !== undefined && timingSafeEqual(sha256(given), sha256(token))
}

function sha256 (text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
