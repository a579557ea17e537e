/** Way 2, the original's: a storescp for each request on a port and under an AE title of its own, each registered at the PACS. */
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../../config/schema.ts'
import { movescu } from '../../dcmtk/movescu.ts'
import { startReceiver, type Receiver } from '../../dcmtk/receiver.ts'
import { PortTakenError } from '../../dcmtk/storescp.ts'
import type { ToolContext } from '../../dcmtk/peer.ts'
import { Inbox } from './inbox.ts'
import { aeTitleAt, receiverTlsOf, type Pacs } from './pacs.ts'
import type { PortPool, Slot } from './port-pool.ts'
import type { ReceivingSession, RetrievalWay } from './way.ts'

export interface PerRequestOptions extends ToolContext {
  config: Config
  pacs: Pacs
  pool: PortPool
  workDir: string
}

export function createPerRequestReceiver (options: PerRequestOptions): RetrievalWay {
  const { config, pacs, pool, workDir } = options
  return {
    async open (_signal, log): Promise<ReceivingSession> {
      const folder = await mkdtemp(join(workDir, 'receive_'))
      let started: { slot: Slot, child: Receiver }
      try {
        started = await startOnFreePort({ ...options, log }, pool, folder)
      } catch (error) {
        await rm(folder, { recursive: true, force: true })
        throw error
      }
      const { slot, child } = started
      const aeTitle = aeTitleAt(config, slot.index)
      const inbox = new Inbox(folder, () => child.groups(), log, config.our_ae.maxUnwantedBytes)
      return {
        inbox,
        // the series, then lists of what is missing, then one by one
        attempts: 3,
        destination: `${aeTitle} at this machine, port ${config.our_ae.base_port + slot.index}`,
        fetch: async (part, { signal, onSubOperations, log }) => await movescu({ ...options, log }, pacs, {
          callingAeTitle: aeTitle, destinationAeTitle: aeTitle, part, timeoutMs: pacs.moveTimeoutMs, signal, onSubOperations
        }),
        close: async () => {
          await child.stop().catch(() => {})
          await inbox.close()
          await rm(folder, { recursive: true, force: true })
          slot.release()
        }
      }
    }
  }
}

/** A port that another program holds is passed over; the slot goes back at the end, so that it is tried again another time. */
async function startOnFreePort (options: PerRequestOptions, pool: PortPool, folder: string): Promise<{ slot: Slot, child: Receiver }> {
  const taken = new Set<number>()
  for (;;) {
    const slot = pool.lease(taken)
    const port = options.config.our_ae.base_port + slot.index
    try {
      const child = await startReceiver(options, {
        aeTitle: aeTitleAt(options.config, slot.index), port, folder, idleTimeoutMs: options.pacs.idleTimeoutMs, tls: receiverTlsOf(options.config)
      }, options.config.our_ae.allow_from)
      return { slot, child }
    } catch (error) {
      slot.release()
      if (!(error instanceof PortTakenError)) throw error
      options.log.warn({ port, err: error }, 'a receive port is taken by another program; the next one is tried')
      taken.add(slot.index)
    }
  }
}
