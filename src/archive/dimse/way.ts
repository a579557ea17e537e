/**
 * A way to retrieve is one object with one method. C-MOVE to the shared receiver, C-MOVE to a receiver of one's own and C-GET are the three;
 * a fourth needs nothing but this interface.
 */
import type { FetchPart, FetchResult, SubOperations } from '../../dcmtk/fetch.ts'
import type { Log } from '../../process.ts'
import type { Inbox } from './inbox.ts'

export interface RetrievalWay {
  /**
   * Takes a slot and makes ready to receive.
   * @throws MkisoError TOO_MANY_CONCURRENT, RECEIVER_DOWN
   */
  open (signal: AbortSignal, log: Log): Promise<ReceivingSession>
}

export interface FetchOptions {
  signal: AbortSignal
  /** 0 for the first time, then the number of the retry. */
  attempt: number
  onSubOperations: (counts: SubOperations) => void
  /** The request's, whose id stands in each line. */
  log: Log
}

/** The time in which one request receives. Whoever opened it closes it. */
export interface ReceivingSession {
  readonly inbox: Inbox
  /** How often a part may be asked for in all. */
  readonly attempts: number
  /** What must be registered at the PACS: `CDRECORD at this machine, port 10104`. */
  readonly destination: string
  /** Asks the PACS to send a part, and waits until it says that it has. */
  fetch (part: FetchPart, options: FetchOptions): Promise<FetchResult>
  /** Gives the slot back and ends what was started for this session. */
  close (): Promise<void>
}
