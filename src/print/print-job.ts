/** A print: what the journal keeps of it, and where it stands. */
import type { ErrorCode } from '../errors.ts'
import type { Caller } from '../work/caller.ts'

/**
 * `queued`: asked for, nothing is fetched yet. `fetching`: the images are on their way here, or here and waiting for the robot. `sending`: from
 * the moment before the first image leaves. `unknown`: the service ended while it was sending, so that nobody here can say what the robot has.
 */
export const PRINT_STATES = ['queued', 'fetching', 'sending', 'sent', 'failed', 'unknown', 'cancelled'] as const
export type PrintState = typeof PRINT_STATES[number]

/** What is written to the journal, as JSON; times are ISO 8601. */
export interface PrintRecord {
  readonly id: string
  readonly createdAt: string
  readonly accessionNumbers: readonly string[]
  /** Who asked for it first. */
  readonly caller: Caller
  readonly requestId: string
  readonly idempotencyKey: string | undefined
  /** The same studies were wanted once more, on purpose. */
  readonly again: boolean
  /** It goes on when nobody waits for it. */
  detached: boolean
  state: PrintState
  /** When each state began. */
  times: Partial<Record<PrintState, string>>
  /** `host:port` of the CD publisher. */
  destination: string
  /** As the HIS writes it, else as the PACS does; empty until it is known. */
  patientName: string
  /** Fields in which the HIS and the PACS differ; no name and no number. */
  differing: string[]
  /** Optional archives that could have images of the studies, and did not answer. */
  silentArchives: string[]
  /** Study Instance UIDs, sorted; empty until the PACS has told. */
  studyInstanceUids: string[]
  /** Images to send, once they are here. */
  images: number | undefined
  /** Images that the robot has confirmed, as far as anybody knows. */
  sentImages: number
  fault: { code: ErrorCode, detail: string | undefined } | undefined
  cancelledBy: 'client' | 'operator' | undefined
  /** Of an unknown print: somebody has looked at the robot. */
  acknowledged: { at: string, by: Caller } | undefined
}

const UNDER_WAY: readonly PrintState[] = ['queued', 'fetching', 'sending']

/** It has not ended. */
export function isUnderWay ({ state }: Pick<PrintRecord, 'state'>): boolean {
  return UNDER_WAY.includes(state)
}

/** Somebody must look at the robot. */
export function isUnresolved ({ state, acknowledged }: Pick<PrintRecord, 'state' | 'acknowledged'>): boolean {
  return state === 'unknown' && acknowledged === undefined
}

/** The same for requests for the same studies, whatever the order. */
export function studySetOf (accessionNumbers: readonly string[]): string {
  return [...new Set(accessionNumbers)].sort().join(',')
}

/** Who asked, for a sentence: the person where anybody knows, else the key, else the address. */
export function nameOfCaller ({ user, credential, address }: Caller): string {
  return user ?? credential ?? address
}

/** `2024-05-06 07:15`, in the time of this machine: for whoever looks at the robot's own list. */
export function localTime (iso: string): string {
  const at = new Date(iso)
  const two = (value: number): string => String(value).padStart(2, '0')
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`
}

/** What an operator must do about an unknown print; no patient and no accession number, since health is open to everybody. */
export function lookAtTheRobot (record: Pick<PrintRecord, 'id' | 'times' | 'createdAt' | 'destination' | 'sentImages' | 'images'>): string {
  const { id, times, createdAt, destination, sentImages, images } = record
  return `look at the robot (${destination}): job ${id} of ${localTime(times.sending ?? createdAt)} was being sent when the service ended, ` +
    `${sentImages} of ${images ?? '?'} images were confirmed; then acknowledge it on the page /status, or print again`
}
