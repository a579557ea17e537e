/**
 * Frames as a script file, for what no bitmap can say: compressed ones, big endian, colours in planes. A page opened from a disc may run the
 * scripts beside it; read as x-user-defined, a byte is a character, and costs one byte but for the few that a string cannot hold.
 */
import { readFile } from 'node:fs/promises'
import { EXPLICIT_BIG_ENDIAN, EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN, type ImageDescription } from './image-description.ts'

const DECODED = /^1\.2\.840\.10008\.1\.2\.(?:5|4\.(?:50|51|57|70|80|81|90|91|201|202|203))$/
const NATIVE: ReadonlySet<string> = new Set([IMPLICIT_LITTLE_ENDIAN, EXPLICIT_LITTLE_ENDIAN, EXPLICIT_BIG_ENDIAN])

/** @returns what the script file takes, bytes, about; undefined where the page cannot read it */
export function scriptBytes (image: ImageDescription): number | undefined {
  const { pixelData, samplesPerPixel, bitsAllocated, bitsStored, photometricInterpretation, transferSyntaxUid, modalityLut, rows, columns, numberOfFrames } = image
  if (pixelData === undefined) return undefined
  const grey = samplesPerPixel === 1 && photometricInterpretation.startsWith('MONOCHROME') && (bitsAllocated === 8 || bitsAllocated === 16) && modalityLut === undefined
  const colour = samplesPerPixel === 3 && bitsAllocated === 8 && bitsStored === 8
  if (!grey && !colour) return undefined
  if (pixelData.encapsulated) return DECODED.test(transferSyntaxUid) ? Math.ceil(pixelData.lengthBytes * 1.05) + 1_024 : undefined
  if (!NATIVE.has(transferSyntaxUid) || (colour && photometricInterpretation !== 'RGB' && photometricInterpretation !== 'YBR_FULL')) return undefined
  const bytes = rows * columns * samplesPerPixel * numberOfFrames * bitsAllocated / 8
  return pixelData.lengthBytes < bytes ? undefined : Math.ceil(bytes * 1.3) + 1_024
}

/**
 * The script calls `viewerPixels(name, lengths of the frames, their bytes)`.
 * @throws Error when the file cannot be read, or its frames are not what it says; then the page says that there is no picture
 */
export async function scriptFile (path: string, image: ImageDescription, name: string): Promise<Buffer> {
  const frames = framesOf(await readFile(path), image)
  return Buffer.concat([
    Buffer.from(`viewerPixels(${JSON.stringify(name)},[${frames.map(({ length }) => length).join(',')}],"`, 'latin1'), escaped(Buffer.concat(frames)), Buffer.from('")\n', 'latin1')
  ])
}

const ITEM_HEADER_BYTES = 8
const ITEM = 0xE000FFFE

type FrameDescription = Pick<ImageDescription, 'pixelData' | 'numberOfFrames' | 'rows' | 'columns' | 'samplesPerPixel' | 'bitsAllocated'>

/** @throws Error when the fragments cannot be told apart */
export function framesOf (file: Buffer, { pixelData, numberOfFrames, rows, columns, samplesPerPixel, bitsAllocated }: FrameDescription): Buffer[] {
  if (pixelData === undefined) throw new Error('no pixel data')
  if (!pixelData.encapsulated) {
    const each = rows * columns * samplesPerPixel * bitsAllocated / 8
    return Array.from({ length: numberOfFrames }, (_, frame) => file.subarray(pixelData.offset + frame * each, pixelData.offset + (frame + 1) * each))
  }
  const fragments: Array<{ offset: number, bytes: Buffer }> = []
  for (let position = pixelData.offset; position + ITEM_HEADER_BYTES <= file.length && file.readUInt32LE(position) === ITEM;) {
    const length = file.readUInt32LE(position + 4)
    fragments.push({ offset: position, bytes: file.subarray(position + ITEM_HEADER_BYTES, position + ITEM_HEADER_BYTES + length) })
    position += ITEM_HEADER_BYTES + length
  }
  const [table, ...rest] = fragments
  if (table === undefined || rest.length < numberOfFrames) throw new Error('fewer fragments than frames')
  if (rest.length === numberOfFrames) return rest.map(({ bytes }) => bytes)
  if (numberOfFrames === 1) return [Buffer.concat(rest.map(({ bytes }) => bytes))]
  if (table.bytes.length !== 4 * numberOfFrames) throw new Error('more fragments than frames, and no table of offsets')
  // offsets count from the first fragment (PS3.5 A.4)
  const first = rest[0]?.offset ?? 0
  const starts = Array.from({ length: numberOfFrames }, (_, frame) => first + table.bytes.readUInt32LE(4 * frame))
  let next = 0
  return starts.map((start, frame) => {
    const end = starts[frame + 1] ?? Infinity
    // each fragment belongs to one frame, else a table of a few bytes could ask for the file as often as it likes
    if (rest[next]?.offset !== start || end <= start) throw new Error('its table of offsets does not lead to its fragments in their order')
    const from = next
    while ((rest[next]?.offset ?? Infinity) < end) next++
    return Buffer.concat(rest.slice(from, next).map(({ bytes }) => bytes))
  })
}

/** Bytes as they stand in a string of a script: the same as in scripts/build-viewer.js. A zero before a digit would be an octal number. */
export function escaped (bytes: Buffer): Buffer {
  const out = Buffer.allocUnsafe(2 * bytes.length)
  let length = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0
    const next = bytes[at + 1] ?? 0
    const sign = byte === 0 ? 0x30 : byte === 0x0A ? 0x6E : byte === 0x0D ? 0x72 : byte === 0x22 || byte === 0x5C ? byte : undefined
    const digitNext = next >= 0x30 && next <= 0x39
    if (sign === undefined || (byte === 0 && digitNext)) {
      out[length++] = byte
      continue
    }
    out[length++] = 0x5C
    out[length++] = sign
  }
  return out.subarray(0, length)
}
