/**
 * How objects come from a PACS to us: by C-MOVE to a receiver for all requests, by C-MOVE to a receiver of one request, or by C-GET. The rest of the
 * archive knows nothing else of them.
 */
import type { Asking, ReceiverAddress } from '../archive.ts'
import type { FetchPart } from '../../dicom/study.ts'
import type { Config } from '../../config/schema.ts'
import type { ReceiverTls, ToolContext } from '../../dcmtk/peer.ts'
import type { FetchAnswer } from './fetch-outcome.ts'
import type { Pacs } from './pacs.ts'
import type { PortPool } from './port-pool.ts'
import type { Remembered } from '../remembered-studies.ts'
import type { WantedStudies } from '../wanted-studies.ts'

/** What all transports share. */
export interface ReceivingOptions extends ToolContext {
  config: Config
  pool: PortPool
  workDir: string
}

export interface TransportOptions extends ReceivingOptions {
  pacs: Pacs
  /** With what the receiver takes the images of this PACS; undefined for plain TCP. */
  receiverTls: ReceiverTls | undefined
}

export interface Transport {
  /**
   * Takes a slot, and makes ready to receive.
   * @throws MkisoError TOO_MANY_CONCURRENT, RECEIVER_DOWN
   */
  open (asking: Asking): Promise<TransportSession>
}

export interface TransportSession {
  readonly wanted: WantedStudies
  readonly callingAeTitle: string
  /** What must be registered at the PACS: `CDRECORD at this machine, port 10104`. */
  readonly destination: string
  /** As FetchSession.receiver. */
  readonly receiver?: ReceiverAddress | undefined
  /** What asks, for the log. */
  readonly tool: 'movescu' | 'C-GET'
  /** Asks for a part in the turn that the caller has. @throws the signal's reason */
  fetch (part: FetchPart, asking: Asking & { onActivity: () => void, remembered: Remembered | undefined }): Promise<FetchAnswer>
  mayStillSend (studyInstanceUid: string): boolean
  turnedAway (): string | undefined
  close (): Promise<void>
}

/** Connections from addresses that may not send to us. */
export class TurnedAway {
  #count = 0
  #address: string | undefined

  add (address: string | undefined): void {
    this.#count++
    this.#address = address
  }

  /** @returns a sentence for the administrator, once somebody has been turned away after this call */
  since (): () => string | undefined {
    const before = this.#count
    return () => this.#count === before ? undefined : `connections from ${this.#address ?? 'an unknown address'} were turned away: add it to our_ae.allow_from`
  }
}
