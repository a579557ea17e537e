/**
 * A DICOM file's own Pixel Data as a picture that every browser shows: the header of a Windows bitmap in one sector before the file, whose
 * pixel array lies where the Pixel Data lie. Nothing is rendered, copied or read: a page opened from a disc may not read the files beside it,
 * but may show them.
 *
 * Grey values have up to 16 bits: red is the high byte, green the low one (BI_BITFIELDS); the viewer's filter puts them together again. All
 * that stands here was measured in Chromium, Firefox and WebKitGTK; see test/disc/viewer.
 */
import { open } from 'node:fs/promises'
import { SECTOR_BYTES } from '../image/iso9660.ts'
import { EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN, type ImageDescription } from './image-description.ts'
import type { GreyCode, PixelsByBitmap } from './page-data.ts'

/** A bitmap that begins before a DICOM file and ends in it. */
export interface Bitmap {
  /** What stands at the beginning of the first sector; the rest of that sector is zero. */
  header: Buffer
  /** Where its pixels begin in the DICOM file. */
  pixelsOffset: number
  /** How much of the DICOM file belongs to it, bytes from its beginning; may be a little more than the file has. */
  reachBytes: number
}

export type BitmapPlan = { bitmaps: Bitmap[], pixels: PixelsByBitmap } | { reason: NoBitmap }

/** Why a bitmap cannot show it. */
export type NoBitmap = 'compressed' | 'encoding' | 'kind' | 'too-large' | 'cut-off' | 'nothing' | 'no-room'

/**
 * Where headers are: in sectors `before` the file, as on an image that we author; in the `preamble` of the file itself (PS3.10 7.1 leaves its 128
 * bytes to whoever writes the file), as in a folder or a ZIP, where nothing lies before a file; or in a `copy` of the pixels, for what a preamble has no
 * room for: it holds one header without a palette. A file without an extension that begins so is shown by Chromium, Firefox and WebKitGTK.
 */
export type HeaderPlace = 'before' | 'preamble' | 'copy'

export const PREAMBLE_BYTES = 128

/** Chromium's decoder takes 65,535 rows and columns, Firefox 32,767 columns for certain (both measured with 65,280 rows). */
const MOST_ROWS = 65_280
const MOST_COLUMNS = 32_767
/** A browser holds a picture with 4 bytes a pixel: frames share a bitmap of 64 MB at most, and a single frame may have four times as much. */
const MOST_PIXELS_OF_FRAMES = 16 * 1_024 ** 2
const MOST_PIXELS = 4 * MOST_PIXELS_OF_FRAMES
const LARGEST_BYTES = 2 ** 32 - 2 ** 20
const FILE_HEADER_BYTES = 14
const INFO_HEADER_BYTES = 40
const PALETTE_ENTRIES = 256
const BI_RGB = 0
const BI_BITFIELDS = 3

/** How the pixels of a kind of image lie in a bitmap. */
interface Coding {
  bitsPerPixel: 8 | 16 | 24
  /** Red, green, blue. */
  masks?: readonly [number, number, number]
  /** By index: red, green, blue. */
  palette?: ReadonlyArray<readonly [number, number, number]>
  colour: PixelsByBitmap['colour']
  grey?: GreyCode
}

/** @returns one bitmap for each group of frames, and how the page finds a frame in them; or why there are none */
export function planBitmaps (image: ImageDescription, place: HeaderPlace = 'before'): BitmapPlan {
  const { rows, columns, numberOfFrames, pixelData, transferSyntaxUid } = image
  if (pixelData === undefined || rows === 0 || columns === 0) return { reason: 'nothing' }
  if (pixelData.encapsulated) return { reason: 'compressed' }
  if (transferSyntaxUid !== IMPLICIT_LITTLE_ENDIAN && transferSyntaxUid !== EXPLICIT_LITTLE_ENDIAN) return { reason: 'encoding' }
  const coding = codingOf(image)
  if (coding === undefined) return { reason: 'kind' }
  const rowBytes = columns * coding.bitsPerPixel / 8
  const frameBytes = rowBytes * rows
  if (pixelData.lengthBytes < frameBytes * numberOfFrames) return { reason: 'cut-off' }
  // a row of a bitmap is a multiple of 4 bytes: two or four rows of the image, side by side, always are one
  const rowsAbreast = rowBytes % 4 === 0 ? 1 : rowBytes % 2 === 0 ? 2 : 4
  const width = columns * rowsAbreast
  if (width > MOST_COLUMNS || rows > MOST_ROWS * rowsAbreast || rows * columns > MOST_PIXELS) return { reason: 'too-large' }
  const framesEach = Math.max(1, Math.min(numberOfFrames, Math.floor(MOST_ROWS * rowsAbreast / rows), Math.floor(MOST_PIXELS_OF_FRAMES / (rows * columns))))
  const count = Math.ceil(numberOfFrames / framesEach)
  if (place === 'preamble' && (count > 1 || headerBytes(coding) > PREAMBLE_BYTES)) return { reason: 'no-room' }
  const bitmaps: Bitmap[] = []
  const heights: number[] = []
  for (let index = 0; index < count; index++) {
    const frames = Math.min(framesEach, numberOfFrames - index * framesEach)
    const height = Math.ceil(frames * rows / rowsAbreast)
    const start = pixelData.offset + index * framesEach * frameBytes
    const reachBytes = start + height * width * coding.bitsPerPixel / 8
    // a sector behind the file gives the bytes that its last row may lack; a folder has none
    if (place === 'preamble' && reachBytes > image.sizeBytes) return { reason: 'no-room' }
    // the headers stand one after another before the file; a copy has nothing but the pixels
    const before = place === 'preamble' ? 0 : place === 'before' ? (count - index) * SECTOR_BYTES : headerBytes(coding) - start
    if (before + reachBytes > LARGEST_BYTES) return { reason: 'too-large' }
    bitmaps.push({ header: headerOf(coding, width, height, before + start, before + reachBytes), pixelsOffset: start, reachBytes })
    heights.push(height)
  }
  return {
    bitmaps,
    pixels: { by: 'bitmap', width, heights, rowsAbreast, framesEach, colour: coding.colour, ...(coding.grey === undefined ? {} : { grey: coding.grey }) }
  }
}

/** What stands in a file's preamble when the file is a picture by itself: 128 bytes; undefined where no such header fits. */
export function picturePreamble (image: ImageDescription): Buffer | undefined {
  const plan = planBitmaps(image, 'preamble')
  const [bitmap] = 'reason' in plan ? [] : plan.bitmaps
  return bitmap === undefined ? undefined : Buffer.concat([bitmap.header, Buffer.alloc(PREAMBLE_BYTES - bitmap.header.length)])
}

function codingOf (image: ImageDescription): Coding | undefined {
  const { photometricInterpretation, samplesPerPixel, bitsAllocated, planarConfiguration } = image
  if (samplesPerPixel === 3 && bitsAllocated === 8 && image.bitsStored === 8 && !image.signed && planarConfiguration === 0) {
    if (photometricInterpretation === 'RGB') return { bitsPerPixel: 24, colour: 'bgr' }
    if (photometricInterpretation === 'YBR_FULL') return { bitsPerPixel: 24, colour: 'ybr' }
    return undefined
  }
  if (samplesPerPixel !== 1) return undefined
  if (photometricInterpretation === 'PALETTE COLOR') return bitsAllocated === 8 && !image.signed ? paletteCoding(image) : undefined
  if (photometricInterpretation !== 'MONOCHROME1' && photometricInterpretation !== 'MONOCHROME2') return undefined
  return bitsAllocated === 8 ? greyOf8Bits(image) : bitsAllocated === 16 ? greyOf16Bits(image) : undefined
}

function paletteCoding ({ palette }: ImageDescription): Coding | undefined {
  if (palette === undefined) return undefined
  const [red, green, blue] = palette
  const one = ({ first, entries, bits }: typeof red, index: number): number => {
    const entry = entries[Math.max(0, Math.min(entries.length - 1, index - first))] ?? 0
    return bits > 8 ? entry >> (bits - 8) : entry
  }
  return { bitsPerPixel: 8, colour: 'rgb', palette: Array.from({ length: PALETTE_ENTRIES }, (_, index) => [one(red, index), one(green, index), one(blue, index)] as const) }
}

/** The bitmap's palette turns a byte into the high and low byte of the value, so masks, signs and a modality LUT cost nothing. */
function greyOf8Bits ({ bitsStored, highBit, signed, modalityLut }: ImageDescription): Coding | undefined {
  if (bitsStored < 1 || bitsStored > 8 || highBit > 7 || highBit < bitsStored - 1) return undefined
  const bias = signed ? 2 ** (bitsStored - 1) : 0
  const valueOf = (index: number): number => {
    const stored = (index >> (highBit - bitsStored + 1)) & (2 ** bitsStored - 1)
    const value = signed && stored >= bias ? stored - 2 * bias : stored
    if (modalityLut === undefined) return value + bias
    return modalityLut.entries[Math.max(0, Math.min(modalityLut.entries.length - 1, value - modalityLut.first))] ?? 0
  }
  const palette = Array.from({ length: PALETTE_ENTRIES }, (_, index) => [valueOf(index) >> 8, valueOf(index) & 0xFF, 0] as const)
  return { bitsPerPixel: 8, colour: 'grey', palette, grey: { highBits: 8, shifted: false, bias: modalityLut === undefined ? bias : 0 } }
}

function greyOf16Bits ({ bitsStored, highBit, signed, modalityLut }: ImageDescription): Coding | undefined {
  // a modality LUT of 65,536 entries is no straight line, and a filter has tables for a byte only
  if (modalityLut !== undefined || bitsStored < 1 || bitsStored > 16 || highBit > 15 || highBit < bitsStored - 1) return undefined
  if (bitsStored <= 8 && (signed || highBit !== bitsStored - 1)) return undefined
  const bits = Math.max(9, bitsStored)
  const shift = bitsStored <= 8 ? 0 : highBit - bits + 1
  const highBits = bits - 8
  // what stands in the bits that are not stored (overlays, sign bits, rubbish) is masked away
  return {
    bitsPerPixel: 16,
    colour: 'grey',
    masks: [(2 ** highBits - 1) << (8 + shift), 0xFF << shift, 0],
    grey: { highBits, shifted: signed, bias: signed ? 2 ** (bits - 1) : 0 }
  }
}

/** A bitmap as a file of its own. @throws Error when the file cannot be read */
export async function bitmapFile (sourcePath: string, { header, pixelsOffset, reachBytes }: Bitmap): Promise<Buffer> {
  // what a last row lacks is zero
  const bytes = Buffer.alloc(header.length + reachBytes - pixelsOffset)
  header.copy(bytes)
  const file = await open(sourcePath)
  try { await file.read(bytes, header.length, bytes.length - header.length, pixelsOffset) } finally { await file.close() }
  return bytes
}

function headerBytes ({ masks, palette }: Coding): number {
  return FILE_HEADER_BYTES + INFO_HEADER_BYTES + (palette !== undefined ? 4 * PALETTE_ENTRIES : masks !== undefined ? 12 : 0)
}

/** BITMAPFILEHEADER, BITMAPINFOHEADER, then masks or palette. The height is negative: rows from the top. */
function headerOf (coding: Coding, width: number, height: number, offset: number, sizeBytes: number): Buffer {
  const { bitsPerPixel, masks, palette } = coding
  const header = Buffer.alloc(headerBytes(coding))
  header.write('BM', 0, 'latin1')
  header.writeUInt32LE(sizeBytes, 2)
  header.writeUInt32LE(offset, 10)
  header.writeUInt32LE(INFO_HEADER_BYTES, 14)
  header.writeInt32LE(width, 18)
  header.writeInt32LE(-height, 22)
  header.writeUInt16LE(1, 26)
  header.writeUInt16LE(bitsPerPixel, 28)
  header.writeUInt32LE(masks === undefined ? BI_RGB : BI_BITFIELDS, 30)
  header.writeUInt32LE(width * height * bitsPerPixel / 8, 34)
  const rest = FILE_HEADER_BYTES + INFO_HEADER_BYTES
  for (const [index, mask] of (masks ?? []).entries()) header.writeUInt32LE(mask >>> 0, rest + 4 * index)
  for (const [index, [red, green, blue]] of (palette ?? []).entries()) header.set([blue, green, red], rest + 4 * index)
  return header
}
