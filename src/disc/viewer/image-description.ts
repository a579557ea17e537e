/**
 * What must be known of an image to show it, and a reader of it. The reader is behind {@link ImageDescription}: whoever parses the file for
 * another reason can fill it in from there.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
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
  pixelData: { offset: number, lengthBytes: number, encapsulated: boolean } | undefined
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

/** The file cannot be described; it is shown as such, never as a picture. */
export class NotDescribedError extends Error {
  constructor (reason: string) {
    super(reason)
    this.name = 'NotDescribedError'
  }
}

export const IMPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2'
export const EXPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2.1'
export const EXPLICIT_BIG_ENDIAN = '1.2.840.10008.1.2.2'
export const DEFLATED = '1.2.840.10008.1.2.1.99'

const UNDEFINED_LENGTH = 0xFFFFFFFF
const PIXEL_DATA = 0x7FE00010
const LONG_VRS = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'SQ', 'SV', 'UC', 'UN', 'UR', 'UT', 'UV'])
const ITEM = 0xFFFEE000
const ITEM_END = 0xFFFEE00D
const SEQUENCE_END = 0xFFFEE0DD

const SHARED_GROUPS = 0x52009229
const FRAME_GROUPS = 0x52009230
const PIXEL_VALUE_TRANSFORMATION = 0x00289145
const FRAME_VOI_LUT = 0x00289132
const PIXEL_MEASURES = 0x00289110
const PLANE_POSITION = 0x00209113
const PLANE_ORIENTATION = 0x00209116
const MODALITY_LUT = 0x00283000
const VOI_LUT = 0x00283010
/** Other sequences are walked over. */
const SEQUENCES: ReadonlySet<number> = new Set([
  SHARED_GROUPS, FRAME_GROUPS, PIXEL_VALUE_TRANSFORMATION, FRAME_VOI_LUT, PIXEL_MEASURES, PLANE_POSITION, PLANE_ORIENTATION, MODALITY_LUT, VOI_LUT
])
const WINDOW_BYTES = 8 * 1_024
/** A palette has three tables of 65,536 entries at most. */
const LARGEST_VALUE_BYTES = 128 * 1_024 + 2
const DEEPEST = 16

type Item = Map<number, Buffer | Item[]>
interface Encoding { explicit: boolean, littleEndian: boolean }

/**
 * @throws NotDescribedError when it is not a DICOM file that can be walked
 */
export function describeImage (path: string): ImageDescription {
  const fd = openSync(path, 'r')
  try {
    return new Reader(fd).describe()
  } finally {
    closeSync(fd)
  }
}

class Reader {
  readonly #fd: number
  readonly #size: number
  #window = Buffer.alloc(0)
  #windowStart = 0
  #position = 0
  #pixelData: ImageDescription['pixelData']

  constructor (fd: number) {
    this.#fd = fd
    this.#size = fstatSync(fd).size
  }

  describe (): ImageDescription {
    if (this.#size < 132 || this.#bytes(132).toString('latin1', 128) !== 'DICM') throw new NotDescribedError('no DICM prefix')
    const meta = new Values(new Map(), true)
    while (this.#position + 8 <= this.#size && this.#peek(2).readUInt16LE() === 0x0002) this.#element({ explicit: true, littleEndian: true }, meta.item, 0)
    const transferSyntaxUid = meta.text(0x00020010)
    const encoding = { explicit: transferSyntaxUid !== IMPLICIT_LITTLE_ENDIAN, littleEndian: transferSyntaxUid !== EXPLICIT_BIG_ENDIAN }
    const values = new Values(new Map(), encoding.littleEndian)
    if (transferSyntaxUid !== DEFLATED) while (this.#position + 8 <= this.#size && this.#pixelData === undefined) this.#element(encoding, values.item, 0)
    return descriptionOf(values, { sizeBytes: this.#size, transferSyntaxUid, sopClassUid: values.text(0x00080016) || meta.text(0x00020002), pixelData: this.#pixelData })
  }

  /** Reads one element; one that nobody wants is walked over. */
  #element (encoding: Encoding, into: Item, depth: number): void {
    const { tag, vr, length } = this.#header(encoding)
    if (tag === PIXEL_DATA && depth === 0) {
      const encapsulated = length === UNDEFINED_LENGTH
      this.#pixelData = { offset: this.#position, lengthBytes: encapsulated ? this.#size - this.#position : Math.min(length, this.#size - this.#position), encapsulated }
    } else if (SEQUENCES.has(tag) && (vr === 'SQ' || vr === 'UN' || vr === '')) {
      into.set(tag, this.#items(vr === 'UN' ? { explicit: false, littleEndian: true } : encoding, length, depth))
    } else if (length === UNDEFINED_LENGTH) this.#items(vr === 'UN' ? { explicit: false, littleEndian: true } : encoding, length, depth)
    else if (length <= LARGEST_VALUE_BYTES && wanted(tag)) into.set(tag, Buffer.from(this.#bytes(length)))
    else this.#skip(length)
  }

  #items (encoding: Encoding, length: number, depth: number): Item[] {
    if (depth > DEEPEST) throw new NotDescribedError('sequences are too deep')
    const items: Item[] = []
    const end = length === UNDEFINED_LENGTH ? Infinity : this.#position + length
    while (this.#position < end) {
      const header = this.#header(encoding)
      if (header.tag === SEQUENCE_END) break
      if (header.tag !== ITEM) throw new NotDescribedError('a sequence holds something else than items')
      const item: Item = new Map()
      const itemEnd = header.length === UNDEFINED_LENGTH ? Infinity : this.#position + header.length
      while (this.#position < itemEnd) {
        const group = encoding.littleEndian ? this.#peek(4).readUInt16LE(0) : this.#peek(4).readUInt16BE(0)
        const element = encoding.littleEndian ? this.#peek(4).readUInt16LE(2) : this.#peek(4).readUInt16BE(2)
        if (group * 0x10000 + element === ITEM_END) {
          this.#skip(8)
          break
        }
        this.#element(encoding, item, depth + 1)
      }
      items.push(item)
    }
    return items
  }

  #header ({ explicit, littleEndian }: Encoding): { tag: number, vr: string, length: number } {
    const head = this.#bytes(8)
    const tag = littleEndian ? head.readUInt16LE(0) * 0x10000 + head.readUInt16LE(2) : head.readUInt16BE(0) * 0x10000 + head.readUInt16BE(2)
    if (!explicit || tag >>> 16 === 0xFFFE) return { tag, vr: '', length: littleEndian ? head.readUInt32LE(4) : head.readUInt32BE(4) }
    const vr = head.toString('latin1', 4, 6)
    if (!LONG_VRS.has(vr)) {
      if (!/^[A-Z]{2}$/.test(vr)) throw new NotDescribedError(`no VR at byte ${this.#position - 4}`)
      return { tag, vr, length: littleEndian ? head.readUInt16LE(6) : head.readUInt16BE(6) }
    }
    const long = this.#bytes(4)
    return { tag, vr, length: littleEndian ? long.readUInt32LE() : long.readUInt32BE() }
  }

  #skip (length: number): void {
    this.#position += length
    if (this.#position > this.#size) throw new NotDescribedError('it is cut off')
  }

  #bytes (length: number): Buffer {
    const bytes = this.#peek(length)
    this.#position += length
    return bytes
  }

  #peek (length: number): Buffer {
    if (this.#position + length > this.#size) throw new NotDescribedError('it is cut off')
    if (this.#position < this.#windowStart || this.#position + length > this.#windowStart + this.#window.length) {
      const window = Buffer.allocUnsafe(Math.min(this.#size - this.#position, Math.max(WINDOW_BYTES, length)))
      const read = readSync(this.#fd, window, 0, window.length, this.#position)
      if (read < length) throw new NotDescribedError('it became shorter while it was read')
      this.#window = window.subarray(0, read)
      this.#windowStart = this.#position
    }
    return this.#window.subarray(this.#position - this.#windowStart, this.#position - this.#windowStart + length)
  }
}

/** What {@link descriptionOf} asks for: nothing else is copied out of the file. */
const WANTED: ReadonlySet<number> = new Set([
  0x00020002, 0x00020010, 0x00080016, 0x00080022, 0x00080023, 0x00082144, 0x00180040, 0x00181063, 0x00181065, 0x00181164, 0x00200013,
  0x00200020, 0x00200032, 0x00200037, 0x00200052, 0x00209113, 0x00209116, 0x00280002, 0x00280004, 0x00280006, 0x00280008, 0x00280010,
  0x00280011, 0x00280030, 0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x00280106, 0x00280107, 0x00280120, 0x00280121, 0x00281050,
  0x00281051, 0x00281052, 0x00281053, 0x00281054, 0x00281055, 0x00281056, 0x00281101, 0x00281102, 0x00281103, 0x00281201, 0x00281202,
  0x00281203, 0x00282110, 0x00283000, 0x00283002, 0x00283006, 0x00283010, 0x00289110, 0x00289132, 0x00289145, 0x20500020
])

function wanted (tag: number): boolean {
  return WANTED.has(tag)
}

/** The values of an item as what they are. */
class Values {
  readonly item: Item
  readonly #littleEndian: boolean

  constructor (item: Item, littleEndian: boolean) {
    this.item = item
    this.#littleEndian = littleEndian
  }

  bytes (tag: number): Buffer | undefined {
    const value = this.item.get(tag)
    return Buffer.isBuffer(value) ? value : undefined
  }

  items (tag: number): Values[] {
    const value = this.item.get(tag)
    return Array.isArray(value) ? value.map(item => new Values(item, this.#littleEndian)) : []
  }

  text (tag: number): string {
    return this.bytes(tag)?.toString('latin1').replace(/[\0 ]+$/, '').trim() ?? ''
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
    return Array.from({ length: Math.floor(bytes.length / 2) }, (_, index) => this.#littleEndian
      ? (signed ? bytes.readInt16LE(2 * index) : bytes.readUInt16LE(2 * index))
      : (signed ? bytes.readInt16BE(2 * index) : bytes.readUInt16BE(2 * index)))
  }

  short (tag: number): number | undefined {
    return this.shorts(tag)[0]
  }
}

function descriptionOf (values: Values, file: Pick<ImageDescription, 'sizeBytes' | 'transferSyntaxUid' | 'sopClassUid' | 'pixelData'>): ImageDescription {
  const signed = values.short(0x00280103) === 1
  const bitsAllocated = values.short(0x00280100) ?? 0
  const bitsStored = values.short(0x00280101) ?? bitsAllocated
  const rate = values.decimal(0x00180040) ?? values.decimal(0x00082144)
  const frameTime = values.decimal(0x00181063) ?? values.decimals(0x00181065)[1]
  const padding = values.shorts(0x00280120, signed)[0]
  const limit = values.shorts(0x00280121, signed)[0]
  const [min, max] = [values.shorts(0x00280106, signed)[0], values.shorts(0x00280107, signed)[0]]
  const [shared] = values.items(SHARED_GROUPS)
  const perFrame = values.items(FRAME_GROUPS)
  const numberOfFrames = Math.max(1, Math.trunc(values.decimal(0x00280008) ?? 1))
  const frames = perFrame.length > 1 && perFrame.length === numberOfFrames
    ? perFrame.map(frame => frameOf([frame, shared, values], signed))
    : [frameOf([perFrame[0], shared, values], signed)]
  const palette = [0x00281101, 0x00281102, 0x00281103].map((descriptor, index) => paletteOf(values, descriptor, 0x00281201 + index, signed))
  const [red, green, blue] = palette
  return {
    ...file,
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
    frames: frames.every(frame => JSON.stringify(frame) === JSON.stringify(frames[0])) ? frames.slice(0, 1) : frames
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
