/** Which key was sent. */
import { timingSafeEqual } from 'node:crypto'
import type { NamedKey } from '../config/schema.ts'
import { digestOf } from '../digest.ts'

/**
 * The name of the key that was sent, undefined for none of ours. Digests have one length and every key is compared, so the time tells
 * neither how much of a key was right nor which.
 */
export function nameOfKey (keys: readonly NamedKey[], given: string): string | undefined {
  const digest = digestOf(given)
  let name: string | undefined
  for (const key of keys) if (timingSafeEqual(digest, key.digest)) name = key.name
  return name
}
