/** The two halves of a print: images from the archive, and C-STORE of all of them to the CD publisher in one association. */
import { randomUUID } from 'node:crypto'
import { linkSync, readdirSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../config/schema.ts'
import { aeTitleAt } from '../dcmtk/ae-title.ts'
import { dcmsend } from '../dcmtk/dcmsend.ts'
import { echoscu } from '../dcmtk/echoscu.ts'
import { addressOf, NO_SERVICE, type Peer, type ToolContext } from '../dcmtk/peer.ts'
import { storescu } from '../dcmtk/storescu.ts'
import type { Manifest } from '../dicom/study.ts'
import { MkisoError } from '../errors.ts'
import type { Log } from '../process.ts'
import { filesOfStudies, manifestOf } from '../studies/complete-studies.ts'
import type { StudyStore } from '../studies/study-store.ts'
import type { Watch } from '../studies/watch.ts'

/** Every image of the studies of a request; it must be released. */
export interface FetchedStudies {
  /** With the SOP classes that stand in the files. */
  readonly manifest: Manifest
  /** They belong to whoever fetched them: link them, do not change or move them. */
  readonly files: ReadonlyArray<{ readonly path: string }>
  release (): void
}

export interface FetchContext {
  signal: AbortSignal
  log: Log
  /** When the studies are known, before anything is fetched; what it throws stops the print. */
  check: (manifest: Manifest) => Promise<void>
  watch: Watch
}

/**
 * Fetches all images, or none.
 * @throws MkisoError as StudyStore.hold, INCOMPLETE_RETRIEVAL, what the check throws
 * @throws the signal's reason
 */
export type FetchStudies = (accessionNumbers: readonly string[], context: FetchContext) => Promise<FetchedStudies>

export interface SendContext {
  /** Only for the end of the service: half a disc at the robot is worse than one that nobody waits for. */
  signal: AbortSignal
  log: Log
  /** Images that the robot has confirmed. */
  onSent: (count: number) => void
}

/** `away`: no association came about, so that the robot has no image. */
export type SendOutcome = { kind: 'sent', files: number } | { kind: 'away', reason: string }

/** The CD publisher of the configuration. */
export function publisherOf (config: Config): Peer {
  const { ae_title: aeTitle, host, port, tls, connectTimeoutMs } = config.cd_publisher
  const peer = { aeTitle, host, port, connectTimeoutMs }
  return tls === undefined ? peer : { ...peer, tls: { ...tls, unreachable: 'CD_PUBLISHER_UNREACHABLE' } }
}

/** As people call it: `cd_publisher.name`, else host:port. */
export function robotName (config: Config): string {
  return config.cd_publisher.name === '' ? addressOf(publisherOf(config)) : config.cd_publisher.name
}

export function createFetch (studyStore: Pick<StudyStore, 'hold'>): FetchStudies {
  return async (accessionNumbers, { signal, log, check, watch }) => {
    const holding = await studyStore.hold(accessionNumbers, { signal, log, check, watch })
    try {
      const studies = await holding.complete(signal)
      if (studies.missing !== 0) {
        const images = `images of accession number ${accessionNumbers.join(', ')}`
        const lack = studies.missing === undefined ? `nobody can tell whether all ${images} have come` : `${images} are missing: ${studies.missing}`
        throw new MkisoError('INCOMPLETE_RETRIEVAL', `${lack}; a print is never made of an incomplete study`)
      }
      return { manifest: manifestOf(studies), files: filesOfStudies(studies), release: () => { holding.release() } }
    } catch (error) {
      holding.release()
      throw error
    }
  }
}

export interface RobotOptions extends Omit<ToolContext, 'log'> {
  config: Config
  workDir: string
}

/** The CD publisher: is it there, and take these. */
export class Robot {
  readonly #options: RobotOptions
  readonly #peer: Peer

  constructor (options: RobotOptions) {
    this.#options = options
    this.#peer = publisherOf(options.config)
  }

  /** `host:port` */
  get address (): string { return addressOf(this.#peer) }

  /**
   * Asks with C-ECHO, so that a robot that is off is not recorded as one that may have got images.
   * @returns why it takes no association; undefined also for a robot that takes one and knows no C-ECHO
   * @throws the signal's reason
   */
  async away (log: Log, signal: AbortSignal): Promise<string | undefined> {
    const fault = await echoscu({ ...this.#options, log }, this.#peer, aeTitleAt(this.#options.config, 0), signal)
    if (fault === undefined || fault.kind === 'broken' || fault.reason.startsWith(NO_SERVICE)) return undefined
    return this.#says(fault.reason)
  }

  /**
   * Sends all files in one association.
   * @throws MkisoError CD_PUBLISHER_REFUSED when it did not confirm each of them
   * @throws the signal's reason
   */
  async send (files: FetchedStudies['files'], { signal, log, onSent }: SendContext): Promise<SendOutcome> {
    const { config, workDir } = this.#options
    const destination = this.address
    const folder = join(workDir, `request_${randomUUID()}`)
    try {
      const images = join(folder, 'images')
      await mkdir(images, { recursive: true, mode: 0o700 })
      for (const [index, { path }] of files.entries()) linkSync(path, join(images, String(index + 1).padStart(6, '0')))
      const handedOver = readdirSync(images).length
      // what is handed to the robot is counted against what was received
      if (handedOver !== files.length || handedOver === 0) {
        throw new Error(`${handedOver} files stand ready for the CD publisher, ${files.length} were received`)
      }
      const sender = config.relay.sender === 'storescu' ? storescu : dcmsend
      const result = await sender({ ...this.#options, log }, this.#peer, {
        callingAeTitle: aeTitleAt(config, 0), folder: images, fileCount: handedOver, timeoutMs: config.cd_publisher.sendTimeoutMs,
        tempDir: folder, signal, onSent
      })
      if (result.kind === 'no-association') return { kind: 'away', reason: this.#says(result.fault.reason) }
      if (result.confirmed < handedOver) {
        const reasons = result.kind === 'timeout' ? ['it took too long (cd_publisher.send_timeout)'] : result.reasons
        log.error({ destination, sent: result.confirmed, expected: handedOver, reasons }, 'CD publisher refused images')
        const detail = `${result.confirmed} of ${handedOver} images were taken: ${reasons.join('; ')}`
        throw new MkisoError('CD_PUBLISHER_REFUSED', detail, { destination })
      }
      return { kind: 'sent', files: result.confirmed }
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }

  #says (reason: string): string {
    return `${this.#peer.aeTitle}: ${reason}`
  }
}
