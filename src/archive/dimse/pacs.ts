/** A PACS as a value, and what its refusals mean to an administrator. */
import type { ArchiveSettings } from '../../config/schema.ts'
import { addressOf, type AssociationFault, type Peer, type ReceiverTls } from '../../dcmtk/peer.ts'
import { MkisoError } from '../../errors.ts'

export interface Pacs extends Peer {
  /** For messages: the name in the configuration; the AE title where it has none. */
  name: string
  /** Where its keys stand in the configuration: `pacs`, or `archives.0`. */
  section: string
  /** Longest wait for a turn, and for a PACS that is busy. */
  queueTimeoutMs: number
  findTimeoutMs: number
  /** Longest silence in a move: no answer and no image. */
  idleTimeoutMs: number
  moveTimeoutMs: number
  /** Longest wait for late images after a move has ended. */
  settleTimeoutMs: number
}

/** A PACS of the configuration. */
export function pacsOf (settings: ArchiveSettings): Pacs {
  const { name, section, ae_title: aeTitle, host, port, tls, connectTimeoutMs, queueTimeoutMs, findTimeoutMs, idleTimeoutMs, moveTimeoutMs, settleTimeoutMs } = settings
  return {
    name, section, aeTitle, host, port, connectTimeoutMs, queueTimeoutMs, findTimeoutMs, idleTimeoutMs, moveTimeoutMs, settleTimeoutMs,
    ...(tls === undefined ? {} : { tls: { ...tls, unreachable: 'PACS_UNREACHABLE' } })
  }
}

/** With TLS at the PACS the receiver takes TLS only, unless the configuration says that this side is plain. */
export function receiverTlsOf ({ tls }: Pick<ArchiveSettings, 'tls'>): ReceiverTls | undefined {
  return tls === undefined || tls.incoming === 'plain' ? undefined : tls
}

/** The error for an association that did not come about, with what to change. */
export function pacsFault (pacs: Pick<Pacs, 'name' | 'section' | 'aeTitle' | 'host' | 'port'>, callingAeTitle: string, fault: AssociationFault): MkisoError {
  const address = addressOf(pacs)
  const { name } = pacs
  switch (fault.kind) {
    case 'unreachable':
    case 'broken': return new MkisoError('PACS_UNREACHABLE', `${name} at ${address}: ${fault.reason}`)
    case 'called-title-unknown': return new MkisoError('PACS_REFUSED', `the system at ${address} does not have the AE title ${pacs.aeTitle}: set ${pacs.section}.ae_title to what it has`)
    case 'calling-title-unknown': return new MkisoError('PACS_REFUSED', `${name} does not know the AE title ${callingAeTitle}: register it at the PACS`)
    case 'busy': return new MkisoError('TOO_MANY_CONCURRENT', `${name} at ${address} rejected the association (${fault.reason})`, { retryAfterSeconds: 30 })
    case 'rejected': return new MkisoError('PACS_REFUSED', `${name} at ${address} rejected the association: ${fault.reason}`)
  }
}
