/** Smallest and largest value of an image that says no window, without its padding (PS3.3 C.7.5.1.1.2). */
import { closeSync, openSync, readSync } from 'node:fs'
import { EXPLICIT_BIG_ENDIAN, type ImageDescription } from './image-description.ts'

const CHUNK_BYTES = 1_024 ** 2

/**
 * Reads the pixels of a grey image that is not compressed.
 * @returns stored values; undefined where it cannot be told
 */
export function storedRange (path: string, image: ImageDescription): { min: number, max: number } | undefined {
  const { pixelData, samplesPerPixel, bitsAllocated, bitsStored, highBit, signed, rows, columns, numberOfFrames, transferSyntaxUid } = image
  if (pixelData === undefined || pixelData.encapsulated || samplesPerPixel !== 1 || (bitsAllocated !== 8 && bitsAllocated !== 16)) return undefined
  const bytesEach = bitsAllocated / 8
  const shift = Math.max(0, highBit - bitsStored + 1)
  const mask = 2 ** bitsStored - 1
  const half = 2 ** (bitsStored - 1)
  const padding = image.pixelPadding
  const littleEndian = transferSyntaxUid !== EXPLICIT_BIG_ENDIAN
  let [min, max] = [Infinity, -Infinity]
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES)
  const fd = openSync(path, 'r')
  try {
    const end = pixelData.offset + Math.min(pixelData.lengthBytes, rows * columns * bytesEach * numberOfFrames)
    for (let position = pixelData.offset; position < end;) {
      const read = readSync(fd, buffer, 0, Math.min(CHUNK_BYTES, end - position), position)
      if (read < bytesEach) break
      position += read
      for (let at = 0; at + bytesEach <= read; at += bytesEach) {
        const cell = bytesEach === 1 ? buffer[at] ?? 0 : littleEndian ? (buffer[at] ?? 0) + 256 * (buffer[at + 1] ?? 0) : 256 * (buffer[at] ?? 0) + (buffer[at + 1] ?? 0)
        const stored = (cell >> shift) & mask
        const value = signed && stored >= half ? stored - 2 * half : stored
        if (padding !== undefined && value >= padding.first && value <= padding.last) continue
        if (value < min) min = value
        if (value > max) max = value
      }
    }
  } finally {
    closeSync(fd)
  }
  return max < min ? undefined : { min, max }
}
