/** SHA256.TXT: a checksum of every file of the disc, in the form that `sha256sum -c` reads. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'

export const CHECKSUM_FILE = 'SHA256.TXT'

/** @param folders a folder of this machine and where it is on the disc (empty for the root) */
export async function writeChecksums (root: string, folders: ReadonlyArray<{ path: string, folder: string }>): Promise<void> {
  const lines: string[] = []
  for (const { path, folder } of folders) {
    for (const entry of (await readdir(path, { recursive: true, withFileTypes: true })).sort((a, b) => join(a.parentPath, a.name) < join(b.parentPath, b.name) ? -1 : 1)) {
      if (!entry.isFile()) continue
      const file = join(entry.parentPath, entry.name)
      const hash = createHash('sha256')
      await pipeline(createReadStream(file), hash)
      lines.push(`${hash.digest('hex')}  ${join(folder, file.slice(path.length + 1))}`)
    }
  }
  await writeFile(join(root, CHECKSUM_FILE), `${lines.join('\n')}\n`)
}
