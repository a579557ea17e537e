/** What C-MOVE and C-GET have in common: the part of a study that is asked for, and how it went. */
import type { FetchPart } from '../dicom/study.ts'
import type { RunResult } from '../process.ts'
import { associationFaultOf, isUnanswered, lastLines, type AssociationFault } from './peer.ts'

/**
 * Counts of C-MOVE or C-GET responses (PS3.7 9.1.4.1): sub-operations are C-STOREs, one an instance. Each is that of the last response that
 * carried it; undefined where none did, or where it was 65535, the largest that fits, by which archives mean that they do not know.
 */
export interface SubOperations {
  remaining: number | undefined
  completed: number | undefined
  failed: number | undefined
  warning: number | undefined
  /**
   * Instances that the part consists of: the sum within the last response that told what was completed or remains. A count of one response
   * is never added to one of another: the final response has no "remaining", the pending ones before it had.
   */
  total: number | undefined
}

export type FetchResult = FetchEnd & {
  /** How the program ended; -1 when a signal ended it. */
  exitCode: number
  /** The last lines in which it complained. */
  stderr: string
}

type FetchEnd =
  /** A final response came. `status` is its DIMSE status, PS3.4 Table C.4-2: 0 success, 0xB000 some failed, else an error. */
  | { kind: 'answered', status: number, counts: SubOperations }
  | { kind: 'no-association', fault: AssociationFault }
  | { kind: 'timeout' }
  /** The program ended without an answer: killed, or something that it did not explain. */
  | { kind: 'failed', reason: string }

/** Query keys for a part, in the form of `-k`. */
export function partKeys (part: FetchPart): string[] {
  const keys = [`0020,000d=${part.studyInstanceUid}`]
  if (part.seriesInstanceUid !== undefined) keys.push(`0020,000e=${part.seriesInstanceUid}`)
  // a list of UIDs is one value with backslashes (PS3.4 C.2.2.2.2)
  if (part.sopInstanceUids !== undefined) keys.push(`0008,0018=${part.sopInstanceUids.join('\\')}`)
  const level = part.sopInstanceUids !== undefined ? 'IMAGE' : part.seriesInstanceUid !== undefined ? 'SERIES' : 'STUDY'
  return ['-k', `0008,0052=${level}`, ...keys.flatMap(key => ['-k', key])]
}

/** @param status DIMSE status of the last response that was seen, final or not */
export function fetchResultOf (result: RunResult, status: number | undefined, counts: SubOperations): FetchResult {
  return { ...endOf(result, status, counts), exitCode: result.exitCode, stderr: lastLines(result) }
}

function endOf (result: RunResult, status: number | undefined, counts: SubOperations): FetchEnd {
  if (result.stopCause === 'timeout') return { kind: 'timeout' }
  // 0xFF00 is "pending": the final answer never came
  if (status !== undefined && status !== 0xFF00) return { kind: 'answered', status, counts }
  if (isUnanswered(result)) return { kind: 'timeout' }
  const fault = associationFaultOf(result)
  if (fault !== undefined) return { kind: 'no-association', fault: status === 0xFF00 ? { kind: 'broken', reason: fault.reason } : fault }
  return { kind: 'failed', reason: lastLines(result) || `movescu ended without an answer (exit code ${result.exitCode})` }
}

/** Instances that the archive says it has sent: what was taken with a warning is here too. */
export function sentOf ({ completed, warning }: Pick<SubOperations, 'completed' | 'warning'>): number {
  return (completed ?? 0) + (warning ?? 0)
}

/** By which some archives mean that they do not know; more sub-operations than this do not fit into the field. */
export const UNKNOWN_COUNT = 0xFFFF
const COUNTS = { Remaining: 'remaining', Completed: 'completed', Failed: 'failed', Warning: 'warning' } as const
const FIELD = /^D: (?:(Message Type|DIMSE Status)|(Remaining|Completed|Failed|Warning) Suboperations) +: (.+)$/

/**
 * Follows the C-MOVE responses in movescu's debug messages (`-d`): the counts of each and the last status. Other messages are printed in
 * the same form.
 */
export function followResponses (onSubOperations?: (counts: SubOperations) => void): {
  onLine: (line: string) => void
  counts: SubOperations
  status: () => number | undefined
} {
  const counts: SubOperations = { remaining: undefined, completed: undefined, failed: undefined, warning: undefined, total: undefined }
  /** Counts of the response that is being read; undefined outside one. */
  let response: Partial<Record<typeof COUNTS[keyof typeof COUNTS], number>> | undefined
  let status: number | undefined
  const onLine = (line: string): void => {
    const field = FIELD.exec(line)
    if (field === null) return
    const [, name, count, value = ''] = field
    if (name === 'Message Type') response = value.trim() === 'C-MOVE RSP' ? {} : undefined
    if (response === undefined) return
    if (count === 'Remaining' || count === 'Completed' || count === 'Failed' || count === 'Warning') {
      const number = /^\d+/.exec(value)?.[0]
      if (number !== undefined && Number(number) !== UNKNOWN_COUNT) response[COUNTS[count]] = Number(number)
      return
    }
    // the status is the last of what we read of a response
    if (name !== 'DIMSE Status') return
    status = Number.parseInt(value, 16)
    const { remaining, completed, failed, warning } = response
    Object.assign(counts, response)
    if (remaining !== undefined || completed !== undefined) {
      counts.total = (remaining ?? 0) + (completed ?? 0) + (failed ?? 0) + (warning ?? 0)
    }
    onSubOperations?.({ ...counts })
  }
  return { onLine, counts, status: () => status }
}
