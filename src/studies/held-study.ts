/**
 * A held study: the one owner of what an archive says of a study, and of the files that have come of it. Whoever lays out, zips, prints or counts reads
 * from here. An object is known by what stands in it, never by a name; nothing that arrives overwrites something that has arrived.
 */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { Delivery, FetchOutcome, Provenance, ReceiverAddress, StudySink } from '../archive/archive.ts'
import { type FetchPart, identityKey, isUid, type InstanceIdentity, type Study } from '../dicom/study.ts'
import type { Log } from '../process.ts'
import type { HeldFile } from './complete-studies.ts'
import type { Claim, Evidence, Verdict } from './completeness.ts'
import { Listeners } from './listeners.ts'
import { machineClock, type Clock } from './clock.ts'
import { filesOnDisk, type StudyFiles } from './study-files.ts'

/** How far a study has come. */
export interface Progress {
  received: number
  /** Undefined while nobody knows. */
  expected: number | undefined
  bytes: number
  /** No turn at the archive yet. */
  waiting: boolean
  /** The first try has brought nothing, and it is asked again. */
  stuck?: Stuck | undefined
}

/** An archive that sends nothing. */
export interface Stuck {
  archive: string
  /** Where it should send; undefined for one that answers on the connection that asks. */
  receiver: ReceiverAddress | undefined
}

interface Entry extends HeldFile {
  provenance: Provenance
  /** Another holding's, of another archive, which owns the file. */
  adopted?: boolean
}

interface PartClaim {
  seriesInstanceUid: string | undefined
  total: number
  failed: number
  /** {@link HeldStudy} counts deliveries from the beginning; so many were there when the part was asked for. */
  deliveredBefore: number
}

/** So many are remembered for the message. */
const MOST_BROKEN_OFF = 100
const RANK: Record<Provenance, number> = { unknown: 0, archive: 1, ours: 2 }

export interface HeldStudyOptions {
  /** Parent of the folder for the files, on the file system of the receiver. */
  workDir: string
  log: Log
  /** Whether the archive marks what it sends for us, as far as it is known; one for all its studies. */
  marks?: { known: boolean }
  files?: StudyFiles
  clock?: Clock
  /** Name of the archive that the files come from, where there are several. */
  archive?: string | undefined
}

export class HeldStudy implements StudySink {
  readonly id = randomUUID()
  readonly folder: string
  readonly onFile: Listeners<HeldFile>
  readonly onProgress: Listeners<Progress>
  /** A file that has come does not count any more. */
  readonly onGone: Listeners<HeldFile>
  /** What the archive has been asked for of it. */
  readonly questions = { running: 0, paused: 0, ended: 0 }
  readonly #options: Required<Omit<HeldStudyOptions, 'archive'>> & Pick<HeldStudyOptions, 'archive'>
  readonly #files = new Map<string, Entry>()
  /** By identity: the highest provenance of those that differ. */
  readonly #contested = new Map<string, { instance: InstanceIdentity, rank: number }>()
  /** What the archive has sent, and is not what another archive sent under the same UIDs. */
  readonly #disagreements = new Map<string, InstanceIdentity>()
  readonly #cutOff = new Map<string, string>()
  readonly #claims = new Map<string | undefined, PartClaim>()
  /** Objects that came whole, also those that came twice, or that the archive sent with them and are another study's; by series, undefined for all. */
  readonly #delivered = new Map<string | undefined, number>()
  /** Offers are taken one after the other: two of them may be one object. */
  #offering: Promise<void> = Promise.resolve()
  #study: Study
  #listed: boolean
  /** What the archive lists, by identity; of the list that it was made from. */
  #keys: { of: Study, keys: ReadonlySet<string> } | undefined
  #bytes = 0
  #names = 0
  #asked = false
  /** See {@link unlearnMarks}. */
  #hadMarks = false
  #lastActivityMs: number
  #stuck: Stuck | undefined
  #sealed = false

  /** @param listed false when the instances are still to be listed: {@link list} follows while images arrive already */
  constructor (study: Study, options: HeldStudyOptions, listed: boolean) {
    this.#study = study
    this.#listed = listed
    this.#options = { files: filesOnDisk, clock: machineClock, marks: { known: false }, ...options }
    this.#lastActivityMs = this.clock.nowMs()
    this.onFile = new Listeners(options.log)
    this.onProgress = new Listeners(options.log)
    this.onGone = new Listeners(options.log)
    this.folder = join(options.workDir, `study_${this.id}`)
    this.#options.files.createFolder(this.folder)
  }

  get clock (): Clock { return this.#options.clock }

  get studyInstanceUid (): string { return this.#study.studyInstanceUid }

  /** As the archive describes it. */
  get study (): Study { return this.#study }

  /** The instances have been asked for. */
  get listed (): boolean { return this.#listed }

  /** By {@link identityKey}. */
  get files (): ReadonlyMap<string, HeldFile> { return this.#files }

  /** SOP Instance UID to what happened to it, of objects that broke off and have not come since. */
  get brokenOff (): ReadonlyMap<string, string> {
    const here = new Set([...this.#files.values()].map(({ object }) => object.sopInstanceUid))
    return new Map([...this.#cutOff].filter(([uid]) => !here.has(uid)))
  }

  /** When something of it last showed signs of arriving, by {@link clock}. */
  get lastActivityMs (): number { return this.#lastActivityMs }

  get progress (): Progress {
    const { series, instanceCount } = this.#study
    const numbers = series.map(one => one.listing === 'whole' ? Math.max(one.instances.length, one.instanceCount ?? 0) : one.instanceCount)
    const sum = numbers.reduce<number | undefined>((sum, one) => sum === undefined || one === undefined ? undefined : sum + one, 0)
    const expected = series.length === 0 || sum === undefined ? instanceCount : Math.max(sum, instanceCount ?? 0)
    const received = this.#files.size
    return { received, expected: expected === undefined ? undefined : Math.max(expected, received), bytes: this.#bytes, waiting: !this.#asked, stuck: this.#stuck }
  }

  /** As {@link Progress.stuck}; over with the first file that comes. */
  get stuck (): Stuck | undefined { return this.#stuck }
  set stuck (stuck: Stuck | undefined) {
    if (this.#stuck === stuck) return
    this.#stuck = stuck
    this.onProgress.tell(this.progress)
  }

  /** The archive has listed the instances. */
  list (study: Study): void {
    this.#study = study
    this.#listed = true
    this.onProgress.tell(this.progress)
  }

  /**
   * The archive stands for a file before the study is judged: it has marked it as sent for us, or it lists it and marks nothing. What is listed may still
   * be withdrawn, where another object comes under its UIDs.
   */
  vouchesFor ({ path, object }: HeldFile): boolean {
    const entry = this.#files.get(identityKey(object))
    if (entry?.path !== path) return false
    if (entry.provenance === 'ours') return true
    if (this.#marksKnown) return false
    return this.#listedKeys().has(identityKey(object))
  }

  #listedKeys (): ReadonlySet<string> {
    const study = this.#study
    if (this.#keys?.of !== study) {
      const keys = study.series.flatMap(({ seriesInstanceUid, instances }) =>
        instances.map(({ sopInstanceUid }) => identityKey({ studyInstanceUid: study.studyInstanceUid, seriesInstanceUid, sopInstanceUid })))
      this.#keys = { of: study, keys: new Set(keys) }
    }
    return this.#keys.keys
  }

  /** It is asked for: what is said of it from now on counts from here. @returns the number to give to {@link answered} */
  asked (part: FetchPart): number {
    this.#asked = true
    this.questions.running++
    this.#lastActivityMs = this.clock.nowMs()
    this.onProgress.tell(this.progress)
    return this.#delivered.get(part.seriesInstanceUid) ?? 0
  }

  /** A question that was {@link asked} has come to an end, whatever it was. */
  ended (): void {
    this.questions.running--
    this.questions.ended++
  }

  /** The archive, asked for it, is busy, and left alone for a while. @returns called when it is asked again */
  paused (): () => void {
    this.activity()
    this.questions.paused++
    return () => {
      this.activity()
      this.questions.paused--
    }
  }

  /** What the archive said when it had been asked for a part. */
  answered (part: FetchPart, { total, failed }: Pick<FetchOutcome, 'total' | 'failed'>, deliveredBefore: number): void {
    if (part.sopInstanceUids !== undefined || total === undefined) return
    this.#claims.set(part.seriesInstanceUid, { seriesInstanceUid: part.seriesInstanceUid, total, failed, deliveredBefore })
  }

  /**
   * An archive may mark no more what it sends for us: after an update, or behind a new router. The next study is taken as it comes; this one is judged
   * to its end by what was known when it came, since a stranger's object in place of one that the archive could not send has no mark either.
   */
  unlearnMarks (): void {
    const entries = [...this.#files.values()].filter(({ adopted }) => adopted !== true)
    if (entries.length === 0 || entries.some(({ provenance }) => provenance === 'ours')) return
    this.#hadMarks = this.#marksKnown
    this.#options.marks.known = false
  }

  get #marksKnown (): boolean { return this.#options.marks.known || this.#hadMarks }

  /** What two objects dispute is asked for anew: what comes now counts. */
  askAgain (): void {
    this.#contested.clear()
    this.#sealed = false
  }

  /**
   * Nothing that comes from now on counts. Whoever believes a verdict calls it before anything else can happen: an object that comes after the verdict
   * has been judged by nobody.
   */
  seal (): void { this.#sealed = true }

  /** Somebody begins to fetch it, in holdings of its own for each archive. */
  begin (): void {
    this.#asked = true
    this.onProgress.tell(this.progress)
  }

  /** The archive has marked it as sent for us (Delivery.provenance). */
  isMarked ({ object }: HeldFile): boolean { return this.#files.get(identityKey(object))?.provenance === 'ours' }

  /** Takes a file that another archive has sent, and that this one names too. It belongs to the other holding. */
  adopt (file: HeldFile): void {
    const key = identityKey(file.object)
    if (this.#files.has(key) || this.#contested.has(key)) return
    this.#files.set(key, { ...file, provenance: 'unknown', adopted: true })
    this.#bytes += file.object.sizeBytes
  }

  /** Counts a file that lies in a holding of one archive, within this one's folder. @returns false when it has one under these UIDs */
  include (file: HeldFile): boolean {
    if (this.#files.has(identityKey(file.object))) return false
    this.#hold({ ...file, provenance: 'unknown' })
    return true
  }

  /** Compares a file that lies in a holding of one archive with the one that counts under its UIDs; where they are the same, it goes. */
  async isSameAsHeld (file: HeldFile): Promise<boolean> {
    const here = this.#files.get(identityKey(file.object))
    const isSame = here !== undefined && await this.#options.files.same(here, file)
    if (isSame) await this.#options.files.remove(file.path)
    return isSame
  }

  /** Counts a file no more that was {@link include}d. */
  exclude (file: HeldFile): void {
    const key = identityKey(file.object)
    const here = this.#files.get(key)
    if (here?.path === file.path) this.#forget(key, here)
  }

  /** The holding of what one archive says of the study and sends of it; its files lie in this one's folder. */
  of (source: Study, marks: { known: boolean }): HeldStudy {
    return new HeldStudy(source, { ...this.#options, workDir: this.folder, marks, archive: source.archive }, true)
  }

  /** Leaves out what has come of a part: it counts when it comes again. */
  async doubt ({ seriesInstanceUid }: FetchPart): Promise<void> {
    await this.#offering
    for (const [key, entry] of [...this.#files]) {
      if (entry.provenance === 'ours' || entry.adopted === true || (seriesInstanceUid !== undefined && entry.object.seriesInstanceUid !== seriesInstanceUid)) continue
      this.#forget(key, entry)
      await this.#options.files.remove(entry.path)
    }
  }

  evidence (quiet: boolean): Evidence {
    const claims = [...this.#claims.values()].map(({ seriesInstanceUid, total, failed, deliveredBefore }): Claim =>
      ({ seriesInstanceUid, total, failed, delivered: (this.#delivered.get(seriesInstanceUid) ?? 0) - deliveredBefore }))
    return {
      study: this.#study,
      claims,
      files: [...this.#files.values()].map(({ object, provenance, adopted }) => ({
        studyInstanceUid: object.studyInstanceUid,
        seriesInstanceUid: object.seriesInstanceUid,
        sopInstanceUid: object.sopInstanceUid,
        ours: provenance === 'ours',
        adopted
      })),
      contested: [...[...this.#contested.values()].map(({ instance }) => instance), ...this.#disagreements.values()],
      marks: this.#marksKnown,
      quiet
    }
  }

  /** Removes what the verdict names as foreign. */
  async drop (foreign: Verdict['foreign']): Promise<void> {
    for (const instance of foreign) {
      const entry = this.#files.get(identityKey(instance))
      if (entry === undefined) continue
      this.#options.log.warn({ sop_instance_uid: instance.sopInstanceUid },
        'an object that the archive neither lists nor counts came from elsewhere; it is left out')
      this.#forget(identityKey(instance), entry)
      await this.#options.files.remove(entry.path)
    }
  }

  async offer (delivery: Delivery): Promise<void> {
    this.activity()
    const taking = this.#offering.then(async () => { await this.#take(delivery) })
    // an object that cannot be taken must not stop those behind it
    this.#offering = taking.catch(() => {})
    await taking.catch((error: unknown) => {
      // whoever offered it tells the log of the error; of the file system's message only its name of the fault: the rest is our paths
      this.cutOff(delivery.object.sopInstanceUid, `it could not be taken${error instanceof Error && 'code' in error ? `: ${String(error.code)}` : ''}`)
      throw error
    })
  }

  cutOff (sopInstanceUid: string, reason: string): void {
    this.activity()
    if (this.#cutOff.size < MOST_BROKEN_OFF) this.#cutOff.set(sopInstanceUid, reason)
    this.#options.log.warn({ sop_instance_uid: sopInstanceUid, reason }, 'an object was cut off while it came; it is left out')
  }

  activity (): void { this.#lastActivityMs = this.clock.nowMs() }

  passed (seriesInstanceUid: string | undefined): void {
    this.activity()
    this.#count(seriesInstanceUid)
  }

  async removeFiles (): Promise<void> {
    await this.#offering
    await this.#options.files.remove(this.folder)
  }

  async #take (delivery: Delivery): Promise<void> {
    const { object, path, provenance, from } = delivery
    const { sopInstanceUid, seriesInstanceUid, studyInstanceUid } = object
    const { log, files } = this.#options
    if (studyInstanceUid !== this.studyInstanceUid || this.#sealed) return
    if (![sopInstanceUid, seriesInstanceUid].every(isUid)) {
      log.warn({ from }, 'an object came whose SOP or Series Instance UID is none; it is left out')
      return
    }
    for (const remark of object.remarks) log.warn({ sop_instance_uid: sopInstanceUid, remark }, 'a file could not be followed in everything; it is taken as it is')
    const key = identityKey(object)
    const here = this.#files.get(key)
    const dispute = this.#contested.get(key)
    const rank = RANK[provenance]
    const fields = { sop_instance_uid: sopInstanceUid, from }
    if (here === undefined && (dispute === undefined || rank > dispute.rank)) {
      this.#contested.delete(key)
      const target = this.#newPath()
      files.move(path, target)
      this.#hold({ path: target, object, provenance, archive: this.#options.archive })
      return
    }
    if (here === undefined) {
      log.warn(fields, 'an object came of which two differ already; it is left out')
      return
    }
    const same = await files.same(here, { path, object })
    if (this.#sealed) return
    if (same) {
      this.#count(seriesInstanceUid)
      if (rank > RANK[here.provenance]) this.#files.set(key, { ...here, provenance })
      return
    }
    if (here.adopted === true) {
      if (rank === RANK.unknown && this.#marksKnown) return
      log.error({ ...fields, archive: this.#options.archive, other: here.archive }, 'two archives hold different objects under the same UIDs')
      this.#disagreements.set(key, { studyInstanceUid, seriesInstanceUid, sopInstanceUid })
      return
    }
    if (rank < RANK[here.provenance]) {
      log.error(fields, 'another object came under the UIDs of one that the archive has sent for us; it is left out')
      return
    }
    this.#forget(key, here)
    await files.remove(here.path)
    if (rank > RANK[here.provenance]) {
      log.error(fields, 'an object came from elsewhere under the UIDs of one that the archive sends for us; the archive\'s is taken')
      const target = this.#newPath()
      files.move(path, target)
      this.#hold({ path: target, object, provenance, archive: this.#options.archive })
      return
    }
    log.error(fields, 'two different objects came under the same UIDs; neither is taken before it is asked for again')
    this.#contested.set(key, { instance: { studyInstanceUid, seriesInstanceUid, sopInstanceUid }, rank })
  }

  #hold (entry: Entry): void {
    const { object } = entry
    this.#files.set(identityKey(object), entry)
    if (entry.provenance === 'ours') this.#options.marks.known = true
    this.#bytes += object.sizeBytes
    this.#stuck = undefined
    this.#count(object.seriesInstanceUid)
    this.onFile.tell(entry)
    this.onProgress.tell(this.progress)
  }

  #forget (key: string, entry: Entry): void {
    this.#files.delete(key)
    this.#bytes -= entry.object.sizeBytes
    this.onGone.tell(entry)
    this.onProgress.tell(this.progress)
  }

  #count (seriesInstanceUid: string | undefined): void {
    for (const key of new Set([seriesInstanceUid, undefined])) this.#delivered.set(key, (this.#delivered.get(key) ?? 0) + 1)
  }

  /** A name of ours. */
  #newPath (): string { return join(this.folder, String(++this.#names)) }
}
