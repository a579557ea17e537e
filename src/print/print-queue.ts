/**
 * Prints, each once. A print cannot be taken back, so what may have reached the robot is never sent again by itself: "it is being sent"
 * is in the journal before the first image leaves, and who finds it there after a restart asks a person to look at the robot.
 */
import { randomUUID } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import pLimit from 'p-limit'
import { abortable } from '../abort.ts'
import { silentArchivesOf, type Manifest } from '../dicom/study.ts'
import { MkisoError } from '../errors.ts'
import type { Log } from '../process.ts'
import type { Activities } from '../work/activities.ts'
import type { Activity } from '../work/activity.ts'
import type { Caller } from '../work/caller.ts'
import type { Journal } from './journal.ts'
import { PrintJob } from './job-under-way.ts'
import { isUnderWay, isUnresolved, lookAtTheRobot, nameOfCaller, studySetOf, type PrintRecord, type PrintState } from './print-job.ts'
import { endOf, enter, failureOf, PrintedAlreadyError, unknownPrint } from './print-outcome.ts'
import type { FetchStudies, FetchedStudies, Robot, SendOutcome } from './relay.ts'

/** What the HIS says of whose studies are printed. */
export interface PatientOfPrint {
  readonly name: string | undefined
  /** Fields in which the HIS and the PACS differ, once {@link check} has been asked. */
  readonly differing: readonly string[]
  /** Asked when the studies are known, before anything is fetched; what it throws stops the print. */
  check (manifest: Manifest): Promise<void>
}

export interface PrintQueueOptions {
  journal: Pick<Journal, 'found' | 'write' | 'count' | 'forget'>
  robot: Pick<Robot, 'address' | 'away' | 'send'>
  fetch: FetchStudies
  /** The patient as the HIS knows it, before anything is fetched; what it throws stops the print. */
  patientOf: (accessionNumbers: readonly string[], context: { signal: AbortSignal, log: Log }) => Promise<PatientOfPrint>
  /** The patient's name as the PACS writes it. */
  nameIn: (manifest: Manifest) => string
  /** Before the first image leaves, for each who waits; what it throws stops the print. */
  onTransfer: (activity: Activity, manifest: Manifest) => void
  activities: Activities
  /** Errors in the terms of the table. */
  toMkisoError: (error: Error) => MkisoError
  logOf: (requestId: string) => Log
  /** How long a robot that is off is tried again, in milliseconds. */
  retryForMs: number
  /** How long the same studies are not sent again without a word, in milliseconds; 0 for never. */
  askAgainWithinMs: number
  /** The first pause before a robot that is off is tried again, in milliseconds. */
  firstPauseMs?: number
}

export interface PrintRequest {
  accessionNumbers: readonly string[]
  caller: Caller
  requestId: string
  /** The same studies once more, on purpose. */
  again: boolean
  /** It goes on when nobody waits for it, and a robot that is off is tried again. */
  detached: boolean
  idempotencyKey: string | undefined
}

/** Jobs that nobody waits for fetch so many at a time, those that wait for the robot included: after a restart there may be many. */
const FETCHED_AHEAD = 4
const LONGEST_PAUSE_MS = 60_000
/** What has ended is remembered for so long, or for `askAgainWithinMs`: an Idempotency-Key, a page that is opened again. */
const REMEMBERED_MS = 7 * 24 * 3_600_000

/** The service ends before this print has begun to be sent: the next one goes on with it. */
class Suspended extends Error {}

export class PrintQueue extends EventEmitter<{ changed: [PrintJob] }> {
  readonly #options: PrintQueueOptions
  /** All that are remembered, in the order in which they were asked for. */
  readonly #jobs = new Map<string, PrintJob>()
  readonly #ahead = pLimit(FETCHED_AHEAD)
  readonly #turn = pLimit(1)
  /** Those who wait for it, in their order. */
  readonly #waiting = new Set<PrintJob>()
  /** Written down in the order in which they were asked for, and so begun in that order. */
  readonly #begins = pLimit(1)
  readonly #stop = new AbortController()
  #closing = false
  /** While the robot is off: resolves when it is tried again. */
  #pause: Promise<void> | undefined
  #pauses = 0

  constructor (options: PrintQueueOptions) {
    super()
    this.setMaxListeners(0)
    this.#options = options
    for (const record of options.journal.found) this.#jobs.set(record.id, this.#newJob(record))
  }

  /** Newest first. */
  get jobs (): readonly PrintJob[] { return [...this.#jobs.values()].reverse() }

  /** Somebody must look at the robot for each of them; oldest first. */
  get unresolved (): readonly PrintJob[] { return [...this.#jobs.values()].filter(({ record }) => isUnresolved(record)) }

  get sending (): boolean { return [...this.#jobs.values()].some(({ record }) => record.state === 'sending') }

  get (id: string): PrintJob | undefined { return this.#jobs.get(id) }

  /** Of the same accession numbers in any order, newest first. */
  find (accessionNumbers: readonly string[]): readonly PrintJob[] {
    const set = studySetOf(accessionNumbers)
    return this.jobs.filter(job => job.studySet === set)
  }

  /** After a restart: what had not begun to be sent goes on, what had is unknown. */
  async start (): Promise<void> {
    for (const job of this.#jobs.values()) {
      const { record } = job
      if (!isUnderWay(record)) {
        const failure = failureOf(record)
        if (failure === undefined) job.finish()
        else job.fail(failure)
        if (isUnresolved(record)) this.#sayUnknown(job)
        continue
      }
      const activity = this.#begin(job)
      if (record.state === 'sending') {
        activity.onSent(record.sentImages, record.images ?? 0)
        await this.#end(job, 'unknown', unknownPrint(record))
        this.#sayUnknown(job)
      } else {
        record.detached = true
        record.destination = this.#options.robot.address
        const log = this.#options.logOf(record.requestId)
        log.info({ job: record.id, accessions: record.accessionNumbers }, 'a print goes on after a restart')
        void this.#run(job)
      }
    }
    await this.#forgetOld()
  }

  /**
   * A print, or the one that is under way for the same studies.
   * @throws PrintedAlreadyError where the same was sent, or may have been, and nobody has said `again`
   * @throws MkisoError IDEMPOTENCY_KEY_REUSED, SHUTTING_DOWN
   */
  async ask (request: PrintRequest): Promise<PrintJob> {
    if (this.#closing) throw new MkisoError('SHUTTING_DOWN', undefined, { retryAfterSeconds: 10 })
    const job = this.#known(request) ?? this.#create(request)
    if (request.detached) this.#detach(job)
    // whoever is told of a job can rely on it
    await job.written
    return job
  }

  /**
   * Waits for the end. Who leaves before the images go out ends it, unless somebody else waits or it is detached.
   * @throws MkisoError the job's
   * @throws the activity's signal's reason
   */
  async wait (job: PrintJob, activity: Activity): Promise<PrintRecord> {
    const { signal } = activity
    const leave = job.follow(activity)
    try {
      return await abortable(job.done, signal)
    } finally {
      // whoever leaves while the images go out has printed all the same
      if (activity.committed) void endWith(activity, job).finally(leave)
      else leave()
      if (signal.aborted && !job.record.detached && job.followers === 0) {
        if (activity.outcome?.kind === 'cancelled') job.cancelledBy = activity.outcome.by
        job.abort(signal.reason as Error)
      }
    }
  }

  /** @returns false when it cannot be ended any more: its images are on their way, or it has ended */
  cancel (job: PrintJob, by: 'client' | 'operator'): boolean {
    if (job.committed || !isUnderWay(job.record)) return false
    job.cancelledBy = by
    job.abort(new MkisoError('CANCELLED'))
    return true
  }

  /** Somebody has looked at the robot. @returns false when there is nothing to look at */
  async acknowledge (job: PrintJob, by: Caller): Promise<boolean> {
    if (!isUnresolved(job.record)) return false
    job.record.acknowledged = { at: new Date().toISOString(), by }
    await this.#options.journal.write(job.record)
    const log = this.#options.logOf(job.record.requestId)
    log.info({ job: job.id, by: nameOfCaller(by) }, 'a print of which nobody knew how it ended is acknowledged')
    job.changed()
    return true
  }

  /** No new print is sent; who waits is told, the others go on with the next service. */
  close (): void {
    this.#closing = true
    for (const job of this.#jobs.values()) {
      if (!isUnderWay(job.record) || job.committed) continue
      job.abort(job.record.detached ? new Suspended() : new MkisoError('SHUTTING_DOWN', undefined, { retryAfterSeconds: 10 }))
    }
  }

  /** Ends what is still being sent: how much of it the robot has is then unknown. */
  async end (): Promise<void> {
    this.close()
    this.#stop.abort(new MkisoError('SHUTTING_DOWN'))
    await Promise.allSettled([...this.#jobs.values()].map(async job => { await job.settled }))
  }

  #known ({ idempotencyKey, accessionNumbers, caller, again }: PrintRequest): PrintJob | undefined {
    const set = studySetOf(accessionNumbers)
    if (idempotencyKey !== undefined) {
      const isSame = ({ record }: PrintJob): boolean => record.idempotencyKey === idempotencyKey && record.caller.credential === caller.credential
      const same = this.jobs.find(isSame)
      if (same !== undefined && same.studySet !== set) {
        throw new MkisoError('IDEMPOTENCY_KEY_REUSED', 'the print with this Idempotency-Key has other accession numbers')
      }
      if (same !== undefined) return same
    }
    const earlier = this.jobs.filter(job => job.studySet === set && job.record.destination === this.#options.robot.address)
    const underWay = earlier.find(({ record, ending }) => isUnderWay(record) && !ending)
    if (underWay !== undefined) return underWay
    const printed = earlier.find(({ record }) => this.#asksAgain(record))
    if (printed !== undefined && !again) throw new PrintedAlreadyError(printed)
    return undefined
  }

  /** It was sent, or may have been, and not long ago. */
  #asksAgain (record: PrintRecord): boolean {
    const { askAgainWithinMs } = this.#options
    if (askAgainWithinMs === 0) return false
    if (isUnresolved(record)) return true
    return ['sent', 'unknown'].includes(record.state) && Date.now() - Date.parse(endOf(record)) < askAgainWithinMs
  }

  #create ({ accessionNumbers, caller, requestId, again, detached, idempotencyKey }: PrintRequest): PrintJob {
    const now = new Date().toISOString()
    const job = this.#newJob({
      id: randomUUID(), createdAt: now, accessionNumbers: [...accessionNumbers], caller, requestId, idempotencyKey, again, detached,
      state: 'queued', times: { queued: now }, destination: this.#options.robot.address, patientName: '', differing: [], silentArchives: [], studyInstanceUids: [],
      images: undefined, sentImages: 0, fault: undefined, cancelledBy: undefined, acknowledged: undefined
    })
    this.#jobs.set(job.id, job)
    job.written = this.#begins(async () => { await this.#options.journal.write(job.record) })
    // who asked hears of it by ask()
    job.written.catch(() => {})
    if (detached) this.#begin(job)
    void this.#run(job)
    return job
  }

  #newJob (record: PrintRecord): PrintJob {
    return new PrintJob(record, job => { this.emit('changed', job) })
  }

  /** An activity of its own, for a job that goes on when nobody waits. */
  #begin (job: PrintJob): Activity {
    const { id, record: { requestId, accessionNumbers, caller } } = job
    const activity = this.#options.activities.begin({ id, requestId, kind: 'print', accessionNumbers, caller })
    job.activity = activity
    const leave = job.follow(activity)
    const onAbort = (): void => {
      if (activity.outcome?.kind === 'cancelled') job.cancelledBy = activity.outcome.by
      job.abort(activity.signal.reason as Error)
    }
    activity.signal.addEventListener('abort', onAbort, { once: true })
    void endWith(activity, job).finally(() => {
      activity.signal.removeEventListener('abort', onAbort)
      leave()
    })
    return activity
  }

  #detach (job: PrintJob): void {
    if (job.record.detached || !isUnderWay(job.record)) return
    job.record.detached = true
    this.#begin(job)
  }

  async #run (job: PrintJob): Promise<void> {
    const { record, signal } = job
    const log = this.#options.logOf(record.requestId)
    try {
      await job.written
      // nobody shall wait in vain behind those for whom nobody waits
      const print = async (): Promise<number> => await this.#print(job, log)
      const files = record.detached ? await abortable(this.#ahead(print), signal) : await print()
      record.sentImages = files
      await this.#end(job, 'sent')
    } catch (error) {
      if (error instanceof Suspended) {
        job.activity?.end({ kind: 'cancelled', by: 'operator' })
        job.fail(new MkisoError('SHUTTING_DOWN', undefined, { retryAfterSeconds: 10 }))
        return
      }
      const failure = this.#options.toMkisoError(error as Error)
      // cut off by our own end: how much the robot has, nobody here will hear
      if (record.state === 'sending' && this.#stop.signal.aborted) await this.#end(job, 'unknown', unknownPrint(record))
      else await this.#end(job, signal.aborted && failure.code !== 'SHUTTING_DOWN' ? 'cancelled' : 'failed', failure)
    }
  }

  /** @returns images that the robot has confirmed */
  async #print (job: PrintJob, log: Log): Promise<number> {
    const { record, signal } = job
    const { fetch, patientOf, nameIn } = this.#options
    signal.throwIfAborted()
    enter(record, 'fetching')
    job.changed()
    const patient = await patientOf(record.accessionNumbers, { signal, log })
    const check = async (manifest: Manifest): Promise<void> => { await patient.check(manifest) }
    const studies = await fetch(record.accessionNumbers, { signal, log, check, watch: job })
    try {
      record.patientName = patient.name ?? nameIn(studies.manifest)
      record.differing = [...patient.differing]
      record.silentArchives = silentArchivesOf(studies.manifest.studies)
      record.studyInstanceUids = studies.manifest.studies.map(({ studyInstanceUid }) => studyInstanceUid).sort()
      record.images = studies.files.length
      job.changed()
      return await this.#handOver(job, studies, log)
    } finally {
      studies.release()
    }
  }

  /** Until the robot has taken it; one that is off is tried again as long as nothing was sent. */
  async #handOver (job: PrintJob, studies: FetchedStudies, log: Log): Promise<number> {
    const { robot, retryForMs } = this.#options
    const deadline = performance.now() + retryForMs
    for (;;) {
      job.waitsFor = 'turn'
      this.#waits(job, true)
      const turn = this.#turn(async () => {
        this.#waits(job, false)
        return await this.#attempt(job, studies, log)
      })
      const outcome = await abortable(turn, job.signal).finally(() => { this.#waits(job, false) })
      if (outcome.kind === 'sent') return outcome.files
      // who waits for the answer is told at once, as ever
      if (!job.record.detached || performance.now() >= deadline) {
        log.error({ destination: robot.address, reason: outcome.reason }, 'CD publisher unreachable')
        throw new MkisoError('CD_PUBLISHER_UNREACHABLE', outcome.reason, { destination: robot.address })
      }
      job.waitsFor = 'robot'
      job.waitsBecause = outcome.reason
      job.changed()
      await abortable(this.#pauseOf(outcome.reason, log), job.signal)
    }
  }

  #waits (job: PrintJob, waits: boolean): void {
    if (waits) this.#waiting.add(job)
    else this.#waiting.delete(job)
    job.place = undefined
    for (const [index, one] of [...this.#waiting].entries()) {
      if (one.place === index + 1) continue
      one.place = index + 1
      one.changed()
    }
  }

  async #attempt (job: PrintJob, studies: FetchedStudies, log: Log): Promise<SendOutcome> {
    const { robot, onTransfer, journal } = this.#options
    const { record, signal } = job
    signal.throwIfAborted()
    if (record.detached && this.#pause !== undefined) return { kind: 'away', reason: job.waitsBecause ?? 'it was not there just now' }
    const away = await robot.away(log, signal)
    if (away !== undefined) return { kind: 'away', reason: away }
    signal.throwIfAborted()
    this.#refuseTwice(job)
    for (const activity of job.audience) onTransfer(activity, studies.manifest)
    // from here on nobody can cancel it
    enter(record, 'sending')
    job.waitsFor = job.waitsBecause = undefined
    job.onSent(0, studies.files.length)
    await journal.write(record)
    this.#pauses = 0
    if (record.again) await this.#acknowledgeEarlier(job)
    const count = journal.count(record.id)
    let counts = true
    // called from within the reading of dcmsend's lines: what it throws nobody catches, and it would end the service with the disc half sent
    const writeDown = (sent: number): void => {
      try { if (counts) count.set(sent) } catch (error) {
        counts = false
        log.warn({ err: error, job: record.id }, 'how many images the CD publisher has taken cannot be written down; after kill -9 the number told may be too low')
      }
    }
    try {
      const outcome = await robot.send(studies.files, {
        signal: this.#stop.signal,
        log,
        onSent: sent => {
          record.sentImages = sent
          writeDown(sent)
          job.onSent(sent, studies.files.length)
        }
      })
      if (outcome.kind === 'sent') return outcome
      // no association, no image: as if it had not begun
      enter(record, 'fetching')
      await journal.write(record)
      return outcome
    } finally {
      count.close()
    }
  }

  /** Other accession numbers can name the same studies. */
  #refuseTwice (job: PrintJob): void {
    if (job.record.again) return
    const same = JSON.stringify(job.record.studyInstanceUids)
    const { destination } = job.record
    const twin = this.jobs.find(other => other !== job && other.record.destination === destination && this.#asksAgain(other.record) &&
      JSON.stringify(other.record.studyInstanceUids) === same)
    if (twin !== undefined) throw new PrintedAlreadyError(twin)
  }

  /** Who prints again on purpose has seen that nobody knew. */
  async #acknowledgeEarlier (job: PrintJob): Promise<void> {
    for (const earlier of this.#jobs.values()) {
      if (earlier !== job && earlier.studySet === job.studySet) await this.acknowledge(earlier, job.record.caller)
    }
  }

  /** One pause for all that wait, so that they keep their order. */
  async #pauseOf (reason: string, log: Log): Promise<void> {
    if (this.#pause === undefined) {
      const pauseMs = Math.min((this.#options.firstPauseMs ?? 2_000) * 2 ** this.#pauses++, LONGEST_PAUSE_MS)
      log.warn({ destination: this.#options.robot.address, reason, pause_ms: pauseMs }, 'CD publisher unreachable; it is tried again')
      const pause = delay(pauseMs, undefined, { signal: this.#stop.signal }).catch(() => { /* the service ends */ })
      this.#pause = pause.finally(() => { this.#pause = undefined })
    }
    await this.#pause
  }

  async #end (job: PrintJob, state: PrintState, failure?: MkisoError): Promise<void> {
    const { record } = job
    job.ending = true
    enter(record, state)
    if (state === 'cancelled') record.cancelledBy = job.cancelledBy ?? 'client'
    else if (failure !== undefined) record.fault = { code: failure.code, detail: failure.detail }
    try {
      await this.#options.journal.write(record)
    } catch (error) {
      const log = this.#options.logOf(record.requestId)
      log.error({ err: error, job: record.id, state }, 'the end of a print cannot be written down; after a restart it will be unknown')
    }
    if (failure === undefined) job.finish()
    else job.fail(failure)
    await this.#forgetOld()
  }

  #sayUnknown (job: PrintJob): void {
    const { id, requestId, destination, sentImages: sent, images } = job.record
    this.#options.logOf(requestId).error({ job: id, destination, sent, images }, lookAtTheRobot(job.record))
  }

  async #forgetOld (): Promise<void> {
    const before = Date.now() - Math.max(REMEMBERED_MS, this.#options.askAgainWithinMs)
    for (const [id, { record }] of this.#jobs) {
      if (isUnderWay(record) || isUnresolved(record) || Date.parse(endOf(record)) > before) continue
      this.#jobs.delete(id)
      await this.#options.journal.forget(id).catch((error: unknown) => {
        this.#options.logOf(record.requestId).warn({ err: error, job: id }, 'an old print cannot be removed from the journal')
      })
    }
  }
}

async function endWith (activity: Activity, job: PrintJob): Promise<void> {
  await job.done.then(() => { activity.end({ kind: 'success' }) }, (error: Error) => {
    if (job.record.state === 'cancelled') activity.end({ kind: 'cancelled', by: job.record.cancelledBy ?? 'client' })
    else if (error instanceof MkisoError) activity.fail(error)
  })
}
