/** A Storage SCP in a folder of its own, and a sink that keeps what it is offered. */
import { readdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { freePort } from '../../../demo/ports.ts'
import type { Delivery, StudySink } from '../../../src/archive/archive.ts'
import { StorageScp, type StorageScpOptions } from '../../../src/archive/dimse/storage-scp.ts'
import { WantedStudies } from '../../../src/archive/wanted-studies.ts'
import { temporaryFolder } from '../../world.ts'

export interface Kept extends Delivery {
  /** The whole file, as it was when it was offered. */
  bytes: Buffer
}

export class KeepingSink implements StudySink {
  readonly kept: Kept[] = []
  readonly cut: Array<{ sopInstanceUid: string, reason: string }> = []
  activities = 0
  readonly #folder: string | undefined

  /** @param folder where the files are moved to; without one they are left where they are */
  constructor (folder?: string) {
    this.#folder = folder
  }

  async offer (delivery: Delivery): Promise<void> {
    this.kept.push({ ...delivery, bytes: readFileSync(delivery.path) })
    if (this.#folder !== undefined) renameSync(delivery.path, join(this.#folder, `kept_${this.kept.length}`))
  }

  cutOff (sopInstanceUid: string, reason: string): void { this.cut.push({ sopInstanceUid, reason }) }
  activity (): void { this.activities++ }
}

export interface Receiving {
  scp: StorageScp
  port: number
  wanted: WantedStudies
  /** Names in the folder of the receiver. */
  left: () => string[]
  log: Array<{ level: string, message: string, fields: Record<string, unknown> }>
  counts: { dropped: number, refused: Array<string | undefined> }
}

export async function receiving (t: Pick<Test, 'teardown'>, overrides: Partial<StorageScpOptions> = {}): Promise<Receiving> {
  const folder = temporaryFolder(t, 'receiver')
  const port = overrides.port ?? await freePort()
  const log: Receiving['log'] = []
  const level = (name: string) => (fields: object, message: string): void => { log.push({ level: name, message, fields: { ...fields } }) }
  const wanted = new WantedStudies()
  const counts: Receiving['counts'] = { dropped: 0, refused: [] }
  const scp = new StorageScp({
    aeTitle: 'CDRECORD',
    port,
    folder,
    idleTimeoutMs: 60_000,
    tls: undefined,
    allowed: { allows: async () => true },
    onRefused: address => { counts.refused.push(address) },
    wanted,
    maxUnwantedBytes: 64 * 1024 ** 2,
    onDropped: () => { counts.dropped++ },
    archiveAeTitles: ['ABPACS'],
    isOurAeTitle: aeTitle => aeTitle === 'CDRECORD',
    log: { debug: level('debug'), info: level('info'), warn: level('warn'), error: level('error') },
    ...overrides
  })
  await scp.start()
  t.teardown(async () => { await scp.stop() })
  return { scp, port, wanted, left: () => readdirSync(folder), log, counts }
}
