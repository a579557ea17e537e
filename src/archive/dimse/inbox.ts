/**
 * The folder that a receiver writes into, and the rule by which a file in it becomes an image of a retrieval.
 *
 * With bit-preserving reception a file stands under its final name while it still arrives, and two associations can write the same name
 * (a move that was given up still sends while the next one starts). So a file is taken in this order: no process of the receiver has it
 * open; it is renamed, after which nobody can open it any more; still no process has it open; it parses to its end and says that it is
 * who it should be. What nobody wants is removed: images of a move that was given up, or of a stranger.
 */
import { renameSync } from 'node:fs'
import { readdir, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises'
import { readPart10, type Part10Facts } from '../../dicom/part10.ts'
import { openFilesOfGroup, processesThatHold, type Log } from '../../process.ts'

/** Who wants files, and what to do with one that has come. */
export interface Subscriber {
  /** Folder for the files, on the same file system; named by SOP Instance UID. */
  readonly folder: string
  /** True when the file is one of ours; asked with the UID of the file name, and with the facts once they are known. */
  wants (sopInstanceUid: string, facts?: Part10Facts): boolean
  /** True when the file must be opened to know whose it is: a PACS without IMAGE level leaves us without UIDs. */
  readonly byStudy: boolean
  taken (facts: Part10Facts, path: string): void
  /** Something of ours arrives just now. */
  activity (): void
  /** The request's, whose id stands in each line. */
  readonly log: Log
}

const SCAN_INTERVAL_MS = 100
const GUARD_INTERVAL_MS = 1_000
/** Files that nobody wants are removed after so long; long enough for a request that is about to want them. */
const FOREIGN_AFTER_MS = 10_000
/** Files are checked in batches between turns of the event loop. */
const BATCH = 32

export class Inbox {
  readonly #folder: string
  readonly #groups: () => readonly number[]
  readonly #log: Log
  readonly #subscribers = new Set<Subscriber>()
  readonly #sizes = new Map<string, number>()
  readonly #foreignSince = new Map<string, number>()
  #scanning: Promise<void> | undefined
  #loop: Promise<void> | undefined
  #closed = false
  #guard: NodeJS.Timeout | undefined
  readonly #maxUnwantedBytes: number
  /** Files that were removed because nobody wanted them. */
  dropped = 0

  /**
   * @param groups process ids of the group leaders that may write here
   * @param maxUnwantedBytes most bytes of files that nobody wants
   */
  constructor (folder: string, groups: () => readonly number[], log: Log, maxUnwantedBytes: number) {
    this.#folder = folder
    this.#groups = groups
    this.#log = log
    this.#maxUnwantedBytes = maxUnwantedBytes
  }

  /** Looks also while nobody waits for files: a stranger can send at any time. */
  guard (): void {
    this.#guard = setInterval(() => {
      if (this.#loop === undefined) this.scan().catch((error: unknown) => { this.#log.error({ err: error }, 'the receive folder cannot be read') })
    }, GUARD_INTERVAL_MS).unref()
  }

  subscribe (subscriber: Subscriber): () => void {
    this.#subscribers.add(subscriber)
    this.#loop ??= this.#watch().finally(() => { this.#loop = undefined })
    return () => { this.#subscribers.delete(subscriber) }
  }

  /** Looks into the folder now; everything that lay there whole when this was called has been taken when it resolves. */
  async scan (): Promise<void> {
    // a scan that runs already may have passed our file
    if (this.#scanning !== undefined) await this.#scanning
    this.#scanning ??= this.#scanOnce().finally(() => { this.#scanning = undefined })
    await this.#scanning
  }

  async close (): Promise<void> {
    this.#closed = true
    clearInterval(this.#guard)
    this.#subscribers.clear()
    await this.#scanning
  }

  async #watch (): Promise<void> {
    // while files of a given-up move may still come, somebody must remove them
    while (!this.#closed && (this.#subscribers.size > 0 || this.#foreignSince.size > 0)) {
      await this.scan().catch((error: unknown) => { this.#log.error({ err: error }, 'the receive folder cannot be read') })
      await delay(SCAN_INTERVAL_MS, undefined, { ref: false })
    }
  }

  async #scanOnce (): Promise<void> {
    const names = await readdir(this.#folder)
    for (const path of this.#foreignSince.keys()) if (!names.includes(basename(path))) this.#foreignSince.delete(path)
    if (names.length === 0) return
    const openBefore = this.#openFiles()
    const moved: Array<{ path: string, subscriber: Subscriber }> = []
    const arrivingUnwanted: string[] = []
    for (const name of names) {
      const path = join(this.#folder, name)
      const sopInstanceUid = /^(?:[A-Za-z]\w*\.)?(\d[\d.]*)$/.exec(name)?.[1]
      const subscriber = [...this.#subscribers].find(one => one.byStudy || (sopInstanceUid !== undefined && one.wants(sopInstanceUid)))
      if (openBefore.has(path)) {
        if (subscriber === undefined) arrivingUnwanted.push(path)
        else if (await this.#grows(path)) subscriber.activity()
        continue
      }
      this.#sizes.delete(path)
      if (subscriber === undefined) {
        await this.#foreign(path)
        continue
      }
      const owner = subscriber.byStudy ? this.#ownerByContent(path) : subscriber
      // one that has left may be removing its folder
      if (owner === undefined || !this.#subscribers.has(owner)) {
        await this.#foreign(path)
        continue
      }
      try {
        const target = join(owner.folder, sopInstanceUid ?? name)
        renameSync(path, target)
        moved.push({ path: target, subscriber: owner })
      } catch (error) {
        // storescp removes a file whose association broke
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      }
    }
    if (moved.length > 0) await this.#check(moved)
    await this.#limitUnwanted(arrivingUnwanted)
  }

  /** What nobody wants must not fill the disk: the oldest files go, then the associations that send more. */
  async #limitUnwanted (arriving: readonly string[]): Promise<void> {
    const sized = async (paths: Iterable<string>): Promise<Array<{ path: string, bytes: number }>> =>
      await Promise.all([...paths].map(async path => ({ path, bytes: await stat(path).then(({ size }) => size, () => 0) })))
    const [whole, growing] = [await sized(this.#foreignSince.keys()), await sized(arriving)]
    let bytes = [...whole, ...growing].reduce((sum, one) => sum + one.bytes, 0)
    for (const one of whole) {
      if (bytes <= this.#maxUnwantedBytes) return
      bytes -= one.bytes
      await this.#drop(one.path)
    }
    for (const one of growing.sort((a, b) => b.bytes - a.bytes)) {
      if (bytes <= this.#maxUnwantedBytes) return
      bytes -= one.bytes
      for (const pid of this.#groups().flatMap(group => processesThatHold(group, one.path))) {
        this.#log.warn({ pid, bytes: one.bytes }, 'an association sends more of what nobody asked for than our_ae.max_unwanted allows; it is ended')
        try { process.kill(pid, 'SIGKILL') } catch { /* ended meanwhile */ }
      }
      await this.#drop(one.path)
    }
  }

  async #check (moved: ReadonlyArray<{ path: string, subscriber: Subscriber }>): Promise<void> {
    let open = this.#openFiles()
    // opened under its old name after the first look: nobody else can open it now, so waiting for the end is enough
    while (moved.some(({ path }) => open.has(path))) {
      await delay(SCAN_INTERVAL_MS)
      open = this.#openFiles()
    }
    for (const [index, { path, subscriber }] of moved.entries()) {
      if (index % BATCH === BATCH - 1) await nextTurn()
      if (!this.#subscribers.has(subscriber)) continue
      try {
        const facts = readPart10(path)
        if (subscriber.wants(facts.sopInstanceUid, facts)) {
          subscriber.taken(facts, path)
          continue
        }
        subscriber.log.warn({ sop_instance_uid: facts.sopInstanceUid }, 'a received file is not what its name says; it is left out')
      } catch (error) {
        subscriber.log.warn({ err: error }, 'a received file is not whole; it is left out')
      }
      this.dropped++
      await rm(path, { force: true })
    }
  }

  #ownerByContent (path: string): Subscriber | undefined {
    try {
      const facts = readPart10(path)
      return [...this.#subscribers].find(subscriber => subscriber.wants(facts.sopInstanceUid, facts))
    } catch { return undefined }
  }

  async #foreign (path: string): Promise<void> {
    const since = this.#foreignSince.get(path) ?? performance.now()
    this.#foreignSince.set(path, since)
    if (performance.now() - since < FOREIGN_AFTER_MS) return
    await this.#drop(path)
  }

  async #drop (path: string): Promise<void> {
    this.#foreignSince.delete(path)
    this.dropped++
    await rm(path, { force: true, recursive: true })
    this.#log.warn({ dropped: this.dropped }, 'an image that nobody asked for was received and removed')
  }

  async #grows (path: string): Promise<boolean> {
    const size = await stat(path).then(({ size }) => size, () => 0)
    const before = this.#sizes.get(path)
    this.#sizes.set(path, size)
    return size !== before
  }

  #openFiles (): Set<string> {
    return new Set(this.#groups().flatMap(pid => [...openFilesOfGroup(pid)]))
  }
}
