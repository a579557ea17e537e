/** What a PACS answered to a C-MOVE or C-GET, in the words of the archive's interface: nothing of status and exit codes passes on. */
import type { AssociationFault } from '../../dcmtk/peer.ts'
import { MkisoError } from '../../errors.ts'
import type { FetchOutcome } from '../archive.ts'
import { pacsFault, type Pacs } from './pacs.ts'

/** Numbers of sub-operations (PS3.7 9.1.4.1), as far as the PACS gave them. */
export interface Counts {
  remaining: number | undefined
  completed: number | undefined
  failed: number | undefined
  warning: number | undefined
  /** Of how many, where who counts knows better than the sum of the others. */
  total?: number | undefined
}

export type FetchAnswer =
  /** A final response came, with its DIMSE status (PS3.4 Tables C.4-2 and C.4-3). */
  | { kind: 'answered', status: number, counts: Counts }
  | { kind: 'no-association', fault: AssociationFault }
  | { kind: 'timeout' }
  /** It ended without an answer, in a way that nothing explains. */
  | { kind: 'failed', reason: string }

export interface FetchParties {
  pacs: Pick<Pacs, 'name' | 'section' | 'aeTitle' | 'host' | 'port' | 'moveTimeoutMs'>
  callingAeTitle: string
  /** What must be registered at the PACS. */
  destination: string
}

const DESTINATION_UNKNOWN = 0xA801

export function outcomeOf (answer: FetchAnswer, parties: FetchParties): FetchOutcome {
  const { pacs, callingAeTitle } = parties
  const nothing = { total: undefined, sent: 0, failed: 0, hopeless: false }
  switch (answer.kind) {
    case 'answered': return answeredOutcome(answer.status, answer.counts, parties)
    case 'timeout': {
      const fault = new MkisoError('PACS_TIMEOUT', `${pacs.name}: the move took longer than ${pacs.moveTimeoutMs / 1_000} s (${pacs.section}.move_timeout)`)
      return { ...nothing, end: 'timeout', reason: 'no end in time', fault }
    }
    // what killed the program is no fault of the PACS, which may well be there
    case 'failed':
      return { ...nothing, end: 'broken', reason: answer.reason, fault: new MkisoError('INCOMPLETE_RETRIEVAL', `asking ${pacs.name} ended without an answer: ${answer.reason}`) }
    case 'no-association': {
      const { fault } = answer
      const isPassing = fault.kind === 'unreachable' || fault.kind === 'broken'
      return { ...nothing, end: isPassing ? fault.kind : 'refused', reason: fault.reason, fault: pacsFault(pacs, callingAeTitle, fault), hopeless: isFinal(fault) }
    }
  }
}

function answeredOutcome (status: number, counts: Counts, parties: FetchParties): FetchOutcome {
  // nothing remains after success (PS3.7 9.1.4.1.7): such a count is of an earlier response
  const { total, sent, failed } = countsOf(status === 0 ? { ...counts, remaining: undefined } : counts)
  const numbers = { total, sent, failed, hopeless: false }
  const code = `status 0x${status.toString(16).toUpperCase().padStart(4, '0')}`
  if (status === 0 && failed === 0) return { ...numbers, end: 'success', reason: '', fault: undefined }
  // 0xB000 is "some failed", 0xFE00 "cancelled"; an error after something was sent leaves images to ask for again as well
  if (status === 0 || (status & 0xF000) === 0xB000 || status === 0xFE00 || sent > 0) return { ...numbers, end: 'partial', reason: `${code}, ${failed} failed`, fault: undefined }
  // Orthanc says 0xC000 for an unknown destination and for a receiver that it cannot reach alike (measured); the study is there, as C-FIND told
  const hopeless = status === DESTINATION_UNKNOWN
  const why = hopeless ? 'it does not know the move destination' : code
  return { ...numbers, end: 'refused', reason: why, fault: refusal(why, parties), hopeless }
}

/** The error of a move that brings nothing, with what to change. */
export function refusal (why: string, { pacs, destination }: Pick<FetchParties, 'pacs' | 'destination'>): MkisoError {
  return new MkisoError('PACS_REFUSED_MOVE', `${pacs.name}: ${why}; register AE title ${destination}, at the PACS, and check that the port can be reached from there`)
}

/** All zeros are no count. What stands for "unknown" is left out where the counts are read. */
function countsOf ({ total, ...counts }: Counts): { total: number | undefined, sent: number, failed: number } {
  const known = Object.values(counts).filter(count => count !== undefined)
  const sum = total ?? known.reduce((a, b) => a + b, 0)
  return { total: sum === 0 ? undefined : sum, sent: (counts.completed ?? 0) + (counts.warning ?? 0), failed: counts.failed ?? 0 }
}

/** A setting is wrong; what is busy, or cannot be reached, may be there again in a moment. */
function isFinal ({ kind }: AssociationFault): boolean {
  return kind === 'called-title-unknown' || kind === 'calling-title-unknown' || kind === 'rejected'
}
