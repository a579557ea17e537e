/**
 * What a disc needs for the viewer: the page's data, the names under which browsers find the images' pixels, and script files for what only a
 * decoder can show. Reads headers (and the pixels of a few images that say no window); writes nothing.
 */
import { statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { Span } from '../image/placement.ts'
import type { Language } from '../../language/language.ts'
import { bitmapFile, picturePreamble, planBitmaps } from './bmp.ts'
import type { ImageDescription } from './image-description.ts'
import { withCommon, type CodedPixels, type ImageData, type PageData, type Pixels } from './page-data.ts'
import { CODECS_PATH } from './assets.ts'
import { scriptBytes, scriptFile } from './pixel-script.ts'
import { viewsOf, windowOfSeries } from './views.ts'
import type { Window } from './window.ts'

/** Where the pictures lie on the disc; upper case, since Linux tells the difference. */
export const PIXELS_FOLDER = 'IHE_PDI/PIXELS'

export interface ViewerFile {
  /** On the disc, from its root. */
  fileId: string
  /** On this machine. */
  sourcePath: string
  /** undefined for what could not be described: it is listed, and shown as what cannot be shown. */
  description: ImageDescription | undefined
  /** Nobody else has used its preamble: a picture's header may stand there. */
  preambleFree?: boolean
}

export interface ViewerSeries {
  number: string
  modality: string
  description: string
  /** Pages and PDF documents on the disc, from its root. */
  reports: readonly string[]
  files: readonly ViewerFile[]
}

export interface ViewerStudy {
  /** For people, in the language of the disc. */
  date: string
  description: string
  accessionNumber: string
  series: readonly ViewerSeries[]
}

export interface ViewerPatient {
  name: string
  patientId: string
  /** For people, in the language of the disc. */
  birthDate: string
  studies: readonly ViewerStudy[]
}

export interface ViewerOptions {
  language: Language
  /** Most bytes of script files on a disc (disc.viewer_max_bytes); what would not fit is shown once the person picks the folder. */
  maxScriptBytes: number
  /**
   * Where pictures' headers are: `before` the files, on an image of ours; in the `preamble` of the files, as far as it is free and has room, and beside
   * them in copies of the pixels; `none` where the files are as they came.
   */
  headers: 'before' | 'preamble' | 'none'
}

export interface ViewerPlan {
  data: PageData
  /** For the author of the image. */
  spans: Span[]
  /** Names that must be in the root of the disc before it is authored: a link at `path` to the file at `fileId`. */
  links: Array<{ path: string, fileId: string }>
  /** Files to write below the root, one after the other: at most one is in memory. */
  scripts: Array<{ path: string, bytes: () => Promise<Buffer> }>
  /** What all this adds to the disc, bytes, at most. */
  addedBytes: number
}

const SECTOR_BYTES = 2_048
/** A name in a directory: ISO 9660 with Rock Ridge, and Joliet. */
const DIRECTORY_RECORD_BYTES = 320
/** Beside the pictures; no name that Windows would run. */
const CODECS_FILE = `${PIXELS_FOLDER}/CODECS.TXT`

export function planViewer (patients: readonly ViewerPatient[], { language, maxScriptBytes, headers }: ViewerOptions): ViewerPlan {
  const plan: ViewerPlan = { data: { locale: language.locale, words: viewerWords(language), patients: [] }, spans: [], links: [], scripts: [], addedBytes: 0 }
  let scriptTotal = 0
  let hasCodecs = false
  let seriesNumber = 0
  const pixelsOf = (folder: string, index: number, { fileId, sourcePath, description, preambleFree = true }: ViewerFile): Pixels => {
    if (description === undefined) return { by: 'none', reason: 'not-readable' }
    const bitmap = planBitmaps(description, headers === 'preamble' ? 'copy' : 'before')
    if (!('reason' in bitmap)) {
      if (headers === 'none') return { by: 'picking', coded: codedOf(description) }
      // the file is the picture
      if (headers === 'preamble' && preambleFree && picturePreamble(description) !== undefined) return { ...bitmap.pixels, files: [fileId] }
      const files = bitmap.bitmaps.map((_, part) => `${folder}/${component('IM', index + 1)}${bitmap.bitmaps.length > 1 ? `/${component('P', part + 1)}` : ''}.BMP`)
      if (headers === 'preamble') {
        const bytes = bitmap.bitmaps.reduce((sum, { header, pixelsOffset, reachBytes }) => sum + header.length + reachBytes - pixelsOffset, 0)
        if (scriptTotal + bytes > maxScriptBytes) return { by: 'picking', coded: codedOf(description) }
        scriptTotal += bytes
        plan.addedBytes += bytes + files.length * (SECTOR_BYTES + DIRECTORY_RECORD_BYTES)
        for (const [part, one] of bitmap.bitmaps.entries()) plan.scripts.push({ path: files[part] ?? '', bytes: async () => await bitmapFile(sourcePath, one) })
        return { ...bitmap.pixels, files }
      }
      for (const [part, { header, reachBytes }] of bitmap.bitmaps.entries()) {
        const path = files[part] ?? ''
        plan.spans.push({ path, over: fileId, header, reachBytes })
        plan.links.push({ path, fileId })
        plan.addedBytes += SECTOR_BYTES + DIRECTORY_RECORD_BYTES
      }
      return { ...bitmap.pixels, files }
    }
    // an image whose pixels are deflated, or not where they should be, is an image all the same
    if (bitmap.reason === 'nothing') return { by: 'none', reason: description.rows === 0 || description.columns === 0 ? 'no-picture' : 'not-readable' }
    const bytes = scriptBytes(description)
    if (bytes === undefined) return { by: 'none', reason: 'not-readable' }
    const codecs = description.pixelData?.encapsulated === true ? { codecs: CODECS_FILE } : {}
    if (codecs.codecs !== undefined && !hasCodecs) {
      hasCodecs = true
      const codecsBytes = statSync(CODECS_PATH).size
      plan.scripts.push({ path: CODECS_FILE, bytes: async () => await readFile(CODECS_PATH) })
      plan.addedBytes += codecsBytes
    }
    if (scriptTotal + bytes > maxScriptBytes) return { by: 'picking', ...codecs, coded: codedOf(description) }
    scriptTotal += bytes
    const script = `${folder}/${component('IM', index + 1)}.TXT`
    plan.scripts.push({ path: script, bytes: async () => await scriptFile(sourcePath, description, script) })
    plan.addedBytes += bytes + SECTOR_BYTES + DIRECTORY_RECORD_BYTES
    return { by: 'script', script, ...codecs, coded: codedOf(description) }
  }
  for (const { studies, ...patient } of patients) {
    plan.data.patients.push({
      ...patient,
      studies: studies.map(({ series, ...study }) => ({
        ...study,
        series: series.map(({ files, reports, ...one }) => {
          const folder = `${PIXELS_FOLDER}/${component('SE', ++seriesNumber)}`
          const common = windowOfSeries(files)
          return { ...one, reports: [...reports], ...withCommon(files.map((file, index) => imageOf(file, index, pixelsOf(folder, index, file), common))) }
        })
      }))
    })
  }
  return plan
}

function imageOf ({ fileId, description }: ViewerFile, index: number, pixels: Pixels, fallback: Window | undefined): ImageData {
  return {
    number: description?.instanceNumber ?? index + 1,
    file: fileId,
    columns: description?.columns ?? 0,
    rows: description?.rows ?? 0,
    frames: description?.numberOfFrames ?? 1,
    frameTimeMs: description?.frameTimeMs,
    pixels,
    inverse: description !== undefined && (description.photometricInterpretation === 'MONOCHROME1') !== description.inverse,
    unit: description?.rescaleType ?? '',
    date: description?.acquisitionDate ?? '',
    frameOfReference: description?.frameOfReferenceUid ?? '',
    patientOrientation: description?.patientOrientation ?? [],
    lossy: description?.lossy ?? false,
    views: description === undefined ? [] : viewsOf(description, fallback)
  }
}

export function codedOf (image: ImageDescription): CodedPixels {
  return {
    sizeBytes: image.sizeBytes,
    offset: image.pixelData?.offset ?? 0,
    lengthBytes: image.pixelData?.lengthBytes ?? 0,
    encapsulated: image.pixelData?.encapsulated ?? false,
    transferSyntaxUid: image.transferSyntaxUid,
    photometric: image.photometricInterpretation,
    samples: image.samplesPerPixel,
    planar: image.planarConfiguration,
    bitsAllocated: image.bitsAllocated,
    bitsStored: image.bitsStored,
    highBit: image.highBit,
    signed: image.signed
  }
}

/** The words of the page are those of the language files that begin with `viewer_`; a site's own file goes over them. */
function viewerWords (language: Language): Record<string, string> {
  return Object.fromEntries(WORDS.map(key => [key, language.say(`viewer_${key}`)]))
}

/** Keys of the page's words in the language files, without `viewer_`. */
export const WORDS = [
  'title', 'not_for_diagnosis', 'series_list', 'images', 'image', 'frame', 'reports', 'open_report', 'tool_window', 'tool_pan',
  'tool_zoom', 'tool_measure', 'preset', 'preset_image', 'preset_lut', 'preset_soft', 'preset_lung', 'preset_bone', 'preset_brain',
  'preset_mediastinum', 'preset_liver', 'invert', 'rotate', 'reset', 'play', 'two', 'together', 'slider', 'window', 'zoom', 'lossy',
  'loading', 'no_picture', 'not_readable', 'wrong_size', 'not_loaded', 'picking', 'pick', 'picked', 'at_detector', 'pixels', 'mm',
  'keys', 'keys_text', 'view', 'patient_id', 'close'
] as const

function component (prefix: string, n: number): string {
  return prefix + String(n).padStart(6, '0')
}
