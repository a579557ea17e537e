/** Is a DICOMweb server there, and does it let us search? For health and `mkiso doctor`. */
import { MkisoError } from '../../errors.ts'
import { DicomwebConnection } from './connection.ts'
import { askOnce } from './search.ts'
import type { DicomwebServer } from './server.ts'

export type Probed = { kind: 'ok' } | { kind: 'busy' | 'down', reason: string }

/** Asks for one study, whichever. @throws never, but the signal's reason */
export async function probeDicomweb (server: DicomwebServer, signal: AbortSignal): Promise<Probed> {
  let connection: DicomwebConnection | undefined
  try {
    connection = new DicomwebConnection(server)
    const answer = await askOnce(connection, '/studies?limit=1', signal)
    switch (answer.kind) {
      case 'page': return { kind: 'ok' }
      case 'busy': return { kind: 'busy', reason: answer.reason }
      default: return { kind: 'down', reason: answer.reason }
    }
  } catch (error) {
    signal.throwIfAborted()
    return { kind: 'down', reason: error instanceof MkisoError && error.detail !== undefined ? error.detail : error instanceof Error ? error.message : String(error) }
  } finally { await connection?.close() }
}
