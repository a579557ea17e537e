/** A file that appears under its name when it is whole, and not before; whatever else happens, nothing is left. */
import { access, open, rename, rm, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** The file cannot be written, with the sentence to print. */
export class FileError extends Error {}

export class ImageFile {
  readonly path: string
  readonly partPath: string
  #ours = false

  constructor (path: string) {
    this.path = resolve(path)
    this.partPath = `${this.path}.part`
  }

  /**
   * Looks before any work is done.
   * @throws FileError
   */
  async check (force: boolean): Promise<void> {
    const there = await stat(this.path).catch(() => undefined)
    if (there?.isDirectory() === true) throw new FileError(`${this.path} is a folder; give the name of a file with -o`)
    if (there !== undefined && !force) throw new FileError(`${this.path} exists; --force replaces it`)
    if ((await stat(dirname(this.path)).catch(() => undefined))?.isDirectory() !== true) throw new FileError(`there is no folder ${dirname(this.path)}`)
    if (await access(this.partPath).then(() => true, () => false)) throw new FileError(`${this.partPath} exists: it is being written, or a mkiso that was killed has left it; then remove it`)
  }

  /** @throws FileError, or what the source throws */
  async write (source: Readable, onBytes: (bytes: number) => void, signal: AbortSignal): Promise<void> {
    const counted = async function * (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
      for await (const chunk of chunks) {
        onBytes(chunk.length)
        yield chunk
      }
    }
    try {
      const file = await open(this.partPath, 'wx', 0o600)
      this.#ours = true
      await pipeline(source, counted, file.createWriteStream(), { signal })
    } catch (error) {
      const { code, syscall } = error as NodeJS.ErrnoException
      if (syscall === 'open' || syscall === 'write') throw new FileError(`${this.partPath} cannot be written: ${code ?? 'error'}`, { cause: error })
      throw error
    }
  }

  /** Under its name from here on, also after a power cut. */
  async complete (): Promise<void> {
    const file = await open(this.partPath, 'r+')
    try { await file.sync() } finally { await file.close() }
    await rename(this.partPath, this.path)
  }

  async discard (): Promise<void> {
    // a part that stood there before is another one's
    if (this.#ours) await rm(this.partPath, { force: true })
  }
}
