/** A print: retrieval, then C-STORE of every image to the CD publisher in one association. */
import { randomUUID } from 'node:crypto'
import { linkSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Watch } from '../studies/watch.ts'
import type { Config } from '../config/schema.ts'
import { dcmsend } from '../dcmtk/dcmsend.ts'
import { addressOf, type Peer, type ToolContext } from '../dcmtk/peer.ts'
import { storescu } from '../dcmtk/storescu.ts'
import type { Manifest } from '../dicom/study.ts'
import { MkisoError } from '../errors.ts'
import type { Log } from '../process.ts'
import { aeTitleAt } from '../dcmtk/ae-title.ts'
import { filesOfStudies, manifestOf, type CompleteStudies } from '../studies/complete-studies.ts'
import type { StudyStore } from '../studies/study-store.ts'

export interface RelayOptions extends Omit<ToolContext, 'log'> {
  config: Config
  studies: StudyStore
  workDir: string
  /** When the studies are known, before anything is fetched; what it throws stops the print. */
  check?: ((manifest: Manifest) => Promise<void>) | undefined
  /** Before the first image goes out; what it throws stops the print. */
  onTransfer?: ((studies: CompleteStudies) => void) | undefined
}

export interface RelayResult {
  manifest: Manifest
  /** `host:port` of the CD publisher. */
  destination: string
  /** Instances that the CD publisher confirmed: all of them, or there is an error. */
  filesSent: number
}

/** The CD publisher of the configuration. */
export function publisherOf (config: Config): Peer {
  const { ae_title: aeTitle, host, port, tls, connectTimeoutMs } = config.cd_publisher
  return { aeTitle, host, port, connectTimeoutMs, ...(tls === undefined ? {} : { tls: { ...tls, unreachable: 'CD_PUBLISHER_UNREACHABLE' } }) }
}

/**
 * Sends the studies of a list of accession numbers.
 *
 * Until the first image goes out the signal ends it; from then on it runs to its end, since half a disc at the robot is worse than a
 * disc that nobody waits for.
 * @throws MkisoError as StudyStore.hold, CD_PUBLISHER_UNREACHABLE, CD_PUBLISHER_REFUSED
 */
export async function relay (options: RelayOptions, accessionNumbers: readonly string[], signal: AbortSignal, log: Log, watch?: Watch): Promise<RelayResult> {
  const holding = await options.studies.hold(accessionNumbers, { signal, log, check: options.check, watch })
  const folder = join(options.workDir, `request_${randomUUID()}`)
  try {
    const studies = await holding.complete(signal)
    if (studies.missing !== 0) {
      throw new MkisoError('INCOMPLETE_RETRIEVAL', `${studies.missing ?? 'an unknown number of'} images are missing; a print is never made of an incomplete study`)
    }
    signal.throwIfAborted()
    options.onTransfer?.(studies)
    watch?.onSent(0, filesOfStudies(studies).length)
    return await send(options, studies, folder, log, watch)
  } finally {
    holding.release()
    await rm(folder, { recursive: true, force: true })
  }
}

async function send (options: RelayOptions, studies: CompleteStudies, folder: string, log: Log, watch?: Watch): Promise<RelayResult> {
  const { config } = options
  const publisher = publisherOf(config)
  const destination = addressOf(publisher)
  const images = join(folder, 'images')
  await mkdir(images, { recursive: true, mode: 0o700 })
  // names of ours: one SOP Instance UID may stand in two series
  const files = filesOfStudies(studies)
  for (const [index, { path }] of files.entries()) linkSync(path, join(images, String(index)))
  const sender = config.relay.sender === 'storescu' ? storescu : dcmsend
  const result = await sender({ ...options, log }, publisher, {
    callingAeTitle: aeTitleAt(config, 0), folder: images, fileCount: files.length, timeoutMs: config.cd_publisher.sendTimeoutMs, tempDir: folder,
    onSent: count => { watch?.onSent(count, files.length) }
  })
  if (result.kind === 'no-association') {
    log.error({ destination, stderr: result.fault.reason }, 'CD publisher unreachable')
    throw new MkisoError('CD_PUBLISHER_UNREACHABLE', `${publisher.aeTitle}: ${result.fault.reason}`, { destination })
  }
  const expected = files.length
  if (result.confirmed < expected) {
    const reasons = result.kind === 'timeout' ? ['it took too long (cd_publisher.send_timeout)'] : result.reasons
    log.error({ destination, sent: result.confirmed, expected, reasons }, 'CD publisher refused images')
    throw new MkisoError('CD_PUBLISHER_REFUSED', `${result.confirmed} of ${expected} images were taken: ${reasons.join('; ')}`, { destination })
  }
  return { manifest: manifestOf(studies), destination, filesSent: result.confirmed }
}
