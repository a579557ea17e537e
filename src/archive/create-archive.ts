/** One archive of the configuration, whatever it speaks, with what it bears. */
import type { ArchiveSettings } from '../config/schema.ts'
import { aeTitleAt } from '../dcmtk/ae-title.ts'
import { admitting } from './admission.ts'
import type { Archive } from './archive.ts'
import { createDicomwebArchive } from './dicomweb/dicomweb-archive.ts'
import { dicomwebServerOf } from './dicomweb/server.ts'
import { AssociationLimit } from './dimse/association-limit.ts'
import { inTurn } from './dimse/busy.ts'
import { createDimseArchive } from './dimse/dimse-archive.ts'
import { findStudies, listInstances, searchStudies } from './dimse/find.ts'
import { createGetTransport } from './dimse/get-transport.ts'
import { pacsOf, receiverTlsOf } from './dimse/pacs.ts'
import { createPerRequestScp } from './dimse/per-request-scp.ts'
import { SharedScp } from './dimse/shared-scp.ts'
import type { ReceivingOptions } from './dimse/transport.ts'

/** An archive that is asked for studies. */
export interface ConfiguredArchive {
  readonly settings: ArchiveSettings
  readonly archive: Archive
  /** Turns at it, over all requests. */
  readonly limit: Pick<AssociationLimit, 'moves' | 'queries'>
  /** Ends the connections that it keeps. */
  close (): Promise<void>
}

export interface ConfiguredArchives {
  /** In the order of the configuration. */
  readonly archives: readonly ConfiguredArchive[]
  /** The receiver of all that send to it; undefined where none does. Whoever asked for it starts and stops it. */
  readonly sharedReceiver: SharedScp | undefined
}

export function createArchives (options: ReceivingOptions): ConfiguredArchives {
  const { config } = options
  const senders = config.archives.filter(sendsToSharedReceiver(config.our_ae))
  const sharedReceiver = senders.length === 0
    ? undefined
    // the configuration has been checked: where one of them has TLS on the way to us, all have the same
    : new SharedScp({ ...options, senders: senders.map(pacsOf), receiverTls: senders.map(receiverTlsOf).find(tls => tls !== undefined) })
  return { archives: config.archives.map(settings => createArchive(settings, options, sharedReceiver)), sharedReceiver }
}

export function sendsToSharedReceiver ({ receiver }: { receiver: 'shared' | 'per-request' }): (settings: ArchiveSettings) => boolean {
  return ({ retrieve }) => retrieve === 'move' && receiver === 'shared'
}

function createArchive (settings: ArchiveSettings, options: ReceivingOptions, sharedReceiver: SharedScp | undefined): ConfiguredArchive {
  const { config, workDir } = options
  const { section, maxAssociations: associations, max_moves: moves, max_waiting: most } = settings
  const limit = new AssociationLimit({ section, associations, moves })
  if (settings.retrieve === 'wado') {
    const { pool, onOperation } = options
    const archive = createDicomwebArchive({ server: dicomwebServerOf(settings), limit, slots: pool, workDir, maxUnwantedBytes: config.our_ae.maxUnwantedBytes, onOperation })
    return { settings, archive: admitting(archive, { section, most }), limit, close: async () => { await archive.close() } }
  }
  const pacs = pacsOf(settings)
  const context = { ...options, pacs, receiverTls: receiverTlsOf(settings) }
  const questions = { ...options, pacs, callingAeTitle: aeTitleAt(config, 0), tempDir: workDir, limit }
  const transport = settings.retrieve === 'get'
    ? createGetTransport(context)
    : sharedReceiver?.transportFrom(pacs) ?? createPerRequestScp(context)
  const archive = createDimseArchive({
    pacs,
    find: {
      findStudies: async (accessionNumbers, asking) => await findStudies({ ...questions, log: asking.log }, accessionNumbers, asking),
      search: async (search, asking) => await searchStudies({ ...questions, log: asking.log }, search, asking),
      listInstances: async (study, asking, only) => await listInstances({ ...questions, log: asking.log }, study, asking, only)
    },
    transport,
    inTurn: async (ask, { signal, log, queueTimeoutMs, onStart, onPause }) => await inTurn('move', ask, { limit, pacs, signal, log, queueTimeoutMs, onStart, onPause })
  })
  return { settings, archive: admitting(archive, { section, most }), limit, close: async () => {} }
}
