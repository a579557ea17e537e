/**
 * Renders pictures and reports while images still arrive. One process an image (30 to 40 ms each, measured), a few at a time. A picture
 * that cannot be rendered never fails a disc.
 */
import { existsSync, mkdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import pLimit from 'p-limit'
import type { Config } from '../../config/schema.ts'
import { identityKey } from '../../dicom/study.ts'
import type { Limits, Log, Programs } from '../../process.ts'
import type { DiscFile } from '../contents.ts'
import type { DiscSource } from '../layout.ts'
import { decodingLimits, documentLimits, pictureFault, pictureLimits, reportFault, reportLimits } from '../render-limits.ts'
import { renderReport } from './report.ts'

export interface Rendering {
  thumbnail: string | undefined
  pictures: string[]
  report: { path: string, extension: 'HTM' | 'PDF' } | undefined
  framesLeftOut: number
  failed: boolean
}

export interface RendererOptions {
  programs: Programs
  dcmtk: Config['dcmtk']
  tools: Config['tools']
  mode: Config['disc']['web_content']
  /** A folder of its own; its owner removes it. */
  folder: string
  log: Log
  signal: AbortSignal
}

/** An object that may be rendered, and its file: as it came, or decoded. */
export type Source = Pick<DiscSource, 'object' | 'path' | 'transferSyntaxUid'>

const AT_ONCE = 2
const THUMBNAIL_PIXELS = 256
const PICTURE_PIXELS = 1_024
const MOST_FRAMES = 300
const TIMEOUT_MS = 60_000

const NUMBER_OF_FRAMES = 0x00280008
const ROWS = 0x00280010
const COLUMNS = 0x00280011
const PHOTOMETRIC_INTERPRETATION = 0x00280004
const WINDOW_CENTER = 0x00281050

const ENCAPSULATED_PDF = '1.2.840.10008.5.1.4.1.1.104.1'
const STRUCTURED_REPORT = /^1\.2\.840\.10008\.5\.1\.4\.1\.1\.88\.(?!59$|67$|68$)/
const JPEG_2000 = /^1\.2\.840\.10008\.1\.2\.4\.9[0-3]$/
/** So many images of a series are tried for one that has a picture; the middle one may be damaged or a presentation state. */
const THUMBNAIL_TRIES = 3
const NOTHING: Rendering = { thumbnail: undefined, pictures: [], report: undefined, framesLeftOut: 0, failed: false }

export class Renderer {
  readonly #options: RendererOptions
  readonly #limit = pLimit(AT_ONCE)
  readonly #jobs = new Map<string, Promise<Rendering>>()
  readonly #thumbnails: ReadonlySet<string>
  #files = 0

  /** @param thumbnails those that stand for their series, by identityKey, as far as they are known beforehand */
  constructor (options: RendererOptions, thumbnails: ReadonlySet<string>) {
    this.#options = options
    this.#thumbnails = thumbnails
    mkdirSync(options.folder, { recursive: true, mode: 0o700 })
  }

  /** May be called as soon as a file is whole; renders it in the background if the disc wants it. */
  add (source: Source, thumbnail = this.#thumbnails.has(identityKey(source.object))): void {
    const { object } = source
    const key = identityKey(object)
    const { mode, signal, log } = this.#options
    const report = STRUCTURED_REPORT.test(object.sopClassUid) || object.sopClassUid === ENCAPSULATED_PDF
    if (mode === 'none' || this.#jobs.has(key) || !(mode === 'all' || thumbnail || report)) return
    const job = this.#limit(async () => {
      if (signal.aborted) return NOTHING
      try {
        return report ? await this.#report(source) : await this.#pictures(source, thumbnail)
      } catch (error) {
        if (!signal.aborted) log.warn({ sop_instance_uid: object.sopInstanceUid, err: error }, 'a picture could not be rendered')
        return { ...NOTHING, failed: true }
      }
    })
    this.#jobs.set(key, job)
  }

  /** The renderings of a series in the order of its files; a series that nobody stands for gets its middle image. */
  async finish (files: readonly DiscFile[]): Promise<Rendering[]> {
    if (this.#options.mode === 'none') return []
    const source = ({ object, sourcePath, transferSyntaxUid }: DiscFile): Source => ({ object, path: sourcePath, transferSyntaxUid })
    if (this.#options.mode === 'all') for (const file of files) this.add(source(file))
    const middle = files[Math.floor(files.length / 2)]
    if (middle !== undefined && !files.some(({ object }) => this.#thumbnails.has(identityKey(object)) && this.#jobs.has(identityKey(object)))) {
      this.#jobs.delete(identityKey(middle.object))
      this.add(source(middle), true)
    }
    const made = await this.#made(files)
    if (this.#options.mode === 'all' || made.some(({ thumbnail, report }) => thumbnail !== undefined || report !== undefined)) return made
    const others = outwards(files).filter(({ object }) => !this.#jobs.has(identityKey(object))).slice(0, THUMBNAIL_TRIES - 1)
    for (const file of others) {
      this.add(source(file), true)
      if ((await this.#jobs.get(identityKey(file.object)))?.thumbnail !== undefined) break
    }
    return await this.#made(files)
  }

  async #made (files: readonly DiscFile[]): Promise<Rendering[]> {
    return (await Promise.all(files.map(async ({ object }) => await this.#jobs.get(identityKey(object))))).filter(rendering => rendering !== undefined)
  }

  async #pictures (source: Source, thumbnail: boolean): Promise<Rendering> {
    const { mode } = this.#options
    const { attributes } = source.object
    const rows = attributes.number(ROWS) ?? 0
    const columns = attributes.number(COLUMNS) ?? 0
    // a plan, a waveform, a presentation state: nothing to see, and nothing wrong
    if (rows === 0 || columns === 0) return NOTHING
    const fault = pictureFault(source.object)
    if (fault !== undefined) throw new Error(fault)
    const frames = Math.max(1, Math.trunc(attributes.number(NUMBER_OF_FRAMES) ?? 1))
    const grey = (attributes.text(PHOTOMETRIC_INTERPRETATION) ?? '').startsWith('MONOCHROME')
    const hasWindow = (attributes.text(WINDOW_CENTER) ?? '') !== ''
    // DCMTK does not decode JPEG 2000 (measured); gdcmconv does, where it is installed
    const path = JPEG_2000.test(source.transferSyntaxUid) ? await this.#converted(this.#options.tools.gdcmconv, '--raw', source) : source.path
    const render = async (pixels: number, frameOptions: string[], target: string, first = target): Promise<void> => {
      const larger = Math.max(rows, columns)
      const scale = larger > pixels ? [columns >= rows ? '+Sxv' : '+Syv', String(pixels)] : []
      // +Wi 1 fails where the image has no window (measured)
      const windows = !grey ? [[]] : hasWindow ? [['+Wi', '1'], ['+Wm']] : [['+Wm'], []]
      let reason = ''
      for (const window of windows) {
        const result = await this.#options.programs.run(this.#options.dcmtk.dcmj2pnm, ['+oj', '+Jq', '85', ...window, ...scale, ...frameOptions, path, target], this.#run(pictureLimits(source.object)))
        // a picture that is not there must not reach the disc as a link
        if (result.exitCode === 0 && existsSync(first)) return
        reason = result.stderr.trim().split('\n')[0] ?? ''
      }
      throw new Error(reason)
    }
    const base = this.#file()
    const rendering: Rendering = { ...NOTHING, pictures: [] }
    if (thumbnail) {
      await render(THUMBNAIL_PIXELS, ['+F', String(Math.floor(frames / 2) + 1)], `${base}.thumb`)
      rendering.thumbnail = `${base}.thumb`
    }
    if (mode === 'all') {
      const count = Math.min(frames, MOST_FRAMES)
      const made = Array.from({ length: count }, (_, index) => `${base}.${index}.jpg`)
      // with a range dcmj2pnm counts the names up by itself
      if (frames === 1) await render(PICTURE_PIXELS, [], `${base}.0.jpg`)
      else await render(PICTURE_PIXELS, ['+Fr', '1', String(count)], base, `${base}.0.jpg`)
      rendering.pictures = made.filter(path => existsSync(path))
      rendering.framesLeftOut = frames - rendering.pictures.length
    }
    if (path !== source.path) await rm(path, { force: true })
    return rendering
  }

  /** A copy in an encoding that the next program reads. */
  async #converted (program: string, option: string, source: Source): Promise<string> {
    const target = `${this.#file()}.raw`
    const result = await this.#options.programs.run(program, [option, source.path, target], this.#run(decodingLimits(source.object)))
    if (result.exitCode !== 0) throw new Error(`${program}: ${result.stderr.trim()}`)
    return target
  }

  async #report (source: Source): Promise<Rendering> {
    const { dcmtk, programs } = this.#options
    const pdf = source.object.sopClassUid === ENCAPSULATED_PDF
    const fault = pdf ? undefined : reportFault(source.object)
    if (fault !== undefined) throw new Error(fault)
    const target = `${this.#file()}.${pdf ? 'pdf' : 'htm'}`
    if (pdf) {
      const result = await programs.run(dcmtk.dcm2pdf, [source.path, target], this.#run(documentLimits(source.object)))
      if (result.exitCode !== 0 || !existsSync(target)) throw new Error(result.stderr.trim())
    } else await renderReport(programs, dcmtk.dsr2html, source.path, target, this.#run(reportLimits(source.object)))
    return { ...NOTHING, report: { path: target, extension: pdf ? 'PDF' : 'HTM' } }
  }

  /** A name of its own for each job: a UID comes from outside, and one that is rendered again may still be under way. */
  #file (): string {
    return join(this.#options.folder, String(++this.#files))
  }

  #run (limits: Limits): { signal: AbortSignal, timeoutMs: number, limits: Limits } {
    return { signal: this.#options.signal, timeoutMs: TIMEOUT_MS, limits }
  }
}

/** From the middle to both ends. */
function outwards (files: readonly DiscFile[]): DiscFile[] {
  const middle = Math.floor(files.length / 2)
  return files.map((file, index) => ({ file, distance: Math.abs(index - middle) })).sort((a, b) => a.distance - b.distance).map(({ file }) => file)
}
