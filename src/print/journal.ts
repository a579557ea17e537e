/**
 * What the service must still know of its prints after kill -9 and after a power cut: one file for each job, replaced as a whole.
 *
 * write-file-atomic (npm's own) writes a new file, fsyncs it and renames it over the old one; the folder is fsynced here, without which the
 * name could be lost (fsync(2)). A database was weighed: better-sqlite3 needs an install script that fetches a binary from GitHub, and image and
 * package of this service are built without install scripts and used where no GitHub is; node:sqlite is not in Node 20. A hospital prints some
 * hundred discs a day, and a file is read by whoever has to clear up.
 *
 * A process has its own folder below the root, `prints/1a2b3c4d/`, and holds a socket in it for as long as it lives, so that two services
 * beside each other leave each other's jobs alone, and a new one takes over at once what a dead one has left: unlike a process id, a socket
 * cannot be mistaken after a restart, nor from within another container that shares the volume.
 */
import { randomBytes } from 'node:crypto'
import { closeSync, openSync, writeSync } from 'node:fs'
import { mkdir, open, readdir, readFile, rename, rm, rmdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import writeFileAtomic from 'write-file-atomic'
import { listenIn, signOfLife, type Alive } from '../alive.ts'
import type { Log } from '../process.ts'
import type { PrintRecord } from './print-job.ts'

const FOLDER = /^[0-9a-f]{8}$/
const ADOPTED = 'from-'
const BEING_MADE = '.new-'
const RECORD = /^([0-9a-f-]{36})\.json$/
const COUNT = /^([0-9a-f-]{36})\.sent$/
/** A folder whose owner died while it made it. */
const STALE_MS = 3_600_000

/** The count of images that the robot has confirmed, in a file that is not fsynced: it survives kill -9, and after a power cut it may be too low. */
export interface SentCount {
  set (count: number): void
  close (): void
}

/** As an earlier version may have written it. */
type WrittenRecord = Omit<PrintRecord, 'differing' | 'silentArchives'> & { readonly differing?: string[], readonly silentArchives?: string[] }

export class Journal {
  readonly #folder: string
  readonly #alive: Alive | undefined
  /** What was found when it was opened. */
  readonly found: readonly PrintRecord[]

  private constructor (folder: string, alive: Alive | undefined, found: readonly PrintRecord[]) {
    this.#folder = folder
    this.#alive = alive
    this.found = found
  }

  /**
   * Opens a folder of its own, and takes over those of services that live no more.
   * @param alone nobody else can come here, so that no socket is needed
   * @throws Error of the file system, for one that has no sockets too
   */
  static async open (root: string, log: Log, alone = false): Promise<Journal> {
    await mkdir(root, { recursive: true, mode: 0o700 })
    const name = randomBytes(4).toString('hex')
    const folder = join(root, name)
    // under its name from the moment in which it lives: else another that starts now would take it over
    const beingMade = join(root, BEING_MADE + name)
    await mkdir(beingMade, { mode: 0o700 })
    let alive: Alive | undefined
    try {
      alive = alone ? undefined : await listenIn(beingMade)
      await rename(beingMade, folder)
    } catch (error) {
      await alive?.()
      await rm(beingMade, { recursive: true, force: true })
      throw error
    }
    await adoptFrom(root, name, log)
    await syncFolder(folder)
    await syncFolder(root)
    return new Journal(folder, alive, await readAll(folder, log))
  }

  /** Durable when it has resolved. @throws Error of the file system */
  async write (record: PrintRecord): Promise<void> {
    await writeFileAtomic(join(this.#folder, `${record.id}.json`), JSON.stringify(record), { mode: 0o600 })
    await syncFolder(this.#folder)
  }

  /** Begins to count for a job; cheap. */
  count (id: string): SentCount {
    const descriptor = openSync(join(this.#folder, `${id}.sent`), 'w', 0o600)
    return {
      set: count => { writeSync(descriptor, String(count).padEnd(12), 0) },
      close: () => { closeSync(descriptor) }
    }
  }

  async forget (id: string): Promise<void> {
    for (const ending of ['json', 'sent']) await rm(join(this.#folder, `${id}.${ending}`), { force: true })
  }

  /** From now on another service may take it over; where there is nothing to take, no folder stays. */
  async close (): Promise<void> {
    await this.#alive?.()
    await rmdir(this.#folder).catch(() => { /* there is, or another has it already */ })
  }
}

async function syncFolder (folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try { await handle.sync() } finally { await handle.close() }
}

async function adoptFrom (root: string, own: string, log: Log): Promise<void> {
  for (const name of await readdir(root)) {
    const path = join(root, name)
    if (name.startsWith(BEING_MADE)) {
      const made = await stat(path).catch(() => undefined)
      const isOld = made !== undefined && Date.now() - made.mtimeMs > STALE_MS
      // a clock that was set forward makes the folder of one that starts just now look old
      if (isOld && await signOfLife(path).catch(() => 'alive') !== 'alive') await rm(path, { recursive: true, force: true })
      continue
    }
    if (!FOLDER.test(name) || name === own) continue
    try {
      if (await signOfLife(path) === 'alive') continue
      // of two that start at the same time one can do this
      await rename(path, join(root, own, ADOPTED + name))
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') continue
      log.error({ err: error, folder: path }, 'the prints of a service that ended cannot be taken over')
      continue
    }
    log.info({ folder: path }, 'the prints of a service that ended are taken over')
  }
  await moveUp(join(root, own), join(root, own))
}

/** The files of what was taken over; also of what its owner had taken over itself, and had no time to move. */
async function moveUp (from: string, to: string): Promise<void> {
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const path = join(from, entry.name)
    if (entry.isDirectory() && entry.name.startsWith(ADOPTED)) {
      await moveUp(path, to)
      await rmdir(path)
    } else if (from !== to) {
      if (RECORD.test(entry.name) || COUNT.test(entry.name)) await rename(path, join(to, entry.name))
      // the socket, and files that were not yet whole
      else await rm(path, { recursive: true, force: true })
    }
  }
}

async function readAll (folder: string, log: Log): Promise<PrintRecord[]> {
  const records: PrintRecord[] = []
  for (const name of await readdir(folder)) {
    const id = RECORD.exec(name)?.[1]
    if (id === undefined) continue
    const path = join(folder, name)
    try {
      const record = JSON.parse(await readFile(path, 'utf8')) as WrittenRecord
      if (record.id !== id || !Array.isArray(record.accessionNumbers)) throw new Error('it is no print')
      records.push({ ...record, differing: record.differing ?? [], silentArchives: record.silentArchives ?? [], sentImages: Math.max(record.sentImages, await countOf(join(folder, `${id}.sent`))) })
    } catch (error) {
      // a disk that lost it: nothing is sent because of it, and it is not thrown away
      log.error({ err: error, file: path }, 'a print in the journal cannot be read; look at the robot for what it may have got')
      await rename(path, `${path}.unreadable`)
    }
  }
  return records.sort((a, b) => a.createdAt.localeCompare(b.createdAt))
}

async function countOf (path: string): Promise<number> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return /^\d+ *$/.test(text) ? Number(text) : 0
}
