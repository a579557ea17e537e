/** SHA256.TXT: a checksum of every file of the disc, in the form that `sha256sum -c` reads. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import pLimit from 'p-limit'
import { filesOf, type DiscContents } from './contents.ts'
import { PIXELS_FOLDER } from './viewer/plan.ts'

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

/** @param grafts folders of this machine and where they are on the disc */
export async function writeChecksums (sums: Checksums, contents: DiscContents, root: string, grafts: ReadonlyArray<{ path: string, folder: string }>): Promise<void> {
  // the images' sums are those of the files that they are links to, which were read while others arrived
  const sources = new Map(filesOf(contents).map(({ fileId, sourcePath }) => [fileId, sourcePath]))
  const lines: string[] = []
  for (const { path, folder } of [{ path: root, folder: '' }, ...grafts]) {
    for (const entry of (await readdir(path, { recursive: true, withFileTypes: true })).sort((a, b) => join(a.parentPath, a.name) < join(b.parentPath, b.name) ? -1 : 1)) {
      if (!entry.isFile()) continue
      const file = join(entry.parentPath, entry.name)
      const name = join(folder, file.slice(path.length + 1))
      // on the disc a header lies before it, and what follows is the image, which is listed by its own name
      if (name.startsWith(`${PIXELS_FOLDER}/`) && name.endsWith('.BMP')) continue
      lines.push(`${await sums.of(sources.get(name) ?? file)}  ${name}`)
    }
  }
  await writeFile(join(root, CHECKSUM_FILE), `${lines.join('\n')}\n`)
}
