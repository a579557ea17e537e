/** Elements in explicit VR little endian (PS3.5 7.1.2), the only encoding of a DICOMDIR (PS3.10 8.6). */

// VRs with a 32 bit length after two reserved bytes
const LONG_VRS = new Set(['OB', 'SQ', 'UC', 'UN', 'UR', 'UT'])

/** @param value of even length, or it is padded as its VR asks (PS3.5 6.2) */
export function element (tag: number, vr: string, value: Buffer | string): Buffer {
  const text = typeof value === 'string' ? Buffer.from(value, 'latin1') : value
  const bytes = text.length % 2 === 0 ? text : Buffer.concat([text, Buffer.from([vr === 'UI' || vr === 'OB' ? 0 : 0x20])])
  const long = LONG_VRS.has(vr)
  const header = Buffer.alloc(long ? 12 : 8)
  header.writeUInt16LE(tag >>> 16, 0)
  header.writeUInt16LE(tag & 0xFFFF, 2)
  header.write(vr, 4, 'latin1')
  if (long) header.writeUInt32LE(bytes.length, 8)
  else header.writeUInt16LE(bytes.length, 6)
  return Buffer.concat([header, bytes])
}

const ITEM = 0xFFFEE000
const ITEM_END = 0xFFFEE00D
const SEQUENCE_END = 0xFFFEE0DD
const UNDEFINED_LENGTH = 0xFFFFFFFF
// beside those above, the VRs with a 32 bit length that others may use
const ANY_LONG_VR = /^(O[BDFLVW]|S[QV]|U[CNRTV])$/

export interface Item {
  /** With its header. */
  bytes: Buffer
  /** The values of its own elements, not of those in its sequences. */
  values: Map<number, Buffer>
}

/**
 * The items of a sequence in explicit VR little endian (PS3.5 7.5), whatever their lengths are given by.
 * @throws RangeError when it is cut off
 */
export function itemsOf (sequence: Buffer): Item[] {
  const items: Item[] = []
  let position = 0
  const header = (): { tag: number, length: number } => {
    const tag = sequence.readUInt16LE(position) * 0x10000 + sequence.readUInt16LE(position + 2)
    const delimiter = tag === ITEM || tag === ITEM_END || tag === SEQUENCE_END
    const long = !delimiter && ANY_LONG_VR.test(sequence.toString('latin1', position + 4, position + 6))
    const length = delimiter ? sequence.readUInt32LE(position + 4) : long ? sequence.readUInt32LE(position + 8) : sequence.readUInt16LE(position + 6)
    position += long ? 12 : 8
    return { tag, length }
  }
  /** Passes over elements up to `end` or to their delimiter. */
  const elements = (end: number, values?: Map<number, Buffer>): void => {
    while (position < end) {
      const { tag, length } = header()
      if (tag === ITEM_END) return
      if (length === UNDEFINED_LENGTH) sequenceItems()
      else {
        values?.set(tag, sequence.subarray(position, position + length))
        position += length
      }
    }
  }
  const sequenceItems = (): void => {
    for (;;) {
      const { tag, length } = header()
      if (tag === SEQUENCE_END) return
      if (length === UNDEFINED_LENGTH) elements(sequence.length)
      else position += length
    }
  }
  while (position < sequence.length) {
    const start = position
    const { length } = header()
    const values = new Map<number, Buffer>()
    elements(length === UNDEFINED_LENGTH ? sequence.length : position + length, values)
    items.push({ bytes: sequence.subarray(start, position), values })
  }
  return items
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
