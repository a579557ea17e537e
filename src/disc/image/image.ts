/** The image as a stream, from any offset, that is either exact or an error: a short one would look whole to a client. */
import { open, type FileHandle } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { MkisoError } from '../../errors.ts'

/** Bytes of the image that stand in a file; what lies between two segments is zero. */
export interface Segment {
  path: Buffer | string
  /** Offset in the image. */
  offset: number
  lengthBytes: number
  /** Offset in the file. */
  fileOffset: number
}

export interface Image {
  sizeBytes: number
  /** By offset. */
  segments: readonly Segment[]
}

/** First and last byte, counted from 0. */
export interface ByteRange { first: number, last: number }

const CHUNK_BYTES = 256 * 1_024
/** Bytes that are read ahead of a client. */
const READ_AHEAD_BYTES = 1_024 ** 2

/**
 * Opens no file before it is read, and has at most one open; destroying it closes that one.
 * @param onRead hears of each piece once the next one is wanted
 */
export function imageStream (image: Image, { first, last }: ByteRange = { first: 0, last: image.sizeBytes - 1 }, onRead: (bytes: number) => void = () => {}): Readable {
  return Readable.from(counted(bytesOf(image, first, last + 1), onRead), { objectMode: false, highWaterMark: READ_AHEAD_BYTES })
}

async function * counted (pieces: AsyncGenerator<Buffer>, onRead: (bytes: number) => void): AsyncGenerator<Buffer> {
  for await (const piece of pieces) {
    yield piece
    onRead(piece.length)
  }
}

async function * bytesOf ({ segments }: Image, start: number, end: number): AsyncGenerator<Buffer> {
  let position = start
  for (const segment of segments) {
    const segmentEnd = segment.offset + segment.lengthBytes
    if (segmentEnd <= position) continue
    if (segment.offset >= end) break
    if (segment.offset > position) {
      yield Buffer.alloc(segment.offset - position)
      position = segment.offset
    }
    const stop = Math.min(end, segmentEnd)
    const file = await open(segment.path, 'r')
    try {
      while (position < stop) {
        const chunk = await readExactly(file, segment.fileOffset + position - segment.offset, Math.min(CHUNK_BYTES, stop - position))
        position += chunk.length
        yield chunk
      }
    } finally {
      await file.close()
    }
  }
  // the end of the image is padding (ECMA-119 knows no end of data)
  while (position < end) {
    const length = Math.min(CHUNK_BYTES, end - position)
    position += length
    yield Buffer.alloc(length)
  }
}

async function readExactly (file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(length)
  const { bytesRead } = await file.read(buffer, 0, length, offset)
  if (bytesRead < length) throw new MkisoError('ISO_CREATION_FAILED', 'a file of the disc became shorter while it was sent')
  return buffer
}
