/** The original's way: a Storage SCP for each request on a port and under an AE title of its own, each registered at the PACS. */
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { movescu } from '../../dcmtk/movescu.ts'
import type { Log } from '../../process.ts'
import { AllowedPeers } from './allowed-peers.ts'
import { aeTitleAt } from '../../dcmtk/ae-title.ts'
import { ownAddressTowards } from './own-address.ts'
import type { Slot } from './port-pool.ts'
import { PortTakenError, StorageScp } from './storage-scp.ts'
import { TurnedAway, type Transport, type TransportOptions } from './transport.ts'
import { WantedStudies } from '../wanted-studies.ts'

export function createPerRequestScp (options: TransportOptions): Transport {
  const { config, pacs, receiverTls, workDir } = options
  const allowed = new AllowedPeers(config.our_ae.allow_from, [pacs.host])
  return {
    async open ({ log }) {
      const folder = await mkdtemp(join(workDir, 'receive_'))
      const wanted = new WantedStudies()
      const turnedAway = new TurnedAway()
      const startAt = async ({ index }: Slot): Promise<StorageScp> => {
        const aeTitle = aeTitleAt(config, index)
        const scp = new StorageScp({
          aeTitle,
          port: config.our_ae.base_port + index,
          folder,
          idleTimeoutMs: pacs.idleTimeoutMs,
          tls: receiverTls,
          allowed,
          onRefused: address => { turnedAway.add(address) },
          wanted,
          maxUnwantedBytes: config.our_ae.maxUnwantedBytes,
          archiveAeTitles: [pacs.aeTitle],
          isOurAeTitle: title => title === aeTitle,
          log
        })
        await scp.start()
        return scp
      }
      const { slot, scp } = await startOnFreePort(options, log, startAt).catch(async (error: unknown) => {
        await rm(folder, { recursive: true, force: true })
        throw error
      })
      const aeTitle = aeTitleAt(config, slot.index)
      const port = config.our_ae.base_port + slot.index
      const host = await ownAddressTowards(pacs.host)
      return {
        receiver: { aeTitle, host, port },
        wanted,
        callingAeTitle: aeTitle,
        destination: `${aeTitle} at this machine, port ${port}`,
        tool: 'movescu',
        fetch: async (part, { signal, log, onActivity }) => await movescu({ ...options, log }, pacs, {
          callingAeTitle: aeTitle, destinationAeTitle: aeTitle, part, timeoutMs: pacs.moveTimeoutMs, signal, onSubOperations: onActivity
        }),
        mayStillSend: studyInstanceUid => scp.mayStillSend(studyInstanceUid),
        turnedAway: turnedAway.since(),
        close: async () => {
          await scp.stop()
          await rm(folder, { recursive: true, force: true })
          slot.release()
        }
      }
    }
  }
}

/** A port that another program holds is passed over; the slot goes back at the end, so that it is tried again another time. */
async function startOnFreePort ({ pool, config }: TransportOptions, log: Log, startAt: (slot: Slot) => Promise<StorageScp>): Promise<{ slot: Slot, scp: StorageScp }> {
  const taken = new Set<number>()
  for (;;) {
    const slot = pool.lease(taken)
    try {
      return { slot, scp: await startAt(slot) }
    } catch (error) {
      slot.release()
      if (!(error instanceof PortTakenError)) throw error
      log.warn({ port: config.our_ae.base_port + slot.index, err: error }, 'a receive port is taken by another program; the next one is tried')
      taken.add(slot.index)
    }
  }
}
