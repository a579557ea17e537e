/**
 * What discs are made of: the files of a retrieval, and what is drawn from each as soon as it is whole (pictures, directory record, checksum),
 * so that little is left to do when the last one has come. All requests for the same studies share one material, and all discs of a set.
 */
import { mkdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../config/schema.ts'
import type { ToolContext } from '../dcmtk/peer.ts'
import { identityKey, type LeftOutPrior, type Manifest } from '../dicom/study.ts'
import { MkisoError } from '../errors.ts'
import type { DiskSpace } from '../studies/disk-space.ts'
import type { HeldFile } from '../studies/complete-studies.ts'
import type { Holding } from '../studies/holding.ts'
import { Beforehand } from './beforehand.ts'
import { Checksums } from './checksums.ts'
import { choosePart, chosenFiles, isChosen, type Choice } from './choice.ts'
import { filesOf, type DiscContents, type Part } from './contents.ts'
import { CAPACITY_BYTES, planSet, roomBytes, type SetOptions } from './disc-set.ts'
import { makeDisc, type Disc } from './disc.ts'
import { inReadingOrder, layOut, type StudySources } from './layout.ts'
import { withNamesFromFiles } from './names-from-files.ts'
import { fillRoot } from './root.ts'
import { asItCame, Decoder } from './uncompress.ts'
import { findViewer, type Viewer } from './viewer.ts'
import { Renderer } from './web/renderer.ts'
import { DiscZip } from './zip/disc-zip.ts'

interface Received {
  studies: StudySources[]
  /** What must be on the discs. */
  received: HeldFile[]
  part: Part | undefined
  /** undefined where nobody can tell. */
  missing: number | undefined
  priorsLeftOut: readonly LeftOutPrior[]
}

interface Ready {
  contents: DiscContents[]
  viewer: Viewer | undefined
  /** undefined where nobody can tell. */
  missing: number | undefined
  priorsLeftOut: readonly LeftOutPrior[]
}

export class Material {
  readonly #config: Config
  readonly #context: ToolContext
  readonly #folder: string
  readonly #choice: Choice | undefined
  /** Series that are not on the discs, as far as the archive has named them beforehand. */
  readonly #leftOut: ReadonlySet<string>
  readonly #ended = new AbortController()
  readonly #renderer: Renderer | undefined
  readonly #beforehand: Beforehand
  readonly #checksums: Checksums | undefined
  readonly #decoder: Decoder | undefined
  readonly #discs = new Map<number, Promise<Disc>>()
  #planned = false
  /** Settles when every image is here and is what it shall be; rejects as the retrieval does. */
  readonly #received: Promise<Received>
  /** Settles when the set of discs is planned too. */
  readonly ready: Promise<Ready>
  readonly #holding: Holding
  readonly #zips = new Set<DiscZip>()
  /** Files whose checksums an image will want. */
  readonly #unread: string[] = []
  #images = false

  /**
   * @param choice undefined for the whole studies
   * @param folder one that does not exist yet, on the file system of the images; {@link end} removes it
   */
  constructor (context: ToolContext, config: Config, holding: Holding, choice: Choice | undefined, folder: string, disk: DiskSpace) {
    this.#config = config
    this.#choice = choice
    this.#leftOut = new Set(holding.manifest.studies.flatMap(({ series }) => series)
      .filter(series => series.modality !== '' && !isChosen(choice, series)).map(({ seriesInstanceUid }) => seriesInstanceUid))
    this.#context = context
    this.#folder = folder
    const signal = this.#ended.signal
    mkdirSync(folder, { mode: 0o700 })
    const { programs, dcmtk, log } = context
    const { web_content: mode, viewer } = config.disc
    // the viewer draws the pictures of the series from the images themselves
    const pictures = mode === 'thumbnails' && viewer ? 'none' : mode
    this.#renderer = mode === 'none'
      ? undefined
      : new Renderer({ programs, dcmtk, tools: config.tools, pictures, folder: join(folder, 'pictures'), hasRoom: async () => await disk.hasRoomFor(0), log, signal }, middlesOf(holding.manifest))
    this.#checksums = config.iso.checksums ? new Checksums() : undefined
    this.#decoder = config.disc.transfer_syntax === 'uncompressed' ? new Decoder(context, config.tools, join(folder, 'uncompressed'), disk) : undefined
    // a decoded copy is described from its own file
    this.#beforehand = new Beforehand(viewer && this.#decoder === undefined)
    this.#holding = holding
    const stopListening = holding.onFile(file => { this.#take(file) })
    this.#received = this.#receive(holding).finally(stopListening)
    this.ready = this.#plan()
    this.#received.catch(() => {})
    this.ready.catch(() => {})
  }

  /** An image is wanted of it: what is read for it is read while others arrive. */
  expectImage (): void {
    if (this.#images) return
    this.#images = true
    for (const path of this.#unread.splice(0)) this.#checksums?.add(path)
  }

  /** The ZIP: one for all, unless the last one has failed. */
  zip (): DiscZip {
    const [current] = [...this.#zips].filter(({ zip }) => zip.failure === undefined)
    if (current !== undefined) return current
    const { disc, iso } = this.#config
    const { signal } = this.#ended
    const made = new DiscZip({
      holding: this.#holding,
      received: this.#received,
      // a transform comes before anything of a file leaves; how much a part is of the whole, which the file's name says, is known in the end, and so is
      // whether an earlier study is whole, or left out
      asTheyCome: this.#decoder === undefined && this.#choice === undefined && disc.priors === 0,
      pictures: disc.viewer,
      checksums: iso.checksums,
      folder: join(this.#folder, `zip_${this.#zips.size + 1}`),
      fill: async (root, options) => await fillRoot(this.#context, root, {
        ...options, config: this.#config, viewer: await findViewer(iso.microdicom_path), viewerRoomBytes: Infinity, renderer: this.#renderer, signal
      }),
      signal,
      log: this.#context.log
    })
    this.#zips.add(made)
    return made
  }

  /**
   * The disc, from 1; made once.
   * @throws MkisoError ISO_CREATION_FAILED
   */
  async disc (number: number): Promise<Disc> {
    let disc = this.#discs.get(number)
    if (disc === undefined) {
      disc = this.#make(number)
      this.#discs.set(number, disc)
      // a failure may pass
      disc.catch(() => { this.#discs.delete(number) })
    }
    return await disc
  }

  /** True once every image is here and is what it shall be. */
  get planned (): boolean { return this.#planned }

  /** True when the disc needs no more than to be sent. */
  has (number: number): boolean { return this.#discs.has(number) }

  /** Ends what still works and removes everything. */
  async end (): Promise<void> {
    this.#ended.abort(new MkisoError('INTERNAL', 'nobody waits for this disc any more'))
    this.#beforehand.end()
    await this.ready.catch(() => {})
    await Promise.allSettled([...this.#discs.values(), ...[...this.#zips].map(async ({ ended }) => { await ended })])
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 3, retryDelay: 50 })
  }

  #take (file: HeldFile): void {
    if (this.#leftOut.has(file.object.seriesInstanceUid)) return
    this.#renderer?.add(file)
    this.#beforehand.add(file.object)
    if (this.#checksums === undefined || this.#decoder !== undefined) return
    if (this.#images) this.#checksums.add(file.path)
    else this.#unread.push(file.path)
  }

  async #receive (holding: Holding): Promise<Received> {
    const complete = await holding.complete(this.#ended.signal)
    const { studies: chosen, part } = choosePart(this.#choice, complete.studies)
    const studies = await Promise.all(withNamesFromFiles(chosen).map(async (one): Promise<StudySources> => ({
      ...one,
      files: this.#decoder === undefined ? one.files.map(asItCame) : await this.#decoder.uncompress(one.files, this.#ended.signal)
    })))
    const received = chosenFiles(this.#choice, complete)
    guardAllLaidOut(received, [layOut(studies)])
    this.#planned = true
    return { studies, received, part, missing: complete.missing, priorsLeftOut: complete.priorsLeftOut ?? [] }
  }

  async #plan (): Promise<Ready> {
    const { studies, received, part, missing, priorsLeftOut } = await this.#received
    const viewer = await findViewer(this.#config.iso.microdicom_path)
    const contents = planSet(studies, this.#setOptions(viewer)).map(one => ({ ...one, part }))
    guardAllLaidOut(received, contents)
    return { contents, viewer, missing, priorsLeftOut }
  }

  #setOptions (viewer: Viewer | undefined): SetOptions {
    const { disc } = this.#config
    return { capacityBytes: CAPACITY_BYTES[disc.capacity], viewerBytes: viewer?.sizeBytes ?? 0, webContent: disc.web_content }
  }

  async #make (number: number): Promise<Disc> {
    const { contents: set, viewer, missing, priorsLeftOut } = await this.ready
    const contents = set[number - 1]
    if (contents === undefined) throw new MkisoError('INVALID_REQUEST', `there is no disc ${number}: the set has ${set.length}`)
    const capacityBytes = CAPACITY_BYTES[this.#config.disc.capacity]
    const make = async (renderer: Renderer | undefined, viewerRoomBytes: number | undefined): Promise<Disc> => await makeDisc(this.#context, {
      config: this.#config,
      contents,
      folder: join(this.#folder, `disc_${number}`),
      viewer,
      viewerRoomBytes,
      renderer,
      checksums: this.#checksums,
      missing,
      priorsLeftOut,
      signal: this.#ended.signal
    })
    const made = await make(this.#renderer, roomBytes(contents, this.#setOptions(viewer)))
    if (made.image.sizeBytes <= capacityBytes) return made
    // the estimate of the pictures was too low: the images are what the disc is for
    this.#context.log.warn({ size_bytes: made.image.sizeBytes, capacity_bytes: capacityBytes }, 'the disc is too full for the pictures; it is made without them')
    const bare = await make(undefined, undefined)
    if (bare.image.sizeBytes > capacityBytes) throw new MkisoError('ISO_CREATION_FAILED', 'the disc is larger than its medium (disc.capacity)')
    return bare
  }
}

/**
 * The last guard but one: what is laid out is what was received, or what was chosen of it, each object once.
 * @param received what must be on the discs
 * @throws MkisoError INTERNAL, which is a fault of ours
 */
export function guardAllLaidOut (received: readonly HeldFile[], contents: readonly DiscContents[]): void {
  const wanted = new Set(received.map(({ object }) => identityKey(object)))
  const laidOut = contents.flatMap(filesOf).map(({ object }) => identityKey(object))
  if (laidOut.length === received.length && wanted.size === laidOut.length && laidOut.every(key => wanted.delete(key))) return
  throw new MkisoError('INTERNAL', `${received.length} images were received and ${laidOut.length} laid out`)
}

/** The image that stands for each series, by {@link identityKey}: the middle one. */
function middlesOf (manifest: Manifest): Set<string> {
  return new Set(manifest.studies.flatMap(({ studyInstanceUid, series }) => series.flatMap(({ seriesInstanceUid, instances }) => {
    const middle = inReadingOrder(instances)[Math.floor(instances.length / 2)]
    return middle === undefined ? [] : [identityKey({ studyInstanceUid, seriesInstanceUid, sopInstanceUid: middle.sopInstanceUid })]
  })))
}
