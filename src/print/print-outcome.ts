/** What became of a print, in words for whoever asks. */
import { MkisoError } from '../errors.ts'
import type { PrintJob } from './job-under-way.ts'
import { lookAtTheRobot, nameOfCaller, type PrintRecord, type PrintState } from './print-job.ts'

/** The same studies were sent to the robot already, or may have been. */
export class PrintedAlreadyError extends MkisoError {
  readonly job: PrintJob
  constructor (job: PrintJob) {
    super('PRINTED_ALREADY', `${tellPrint(job.record)}; again=true sends it once more`)
    this.job = job
  }
}

/** From now on it is in this state. */
export function enter (record: PrintRecord, state: PrintState): void {
  record.state = state
  record.times = { ...record.times, [state]: new Date().toISOString() }
}

/** When it came to where it stands. */
export function endOf ({ times, state, createdAt }: Pick<PrintRecord, 'times' | 'state' | 'createdAt'>): string {
  return times[state] ?? createdAt
}

/** What whoever asks for a print that has ended is told; undefined when it was sent. */
export function failureOf (record: PrintRecord): MkisoError | undefined {
  const { state, fault, destination } = record
  if (state === 'sent') return undefined
  if (state === 'unknown') return unknownPrint(record)
  if (state === 'cancelled' || fault === undefined) return new MkisoError('CANCELLED')
  return new MkisoError(fault.code, fault.detail, fault.code.startsWith('CD_PUBLISHER') ? { destination } : {})
}

export function unknownPrint (record: PrintRecord): MkisoError {
  return new MkisoError('PRINT_UNKNOWN', lookAtTheRobot(record), { destination: record.destination })
}

/** What happened to an earlier print, for the detail of an error: no name of a patient. */
function tellPrint (record: PrintRecord): string {
  const { id, state, caller, images, times, createdAt } = record
  const by = nameOfCaller(caller)
  return state === 'unknown'
    ? `begun at ${times.sending ?? createdAt} by ${by}, and not known how much of it the robot has (job ${id})`
    : `sent at ${endOf(record)} by ${by}, ${images ?? '?'} images (job ${id})`
}
