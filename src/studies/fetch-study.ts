/**
 * One study, from the manifest to whole files on disk. Complete means that every SOP Instance UID of the manifest is there; an exit code
 * or a status never proves it. What is missing after the moves have ended and nothing arrives any more is asked for once again.
 */
import { EventEmitter, setMaxListeners } from 'node:events'
import { linkSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { abortable } from '../abort.ts'
import { sentOf, type FetchPart, type FetchResult } from '../dcmtk/fetch.ts'
import { sopInstanceUidsOf, type Instance, type Series, type Study } from '../dicom/study.ts'
import type { Part10Facts } from '../dicom/part10.ts'
import { MkisoError } from '../errors.ts'
import { isDiskFull } from '../disk.ts'
import { until, type Log } from '../process.ts'
import type { Subscriber } from '../archive/dimse/inbox.ts'
import { aeTitleAt, pacsFault, type Pacs } from '../archive/dimse/pacs.ts'
import type { AssociationLimit } from '../archive/dimse/association-limit.ts'
import { inTurn } from '../archive/dimse/busy.ts'
import type { ReceivingSession } from '../archive/dimse/way.ts'
import type { Config } from '../config/schema.ts'

/** A file that is whole and is the instance that it says. */
export interface ReceivedFile extends Part10Facts {
  path: string
}

export interface Progress {
  received: number
  /** Undefined while nobody knows: a PACS without IMAGE level and without counts. */
  expected: number | undefined
  bytes: number
  /** No turn at the PACS yet. */
  waiting: boolean
}

export interface StudyRetrievalOptions {
  config: Config
  pacs: Pacs
  limit: AssociationLimit
  log: Log
  /** Empty folder for the files, on the file system of the inbox. */
  folder: string
}

/** UIDs in one C-MOVE at IMAGE level; each has up to 64 characters. */
const UIDS_PER_MOVE = 100
/** Up to so many missing images are asked for one by one in the end: Orthanc gives a list up at the first that it cannot send (measured). */
const ONE_BY_ONE_UP_TO = 64

/** Emits `progress` ({@link Progress}) and `file` ({@link ReceivedFile}). */
export class StudyRetrieval extends EventEmitter<{ progress: [Progress], file: [ReceivedFile] }> {
  readonly files = new Map<string, ReceivedFile>()
  #manifest: Study
  readonly #options: StudyRetrievalOptions
  #missing: Set<string>
  #byCounts: boolean
  #listed: boolean
  #bytes = 0
  #asked = false
  /** C-MOVEs, or C-GETs, of this study. */
  readonly moves = { running: 0, ended: 0 }
  #lastActivity = performance.now()
  /** performance.now() of the last image of the manifest. */
  #completeSince: number | undefined

  /** @param listed false when the manifest ends with the series: what they consist of follows by {@link list}, while images arrive already */
  constructor (manifest: Study, options: StudyRetrievalOptions, listed = true) {
    super()
    this.setMaxListeners(0)
    this.#manifest = manifest
    this.#options = options
    this.#listed = listed
    this.#byCounts = listed && hasUnlistedSeries(manifest)
    this.#missing = new Set(sopInstanceUidsOf(manifest))
  }

  /** What the PACS says that the study consists of. An image that came and is not in the list was stored there meanwhile; it is not of this disc. */
  list (manifest: Study): void {
    this.#manifest = manifest
    this.#byCounts = hasUnlistedSeries(manifest)
    this.#listed = true
    const wanted = new Set(sopInstanceUidsOf(manifest))
    for (const [uid, file] of this.files) {
      if (this.#byCounts || wanted.has(uid)) continue
      this.files.delete(uid)
      this.#bytes -= file.sizeBytes
      rmSync(file.path, { force: true })
    }
    this.#missing = new Set([...wanted].filter(uid => !this.files.has(uid)))
    if (this.complete) this.#completeSince = performance.now()
    this.emit('progress', this.progress)
  }

  get progress (): Progress {
    const expected = !this.#listed || this.#byCounts ? this.#expectedByCounts() : this.files.size + this.#missing.size
    return { received: this.files.size, expected, bytes: this.#bytes, waiting: !this.#asked }
  }

  get folder (): string { return this.#options.folder }

  /** The study with what has really come, where the PACS could not say before what it holds. */
  get study (): Study {
    if (!this.#byCounts) return this.#manifest
    const files = [...this.files.values()]
    return {
      ...this.#manifest,
      series: this.#manifest.series.map(series => series.instances.length > 0
        ? series
        : { ...series, instances: files.filter(file => file.seriesInstanceUid === series.seriesInstanceUid).map(asInstance) })
    }
  }

  /** True when every SOP Instance UID of the manifest is there; never true before a move where the PACS names none. */
  get complete (): boolean { return this.#complete([]) }

  /** Takes over what an earlier retrieval of the same study has; only the rest is moved. */
  seed (files: Iterable<ReceivedFile>): void {
    for (const file of files) {
      if (!this.#missing.has(file.sopInstanceUid)) continue
      const path = join(this.#options.folder, file.sopInstanceUid)
      linkSync(file.path, path)
      this.#take(file, path)
    }
  }

  /**
   * Fetches until complete.
   * @param listed resolves when {@link list} has been called
   * @throws MkisoError PACS_UNREACHABLE, PACS_REFUSED_MOVE, PACS_TIMEOUT, INCOMPLETE_RETRIEVAL, INSUFFICIENT_DISK_SPACE, TOO_MANY_CONCURRENT
   * @throws the signal's reason
   */
  async run (session: ReceivingSession, signal: AbortSignal, listed: Promise<void> = Promise.resolve()): Promise<void> {
    const { log, config } = this.#options
    const unsubscribe = session.inbox.subscribe(this.#subscriber())
    try {
      let results: FetchResult[] = []
      for (let attempt = 0; attempt < session.attempts && !(attempt > 0 && this.#complete(results)); attempt++) {
        if (attempt > 1 && this.#missing.size > ONE_BY_ONE_UP_TO) break
        if (attempt > 0) log.warn({ study: this.#manifest.studyInstanceUid, missing: this.#missing.size, attempt }, 'images are missing; they are asked for again')
        results = await this.#attempt(session, signal, attempt)
        await abortable(listed, signal)
        await session.inbox.scan()
        if (!this.#complete(results)) await this.#settle(session, results, signal)
        if (!this.#complete(results)) this.#stopIfHopeless(session, results, attempt)
      }
      if (this.#complete(results)) return
      const fault = await this.#faultOf(session, results)
      if (fault.code !== 'INCOMPLETE_RETRIEVAL' || !config.disc.allow_incomplete || this.files.size === 0) throw fault
      log.warn({ received: this.files.size, expected: this.progress.expected }, 'images are missing; the disc is made all the same, as disc.allow_incomplete says')
    } finally {
      unsubscribe()
    }
  }

  #subscriber (): Subscriber {
    const byStudy = (): boolean => this.#byCounts || !this.#listed
    return {
      folder: this.#options.folder,
      get byStudy () { return byStudy() },
      wants: (uid, facts) => facts === undefined
        ? this.#missing.has(uid)
        : byStudy()
          ? facts.studyInstanceUid === this.#manifest.studyInstanceUid && !this.files.has(facts.sopInstanceUid)
          // a data set that cannot be looked into (deflated) has no Study Instance UID here
          : this.#missing.has(uid) && ['', this.#manifest.studyInstanceUid].includes(facts.studyInstanceUid),
      taken: (facts, path) => { this.#take(facts, path) },
      activity: () => { this.#lastActivity = performance.now() },
      log: this.#options.log
    }
  }

  #take (facts: Part10Facts, path: string): void {
    const file: ReceivedFile = { ...facts, path }
    this.#missing.delete(facts.sopInstanceUid)
    this.files.set(facts.sopInstanceUid, file)
    this.#bytes += facts.sizeBytes
    this.#lastActivity = performance.now()
    if (this.complete) this.#completeSince = this.#lastActivity
    this.emit('file', file)
    this.emit('progress', this.progress)
  }

  /** Asks for what is missing, the series side by side, as far as there are turns at the PACS. */
  async #attempt (session: ReceivingSession, signal: AbortSignal, attempt: number): Promise<FetchResult[]> {
    const { limit, pacs, config, log } = this.#options
    const idle = new AbortController()
    const either = AbortSignal.any([signal, idle.signal])
    setMaxListeners(0, either)
    const watch = setInterval(() => {
      if (this.moves.running > 0 && performance.now() - this.#lastActivity > pacs.idleTimeoutMs) idle.abort(new IdleError())
      // everything is here, only the PACS does not say so: its answer would add nothing
      if (this.#completeSince !== undefined && performance.now() - this.#completeSince > pacs.settleTimeoutMs) idle.abort(new NoAnswerNeededError())
    }, Math.min(1_000, pacs.idleTimeoutMs / 4))
    watch.unref()
    // the first failure ends the others of this study: their images would be thrown away
    const failed = new AbortController()
    setMaxListeners(0, failed.signal)
    try {
      return await Promise.all(this.#parts(attempt).map(async (part, index) => await inTurn('move', async () => {
        this.moves.running++
        this.#lastActivity = performance.now()
        if (!this.#asked) {
          this.#asked = true
          this.emit('progress', this.progress)
        }
        const tool = config.pacs.retrieve === 'get' ? 'getscu' : 'movescu'
        log.info({ accession: this.#manifest.accessionNumber, pacs: pacs.aeTitle, series: part.seriesInstanceUid }, `running ${tool}`)
        try {
          const result = await session.fetch(part, {
            signal: AbortSignal.any([either, failed.signal]),
            attempt,
            log,
            onSubOperations: () => { this.#lastActivity = performance.now() }
          })
          if (result.kind !== 'answered' || result.status !== 0) log.error({ accession: this.#manifest.accessionNumber, ...describe(result) }, `${tool} failed`)
          return result
        } finally {
          this.moves.running--
          this.moves.ended++
        }
      }, { limit, pacs, log, signal: either, queueTimeoutMs: attempt === 0 && index === 0 ? config.pacs.queueTimeoutMs : undefined })))
    } catch (error) {
      failed.abort(error)
      if (error instanceof NoAnswerNeededError) return []
      if (error instanceof IdleError) throw new MkisoError('PACS_TIMEOUT', `neither an answer nor an image within ${pacs.idleTimeoutMs / 1_000} s (pacs.idle_timeout)`)
      throw error
    } finally {
      clearInterval(watch)
    }
  }

  #parts (attempt: number): FetchPart[] {
    const studyInstanceUid = this.#manifest.studyInstanceUid
    return this.#manifest.series.flatMap((series): FetchPart[] => {
      const { seriesInstanceUid } = series
      const wanted = series.instances.map(instance => instance.sopInstanceUid)
      const missing = wanted.filter(uid => this.#missing.has(uid))
      if (wanted.length > 0 && missing.length === 0) return []
      if (missing.length === wanted.length && attempt < 2) return [{ studyInstanceUid, seriesInstanceUid }]
      // a few that did not come, or that are new since an earlier retrieval
      const parts: FetchPart[] = []
      const atOnce = attempt < 2 ? UIDS_PER_MOVE : 1
      for (let start = 0; start < missing.length; start += atOnce) {
        parts.push({ studyInstanceUid, seriesInstanceUid, sopInstanceUids: missing.slice(start, start + atOnce) })
      }
      return parts
    })
  }

  /** Some PACS answer before they have sent: waits while images arrive, unless the counts say that nothing more can come. */
  async #settle (session: ReceivingSession, results: FetchResult[], signal: AbortSignal): Promise<void> {
    if (results.every(result => result.kind === 'no-association')) return
    const total = results.reduce((sum, result) => sum + (result.kind === 'answered' ? sentOf(result.counts) : 0), 0)
    const failed = results.some(result => result.kind === 'answered' && ((result.counts.failed ?? 0) > 0 || isError(result.status)))
    // every sub-operation that succeeded has its file, and the others failed: no reason to wait
    if (failed && total <= this.files.size) return
    this.#lastActivity = performance.now()
    await until(async () => {
      await session.inbox.scan()
      return this.#complete(results) || performance.now() - this.#lastActivity > this.#options.pacs.settleTimeoutMs
    }, this.#options.pacs.moveTimeoutMs, 50, signal)
  }

  #complete (results: FetchResult[]): boolean {
    if (!this.#listed) return false
    if (!this.#byCounts) return this.#missing.size === 0
    const expected = this.#expectedByCounts()
    const completed = results.reduce((sum, result) => sum + (result.kind === 'answered' ? sentOf(result.counts) : 0), 0)
    return this.files.size > 0 && results.length > 0 &&
      results.every(result => result.kind === 'answered' && result.status === 0 && (result.counts.failed ?? 0) === 0) &&
      this.#missing.size === 0 && this.files.size >= completed && (expected === undefined || this.files.size >= expected)
  }

  #expectedByCounts (): number | undefined {
    let sum = 0
    for (const series of this.#manifest.series) {
      const count = expectedOf(series)
      if (count === undefined) return undefined
      sum += count
    }
    return sum
  }

  /** What another try cannot mend is told at once. */
  #stopIfHopeless (session: ReceivingSession, results: FetchResult[], attempt: number): void {
    for (const result of results) {
      if (result.kind === 'timeout') throw new MkisoError('PACS_TIMEOUT', `the move took longer than ${this.#options.pacs.moveTimeoutMs / 1_000} s (pacs.move_timeout)`)
      // C-FIND has reached it a moment ago, and other series perhaps now: once may be the network
      const passing = result.kind === 'no-association' && (result.fault.kind === 'broken' || (result.fault.kind === 'unreachable' && attempt === 0))
      if (result.kind === 'no-association' && !passing) throw pacsFault(this.#options.pacs, aeTitleAt(this.#options.config, 0), result.fault)
      // 0xA801: move destination unknown (PS3.4 Table C.4-2)
      if (result.kind === 'answered' && result.status === 0xA801) throw this.#refused(session, 'it does not know the move destination')
    }
  }

  async #faultOf (session: ReceivingSession, results: FetchResult[]): Promise<MkisoError> {
    if (await isDiskFull(this.#options.folder)) return new MkisoError('INSUFFICIENT_DISK_SPACE', 'iso.temp_dir is full')
    const expected = this.progress.expected
    if (this.files.size === 0) {
      const broken = results.find(result => result.kind === 'no-association')
      if (broken?.kind === 'no-association') return pacsFault(this.#options.pacs, aeTitleAt(this.#options.config, 0), broken.fault)
      const refused = results.find(result => result.kind === 'answered' && isError(result.status))
      // Orthanc says 0xC000 for an unknown destination and for a receiver it cannot reach alike (measured); the study is there, as C-FIND told
      if (refused?.kind === 'answered') return this.#refused(session, `status 0x${refused.status.toString(16).toUpperCase().padStart(4, '0')}`)
      const sent = results.reduce((sum, result) => sum + (result.kind === 'answered' ? result.counts.completed ?? 0 : 0), 0)
      if (sent > 0) return this.#refused(session, `it reports ${sent} images as sent, but none arrived: the AE title leads to another machine or port`)
    }
    return new MkisoError('INCOMPLETE_RETRIEVAL', `${this.files.size} of ${expected ?? 'an unknown number of'} images of accession number ${this.#manifest.accessionNumber} arrived`)
  }

  #refused (session: ReceivingSession, why: string): MkisoError {
    return new MkisoError('PACS_REFUSED_MOVE', `${this.#options.pacs.aeTitle}: ${why}; register AE title ${session.destination}, at the PACS, and check that the port can be reached from there`)
  }
}

/** The PACS does not answer at IMAGE level. */
function hasUnlistedSeries (study: Study): boolean {
  return study.series.some(series => series.instances.length === 0)
}

function asInstance ({ sopInstanceUid, sopClassUid }: ReceivedFile): Instance {
  return { sopInstanceUid, sopClassUid, instanceNumber: undefined }
}

class IdleError extends Error {}
class NoAnswerNeededError extends Error {}

function expectedOf (series: Series): number | undefined {
  return series.instances.length > 0 ? series.instances.length : series.instanceCount
}

/** 0xB000 is "some failed", 0xFE00 "cancelled"; both leave images to ask for again. */
function isError (status: number): boolean {
  return status !== 0 && status !== 0xB000 && status !== 0xFE00
}

/** For the log, in the original's fields. */
function describe (result: FetchResult): object {
  const { exitCode, stderr } = result
  const end = { exit_code: exitCode, stderr }
  switch (result.kind) {
    case 'answered': return { status: `0x${result.status.toString(16).toUpperCase().padStart(4, '0')}`, ...result.counts, ...end }
    case 'no-association': return { ...end, stderr: result.fault.reason }
    case 'timeout': return { ...end, stderr: 'no answer in time' }
    case 'failed': return { ...end, stderr: result.reason }
  }
}
