/** A print with those who wait for it: it hears how far the work is, and tells each of them. */
import { setMaxListeners } from 'node:events'
import type { Manifest } from '../dicom/study.ts'
import type { Progress, Stuck } from '../studies/held-study.ts'
import { SharedWatch, type Watch } from '../studies/watch.ts'
import { summaryOf, type Activity, type StudySummary } from '../work/activity.ts'
import { studySetOf, type PrintRecord } from './print-job.ts'

export class PrintJob implements Watch {
  readonly record: PrintRecord
  readonly studySet: string
  /** Resolves with the record, rejects with the job's error. */
  readonly done: Promise<PrintRecord>
  /** Resolves when it has ended, however. */
  readonly settled: Promise<void>
  /** In the journal. */
  written: Promise<void> = Promise.resolve()
  /** The activity of a job that goes on when nobody waits. */
  activity: Activity | undefined
  cancelledBy: 'client' | 'operator' | undefined
  /** Of a job that has its images: for the other jobs of the robot, or for a robot that is off. */
  waitsFor: 'turn' | 'robot' | undefined
  waitsBecause: string | undefined
  /** In the queue for the robot, from 1; undefined for one that does not wait for its turn. */
  place: number | undefined
  /** Its end is being written down: who comes now does not join it. */
  ending = false
  images: { received: number, expected: number | undefined } = { received: 0, expected: undefined }
  receivedBytes = 0
  /** The archive that sends nothing, while it is asked again. */
  stuck: Stuck | undefined
  studies: readonly StudySummary[] = []
  #watch = new SharedWatch()
  readonly #audience = new Set<Activity>()
  readonly #controller = new AbortController()
  readonly #onChange: (job: PrintJob) => void
  #resolve: (record: PrintRecord) => void = () => {}
  #reject: (error: Error) => void = () => {}

  constructor (record: PrintRecord, onChange: (job: PrintJob) => void) {
    this.record = record
    this.studySet = studySetOf(record.accessionNumbers)
    this.#onChange = onChange
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.settled = this.done.then(() => {}, () => {})
    setMaxListeners(0, this.#controller.signal)
  }

  get id (): string { return this.record.id }

  /** Aborted when it is to end; never once its images are on their way. */
  get signal (): AbortSignal { return this.#controller.signal }

  /** From the first image on: half a disc at the robot is worse than one that nobody waits for. */
  get committed (): boolean { return this.record.state === 'sending' }

  /** Activities that hear of it. */
  get audience (): Iterable<Activity> { return this.#audience }

  get followers (): number { return this.#audience.size }

  /** @returns the way to leave */
  follow (activity: Activity): () => void {
    this.#audience.add(activity)
    const stop = this.#watch.join(activity)
    return () => {
      stop()
      this.#audience.delete(activity)
    }
  }

  abort (reason: Error): void {
    if (!this.committed) this.#controller.abort(reason)
  }

  finish (): void {
    this.#resolve(this.record)
    this.#leaveBehind()
  }

  fail (error: Error): void {
    this.#reject(error)
    this.#leaveBehind()
  }

  /** It is remembered for days; the list of its images is not. */
  #leaveBehind (): void {
    this.#watch = new SharedWatch()
    this.waitsFor = this.waitsBecause = this.stuck = undefined
    this.changed()
  }

  changed (): void { this.#onChange(this) }

  onManifest (manifest: Manifest): void {
    this.studies = summaryOf(manifest).studies
    if (this.record.patientName === '') this.record.patientName = summaryOf(manifest).patientName
    this.#watch.onManifest(manifest)
    this.changed()
  }

  onProgress (progress: Progress): void {
    this.images = { received: progress.received, expected: progress.expected }
    this.receivedBytes = progress.bytes
    this.stuck = progress.stuck
    this.#watch.onProgress(progress)
    this.changed()
  }

  onComplete (): void { this.#watch.onComplete() }

  onSent (sent: number, of: number): void {
    this.images = { received: of, expected: of }
    this.#watch.onSent(sent, of)
    this.changed()
  }
}
