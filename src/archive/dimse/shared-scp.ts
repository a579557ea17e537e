/** C-MOVE to one Storage SCP that is up for the life of the service, for all archives that send by C-MOVE; one AE entry at each. */
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { movescu } from '../../dcmtk/movescu.ts'
import { MkisoError } from '../../errors.ts'
import { writeFault } from '../../disk.ts'
import { until } from '../../process.ts'
import { NO_ROOM } from './association/echo.ts'
import { AllowedPeers } from './allowed-peers.ts'
import { aeTitleAt } from '../../dcmtk/ae-title.ts'
import type { ReceiverTls } from '../../dcmtk/peer.ts'
import { ownAddressTowards } from './own-address.ts'
import type { Pacs } from './pacs.ts'
import { StorageScp } from './storage-scp.ts'
import { TurnedAway, type ReceivingOptions, type Transport } from './transport.ts'
import { WantedStudies } from '../wanted-studies.ts'
import { largestOf } from '../../numbers.ts'

const READY_TIMEOUT_MS = 3_000
const ECHO_TIMEOUT_MS = 2_000
const FIRST_BACKOFF_MS = 250
const LONGEST_BACKOFF_MS = 5_000
/** A receiver that has run so long starts again at once when it falls. */
const STEADY_MS = 10_000

export interface SharedScpOptions extends ReceivingOptions {
  /** Who may be asked to send here. */
  senders: readonly Pacs[]
  receiverTls: ReceiverTls | undefined
}

export class SharedScp {
  readonly #options: SharedScpOptions
  readonly #stopping = new AbortController()
  readonly #wanted = new WantedStudies()
  readonly #turnedAway = new TurnedAway()
  readonly #allowed: AllowedPeers
  readonly #aeTitle: string
  readonly #port: number
  #scp: StorageScp | undefined
  #reason = 'it is starting'
  #supervisor: Promise<void> | undefined
  #folder = ''
  /** How often it had to be started again. */
  restarts = 0
  /** Objects that were removed because nobody had asked for them. */
  dropped = 0

  constructor (options: SharedScpOptions) {
    const { config: { our_ae: ours }, senders } = options
    this.#options = options
    this.#allowed = new AllowedPeers(ours.allow_from, senders.map(({ host }) => host))
    this.#aeTitle = aeTitleAt(options.config, 0)
    this.#port = ours.base_port
  }

  /** undefined while it listens, else why it does not. */
  get fault (): string | undefined { return this.#scp === undefined ? this.#reason : undefined }

  /**
   * Sends itself a C-ECHO over the network, and looks whether its folder takes a file.
   * @returns what is wrong, and what to do
   */
  async probe (): Promise<string | undefined> {
    const scp = this.#scp
    if (scp === undefined) return `${this.#reason}; free the port, or change our_ae.base_port here and at the PACS`
    const fault = await writeFault(this.#folder)
    if (fault !== undefined) return `no image can be written in ${this.#folder} (${fault}): see to iso.temp_dir, and start the service again`
    const silence = await scp.echo(ECHO_TIMEOUT_MS)
    // as many associations as may be are open: that is work, and no fault
    return silence === undefined || silence === NO_ROOM ? undefined : `the receiver on port ${this.#port} does not answer ourselves: ${silence}`
  }

  /** Starts the receiver; one that cannot start is tried again for ever, since the port may become free. */
  async start (): Promise<void> {
    this.#folder = await mkdtemp(join(this.#options.workDir, 'receive_'))
    this.#supervisor = this.#supervise(this.#folder)
  }

  async stop (): Promise<void> {
    this.#stopping.abort()
    await this.#scp?.stop()
    await this.#supervisor
    if (this.#folder !== '') await rm(this.#folder, { recursive: true, force: true })
  }

  /** The way from one of the senders. */
  transportFrom (pacs: Pacs): Transport {
    return {
      open: async ({ signal }) => {
        await this.#ready(signal)
        const host = await ownAddressTowards(pacs.host)
        signal.throwIfAborted()
        const slot = this.#options.pool.lease()
        return {
          receiver: { aeTitle: this.#aeTitle, host, port: this.#port },
          wanted: this.#wanted,
          callingAeTitle: this.#aeTitle,
          destination: `${this.#aeTitle} at this machine, port ${this.#port}`,
          tool: 'movescu',
          fetch: async (part, { signal, log, onActivity }) => {
            await this.#ready(signal)
            return await movescu({ ...this.#options, log }, pacs, {
              callingAeTitle: this.#aeTitle, destinationAeTitle: this.#aeTitle, part, timeoutMs: pacs.moveTimeoutMs, signal, onSubOperations: onActivity
            })
          },
          mayStillSend: studyInstanceUid => this.#scp?.mayStillSend(studyInstanceUid) === true,
          turnedAway: this.#turnedAway.since(),
          close: async () => { slot.release() }
        }
      }
    }
  }

  async #ready (signal: AbortSignal): Promise<void> {
    if (await until(() => this.#scp !== undefined || this.#stopping.signal.aborted, READY_TIMEOUT_MS, 20, signal) && this.#scp !== undefined) return
    throw new MkisoError('RECEIVER_DOWN', `the receiver on port ${this.#port}: ${this.#reason}`, { retryAfterSeconds: 30 })
  }

  async #supervise (folder: string): Promise<void> {
    const { log } = this.#options
    const signal = this.#stopping.signal
    const port = this.#port
    let backoffMs = FIRST_BACKOFF_MS
    while (!signal.aborted) {
      const startedAt = performance.now()
      try {
        const scp = this.#newScp(folder)
        await scp.start()
        if (signal.aborted) { await scp.stop(); return }
        this.#scp = scp
        this.#reason = await scp.ended ?? 'it was stopped'
        this.#scp = undefined
        if (signal.aborted) return
        // associations that were open may still write
        await scp.stop()
        this.restarts++
        log.error({ port, reason: this.#reason }, 'the receiver ended; it is started again')
      } catch (error) {
        this.#scp = undefined
        this.#reason = error instanceof Error ? error.message : String(error)
        log.error({ port, err: error }, 'the receiver does not start; it is tried again')
      }
      if (performance.now() - startedAt > STEADY_MS) backoffMs = FIRST_BACKOFF_MS
      await delay(backoffMs, undefined, { signal }).catch(() => {})
      backoffMs = Math.min(2 * backoffMs, LONGEST_BACKOFF_MS)
    }
  }

  #newScp (folder: string): StorageScp {
    const { config, senders, receiverTls, log } = this.#options
    return new StorageScp({
      aeTitle: this.#aeTitle,
      port: this.#port,
      folder,
      // what is silent for longer than the most patient of them waits is of no use to anybody
      idleTimeoutMs: largestOf(senders.map(({ idleTimeoutMs }) => idleTimeoutMs), 0),
      tls: receiverTls,
      allowed: this.#allowed,
      onRefused: address => { this.#turnedAway.add(address) },
      wanted: this.#wanted,
      maxUnwantedBytes: config.our_ae.maxUnwantedBytes,
      onDropped: () => { this.dropped++ },
      archiveAeTitles: senders.map(({ aeTitle }) => aeTitle),
      isOurAeTitle: aeTitle => aeTitle === this.#aeTitle,
      log
    })
  }
}
