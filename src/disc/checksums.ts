/** SHA256.TXT: a checksum of every file of the disc, in the form that `sha256sum -c` reads. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import pLimit from 'p-limit'
import type { RootFile } from './root.ts'

export const CHECKSUM_FILE = 'SHA256.TXT'
const AT_ONCE = 2

/** Checksums of files, each computed once, as soon as it is known that somebody will want it. */
export class Checksums {
  readonly #limit = pLimit(AT_ONCE)
  readonly #byPath = new Map<string, Promise<string>>()

  add (path: string): void {
    void this.of(path).catch(() => { /* whoever asks is told */ })
  }

  /** @throws Error when the file cannot be read */
  async of (path: string): Promise<string> {
    let sum = this.#byPath.get(path)
    if (sum === undefined) this.#byPath.set(path, sum = this.#limit(async () => await sha256(path)))
    return await sum
  }
}

async function sha256 (path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path, { highWaterMark: 512 * 1024 }), hash)
  return hash.digest('hex')
}

/**
 * Writes the list into the root of the disc.
 * @param sumOf SHA-256 of a file of the disc, hexadecimal
 */
export async function writeChecksums (files: readonly RootFile[], sumOf: (file: RootFile) => Promise<string>, root: string): Promise<void> {
  const lines: string[] = []
  for (const file of files) lines.push(`${await sumOf(file)}  ${file.name}`)
  await writeFile(join(root, CHECKSUM_FILE), `${lines.join('\n')}\n`)
}
