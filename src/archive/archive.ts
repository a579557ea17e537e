/**
 * Where studies come from. An archive is one object behind this interface, whatever it speaks; no status code, exit code or folder of a protocol
 * passes through. It finds, lists, and fetches, and hands over every object that comes with the evidence that it has; whether a study is complete
 * is judged elsewhere (studies/completeness.ts), by what all witnesses said.
 */
import type { DicomObject } from '../dicom/part10.ts'
import type { FetchPart, Study } from '../dicom/study.ts'
import type { MkisoError } from '../errors.ts'
import type { Log } from '../process.ts'
import type { FoundStudy } from './answered.ts'
import type { StudySearch } from './study-search.ts'

export type { StudySearch } from './study-search.ts'
export type { FoundStudy } from './answered.ts'

export interface Asking {
  signal: AbortSignal
  /** The request's, whose id stands in each line. */
  log: Log
  /** Series are to name their body part. Asked for only where somebody compares it: it is an optional key (PS3.4 C.6.2.1), and archives refuse or look up what they do not keep. */
  bodyParts?: boolean | undefined
}

/** Studies that a search has found. */
export interface FoundStudies {
  /** Without their series; one answer an archive and patient. */
  studies: readonly FoundStudy[]
  /** There are more than it says. */
  cut: boolean
}

export interface Archive {
  /** For logs and messages: the AE title, or the name in the configuration. */
  readonly name: string
  /**
   * The studies of accession numbers, down to their series, as the archive answered: a study that was answered for two patients stands there twice.
   * Answers that are alike in everything come once.
   * @throws MkisoError NO_DICOM_DATA when it holds no study for one of them; PACS_UNREACHABLE, PACS_REFUSED, PACS_TIMEOUT, TOO_MANY_CONCURRENT
   * @throws the signal's reason
   */
  findStudies (accessionNumbers: readonly string[], asking: Asking): Promise<Study[]>
  /**
   * Searches, and moves nothing.
   * @throws MkisoError INVALID_REQUEST for a search without a value, or with a pattern; else as {@link findStudies}, without NO_DICOM_DATA
   * @throws the signal's reason
   */
  search (search: StudySearch, asking: Asking): Promise<FoundStudies>
  /**
   * The study with the list of the instances of each of its series; `only` limits it to some series, the others stay as they are.
   * @throws as {@link findStudies}, without NO_DICOM_DATA; a series that it refuses to list has `listing: 'none'`
   */
  listInstances (study: Study, asking: Asking, only?: ReadonlySet<string>): Promise<Study>
  /**
   * Takes a slot, and makes ready to receive.
   * @throws MkisoError TOO_MANY_CONCURRENT, RECEIVER_DOWN
   */
  open (asking: Asking): Promise<FetchSession>
}

/** Where studies are found, whether in one archive or in several. */
export interface Archives {
  /** For messages. */
  readonly name: string
  /**
   * As Archive.findStudies. Of several archives each study comes as often as they have it, and names its archive.
   * @throws MkisoError as Archive.findStudies; NO_DICOM_DATA when none holds a study for one of the accession numbers
   * @throws the signal's reason
   */
  findStudies (accessionNumbers: readonly string[], asking: Asking): Promise<Study[]>
  /** As Archive.search, in all of them. One that does not answer is an error, unless it is optional. */
  search (search: StudySearch, asking: Asking): Promise<FoundStudies>
  /** As Archive.listInstances; of a study that several have, what each of them lists. */
  listInstances (study: Study, asking: Asking): Promise<Study>
  /** The archive of that name; the only one for undefined. */
  at (name: string | undefined): Archive
}

/** The time in which one request receives. Whoever opened it closes it. */
export interface FetchSession {
  /**
   * Objects of a study that arrive from now on go to the sink; one sink a study at a time.
   * @returns the way to end it
   */
  receive (studyInstanceUid: string, sink: StudySink): () => void
  /**
   * Asks the archive to send a part, and waits until it says that it has, or that it will not. Waits for its turn at the archive.
   * @throws MkisoError TOO_MANY_CONCURRENT after `queueTimeoutMs` without a turn
   * @throws the signal's reason
   */
  fetch (part: FetchPart, options: FetchOptions): Promise<FetchOutcome>
  /** True while something may still come without being asked for again: an association that has brought objects of the study is open. */
  mayStillSend (studyInstanceUid: string): boolean
  /** What was turned away since the session was opened, as a sentence for the administrator; undefined for nothing: a peer that may not send to us. */
  turnedAway (): string | undefined
  /** What must be registered at the archive, for a message: `CDRECORD at this machine, port 10104`. */
  readonly destination: string
  /** Where the archive is to send; undefined where what is asked for comes back on the connection that asked (C-GET, HTTP). */
  readonly receiver?: ReceiverAddress | undefined
  close (): Promise<void>
}

/** Where we receive, as an administrator registers it at an archive. */
export interface ReceiverAddress {
  aeTitle: string
  /** Of this machine, as it reaches the archive; undefined where nobody can tell. */
  host: string | undefined
  port: number
}

export interface FetchOptions extends Asking {
  /** Longest wait for a turn; undefined for no end. */
  queueTimeoutMs?: number | undefined
  /** It has its turn, and asks now. */
  onStart?: (() => void) | undefined
  /** The archive has said something. */
  onActivity?: (() => void) | undefined
  /** The archive has said that it is busy, and is left alone for a while: its silence then is none. @returns called when it is asked again */
  onPause?: (() => () => void) | undefined
}

/** How an archive answered when it was asked for a part. */
export interface FetchOutcome {
  /**
   * `success`, `partial` (it says that something failed, or that it was cancelled), `refused` (it will not), `broken` (the answer never came: the
   * association ended), `unreachable` (no association), `timeout` (no end within the time for a fetch).
   */
  end: 'success' | 'partial' | 'refused' | 'broken' | 'unreachable' | 'timeout'
  /** Instances that the part consists of, as the archive counted them while it sent (sub-operations of every kind, PS3.7 9.1.4.1); undefined when it gave no count. */
  total: number | undefined
  /** Of them: those that it says it has sent, and those that it could not send. */
  sent: number
  failed: number
  /** For a person, without names of patients. */
  reason: string
  /** The error that this is when nothing can be fetched; undefined for `success` and `partial`. */
  fault: MkisoError | undefined
  /** Another try cannot mend it: the destination is not known there, our title is not known there. */
  hopeless: boolean
}

/** One object that has come whole, with what is known of its way. */
export interface Delivery {
  /** The file: a name of ours, in a folder of the receiver's. The sink moves it away, or it is removed. */
  readonly path: string
  /** What stands in the file. */
  readonly object: DicomObject
  /**
   * `ours`: the sender says that it sends for our move (Move Originator AE Title, PS3.7 9.3.1.1), or it came on the association that asked (C-GET, HTTP).
   * `archive`: the sender calls itself by the archive's title. `unknown`: neither, which is nothing bad in itself: many archives send neither.
   */
  readonly provenance: Provenance
  /** Who has sent it, for the log, and to tell one sender from another: `10.0.0.5 as ABPACS`. */
  readonly from: string
  /** `asked`: it is the archive that was asked, by its title or by its connection. `other`: it calls itself by the title of another one. Undefined where that is not known. */
  readonly sender?: Sender | undefined
}

export type Sender = 'asked' | 'other'

export type Provenance = 'ours' | 'archive' | 'unknown'

/** Who wants the objects of one study. */
export interface StudySink {
  /**
   * An object has come. The sender is answered with success when this resolves, and with a failure when it rejects.
   * @throws Error of the file system that keeps it from being taken
   */
  offer (delivery: Delivery): Promise<void>
  /** An object of the study was cut off: its association broke in the middle, or its pixel data end before their length. Its SOP Instance UID, as far as it is known. */
  cutOff (sopInstanceUid: string, reason: string): void
  /** Bytes arrive that may belong to the study. */
  activity (): void
  /**
   * An object of another study came for a question of ours, on an association that has brought objects of this study: the archive counts it among those
   * that it sends for this one. All of these were of the series; undefined where they were of several.
   */
  passed? (seriesInstanceUid: string | undefined): void
}
