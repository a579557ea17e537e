/** A study in the table of the {@link StudyStore}: being fetched, in use, or kept. */
import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { isDeepStrictEqual } from 'node:util'
import { abortable } from '../abort.ts'
import type { Archives } from '../archive/archive.ts'
import type { DicomObject } from '../dicom/part10.ts'
import { identityKey, type Study } from '../dicom/study.ts'
import { isDiskFull } from '../disk.ts'
import { MkisoError, withName } from '../errors.ts'
import { until, type Log } from '../process.ts'
import type { Claim, DiskSpace } from './disk-space.ts'
import { fetchFromSeveral, OF_ONE_ARCHIVE } from './fetch-from-several.ts'
import { fetchStudy, type FetchLimits } from './fetch-study.ts'
import { HeldStudy } from './held-study.ts'
import type { CompleteStudy, HeldFile } from './complete-studies.ts'
import type { SharedSession } from './shared-session.ts'
import { guardFiles, type PatientRules } from './same-patient.ts'
import { sameDataSet } from './same-data-set.ts'
import { whatCame } from './what-came.ts'

const PROBE_POLL_MS = 20

/** What every study is fetched with. */
export interface StudyContext {
  archives: Archives
  /** Of the archive of that name; of the only one for undefined. */
  limitsOf: (archive: string | undefined) => FetchLimits
  rules: PatientRules & { allowIncomplete: boolean }
  disk: DiskSpace
  /** As HeldStudyOptions.marks, of the archive of that name. */
  marksOf: (archive: string | undefined) => { known: boolean }
  workDir: string
  log: Log
}

/** A study that has come, and what it took. */
export interface FetchedStudy {
  /** Without what an earlier holding of the study already had. */
  instances: number
  bytes: number
  durationMs: number
}

export interface StoredStudyOptions {
  /** The request's session. */
  session: SharedSession
  /** False when the study ends with its series: the instances are asked for while images arrive already. */
  listed: boolean
  onFetched: (fetched: FetchedStudy) => void
  /** Before the files go and {@link StoredStudy.done} rejects. */
  onFailed: (error: unknown) => void
}

export class StoredStudy {
  readonly id = randomUUID()
  readonly held: HeldStudy
  /** Settles when every instance is listed; rejects as Archive.listInstances. */
  readonly listed: Promise<void>
  /** Settles when the study has come, or when it does not and nothing of it is left. */
  readonly done: Promise<void>
  /** Requests that hold it, and until when it is kept without any; the table's. */
  users = 0
  expiry: NodeJS.Timeout | undefined
  /** performance.now() of the last use. */
  usedAtMs = performance.now()
  readonly #context: StudyContext
  readonly #controller = new AbortController()
  /** How files that were handed out early spell their patient: one file of each spelling. */
  readonly #spellingsLeft = new Map<string, DicomObject>()
  #missing: number | undefined = 0
  #finished = false
  #probing: Promise<boolean> | undefined

  /** Begins to fetch. */
  constructor (study: Study, context: StudyContext, { session, listed, onFetched, onFailed }: StoredStudyOptions) {
    this.#context = context
    setMaxListeners(0, this.#controller.signal)
    const { workDir, log } = context
    this.held = new HeldStudy(study, { workDir, log, marks: context.marksOf(study.archive), archive: study.archive }, listed)
    this.listed = listed ? Promise.resolve() : this.#list()
    // images of a study that cannot be judged are of no use
    this.listed.catch((error: unknown) => { this.end(error) })
    session.join()
    this.done = this.#fetch(session, onFetched).catch(async (error: unknown) => {
      this.end(error)
      await this.listed.catch(() => {})
      onFailed(error)
      await this.held.removeFiles()
      throw error
    }).finally(async () => { await session.leave() })
    this.done.catch(() => {})
  }

  get studyInstanceUid (): string { return this.held.studyInstanceUid }

  /** Every image is here, or those that disc.allow_incomplete is content with. */
  get finished (): boolean { return this.#finished }

  /** Images that are missing; undefined where nobody can tell. */
  get missing (): number | undefined { return this.#missing }

  /** Every image is here. */
  get whole (): boolean { return this.#finished && this.#missing === 0 }

  /** Ends the fetching, if it still goes on. */
  end (reason: unknown): void { this.#controller.abort(reason) }

  /** What has come, one entry a patient: more than one only where disc.allow_mixed_patients lets it through. */
  complete (described: Study = this.held.study, log?: Log): CompleteStudy[] {
    const files = [...this.held.files.values()]
    return guardFiles(described, files.map(({ object }) => object), this.#context.rules, log).map(({ patient, objects }) => {
      const own = new Set(objects)
      return { study: { ...whatCame(described, objects), patient }, patient, files: files.filter(({ object }) => own.has(object)) }
    })
  }

  /**
   * True when a file may be handed out before the study is judged: the archive stands for it, and it is of the one person of whom everything is that was
   * handed out so. What must wait is judged with all the others, by {@link complete}.
   */
  mayLeave (file: HeldFile): boolean {
    const { rules } = this.#context
    // whose folder a file belongs in is only known when all persons are; and of two archives' copies one is chosen in the end
    if (rules.allowMixedPatients || this.held.study.sources !== undefined || !this.held.vouchesFor(file)) return false
    const { patientId, issuerOfPatientId, patientName, birthDate, sex } = file.object.patient
    const spelling = JSON.stringify([patientId, issuerOfPatientId, patientName, birthDate, sex])
    if (this.#spellingsLeft.has(spelling)) return true
    try {
      guardFiles(this.held.study, [...this.#spellingsLeft.values(), file.object], rules)
    } catch (error) {
      if (error instanceof MkisoError && error.code === 'DIFFERENT_PATIENTS') return false
      throw error
    }
    this.#spellingsLeft.set(spelling, file.object)
    return true
  }

  /**
   * True when the archive says of the study now what it said when this was fetched: patient, dates, descriptions, counts, instances. It cannot see
   * images that were corrected under the same UIDs; that is what {@link isUnchanged} is for.
   */
  isSameWork (study: Study): boolean {
    return isDeepStrictEqual(comparable(this.held.study), comparable(study)) && (!this.#finished || canTellChange(study))
  }

  /**
   * Asks the archive for one image again, any of them, and compares it with what is here: a patient that was corrected stands in every image. A single
   * image that was corrected under the same UIDs is found by chance only. Requests that ask at the same time share one answer.
   */
  async isUnchanged (session: SharedSession, signal: AbortSignal): Promise<boolean> {
    for (;;) {
      const isMine = this.#probing === undefined
      this.#probing ??= this.#probe(session, signal).finally(() => { this.#probing = undefined })
      try {
        return await abortable(this.#probing, signal)
      } catch (error) {
        signal.throwIfAborted()
        // who asked first may have left, which is nothing to those who share the answer: they ask themselves
        if (isMine) throw error
      }
    }
  }

  /** Of each archive that has sent some of it. */
  async #probe (session: SharedSession, signal: AbortSignal): Promise<boolean> {
    const byArchive = new Map<string | undefined, HeldFile[]>()
    for (const file of this.held.files.values()) byArchive.set(file.archive, [...byArchive.get(file.archive) ?? [], file])
    // one after the other: all may send to one receiver
    for (const [archive, files] of byArchive) if (!await this.#isUnchangedAt(archive, files, session, signal)) return false
    return byArchive.size > 0
  }

  async #isUnchangedAt (archiveName: string | undefined, files: readonly HeldFile[], session: SharedSession, signal: AbortSignal): Promise<boolean> {
    const sample = files[Math.floor(Math.random() * files.length)]
    if (sample === undefined) return false
    const { archives, limitsOf, log } = this.#context
    const limits = limitsOf(archiveName)
    const { studyInstanceUid, seriesInstanceUid, sopInstanceUid } = sample.object
    const answers: boolean[] = []
    const opened = await session.open(archives.at(archiveName), signal)
    const stop = opened.receive(studyInstanceUid, {
      offer: async ({ path, object }) => {
        if (identityKey(object) === identityKey(sample.object)) answers.push(await sameDataSet(sample, { path, object }))
      },
      cutOff: () => {},
      activity: () => {}
    })
    try {
      const within = AbortSignal.any([signal, AbortSignal.timeout(limits.idleTimeoutMs)])
      await opened.fetch({ studyInstanceUid, seriesInstanceUid, sopInstanceUids: [sopInstanceUid] }, { signal: within, log, queueTimeoutMs: limits.queueTimeoutMs })
      await until(() => answers.length > 0, limits.settleTimeoutMs, PROBE_POLL_MS, within)
    } catch (error) {
      signal.throwIfAborted()
      log.warn({ err: error, study: studyInstanceUid }, 'the archive did not send an image again for comparison; the study is fetched anew')
    } finally { stop() }
    const unchanged = answers.length > 0 && answers.every(same => same)
    if (!unchanged) log.info({ study: studyInstanceUid }, 'the images have changed at the archive, or cannot be compared; the study is fetched anew')
    return unchanged
  }

  async #list (): Promise<void> {
    this.held.list(await this.#askForInstances())
  }

  /** An archive may answer no question while it sends (dcmqrscp locks its index, measured): that it takes longer than a query may is no fault then. */
  async #askForInstances (): Promise<Study> {
    const { archives, log } = this.#context
    for (;;) {
      const { ended } = this.held.questions
      try {
        return await archives.listInstances(this.held.study, { signal: this.#controller.signal, log })
      } catch (error) {
        const { questions } = this.held
        const fetched = questions.running > 0 || questions.ended > ended
        if (!fetched || !(error instanceof MkisoError) || error.code !== 'PACS_TIMEOUT') throw error
        log.warn({ study: this.studyInstanceUid, pacs: this.held.study.archive ?? archives.name }, 'the PACS answers no query while it sends; it is asked again')
      }
    }
  }

  async #fetch (session: SharedSession, onFetched: (fetched: FetchedStudy) => void): Promise<void> {
    const { signal } = this.#controller
    const { received: instancesBefore, bytes: bytesBefore } = this.held.progress
    const startedAtMs = performance.now()
    const claim = await this.#context.disk.claim(() => this.held.progress.bytes - bytesBefore, error => { this.end(error) })
    try {
      this.#missing = await this.#receive(session, claim)
    } finally {
      claim.release([...this.held.files.values()].map(({ object }) => object), this.held.study)
    }
    // the last one may have left when the last image had come: whoever left has forgotten it, and only a failure removes it now
    signal.throwIfAborted()
    // whose it is must stand in every file; what is wrong is told before anybody gets anything
    this.complete(this.held.study, this.#context.log)
    this.#finished = true
    const { received, bytes } = this.held.progress
    const durationMs = performance.now() - startedAtMs
    const isWhole = this.#missing === 0
    this.#context.log.info({
      accession: this.held.study.accessionNumber, study: this.studyInstanceUid, instances: received, size_bytes: bytes, duration_ms: Math.round(durationMs),
      ...isWhole ? {} : { missing: this.#missing ?? 'unknown' }
    }, isWhole ? 'study complete' : 'study incomplete')
    onFetched({ instances: Math.max(0, received - instancesBefore), bytes: Math.max(0, bytes - bytesBefore), durationMs })
  }

  async #receive (session: SharedSession, claim: Claim): Promise<number | undefined> {
    const { signal } = this.#controller
    const { archives, limitsOf, marksOf, rules, log } = this.#context
    const fits = this.listed.then(async () => { await claim.expect(this.held.study) })
    fits.catch((error: unknown) => { this.end(error) })
    const common = { allowIncomplete: rules.allowIncomplete, isDiskFull: async () => await isDiskFull(this.held.folder), signal, log }
    const { sources, archive: name } = this.held.study
    if (sources !== undefined) {
      // from whom, is known by what each of them lists
      await abortable(fits, signal)
      const { missing } = await fetchFromSeveral(this.held, {
        ...common,
        sourceOf: ({ archive: name }) => {
          const archive = archives.at(name)
          return { archive, limits: limitsOf(name), marks: marksOf(name), open: async signal => await session.open(archive, signal) }
        }
      })
      return missing
    }
    const archive = archives.at(name)
    try {
      const { missing } = await fetchStudy(this.held, { ...common, archive, session: await session.open(archive, signal), limits: limitsOf(name), listing: fits })
      return missing
    } catch (error) {
      throw error instanceof MkisoError && OF_ONE_ARCHIVE.has(error.code) ? withName(error, name) : error
    }
  }
}

/** What a study is compared by: lists in one order, and without how they ended. */
function comparable (study: Study): object {
  const sources = study.sources?.map(comparable)
  // a body part is only named to those who ask for it
  const series = study.series.map(one => ({ ...one, listing: undefined, bodyPartExamined: undefined, instances: one.instances.map(({ sopInstanceUid }) => sopInstanceUid).sort() }))
  // whether it was asked for itself says nothing of the study
  return { ...study, prior: undefined, sources, series: series.sort((a, b) => a.seriesInstanceUid < b.seriesInstanceUid ? -1 : 1) }
}

/** Without a list and without counts nobody can tell whether a study has changed. */
function canTellChange ({ instanceCount, series, sources }: Study): boolean {
  if (sources !== undefined) return sources.every(canTellChange)
  return instanceCount !== undefined || (series.length > 0 && series.every(one => one.listing === 'whole' || one.instanceCount !== undefined))
}
