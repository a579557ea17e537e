/** What must be known of an image to show it, from what was read of its file when it came. */
import type { Attribute, Attributes } from '../../dicom/attributes.ts'
import { decodeText } from '../../dicom/character-set.ts'
import type { PixelDataPlace } from '../../dicom/data-set-reader.ts'
import { withoutPadding } from '../../dicom/padding.ts'
import { readObject, type DicomObject } from '../../dicom/part10.ts'
import {
  ALL_PICTURE_TAGS, NUMBER_OF_FRAMES, PER_FRAME_FUNCTIONAL_GROUPS, PHOTOMETRIC_INTERPRETATION, SHARED_FUNCTIONAL_GROUPS
} from '../../dicom/picture-tags.ts'
import type { Lut } from './window.ts'

export interface ImageDescription {
  sizeBytes: number
  transferSyntaxUid: string
  sopClassUid: string
  rows: number
  columns: number
  samplesPerPixel: number
  photometricInterpretation: string
  /** 1: planes (PS3.3 C.7.6.3.1.3). */
  planarConfiguration: number
  bitsAllocated: number
  bitsStored: number
  highBit: number
  signed: boolean
  numberOfFrames: number
  /** Frame Time (0018,1063), Cine Rate or Recommended Display Frame Rate, milliseconds a frame. */
  frameTimeMs: number | undefined
  /** Value of Pixel Data (7FE0,0010) in the file; undefined where there is none, or where the data set is deflated. */
  pixelData: PixelDataPlace | undefined
  pixelPadding: { first: number, last: number } | undefined
  /** PALETTE COLOR: red, green and blue. */
  palette: readonly [Lut, Lut, Lut] | undefined
  /** Modality LUT Sequence (0028,3000). */
  modalityLut: Lut | undefined
  /** Presentation LUT Shape (2050,0020) is INVERSE. */
  inverse: boolean
  /** Smallest and Largest Image Pixel Value, where both are there. */
  valueRange: { min: number, max: number } | undefined
  instanceNumber: number | undefined
  acquisitionDate: string
  frameOfReferenceUid: string
  /** Patient Orientation (0020,0020): of the rows, of the columns. */
  patientOrientation: readonly string[]
  lossy: boolean
  rescaleType: string
  /** One where all frames are alike, else one for each frame. */
  frames: readonly FrameDescription[]
}

/** What may differ from frame to frame (PS3.3 C.7.6.16). */
export interface FrameDescription {
  slope: number
  intercept: number
  centres: readonly number[]
  widths: readonly number[]
  windowNames: readonly string[]
  voiFunction: string
  voiLut: Lut | undefined
  /** Row spacing, column spacing, mm (0028,0030). */
  pixelSpacing: readonly [number, number] | undefined
  /** At the detector, so not those of the patient (0018,1164). */
  imagerPixelSpacing: readonly [number, number] | undefined
  position: readonly [number, number, number] | undefined
  orientation: readonly number[] | undefined
}

export const IMPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2'
export const EXPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2.1'
export const EXPLICIT_BIG_ENDIAN = '1.2.840.10008.1.2.2'
export const DEFLATED = '1.2.840.10008.1.2.1.99'

const PIXEL_VALUE_TRANSFORMATION = 0x00289145
const FRAME_VOI_LUT = 0x00289132
const PIXEL_MEASURES = 0x00289110
const PLANE_POSITION = 0x00209113
const PLANE_ORIENTATION = 0x00209116
const MODALITY_LUT = 0x00283000
const VOI_LUT = 0x00283010

/** A file as it is on the disc. */
export interface DescribedFile {
  /** What the image says of itself, as it came. */
  object: DicomObject
  sourcePath: string
  sizeBytes: number
  transferSyntaxUid: string
}

/**
 * Reads again only what is another file than the one that came (a decoded copy), and what says more than is kept of every image: several
 * frames, palettes.
 * @throws CutOffError, NotDicomError when the file has changed
 */
export async function describeFile ({ object, sourcePath, sizeBytes, transferSyntaxUid }: DescribedFile): Promise<ImageDescription> {
  const asItCame = transferSyntaxUid === object.transferSyntaxUid && sizeBytes === object.sizeBytes
  if (!asItCame || saysMore(object)) return describe(await readObject(sourcePath, ALL_PICTURE_TAGS))
  return describeBeforehand(object) ?? describe(object)
}

/** What an object says of itself does not change: it is described while others arrive, and that is found when the disc is made. */
const described = new WeakMap<DicomObject, ImageDescription>()

/**
 * From what is kept of every image; once.
 * @returns undefined where the file must be read for it, and where it has tables, of which one image may have several of 65,536 numbers
 */
export function describeBeforehand (object: DicomObject): ImageDescription | undefined {
  const here = described.get(object)
  if (here !== undefined) return here
  if (saysMore(object) || [MODALITY_LUT, VOI_LUT].some(tag => object.attributes.has(tag))) return undefined
  const description = describe(object)
  described.set(object, description)
  return description
}

function saysMore ({ attributes }: DicomObject): boolean {
  return attributes.has(NUMBER_OF_FRAMES) || attributes.text(PHOTOMETRIC_INTERPRETATION) === 'PALETTE COLOR'
}

/** The values of an item as what they are. */
class Values {
  readonly #byTag: ReadonlyMap<number, Attribute>
  readonly #attributes: Attributes

  constructor (attributes: Attributes) {
    this.#attributes = attributes
    this.#byTag = new Map([...attributes].map(attribute => [attribute.tag, attribute]))
  }

  /** Little endian. */
  bytes (tag: number): Buffer | undefined {
    return this.#byTag.get(tag)?.value
  }

  items (tag: number): Values[] {
    return this.#byTag.has(tag) ? this.#attributes.items(tag).map(item => new Values(item)) : []
  }

  text (tag: number): string {
    const bytes = this.bytes(tag)
    return bytes === undefined ? '' : withoutPadding(decodeText(bytes, this.#attributes.characterSet)).trim()
  }

  texts (tag: number): string[] {
    const text = this.text(tag)
    return text === '' ? [] : text.split('\\').map(one => one.trim())
  }

  /** Of a DS or IS; what is no number is NaN. */
  decimals (tag: number): number[] {
    return this.texts(tag).map(one => /^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$/.test(one) ? Number(one) : Number.NaN)
  }

  decimal (tag: number): number | undefined {
    const [value] = this.decimals(tag)
    return value === undefined || Number.isNaN(value) ? undefined : value
  }

  shorts (tag: number, signed = false): number[] {
    const bytes = this.bytes(tag)
    if (bytes === undefined) return []
    return Array.from({ length: Math.floor(bytes.length / 2) }, (_, index) => signed ? bytes.readInt16LE(2 * index) : bytes.readUInt16LE(2 * index))
  }

  short (tag: number): number | undefined {
    return this.shorts(tag)[0]
  }
}

/** @param object read with the tags that its frames need, see {@link describeFile} */
export function describe (object: DicomObject): ImageDescription {
  const { sizeBytes, transferSyntaxUid, sopClassUid, pixelData } = object
  const values = new Values(object.attributes)
  const signed = values.short(0x00280103) === 1
  const bitsAllocated = values.short(0x00280100) ?? 0
  const bitsStored = values.short(0x00280101) ?? bitsAllocated
  const rate = values.decimal(0x00180040) ?? values.decimal(0x00082144)
  const frameTime = values.decimal(0x00181063) ?? values.decimals(0x00181065)[1]
  const padding = values.shorts(0x00280120, signed)[0]
  const limit = values.shorts(0x00280121, signed)[0]
  const [min, max] = [values.shorts(0x00280106, signed)[0], values.shorts(0x00280107, signed)[0]]
  const [shared] = values.items(SHARED_FUNCTIONAL_GROUPS)
  const perFrame = values.items(PER_FRAME_FUNCTIONAL_GROUPS)
  const numberOfFrames = Math.max(1, Math.trunc(values.decimal(0x00280008) ?? 1))
  const frames = perFrame.length > 1 && perFrame.length === numberOfFrames
    ? perFrame.map(frame => frameOf([frame, shared, values], signed))
    : [frameOf([perFrame[0], shared, values], signed)]
  const palette = [0x00281101, 0x00281102, 0x00281103].map((descriptor, index) => paletteOf(values, descriptor, 0x00281201 + index, signed))
  const [red, green, blue] = palette
  return {
    sizeBytes,
    transferSyntaxUid,
    sopClassUid,
    pixelData,
    rows: values.short(0x00280010) ?? 0,
    columns: values.short(0x00280011) ?? 0,
    samplesPerPixel: values.short(0x00280002) ?? 1,
    photometricInterpretation: values.text(0x00280004),
    planarConfiguration: values.short(0x00280006) ?? 0,
    bitsAllocated,
    bitsStored,
    highBit: values.short(0x00280102) ?? bitsStored - 1,
    signed,
    numberOfFrames,
    frameTimeMs: frameTime !== undefined && frameTime > 0 ? frameTime : rate !== undefined && rate > 0 ? 1_000 / rate : undefined,
    pixelPadding: padding === undefined ? undefined : { first: Math.min(padding, limit ?? padding), last: Math.max(padding, limit ?? padding) },
    palette: red === undefined || green === undefined || blue === undefined ? undefined : [red, green, blue],
    modalityLut: lutOf(values.items(MODALITY_LUT)[0], signed) ?? lutOf(frameItem([perFrame[0], shared], PIXEL_VALUE_TRANSFORMATION)?.items(MODALITY_LUT)[0], signed),
    inverse: values.text(0x20500020) === 'INVERSE',
    valueRange: min !== undefined && max !== undefined && max > min ? { min, max } : undefined,
    instanceNumber: values.decimal(0x00200013),
    acquisitionDate: values.text(0x00080022) || values.text(0x00080023),
    frameOfReferenceUid: values.text(0x00200052),
    patientOrientation: values.texts(0x00200020),
    lossy: values.text(0x00282110) === '01',
    rescaleType: values.text(0x00281054),
    frames: frames.length > 1 && frames.every(frame => JSON.stringify(frame) === JSON.stringify(frames[0])) ? frames.slice(0, 1) : frames
  }
}

function frameItem (groups: ReadonlyArray<Values | undefined>, sequence: number): Values | undefined {
  return groups.map(group => group?.items(sequence)[0]).find(item => item !== undefined)
}

/** @param levels of one frame, shared by all frames, top level: what comes first counts */
function frameOf ([frame, shared, top]: readonly [Values | undefined, Values | undefined, Values], signed: boolean): FrameDescription {
  const groups = [frame, shared]
  const transformation = frameItem(groups, PIXEL_VALUE_TRANSFORMATION) ?? top
  const voi = frameItem(groups, FRAME_VOI_LUT) ?? top
  const slope = transformation.decimal(0x00281053)
  const pair = (from: Values | undefined, tag: number): readonly [number, number] | undefined => {
    const [a, b] = from?.decimals(tag) ?? []
    return a !== undefined && b !== undefined && a > 0 && b > 0 ? [a, b] : undefined
  }
  const position = (frameItem(groups, PLANE_POSITION) ?? top).decimals(0x00200032)
  const orientation = (frameItem(groups, PLANE_ORIENTATION) ?? top).decimals(0x00200037)
  const [x, y, z] = position
  return {
    // a slope of 0 would make every value the same
    slope: slope === undefined || slope === 0 ? 1 : slope,
    intercept: transformation.decimal(0x00281052) ?? 0,
    centres: voi.decimals(0x00281050),
    widths: voi.decimals(0x00281051),
    windowNames: voi.texts(0x00281055),
    voiFunction: voi.text(0x00281056),
    voiLut: lutOf(voi.items(VOI_LUT)[0], signed),
    pixelSpacing: pair(frameItem(groups, PIXEL_MEASURES), 0x00280030) ?? pair(top, 0x00280030),
    imagerPixelSpacing: pair(top, 0x00181164),
    position: x !== undefined && y !== undefined && z !== undefined && position.every(Number.isFinite) ? [x, y, z] : undefined,
    orientation: orientation.length === 6 && orientation.every(Number.isFinite) ? orientation : undefined
  }
}

function lutOf (item: Values | undefined, signed: boolean): Lut | undefined {
  if (item === undefined) return undefined
  const descriptor = item.shorts(0x00283002)
  const data = item.bytes(0x00283006)
  const [count = 0, , bits = 0] = descriptor
  const first = item.shorts(0x00283002, signed)[1] ?? 0
  return tableOf(count, first, bits, data, item.shorts(0x00283006))
}

function paletteOf (values: Values, descriptor: number, data: number, signed: boolean): Lut | undefined {
  const [count = 0, , bits = 0] = values.shorts(descriptor)
  return tableOf(count, values.shorts(descriptor, signed)[1] ?? 0, bits, values.bytes(data), values.shorts(data))
}

/** 0 entries stands for 65,536 (PS3.3 C.11.1.1.1). Tables of 8 bits are found with a byte or with two an entry. */
function tableOf (count: number, first: number, bits: number, bytes: Buffer | undefined, shorts: readonly number[]): Lut | undefined {
  const entries = count === 0 ? 65_536 : count
  if (bytes === undefined || bits < 8 || bits > 16) return undefined
  if (bits === 8 && bytes.length < 2 * entries) return bytes.length < entries ? undefined : { first, entries: [...bytes.subarray(0, entries)], bits }
  return shorts.length < entries ? undefined : { first, entries: shorts.slice(0, entries), bits }
}
