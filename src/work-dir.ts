/**
 * The service's folder for temporary files: one a process, `dicomdir_<uuid>`, readable by this user only. Whatever is in it goes when the
 * service stops; what a service that was killed has left is swept when the next one starts, and later where that cannot tell at once.
 *
 * `iso.temp_dir` may be a folder that everybody writes to (/tmp): only folders that this user owns are looked into, and nothing that somebody has put
 * there keeps the service from starting.
 */
import { randomUUID } from 'node:crypto'
import { lstat, mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { listenIn, signOfLife } from './alive.ts'
import type { Log } from './process.ts'

const PREFIX = 'dicomdir_'
const OWNER_FILE = 'owner'
const BEAT_MS = 60_000
/** A service on another machine whose mark does not change for so long has gone. */
const STALE_AFTER_MS = 10 * BEAT_MS

export interface WorkDir {
  readonly path: string
  remove (): Promise<void>
}

/** @throws Error of the file system */
export async function createWorkDir (tempDir: string, log: Log): Promise<WorkDir> {
  const path = join(tempDir, PREFIX + randomUUID())
  await mkdir(path, { mode: 0o700 })
  const die = await listenIn(path).catch((error: unknown) => {
    log.info({ err: error, dir: path }, 'the file system of iso.temp_dir has no sockets; services in other containers see that this one lives by its mark only')
    return undefined
  })
  // the last: a folder without it is judged by nobody
  await writeFile(join(path, OWNER_FILE), ownerMark(process.pid) ?? String(process.pid), { mode: 0o600 })
  return {
    path,
    remove: async () => {
      await die?.()
      await rm(path, { recursive: true, force: true })
    }
  }
}

/** Removes the folders of services that no longer live; never one of a living service beside this one. */
export class WorkDirSweep {
  readonly #tempDir: string
  readonly #log: Log
  readonly #nowMs: () => number
  /** Marks that may belong to a living service on another machine, and since when they have not changed: by our own clock, which nobody sets. */
  readonly #watched = new Map<string, { mark: string, sinceMs: number }>()

  constructor (tempDir: string, log: Log, nowMs = () => performance.now()) {
    this.#tempDir = tempDir
    this.#log = log
    this.#nowMs = nowMs
  }

  /** @returns how many were removed @throws never */
  async run (): Promise<number> {
    const names = await readdir(this.#tempDir).catch((error: unknown) => {
      this.#log.warn({ err: error, dir: this.#tempDir }, 'iso.temp_dir cannot be read: what services that were killed have left stays')
      return []
    })
    let removed = 0
    for (const name of names.filter(one => one.startsWith(PREFIX))) {
      const path = join(this.#tempDir, name)
      try {
        if (!await isOurs(path) || await this.#lives(path)) continue
        await rm(path, { recursive: true, force: true })
        removed++
        this.#log.info({ dir: path }, 'the folder of a service that no longer runs was removed')
      } catch (error) {
        this.#log.warn({ err: error, dir: path }, 'a folder in iso.temp_dir can neither be judged nor removed')
      }
    }
    return removed
  }

  /**
   * Keeps the mark of this service fresh, and sweeps what only watching betrays.
   * @returns the way to end it
   */
  tend (path: string): () => void {
    const beat = async (): Promise<void> => {
      const now = new Date()
      await utimes(join(path, OWNER_FILE), now, now)
      await this.run()
    }
    const timer = setInterval(() => {
      beat().catch((error: unknown) => { this.#log.warn({ err: error, dir: path }, 'the work folder cannot be tended') })
    }, BEAT_MS).unref()
    return () => { clearInterval(timer) }
  }

  async #lives (path: string): Promise<boolean> {
    const owner = await readFile(join(path, OWNER_FILE), 'utf8').catch(() => undefined)
    // a folder without a mark is not ours to judge
    if (owner === undefined) return true
    const sign = await signOfLife(path)
    if (sign === 'alive') return true
    const [pid, , namespace] = owner.split(' ')
    // an earlier version's mark ends before the namespace
    if (namespace === undefined || namespace === pidNamespace()) return `${ownerMark(Number(pid)) ?? ''} `.startsWith(`${owner} `)
    // a process id of another container says nothing here; a socket does, on the same machine since the same boot
    if (sign === 'ended' && sameBoot(namespace, pidNamespace())) return false
    return !await this.#unchangedForLong(path, owner)
  }

  /** Another machine, or this one before it was started again; a mark of another clock has no age. */
  async #unchangedForLong (path: string, owner: string): Promise<boolean> {
    const { mtimeMs } = await stat(join(path, OWNER_FILE))
    const mark = `${owner} ${mtimeMs}`
    const watched = this.#watched.get(path)
    if (watched?.mark === mark) return this.#nowMs() - watched.sinceMs >= STALE_AFTER_MS
    this.#watched.set(path, { mark, sinceMs: this.#nowMs() })
    return false
  }
}

async function isOurs (path: string): Promise<boolean> {
  const found = await lstat(path)
  return found.isDirectory() && found.uid === process.getuid?.()
}

/** Process id, its start time, so that an id that was given to another program is not taken for the owner, and where the id is valid. */
function ownerMark (pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // proc(5): starttime is field 22; the name in brackets may hold blanks
    return `${pid} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''} ${pidNamespace()}`
  } catch { return undefined }
}

/** pid_namespaces(7), and the boot, since a number may come again. */
function pidNamespace (): string {
  try {
    return `${readlinkSync('/proc/self/ns/pid')}@${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}`
  } catch { return 'unknown' }
}

function sameBoot (one: string, other: string): boolean {
  const boot = one.split('@')[1]
  return boot !== undefined && boot === other.split('@')[1]
}
