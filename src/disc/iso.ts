/** A download: retrieval, disc, image. */
import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { Config } from '../config/schema.ts'
import type { Manifest, Patient } from '../dicom/manifest.ts'
import type { ToolContext } from '../dicom/peer.ts'
import { MkisoError } from '../errors.ts'
import type { Log } from '../process.ts'
import type { Retrieval, Retrievals } from '../retrieval/retrievals.ts'
import type { ReceivedFile } from '../retrieval/study-retrieval.ts'
import type { DiscContents } from './contents.ts'
import { filesOf } from './contents.ts'
import type { NotListed } from './dicomdir.ts'
import { CAPACITY_BYTES, planSet } from './disc-set.ts'
import { makeDisc, type Disc } from './disc.ts'
import { openImage } from './image-stream.ts'
import { planImage, type Image } from './image.ts'
import { inReadingOrder } from './layout.ts'
import { withNamesFromFiles } from './names-from-files.ts'
import { uncompress } from './uncompress.ts'
import { findViewer } from './viewer.ts'
import { Renderer } from './web/renderer.ts'

export interface IsoOptions extends Omit<ToolContext, 'log'> {
  config: Config
  retrievals: Retrievals
  workDir: string
}

export interface IsoRequest {
  accessionNumbers: readonly string[]
  /** Which disc of a set, from 1; undefined when none was asked for. */
  disc: number | undefined
  /** The link to a disc of the set. */
  linkOf: (disc: number) => string
  signal: AbortSignal
  log: Log
}

export interface IsoDownload {
  sizeBytes: number
  stream: Readable
  patient: Patient
  disc: number
  discs: number
  notListed: readonly NotListed[]
  /** Images that are missing, with disc.allow_incomplete. */
  missing: number
  /** Ends the program and removes the disc's folder; to be called whatever happens. */
  close (): Promise<void>
}

/**
 * Makes the disc of a list of accession numbers and starts its image.
 * @throws MkisoError as the retrieval, DISC_TOO_SMALL, ISO_CREATION_FAILED
 * @throws the signal's reason
 */
export async function makeIso (options: IsoOptions, request: IsoRequest): Promise<IsoDownload> {
  const { config, programs, retrievals, workDir } = options
  const { signal, log } = request
  const context: ToolContext = { ...options, log }
  const startedAt = performance.now()
  const folder = join(workDir, `request_${randomUUID()}`)
  mkdirSync(folder, { mode: 0o700 })
  // what this request has started ends with it, also when it is not the signal that ends it
  const ended = new AbortController()
  let retrieval: Retrieval | undefined
  const close = async (): Promise<void> => {
    ended.abort()
    retrieval?.release()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    let renderer: Renderer | undefined
    retrieval = await retrievals.retrieve(request.accessionNumbers, {
      signal,
      log,
      onManifest: manifest => {
        const { dcmtk, tools, disc: { web_content: mode } } = config
        if (mode === 'none') return
        const either = AbortSignal.any([signal, ended.signal])
        renderer = new Renderer({ programs, dcmtk, tools, mode, folder: join(folder, 'pictures'), log, signal: either }, thumbnailsOf(manifest))
      },
      onFile: file => { renderer?.add(file) }
    })
    const files = config.disc.transfer_syntax === 'uncompressed'
      ? await uncompress(context, config.tools, retrieval.files, join(folder, 'uncompressed'), signal)
      : retrieval.files
    const { contents, disc, image } = await makeImage(context, options, request, {
      manifest: withNamesFromFiles(retrieval.manifest, retrieval.files), files, missing: retrieval.missing, folder: join(folder, 'disc'), renderer
    })
    const open = await openImage(image, log, signal)
    log.info({
      path: disc.source.root,
      size_bytes: image.sizeBytes,
      instances: filesOf(contents).length,
      disc: contents.disc,
      discs: contents.discs,
      duration_ms: Math.round(performance.now() - startedAt)
    }, 'iso created')
    return {
      sizeBytes: image.sizeBytes,
      stream: open.stream,
      patient: contents.patients[0]?.patient ?? { patientId: '', issuerOfPatientId: '', patientName: '', birthDate: '', sex: '' },
      disc: contents.disc,
      discs: contents.discs,
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

interface Material {
  manifest: Manifest
  files: ReadonlyMap<string, ReceivedFile>
  missing: number
  folder: string
  renderer: Renderer | undefined
}

interface Made {
  contents: DiscContents
  disc: Disc
  image: Image
}

async function makeImage (context: ToolContext, options: IsoOptions, request: IsoRequest, material: Material): Promise<Made> {
  const { config, programs } = options
  const { signal, log } = request
  const viewer = await findViewer(config.iso.microdicom_path)
  const capacityBytes = CAPACITY_BYTES[config.disc.capacity]
  const set = planSet(material.manifest, material.files, { capacityBytes, viewerBytes: viewer?.sizeBytes ?? 0, webContent: config.disc.web_content })
  const contents = chooseDisc(set, request)
  const tools = { programs, genisoimage: config.tools.genisoimage, iso: config.iso, log }
  const make = async (renderer: Renderer | undefined): Promise<Made> => {
    const disc = await makeDisc(context, { config, contents, folder: material.folder, viewer, renderer, missing: material.missing, signal })
    return { contents, disc, image: await planImage(tools, disc.source, signal) }
  }
  const made = await make(material.renderer)
  if (made.image.sizeBytes <= capacityBytes) return made
  // the estimate of the pictures was too low: the images are what the disc is for
  log.warn({ size_bytes: made.image.sizeBytes, capacity_bytes: capacityBytes }, 'the disc is too full for the pictures; it is made without them')
  const bare = await make(undefined)
  if (bare.image.sizeBytes > capacityBytes) throw new MkisoError('ISO_CREATION_FAILED', 'the disc is larger than its medium (disc.capacity)')
  return bare
}

function chooseDisc (set: readonly DiscContents[], { disc, linkOf }: IsoRequest): DiscContents {
  const links = set.map((_, index) => linkOf(index + 1))
  if (disc === undefined && set.length > 1) throw new MkisoError('DISC_TOO_SMALL', `${set.length} discs are needed (disc.capacity); download each by its link`, { discs: links })
  const contents = set[(disc ?? 1) - 1]
  if (contents === undefined) throw new MkisoError('INVALID_REQUEST', `there is no disc ${disc ?? 1}: the set has ${set.length}`, { discs: links })
  return contents
}

/** The image that stands for each series: the middle one. */
function thumbnailsOf (manifest: Manifest): Set<string> {
  return new Set(manifest.studies.flatMap(({ series }) => series.flatMap(({ instances }) => inReadingOrder(instances)[Math.floor(instances.length / 2)]?.sopInstanceUid ?? [])))
}
