/** What is kept and compared in place of a secret: digests have one length, so a comparison takes the same time whatever was sent. */
import { createHash } from 'node:crypto'

/** @returns SHA-256, 32 bytes */
export function digestOf (secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}
