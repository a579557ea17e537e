/**
 * What is drawn from a file, and what a program may take for it. A file of a few bytes can say that it has 60,000 x 60,000 pixels (dcmj2pnm took 3.5 GB
 * for one), and a report of 135 MB took dsr2html 2.1 GB (measured): the disc holds them as they came, without a picture.
 */
import type { DicomObject } from '../dicom/part10.ts'
import type { Limits } from '../process.ts'

const MIB = 1024 ** 2
/** Of one frame: more than any detector has, 10,000 x 10,000. dcmj2pnm takes up to 6 bytes for each. */
const MOST_PIXELS = 100_000_000
/** A report of so many bytes is a page of thousands of lines. */
const LARGEST_REPORT_BYTES = 16 * MIB
/** Cleaning a page takes our process 0.2 s a MiB (measured), in which it does nothing else. */
export const LARGEST_PAGE_BYTES = 4 * MIB
/** A data set cannot have a longer value (PS3.5 7.1.1). */
const LARGEST_DECODED_BYTES = 4 * 1024 ** 3 - 2
/** A program and its libraries. */
const PROGRAM_BYTES = 256 * MIB

const ROWS = 0x00280010
const COLUMNS = 0x00280011
const SAMPLES_PER_PIXEL = 0x00280002
const BITS_ALLOCATED = 0x00280100
const NUMBER_OF_FRAMES = 0x00280008

type Described = Pick<DicomObject, 'attributes' | 'pixelData' | 'sizeBytes'>

/** Why no picture is drawn from it; undefined where nothing is against it. */
export function pictureFault (object: Described): string | undefined {
  const { attributes, pixelData } = object
  const [rows, columns] = [attributes.number(ROWS) ?? 0, attributes.number(COLUMNS) ?? 0]
  if (rows * columns > MOST_PIXELS) return `it says that it has ${columns} x ${rows} pixels`
  const frameBytes = pixelBytes(object) / framesOf(object)
  // half: some say three samples a pixel where two are stored (YBR_FULL_422), and some are a little short
  if (pixelData !== undefined && !pixelData.encapsulated && pixelData.lengthBytes < frameBytes / 2) {
    return `it says that a frame has ${frameBytes} bytes, and has ${pixelData.lengthBytes} in all`
  }
  return undefined
}

/** Why no page is made of a report. */
export function reportFault ({ sizeBytes }: Described): string | undefined {
  return sizeBytes > LARGEST_REPORT_BYTES ? `it is a report of ${Math.round(sizeBytes / MIB)} MiB` : undefined
}

/** Of a program that draws a picture. */
export function pictureLimits ({ sizeBytes }: Described): Limits {
  return { memoryBytes: PROGRAM_BYTES + 8 * MOST_PIXELS + 3 * sizeBytes, fileBytes: 64 * MIB }
}

/** Of a program that makes a page. */
export function reportLimits ({ sizeBytes }: Described): Limits {
  return { memoryBytes: PROGRAM_BYTES + 32 * sizeBytes, fileBytes: LARGEST_PAGE_BYTES }
}

/** Of a program that takes a document out of a file. */
export function documentLimits ({ sizeBytes }: Described): Limits {
  return { memoryBytes: PROGRAM_BYTES + 4 * sizeBytes, fileBytes: sizeBytes + MIB }
}

/** Of a program that decodes. */
export function decodingLimits (object: Described): Limits {
  const bytes = decodedBytes(object)
  return { memoryBytes: 2 * PROGRAM_BYTES + 3 * bytes, fileBytes: bytes + MIB }
}

/** Why it is not decoded. */
export function decodingFault (object: Described): string | undefined {
  const bytes = pixelBytes(object)
  return bytes > LARGEST_DECODED_BYTES ? `it would have ${bytes} bytes of pixels` : undefined
}

/** Bytes of a copy in explicit VR little endian, about. */
export function decodedBytes (object: Described): number {
  return object.sizeBytes + pixelBytes(object)
}

function pixelBytes (object: Described): number {
  const { attributes } = object
  const [rows = 0, columns = 0, bits = 8, samples = 1] = [ROWS, COLUMNS, BITS_ALLOCATED, SAMPLES_PER_PIXEL].map(tag => attributes.number(tag))
  return Math.ceil(rows * columns * framesOf(object) * samples * bits / 8)
}

function framesOf ({ attributes }: Described): number {
  return Math.max(1, Number.parseInt(attributes.text(NUMBER_OF_FRAMES) ?? '1', 10) || 1)
}
