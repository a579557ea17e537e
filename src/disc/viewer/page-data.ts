/** What the viewer's page is told: written by the service, read in the browser. Nothing here imports anything of Node. */
import type { Curve, Window } from './window.ts'

/** The page's words and what is on the disc. Stands in the page as JSON, where nothing of it can be markup or script. */
export interface PageData {
  /** Language tag for numbers. */
  locale: string
  /** By key, without `viewer_`. */
  words: Record<string, string>
  patients: PatientData[]
}

export interface PatientData {
  name: string
  patientId: string
  birthDate: string
  studies: StudyData[]
}

export interface StudyData {
  date: string
  description: string
  accessionNumber: string
  series: SeriesData[]
}

export interface SeriesData {
  number: string
  modality: string
  description: string
  /** Pages and PDF documents, as paths from the page. */
  reports: string[]
  /** What all images of the series have in common. */
  common: Partial<ImageData>
  images: Array<Partial<ImageData>>
}

export interface ImageData {
  /** Instance Number, or the place in the series. */
  number: number
  /** The DICOM file, as a path from the page. */
  file: string
  columns: number
  rows: number
  frames: number
  /** Milliseconds a frame, where the image says it. */
  frameTimeMs: number | undefined
  pixels: Pixels
  /** High values are dark (MONOCHROME1, or INVERSE). */
  inverse: boolean
  /** Of what the values are: HU, empty for nothing known. */
  unit: string
  date: string
  frameOfReference: string
  patientOrientation: readonly string[]
  lossy: boolean
  /** One for all frames, or one for each. */
  views: FrameView[]
}

export interface FrameView {
  slope: number
  intercept: number
  /** The image's own windows; the first is shown. */
  windows: Window[]
  /** The image's own curve (VOI LUT Sequence), shown where it says no window. */
  curve?: Curve
  /** Row spacing and column spacing, mm. */
  spacing?: readonly [number, number]
  /** The spacing is that at the detector (Imager Pixel Spacing): what is measured is larger than the patient. */
  atDetector?: true
  position?: readonly [number, number, number]
  orientation?: readonly number[]
}

export type Pixels = (PixelsByBitmap & { files: readonly string[] }) | PixelsByScript | PixelsByPicking | NoPixels

/** A picture whose pixel array is the Pixel Data. */
export interface PixelsByBitmap {
  by: 'bitmap'
  /** Of the bitmap; heights one for each file. */
  width: number
  heights: readonly number[]
  /** Rows of the image that are one row of the bitmap. */
  rowsAbreast: number
  /** Frames in a file, one below the other. */
  framesEach: number
  /** What red, green and blue of the bitmap are. */
  colour: 'grey' | 'rgb' | 'bgr' | 'ybr'
  grey?: GreyCode
}

/** How red and green are a stored value: `256 * high + green - bias`, high being the upper `highBits` bits of red, with their first one inverted where shifted. */
export interface GreyCode {
  highBits: number
  shifted: boolean
  bias: number
}

/** Compressed frames in a script file, decoded in the page. */
export interface PixelsByScript {
  by: 'script'
  script: string
  /** Script file with the decoders, where they are needed. */
  codecs?: string
  coded: CodedPixels
}

export interface CodedPixels {
  /** Of the DICOM file, bytes: a file that is picked must be this one. */
  sizeBytes: number
  /** Where the Pixel Data's value begins in it. */
  offset: number
  lengthBytes: number
  encapsulated: boolean
  transferSyntaxUid: string
  photometric: string
  samples: number
  planar: number
  bitsAllocated: number
  bitsStored: number
  highBit: number
  signed: boolean
}

/** Only where the person gives the files to the page. */
export interface PixelsByPicking { by: 'picking', codecs?: string, coded: CodedPixels }

/** No picture: why, as the key of a word. */
export interface NoPixels { by: 'none', reason: 'no-picture' | 'not-readable' }

/** The data as text between script tags: `<` could begin an end tag or a comment. U+2028 and U+2029 are harmless in JSON. */
export function pageJson (data: PageData): string {
  return JSON.stringify(data).replaceAll('<', '\\u003c')
}

/** Moves what all images of a series say alike into one place: 600 images differ in their number, their position and their files. */
export function withCommon (images: readonly ImageData[]): Pick<SeriesData, 'common' | 'images'> {
  const [first] = images
  if (first === undefined) return { common: {}, images: [] }
  const common: Partial<ImageData> = {}
  const shared = new Set<string>()
  for (const [key, value] of Object.entries(first)) {
    const text = JSON.stringify(value)
    const alike = (image: ImageData): boolean => {
      const own: unknown = Reflect.get(image, key)
      return own === value || (typeof own === typeof value && typeof own === 'object' && JSON.stringify(own) === text)
    }
    if (images.length < 2 || !images.every(alike)) continue
    Object.assign(common, { [key]: value })
    shared.add(key)
  }
  return { common, images: images.map(image => Object.fromEntries(Object.entries(image).filter(([key]) => !shared.has(key))) as Partial<ImageData>) }
}
