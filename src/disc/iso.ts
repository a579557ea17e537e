/** A download: retrieval, disc, image. */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { Config } from '../config/schema.ts'
import type { ToolContext } from '../dicom/peer.ts'
import type { Patient } from '../dicom/manifest.ts'
import type { Log } from '../process.ts'
import type { Retrievals } from '../retrieval/retrievals.ts'
import { filesOf } from './contents.ts'
import { makeDisc, type Disc } from './disc.ts'
import { openImage } from './image-stream.ts'
import { planImage } from './image.ts'
import { layOut } from './layout.ts'
import type { NotListed } from './dicomdir.ts'
import type { Readable } from 'node:stream'

export interface IsoOptions extends Omit<ToolContext, 'log'> {
  config: Config
  retrievals: Retrievals
  workDir: string
}

export interface IsoDownload {
  sizeBytes: number
  stream: Readable
  patient: Patient
  notListed: readonly NotListed[]
  /** Images that are missing, with disc.allow_incomplete. */
  missing: number
  /** Ends the program and removes the disc's folder; to be called whatever happens. */
  close (): Promise<void>
}

/**
 * Makes the disc of a list of accession numbers and starts its image.
 * @throws MkisoError as the retrieval, ISO_CREATION_FAILED
 * @throws the signal's reason
 */
export async function makeIso (options: IsoOptions, accessionNumbers: readonly string[], signal: AbortSignal, log: Log): Promise<IsoDownload> {
  const { config, programs, retrievals, workDir } = options
  const startedAt = performance.now()
  const retrieval = await retrievals.retrieve(accessionNumbers, { signal, log })
  let disc: Disc | undefined
  const close = async (): Promise<void> => {
    await disc?.remove()
    retrieval.release()
  }
  try {
    const contents = layOut(retrieval.manifest, retrieval.files)
    disc = await makeDisc({ ...options, log }, config, contents, join(workDir, `request_${randomUUID()}`), signal)
    const image = await planImage({ programs, genisoimage: config.tools.genisoimage, iso: config.iso, log }, disc.source, signal)
    const open = await openImage(image, log, signal)
    log.info({ path: disc.source.root, size_bytes: image.sizeBytes, instances: filesOf(contents).length, duration_ms: Math.round(performance.now() - startedAt) }, 'iso created')
    const patient = contents.patients[0]?.patient ?? { patientId: '', issuerOfPatientId: '', patientName: '', birthDate: '', sex: '' }
    return {
      sizeBytes: image.sizeBytes,
      stream: open.stream,
      patient,
      notListed: disc.notListed,
      missing: retrieval.missing,
      close: async () => {
        await open.close()
        await close()
      }
    }
  } catch (error) {
    await close()
    throw error
  }
}
