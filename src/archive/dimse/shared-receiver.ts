/** Way 1: C-MOVE to one supervised storescp that is up for the life of the service; one AE entry at the PACS. */
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from '../../config/schema.ts'
import { movescu } from '../../dcmtk/movescu.ts'
import { startReceiver, type Receiver } from '../../dcmtk/receiver.ts'
import type { ToolContext } from '../../dcmtk/peer.ts'
import { MkisoError } from '../../errors.ts'
import { until } from '../../process.ts'
import { Inbox } from './inbox.ts'
import { aeTitleAt, receiverTlsOf, type Pacs } from './pacs.ts'
import type { PortPool } from './port-pool.ts'
import type { ReceivingSession, RetrievalWay } from './way.ts'

const READY_TIMEOUT_MS = 3_000
const FIRST_BACKOFF_MS = 250
const LONGEST_BACKOFF_MS = 5_000
/** A receiver that has run so long starts again at once when it falls. */
const STEADY_MS = 10_000

export interface SharedReceiverOptions extends ToolContext {
  config: Config
  pacs: Pacs
  pool: PortPool
  workDir: string
}

export class SharedReceiver implements RetrievalWay {
  readonly #options: SharedReceiverOptions
  readonly #stopping = new AbortController()
  #child: Receiver | undefined
  #reason = 'it is starting'
  #supervisor: Promise<void> | undefined
  #folder = ''
  #inbox: Inbox | undefined

  constructor (options: SharedReceiverOptions) {
    this.#options = options
  }

  /** undefined while it listens, else why it does not. */
  get fault (): string | undefined { return this.#child === undefined ? this.#reason : undefined }

  /** How often it had to be started again. */
  restarts = 0

  /** Process id of the storescp that runs now; the first of several with our_ae.allow_from. */
  get pid (): number | undefined { return this.#child?.groups()[0] }

  get dropped (): number { return this.#inbox?.dropped ?? 0 }

  /** Starts the receiver; one that cannot start is tried again for ever, since the port may become free. */
  async start (): Promise<void> {
    this.#folder = await mkdtemp(join(this.#options.workDir, 'receive_'))
    this.#inbox = new Inbox(this.#folder, () => this.#child?.groups() ?? [], this.#options.log, this.#options.config.our_ae.maxUnwantedBytes)
    this.#inbox.guard()
    this.#supervisor = this.#supervise()
  }

  async stop (): Promise<void> {
    this.#stopping.abort()
    await this.#child?.stop()
    await this.#supervisor
    await this.#inbox?.close()
    if (this.#folder !== '') await rm(this.#folder, { recursive: true, force: true })
  }

  async open (signal: AbortSignal): Promise<ReceivingSession> {
    const { config, pacs, pool } = this.#options
    await this.#ready(signal)
    const inbox = this.#inbox
    if (inbox === undefined) throw new MkisoError('RECEIVER_DOWN', this.#reason)
    const slot = pool.lease()
    const aeTitle = aeTitleAt(config, 0)
    return {
      inbox,
      // the series, then lists of what is missing, then one by one
      attempts: 3,
      destination: `${aeTitle} at this machine, port ${config.our_ae.base_port}`,
      fetch: async (part, { signal, onSubOperations, log }) => {
        await this.#ready(signal)
        const context = { ...this.#options, log }
        return await movescu(context, pacs, { callingAeTitle: aeTitle, destinationAeTitle: aeTitle, part, timeoutMs: pacs.moveTimeoutMs, signal, onSubOperations })
      },
      close: async () => { slot.release() }
    }
  }

  async #ready (signal: AbortSignal): Promise<void> {
    if (await until(() => this.#child !== undefined || this.#stopping.signal.aborted, READY_TIMEOUT_MS, 20, signal) && this.#child !== undefined) return
    throw new MkisoError('RECEIVER_DOWN', `storescp on port ${this.#options.config.our_ae.base_port}: ${this.#reason}`, { retryAfterSeconds: 30 })
  }

  async #supervise (): Promise<void> {
    const { config, pacs, log } = this.#options
    const signal = this.#stopping.signal
    const port = config.our_ae.base_port
    let backoffMs = FIRST_BACKOFF_MS
    while (!signal.aborted) {
      const startedAt = performance.now()
      try {
        const child = await startReceiver(this.#options, {
          aeTitle: aeTitleAt(config, 0), port, folder: this.#folder, idleTimeoutMs: pacs.idleTimeoutMs, tls: receiverTlsOf(config)
        }, config.our_ae.allow_from)
        if (signal.aborted) { await child.stop(); return }
        this.#child = child
        const result = await child.ended
        this.#child = undefined
        if (signal.aborted) return
        this.restarts++
        this.#reason = `it ended with exit code ${result.exitCode}`
        log.error({ port, exit_code: result.exitCode, stderr: result.stderr.slice(-500) }, 'storescp ended; it is started again')
      } catch (error) {
        this.#child = undefined
        this.#reason = error instanceof Error ? error.message : String(error)
        log.error({ port, err: error }, 'storescp does not start; it is tried again')
      }
      if (performance.now() - startedAt > STEADY_MS) backoffMs = FIRST_BACKOFF_MS
      await delay(backoffMs, undefined, { signal }).catch(() => {})
      backoffMs = Math.min(2 * backoffMs, LONGEST_BACKOFF_MS)
    }
  }
}
