/**
 * Renders pictures and reports while images still arrive. One process an image (30 to 40 ms each, measured), a few at a time. A picture
 * that cannot be rendered never fails a disc.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import pLimit from 'p-limit'
import type { DicomObject } from '../../dicom/part10.ts'
import { identityKey } from '../../dicom/study.ts'
import type { Log } from '../../process.ts'
import type { DiscFile } from '../contents.ts'
import { decodingLimits, pictureFault, pictureLimits } from '../render-limits.ts'
import { describeFile, type DescribedFile } from '../viewer/image-description.ts'
import { needsRange, viewsOf, windowOfSeries, type Described } from '../viewer/views.ts'
import type { Window } from '../viewer/window.ts'
import { isDocument, renderDocument, type RenderedDocument } from './document.ts'
import { drawFrame, drawFrames, withReadable, type PictureContext, type PictureSource } from './picture.ts'

/** What is rendered of a series. */
export interface SeriesRendering {
  thumbnail: string | undefined
  pictures: string[]
  documents: RenderedDocument[]
  /** Frames of multi-frame images beyond what is shown. */
  framesLeftOut: number
  /** Something should be there, but could not be rendered. */
  failed: boolean
}

export interface RendererOptions extends Omit<PictureContext, 'run'> {
  /** Of images. Documents are always rendered. */
  pictures: 'none' | 'thumbnails' | 'all'
  /** A folder of its own; its owner removes it. */
  folder: string
  /** False while a picture would take room that stays free for others. */
  hasRoom: () => Promise<boolean>
  log: Log
  signal: AbortSignal
}

interface Pictures { paths: string[], framesLeftOut: number }

const AT_ONCE = 2
const THUMBNAIL_PIXELS = 256
const PICTURE_PIXELS = 1_024
const MOST_FRAMES = 300
const TIMEOUT_MS = 60_000

const ROWS = 0x00280010
const COLUMNS = 0x00280011

/** What is made of an object by one of its ways: 'late' until its series is known, 'failed' where it cannot be made. */
type Made<T> = T | 'late' | 'failed'

export class Renderer {
  readonly #options: RendererOptions
  readonly #limit = pLimit(AT_ONCE)
  readonly #early: ReadonlySet<string>
  readonly #thumbnails = new Map<string, Promise<Made<string>>>()
  readonly #pictures = new Map<string, Promise<Made<Pictures>>>()
  readonly #documents = new Map<string, Promise<Made<RenderedDocument>>>()
  #files = 0

  /** @param middles those that stand for their series, by identityKey, as far as they are known beforehand */
  constructor (options: RendererOptions, middles: ReadonlySet<string>) {
    this.#options = options
    this.#early = middles
    mkdirSync(options.folder, { recursive: true, mode: 0o700 })
  }

  /** May be called as soon as a file is whole; renders it in the background if the disc wants it. */
  add ({ object, path }: { object: DicomObject, path: string }): void {
    const file = { object, sourcePath: path, sizeBytes: object.sizeBytes, transferSyntaxUid: object.transferSyntaxUid }
    const { pictures } = this.#options
    if (isDocument(object)) void this.#document(file)
    else if (pictures !== 'none' && isImage(file)) {
      if (this.#early.has(identityKey(object))) void this.#thumbnail(file, undefined)
      if (pictures === 'all') void this.#all(file, undefined)
    }
  }

  /** The middle image stands for the series; where it cannot be shown, none stands for it. */
  async finish (files: readonly DiscFile[]): Promise<SeriesRendering> {
    const { pictures: wanted } = this.#options
    const documents = await Promise.all(files.filter(({ object }) => isDocument(object)).map(async file => await this.#document(file)))
    const images = wanted === 'none' ? [] : files.filter(file => !isDocument(file.object) && isImage(file))
    const middle = images[Math.floor(images.length / 2)]
    const late = (map: Map<string, Promise<Made<unknown>>>) => async ({ object }: DiscFile): Promise<boolean> => {
      const key = identityKey(object)
      if (await map.get(key) === 'late') map.delete(key)
      return !map.has(key)
    }
    const unmade = await Promise.all([...middle === undefined ? [] : [late(this.#thumbnails)(middle)], ...wanted === 'all' ? images.map(late(this.#pictures)) : []])
    const window = unmade.includes(true) ? windowOfSeries(await Promise.all(images.map(async file => await described(file)))) : undefined
    const thumbnail = middle === undefined ? undefined : await this.#thumbnail(middle, { window })
    const pictures = wanted === 'all' ? await Promise.all(images.map(async file => await this.#all(file, { window }))) : []
    const shown = pictures.filter(one => typeof one !== 'string')
    return {
      thumbnail: thumbnail === 'failed' || thumbnail === 'late' ? undefined : thumbnail,
      pictures: shown.flatMap(({ paths }) => paths),
      documents: documents.filter(one => typeof one !== 'string'),
      framesLeftOut: shown.reduce((sum, { framesLeftOut }) => sum + framesLeftOut, 0),
      failed: [thumbnail, ...pictures, ...documents].includes('failed')
    }
  }

  /** @param series of the file, once it is known; its window stands for images that say none */
  async #thumbnail (file: DescribedFile, series: { window: Window | undefined } | undefined): Promise<Made<string>> {
    return await this.#once(this.#thumbnails, file, async () => await this.#drawn(file, series, async (context, source) => {
      const target = `${this.#file()}.thumb`
      await drawFrame(context, source, Math.floor(source.description.numberOfFrames / 2), THUMBNAIL_PIXELS, target)
      return target
    }))
  }

  async #all (file: DescribedFile, series: { window: Window | undefined } | undefined): Promise<Made<Pictures>> {
    return await this.#once(this.#pictures, file, async () => await this.#drawn(file, series, async (context, source) => {
      const { numberOfFrames } = source.description
      const paths = await drawFrames(context, source, Math.min(numberOfFrames, MOST_FRAMES), PICTURE_PIXELS, this.#file())
      return { paths, framesLeftOut: numberOfFrames - paths.length }
    }))
  }

  async #document ({ object, sourcePath }: DescribedFile): Promise<Made<RenderedDocument>> {
    const { programs, dcmtk } = this.#options
    return await this.#once(this.#documents, { object }, async () => await renderDocument(programs, dcmtk, object, sourcePath, this.#file(), this.#run))
  }

  async #drawn<T> (
    file: DescribedFile, series: { window: Window | undefined } | undefined, draw: (context: PictureContext, source: PictureSource) => Promise<T>
  ): Promise<Made<T>> {
    const fault = pictureFault(file.object)
    if (fault !== undefined) throw new Error(fault)
    const drawing = { ...this.#options, run: { ...this.#run, limits: pictureLimits(file.object) } }
    const decoding = { ...this.#options, run: { ...this.#run, limits: decodingLimits(file.object) } }
    const description = await describeFile(file)
    if (series === undefined && needsRange(description)) return 'late'
    const views = viewsOf(description, series?.window)
    return await withReadable(decoding, file.sourcePath, file.transferSyntaxUid, `${this.#file()}.raw`, async path => await draw(drawing, { path, description, views }))
  }

  async #once<T> (map: Map<string, Promise<Made<T>>>, { object }: Pick<DescribedFile, 'object'>, work: () => Promise<Made<T>>): Promise<Made<T>> {
    const key = identityKey(object)
    const { signal, log, hasRoom } = this.#options
    let made = map.get(key)
    if (made === undefined) {
      made = this.#limit(async () => {
        if (signal.aborted) return 'failed'
        try {
          if (!await hasRoom()) throw new Error('there is no room for it beside iso.disk_reserve')
          return await work()
        } catch (error) {
          if (!signal.aborted) log.warn({ sop_instance_uid: object.sopInstanceUid, err: error }, 'a picture could not be rendered')
          return 'failed'
        }
      })
      map.set(key, made)
    }
    return await made
  }

  /** A name of its own for each job: a UID comes from outside, and one that is rendered again may still be under way. */
  #file (): string {
    return join(this.#options.folder, String(++this.#files))
  }

  /** False where there are documents only, which need no page of their own. */
  get drawsImages (): boolean { return this.#options.pictures !== 'none' }

  get #run (): { signal: AbortSignal, timeoutMs: number } {
    return { signal: this.#options.signal, timeoutMs: TIMEOUT_MS }
  }
}

/** A plan, a waveform, a presentation state: nothing to see, and nothing wrong. */
function isImage ({ object: { attributes } }: Pick<DescribedFile, 'object'>): boolean {
  return (attributes.number(ROWS) ?? 0) > 0 && (attributes.number(COLUMNS) ?? 0) > 0
}

async function described (file: DiscFile): Promise<Described> {
  // one that cannot be read has no say in the window of its series
  return { sourcePath: file.sourcePath, description: await describeFile(file).catch(() => undefined) }
}
