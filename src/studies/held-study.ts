/** A study in the table of {@link Retrievals}: being fetched, in use, or kept. Its folder is its own. */
import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { mkdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { Config } from '../config/schema.ts'
import { sameInstances, sopInstanceUidsOf, type Study } from '../dicom/study.ts'
import { MkisoError } from '../errors.ts'
import type { DiskSpace } from './disk-space.ts'
import { listInstances, type FindContext } from '../archive/dimse/find.ts'
import type { RequestSession } from '../archive/dimse/request-session.ts'
import { StudyRetrieval } from './fetch-study.ts'

export interface StudyContext extends FindContext {
  config: Config
  workDir: string
  disk: DiskSpace
}

/** A study that has come, and what it took. */
export interface Fetched {
  /** Without what an earlier retrieval of the study already had. */
  instances: number
  bytes: number
  durationMs: number
}

export interface StudyEntryOptions {
  /** The request's session. */
  session: RequestSession
  /** False when the manifest ends with the series: the instances are asked for while images arrive already. */
  isListed: boolean
  /** An entry of the same study whose files are taken over, so that only the rest is moved. */
  earlier: StudyEntry | undefined
  onFetched: (fetched: Fetched) => void
  /** Before the files go and {@link StudyEntry.done} rejects. */
  onFailed: (error: unknown) => void
}

/** A list that the PACS cut off is not the study: its counts judge. */
export function withoutCutLists (study: Study): Study {
  return { ...study, series: study.series.map(series => series.listing === 'cut' ? { ...series, instances: [] } : series) }
}

export class StudyEntry {
  readonly id = randomUUID()
  readonly retrieval: StudyRetrieval
  /** Settles when the manifest names every instance; rejects as {@link listInstances}. */
  readonly listed: Promise<void>
  /** Settles when the study has come, or when it does not and nothing of it is left. */
  readonly done: Promise<void>
  /** Requests that hold it, and until when it is kept without any; the table's. */
  users = 0
  expiry: NodeJS.Timeout | undefined
  /** performance.now() of the last use. */
  usedAt = performance.now()
  readonly #context: StudyContext
  readonly #controller = new AbortController()
  #manifest: Study
  #finished = false

  /** Begins to fetch. */
  constructor (study: Study, context: StudyContext, { session, isListed, earlier, onFetched, onFailed }: StudyEntryOptions) {
    this.#context = context
    this.#manifest = study
    setMaxListeners(0, this.#controller.signal)
    const { config, pacs, limit, log, workDir } = context
    const folder = join(workDir, `study_${randomUUID()}`)
    mkdirSync(folder, { mode: 0o700 })
    this.retrieval = new StudyRetrieval(study, { config, pacs, limit, log, folder }, isListed)
    if (earlier !== undefined) this.retrieval.seed(earlier.retrieval.files.values())
    this.listed = isListed ? Promise.resolve() : this.#list()
    // images of a study that cannot be checked are of no use
    this.listed.catch((error: unknown) => { this.end(error) })
    session.join()
    this.done = this.#fetch(session, onFetched).catch(async (error: unknown) => {
      this.end(error)
      await this.listed.catch(() => {})
      onFailed(error)
      await this.removeFiles()
      throw error
    }).finally(async () => { await session.leave() })
    this.done.catch(() => {})
  }

  get studyInstanceUid (): string { return this.#manifest.studyInstanceUid }

  /** Ends with the series until {@link listed} resolves. */
  get manifest (): Study { return this.#manifest }

  /** Every image is here, or those that disc.allow_incomplete is content with. */
  get finished (): boolean { return this.#finished }

  /** Every image of the manifest is here. */
  get whole (): boolean { return this.#finished && this.retrieval.progress.received >= sopInstanceUidsOf(this.retrieval.study).length }

  /** Ends the fetching, if it still goes on. */
  end (reason: unknown): void { this.#controller.abort(reason) }

  async removeFiles (): Promise<void> {
    await rm(this.retrieval.folder, { recursive: true, force: true })
  }

  isSamePerson (study: Study): boolean {
    return isDeepStrictEqual(this.#manifest.patient, study.patient)
  }

  /** True when what this fetches, or has, is what the study consists of now. */
  isSameWork (study: Study): boolean {
    if (!this.isSamePerson(study)) return false
    if (sameInstances(this.#manifest, study)) return true
    // without IMAGE level nobody can tell whether a finished study has changed; one that is under way is as fresh as it gets
    const series = (one: Study): string => one.series.map(({ seriesInstanceUid }) => seriesInstanceUid).sort().join()
    return !this.#finished && sopInstanceUidsOf(this.#manifest).length === 0 && sopInstanceUidsOf(study).length === 0 && series(this.#manifest) === series(study)
  }

  async #list (): Promise<void> {
    const listed = await this.#askForInstances()
    this.#manifest = listed
    this.retrieval.list(listed)
  }

  /** A PACS may answer no query while it sends (dcmqrscp locks its index, measured): a move that takes longer than pacs.find_timeout is no fault. */
  async #askForInstances (): Promise<Study> {
    for (;;) {
      const ended = this.retrieval.moves.ended
      try {
        return withoutCutLists(await listInstances(this.#context, this.#manifest, { signal: this.#controller.signal, log: this.#context.log }))
      } catch (error) {
        const { moves } = this.retrieval
        const moved = moves.running > 0 || moves.ended > ended
        if (!moved || !(error instanceof MkisoError) || error.code !== 'PACS_TIMEOUT') throw error
        this.#context.log.warn({ study: this.studyInstanceUid, pacs: this.#context.pacs.aeTitle }, 'the PACS answers no query while it sends; it is asked again')
      }
    }
  }

  async #fetch (session: RequestSession, onFetched: (fetched: Fetched) => void): Promise<void> {
    const { signal } = this.#controller
    const { received: instancesBefore, bytes: bytesBefore } = this.retrieval.progress
    const startedAt = performance.now()
    if (!this.retrieval.complete) await this.#retrieve(session, bytesBefore)
    // the last one may have left when the last image had come: whoever left has forgotten it, and only a failure removes it now
    signal.throwIfAborted()
    this.#finished = true
    const { received, bytes } = this.retrieval.progress
    const durationMs = performance.now() - startedAt
    const { accessionNumber, studyInstanceUid } = this.#manifest
    this.#context.log.info({ accession: accessionNumber, study: studyInstanceUid, instances: received, size_bytes: bytes, duration_ms: Math.round(durationMs) }, 'study complete')
    onFetched({ instances: Math.max(0, received - instancesBefore), bytes: Math.max(0, bytes - bytesBefore), durationMs })
  }

  async #retrieve (session: RequestSession, bytesBefore: number): Promise<void> {
    const { signal } = this.#controller
    const claim = await this.#context.disk.claim(() => this.retrieval.progress.bytes - bytesBefore, error => { this.end(error) })
    try {
      const fits = this.listed.then(async () => { await claim.expect(this.#manifest) })
      fits.catch((error: unknown) => { this.end(error) })
      await this.retrieval.run(await session.open(signal), signal, fits)
    } finally {
      claim.release(this.#manifest, this.retrieval.files.values())
    }
  }
}
