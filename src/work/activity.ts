/** One download or print, from the request to its outcome. It listens to the work ({@link Watch}) and tells its registry of every change. */
import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import type { Caller } from './caller.ts'
import { archivesOf, silentArchivesOf, type Manifest } from '../dicom/study.ts'
import { personName } from '../dicom/person-name.ts'
import { MkisoError, type ErrorCode } from '../errors.ts'
import type { Progress, Stuck } from '../studies/held-study.ts'
import type { Watch } from '../studies/watch.ts'

export type ActivityKind = 'download' | 'print'

/** `queued`: waits for a turn at the PACS. `ready`: the disc is made and waits to be fetched by the page that asked for it. */
export const PHASES = ['finding', 'queued', 'receiving', 'making', 'ready', 'streaming', 'sending', 'done'] as const
export type Phase = typeof PHASES[number]

export type Outcome =
  | { kind: 'success' }
  | { kind: 'failed', code: ErrorCode, detail: string | undefined }
  /** It was answered with the links of a set of discs, each of which is a download of its own. */
  | { kind: 'set', code: ErrorCode, detail: string | undefined }
  /** Nobody waits any more, or the operator has ended it. */
  | { kind: 'cancelled', by: 'client' | 'operator' }

export interface StudySummary {
  accessionNumber: string
  /** DICOM date, `YYYYMMDD`, or empty. */
  date: string
  description: string
  modalities: string[]
  /** Names of those that have it; empty where there is only one. */
  archives: string[]
}

export interface NewActivity {
  /** Of work that has one already: a print that goes on after a restart. */
  id?: string
  requestId: string
  kind: ActivityKind
  accessionNumbers: readonly string[]
  caller: Caller
  /** Ends with the client; absent for work that no single request waits for. */
  signal?: AbortSignal
}

export class Activity implements Watch {
  /** Ours, and never the same for two; a client may choose its request id. */
  readonly id: string
  readonly requestId: string
  readonly kind: ActivityKind
  readonly accessionNumbers: readonly string[]
  readonly caller: Caller
  readonly startedAt = new Date()
  /** For the work: aborted when the client leaves or the operator cancels. */
  readonly signal: AbortSignal
  readonly #cancelled = new AbortController()
  readonly #changed: (activity: Activity) => void
  #startedMs = performance.now()
  #phase: Phase = 'finding'
  #phaseSinceMs = this.#startedMs
  #endedMs: number | undefined
  #outcome: Outcome | undefined
  #stopped = false
  /** For people with the key only: never for log or metrics. Empty until the PACS has told. */
  patientName = ''
  studies: readonly StudySummary[] = []
  /** Optional archives that could have images of them, and did not answer. */
  silentArchives: readonly string[] = []
  /** What the PACS has told, for the audit. */
  manifest: Manifest | undefined
  images: { received: number, expected: number | undefined } = { received: 0, expected: undefined }
  /** In the queue for a turn at the archive, from 1; undefined for one that does not wait. */
  place: number | undefined
  /** The archive that sends nothing, while it is asked again. */
  stuck: Stuck | undefined
  /** Bytes of the images that are here. */
  receivedBytes = 0
  /** Size of the disc, once it is known. */
  sizeBytes: number | undefined
  /** Under which the disc goes out, once it does. */
  fileName: string | undefined
  /** Bytes of the disc that have gone to the client. */
  sentBytes = 0
  /** Images that the CD publisher has taken. */
  sentImages = 0

  constructor ({ id = randomUUID(), requestId, kind, accessionNumbers, caller, signal }: NewActivity, changed: (activity: Activity) => void) {
    this.id = id
    this.requestId = requestId
    this.kind = kind
    this.accessionNumbers = accessionNumbers
    this.caller = caller
    this.#changed = changed
    this.signal = AbortSignal.any([...(signal === undefined ? [] : [signal]), this.#cancelled.signal])
    setMaxListeners(0, this.signal, this.#cancelled.signal)
  }

  get phase (): Phase { return this.#phase }
  get outcome (): Outcome | undefined { return this.#outcome }
  /** Milliseconds from the request to now, or to the end. */
  get durationMs (): number { return Math.round((this.#endedMs ?? performance.now()) - this.#startedMs) }
  /** Milliseconds in the present phase. */
  get phaseMs (): number { return Math.round((this.#endedMs ?? performance.now()) - this.#phaseSinceMs) }
  get endedAt (): Date | undefined { return this.#endedMs === undefined ? undefined : new Date(this.startedAt.getTime() + this.durationMs) }

  onManifest (manifest: Manifest): void {
    this.manifest = manifest
    Object.assign(this, summaryOf(manifest))
    // what runs shows by its progress
    this.#enter('finding')
  }

  onProgress ({ received, expected, bytes, waiting, stuck }: Progress): void {
    this.images = { received, expected }
    this.stuck = stuck
    this.receivedBytes = bytes
    this.#enter(waiting ? 'queued' : 'receiving')
  }

  onComplete (): void { this.#enter('making') }

  onSent (sent: number, of: number): void {
    this.images = { received: of, expected: of }
    this.sentImages = sent
    this.#enter('sending')
  }

  /** The disc is made and waits, or a ZIP has begun and may be fetched while it grows. @param sizeBytes undefined while nobody knows */
  ready (sizeBytes: number | undefined): void {
    this.sizeBytes = sizeBytes
    this.#enter('ready')
  }

  /** The disc goes out, from this byte on. @param sizeBytes undefined while nobody knows */
  streaming (sizeBytes: number | undefined, fromByte = 0): void {
    this.sizeBytes = sizeBytes
    this.sentBytes = fromByte
    this.#enter('streaming')
  }

  /** So many more bytes have gone out. */
  sent (bytes: number): void {
    this.sentBytes += bytes
    this.#enter('streaming')
  }

  /** True from the first image that goes to the CD publisher: half a disc at the robot is worse than one that nobody waits for. */
  get committed (): boolean { return this.kind === 'print' && this.#phase === 'sending' }

  /** Somebody has said that it shall end: a browser that goes on by itself has no more of it. */
  get stopped (): boolean { return this.#stopped }

  /** Somebody says that it shall end; it does, as far as nobody else waits for it. @returns false when it cannot be ended any more */
  cancel (by: 'client' | 'operator'): boolean {
    if (this.#outcome !== undefined || this.committed) return false
    this.#stopped = true
    return this.#cancel(by)
  }

  /** Nobody waits for it any more, or its connection broke: who comes back may go on. @returns as {@link cancel} */
  leave (): boolean {
    return this.#outcome === undefined && !this.committed && this.#cancel('client')
  }

  #cancel (by: 'client' | 'operator'): boolean {
    this.end({ kind: 'cancelled', by })
    this.#cancelled.abort(new MkisoError('CANCELLED'))
    return true
  }

  fail ({ code, detail, fields }: MkisoError): void { this.end({ kind: code === 'DISC_TOO_SMALL' && fields.discs !== undefined ? 'set' : 'failed', code, detail }) }

  /** Ends the work with an error. */
  abort (error: MkisoError): void {
    this.fail(error)
    this.#cancelled.abort(error)
  }

  /** The first outcome counts. */
  end (outcome: Outcome): void {
    if (this.#outcome !== undefined) return
    this.#endedMs = performance.now()
    this.#outcome = outcome
    this.stuck = this.place = undefined
    this.#phase = 'done'
    this.#changed(this)
  }

  #enter (phase: Phase): void {
    if (this.#outcome !== undefined) return
    // never back: a disc that was prepared for a page is opened again for its download
    if (PHASES.indexOf(phase) > PHASES.indexOf(this.#phase)) {
      this.#phase = phase
      if (phase !== 'queued') this.place = undefined
      this.#phaseSinceMs = performance.now()
    }
    this.#changed(this)
  }
}

/** Whose studies these are. */
export function summaryOf ({ studies }: Manifest): Pick<Activity, 'patientName' | 'studies' | 'silentArchives'> {
  return {
    patientName: personName(studies[0]?.patient.patientName ?? ''),
    studies: studies.map(study => ({
      accessionNumber: study.accessionNumber, date: study.studyDate, description: study.studyDescription,
      modalities: [...new Set(study.series.map(({ modality }) => modality).filter(modality => modality !== ''))], archives: archivesOf(study)
    })),
    silentArchives: silentArchivesOf(studies)
  }
}
