/** Elements in explicit VR little endian (PS3.5 7.1.2), sequences and items with their lengths: one encoding, whatever the source was. */
import { hasLongLength, numberBytes, paddingOf } from './dictionary.ts'
import { ITEM } from './headers.ts'
import type { Source } from './source.ts'

const FIRST_BYTES = 4 * 1024
const LONGEST_SHORT = 0xFFFE

export class ElementWriter {
  #bytes = Buffer.allocUnsafe(FIRST_BYTES)
  #length = 0

  /** Bytes so far; what follows can be taken back with {@link truncate}. */
  get length (): number { return this.#length }

  truncate (length: number): void {
    this.#length = length
  }

  /** What has been written, as a view. */
  view (start = 0, end = this.#length): Buffer {
    return this.#bytes.subarray(start, end)
  }

  /** @param littleEndian how the numbers stand in the source */
  value (tag: number, vr: string, source: Source, at: number, length: number, littleEndian: boolean): void {
    const written = hasLongLength(vr) || length <= LONGEST_SHORT ? vr : 'UN'
    this.#header(tag, written, length + length % 2)
    this.#reserve(length + 1)
    const start = this.#length
    source.copy(at, length, this.#bytes, start)
    if (!littleEndian) swap(this.#bytes.subarray(start, start + length), numberBytes(written))
    this.#length += length
    if (length % 2 === 1) this.#bytes[this.#length++] = paddingOf(written)
  }

  /** @returns what {@link end} needs when the items have been written */
  beginSequence (tag: number): number {
    this.#header(tag, 'SQ', 0)
    return this.#length
  }

  beginItem (): number {
    this.#reserve(8)
    this.#tag(ITEM)
    this.#length = this.#bytes.writeUInt32LE(0, this.#length)
    return this.#length
  }

  end (begin: number): void {
    this.#bytes.writeUInt32LE(this.#length - begin, begin - 4)
  }

  #header (tag: number, vr: string, length: number): void {
    this.#reserve(12)
    this.#tag(tag)
    this.#bytes[this.#length++] = vr.charCodeAt(0)
    this.#bytes[this.#length++] = vr.charCodeAt(1)
    if (!hasLongLength(vr)) this.#length = this.#bytes.writeUInt16LE(length, this.#length)
    else this.#length = this.#bytes.writeUInt32LE(length, this.#bytes.writeUInt16LE(0, this.#length))
  }

  #tag (tag: number): void {
    this.#length = this.#bytes.writeUInt16LE(tag & 0xFFFF, this.#bytes.writeUInt16LE(tag >>> 16, this.#length))
  }

  #reserve (bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + bytes))
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }
}

/** Whole numbers only: the rest of a value of odd length stays as it is. */
function swap (bytes: Buffer, size: 1 | 2 | 4 | 8): void {
  const whole = bytes.subarray(0, bytes.length - bytes.length % size)
  if (size === 2) whole.swap16()
  else if (size === 4) whole.swap32()
  else if (size === 8) whole.swap64()
}

/** One element by itself. @param value padded as its VR asks (PS3.5 6.2); text in latin1 */
export function element (tag: number, vr: string, value: Buffer | string): Buffer {
  const { length } = value
  const valueAt = hasLongLength(vr) ? 12 : 8
  // in one piece: a disc of 600 images has some ten thousand of them
  const bytes = Buffer.allocUnsafe(valueAt + length + length % 2)
  bytes.writeUInt16LE(tag >>> 16, 0)
  bytes.writeUInt16LE(tag & 0xFFFF, 2)
  bytes[4] = vr.charCodeAt(0)
  bytes[5] = vr.charCodeAt(1)
  const valueBytes = bytes.length - valueAt
  if (valueAt === 12) bytes.writeUInt32LE(valueBytes, bytes.writeUInt16LE(0, 6))
  else bytes.writeUInt16LE(valueBytes, 6)
  if (typeof value === 'string') bytes.write(value, valueAt, 'latin1')
  else value.copy(bytes, valueAt)
  if (length % 2 === 1) bytes[bytes.length - 1] = paddingOf(vr)
  return bytes
}

export function uint16 (value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16LE(value)
  return bytes
}

export function uint32 (value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
