/** Way 3: C-GET. Images come back on the association that asked for them: no receiver, no open port. */
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../../config/schema.ts'
import { GET_TRANSFER_SYNTAXES, getscu } from '../../dcmtk/getscu.ts'
import type { ToolContext } from '../../dcmtk/peer.ts'
import { Inbox } from './inbox.ts'
import { aeTitleAt, type Pacs } from './pacs.ts'
import type { PortPool } from './port-pool.ts'
import type { ReceivingSession, RetrievalWay } from './way.ts'

export interface GetOptions extends ToolContext {
  config: Config
  pacs: Pacs
  pool: PortPool
  workDir: string
}

export function createCGet (options: GetOptions): RetrievalWay {
  const { config, pacs, pool, workDir } = options
  return {
    async open (_signal, log): Promise<ReceivingSession> {
      const slot = pool.lease()
      const folder = await mkdtemp(join(workDir, 'receive_')).catch((error: unknown) => {
        slot.release()
        throw error
      })
      const running = new Set<number>()
      const inbox = new Inbox(folder, () => [...running], log, config.our_ae.maxUnwantedBytes)
      return {
        inbox,
        // once as it is, then with each compressed transfer syntax for what is missing
        attempts: 1 + GET_TRANSFER_SYNTAXES.length,
        destination: `${aeTitleAt(config, slot.index)} as a C-GET client`,
        fetch: async (part, { signal, attempt, onSubOperations, log }) => {
          let pid: number | undefined
          try {
            return await getscu({ ...options, log }, pacs, {
              callingAeTitle: aeTitleAt(config, slot.index),
              part,
              folder,
              prefer: GET_TRANSFER_SYNTAXES[attempt - 1],
              timeoutMs: pacs.moveTimeoutMs,
              signal,
              onSubOperations,
              onStart: started => { pid = started; running.add(started) }
            })
          } finally {
            if (pid !== undefined) running.delete(pid)
          }
        },
        close: async () => {
          await inbox.close()
          await rm(folder, { recursive: true, force: true })
          slot.release()
        }
      }
    }
  }
}
