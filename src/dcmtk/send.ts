/** What dcmsend and storescu have in common: a folder of images to one peer, and what the peer confirmed. */
import type { AssociationFault } from './peer.ts'

export interface SendRequest {
  callingAeTitle: string
  /** Every file below it is sent. */
  folder: string
  /** Number of files in the folder. */
  fileCount: number
  timeoutMs: number
  /** A folder for the report. */
  tempDir: string
  signal?: AbortSignal | undefined
  onSent?: ((count: number) => void) | undefined
}

export type SendResult =
  /** `confirmed`: instances whose C-STORE response was success or a warning (PS3.4 B.2.3). */
  | { kind: 'sent', confirmed: number, reasons: string[] }
  /** No image has left. */
  | { kind: 'no-association', fault: AssociationFault }
  | { kind: 'timeout', confirmed: number }
