/**
 * Links that are good for one whole download (`once`), and have been used. One file for each in a folder that survives a restart, so that a
 * service that was started again, and another one that shares the folder, knows them; the file goes when the link would have expired anyway.
 */
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import writeFileAtomic from 'write-file-atomic'

const NAME = /^[0-9a-f]{32}-\d{1,3}$/

export class UsedLinks {
  readonly #folder: string
  /** What could not be written is used all the same. */
  readonly #used = new Set<string>()

  /** @param folder may not be there yet */
  constructor (folder: string) { this.#folder = folder }

  /**
   * @param once 32 hexadecimal digits, as the link says
   * @param disc of a set: a link is good for each of its discs
   */
  isUsed (once: string, disc: number): boolean {
    const name = nameOf(once, disc)
    return this.#used.has(name) || existsSync(join(this.#folder, name))
  }

  /** @throws Error of the file system; it counts as used in this process all the same */
  async use (once: string, disc: number, expiresMs: number): Promise<void> {
    const name = nameOf(once, disc)
    this.#used.add(name)
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    await writeFileAtomic(join(this.#folder, name), `${new Date(expiresMs).toISOString()}\n`, { mode: 0o600 })
  }

  /** Removes what has expired. */
  async tidyUp (nowMs = Date.now()): Promise<void> {
    for (const name of await readdir(this.#folder).catch(() => [])) {
      if (!NAME.test(name)) continue
      const expiresMs = Date.parse((await readFile(join(this.#folder, name), 'utf8')).trim())
      // what cannot be read stays used
      if (expiresMs < nowMs) await rm(join(this.#folder, name), { force: true })
    }
  }
}

function nameOf (once: string, disc: number): string { return `${once}-${disc}` }
