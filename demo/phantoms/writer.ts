/** Writes DICOM Part 10 files (PS3.10 7) in explicit VR little endian: as much as phantoms need, and fast. */
import { createHash } from 'node:crypto'

export type Value = string | number | readonly number[] | Buffer | readonly Element[][]

/** Tag as `ggggeeee`, VR, value. Items of a sequence are lists of elements. */
export type Element = readonly [tag: string, vr: string, value: Value]

export const EXPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2.1'
const LONG_VRS = new Set(['OB', 'OD', 'OF', 'OL', 'OW', 'SQ', 'UC', 'UN', 'UR', 'UT'])
const NUMBER_BYTES: Record<string, number> = { US: 2, SS: 2, UL: 4, SL: 4, FL: 4, FD: 8 }

/** A UID below 2.25 (PS3.5 B.2) that is the same for the same text, so that what is generated twice is the same. */
export function uidOf (text: string): string {
  return `2.25.${BigInt(`0x${createHash('sha256').update(text).digest('hex').slice(0, 32)}`)}`
}

/** A whole file: meta information, then the data set. Elements may come in any order. */
export function part10 (sopClassUid: string, sopInstanceUid: string, elements: readonly Element[], encode: (text: string) => Buffer): Buffer {
  const meta = dataSet([
    ['00020001', 'OB', Buffer.from([0, 1])], ['00020002', 'UI', sopClassUid], ['00020003', 'UI', sopInstanceUid],
    ['00020010', 'UI', EXPLICIT_LITTLE_ENDIAN], ['00020012', 'UI', '2.25.226245713'], ['00020013', 'SH', 'MKISO_PHANTOM']
  ], encode)
  return Buffer.concat([Buffer.alloc(128), Buffer.from('DICM'), element(['00020000', 'UL', meta.length], encode), meta,
    dataSet([['00080016', 'UI', sopClassUid], ['00080018', 'UI', sopInstanceUid], ...elements], encode)])
}

function dataSet (elements: readonly Element[], encode: (text: string) => Buffer): Buffer {
  return Buffer.concat([...elements].sort(([a], [b]) => a < b ? -1 : 1).map(one => element(one, encode)))
}

function element ([tag, vr, value]: Element, encode: (text: string) => Buffer): Buffer {
  const bytes = valueBytes(vr, value, encode)
  const header = Buffer.alloc(LONG_VRS.has(vr) ? 12 : 8)
  header.writeUInt16LE(Number.parseInt(tag.slice(0, 4), 16), 0)
  header.writeUInt16LE(Number.parseInt(tag.slice(4), 16), 2)
  header.write(vr, 4, 'latin1')
  if (LONG_VRS.has(vr)) header.writeUInt32LE(bytes.length, 8)
  else header.writeUInt16LE(bytes.length, 6)
  return Buffer.concat([header, bytes])
}

function valueBytes (vr: string, value: Value, encode: (text: string) => Buffer): Buffer {
  if (Buffer.isBuffer(value)) return padded(value, 0)
  if (vr === 'SQ') {
    return Buffer.concat((value as readonly Element[][]).map(item => {
      const content = dataSet(item, encode)
      const header = Buffer.alloc(8)
      header.writeUInt32LE(0xE000FFFE)
      header.writeUInt32LE(content.length, 4)
      return Buffer.concat([header, content])
    }))
  }
  const size = NUMBER_BYTES[vr]
  if (size !== undefined) {
    const numbers = typeof value === 'number' ? [value] : value as readonly number[]
    const bytes = Buffer.alloc(size * numbers.length)
    for (const [index, one] of numbers.entries()) {
      if (vr === 'FL') bytes.writeFloatLE(one, index * 4)
      else if (vr === 'FD') bytes.writeDoubleLE(one, index * 8)
      else if (vr === 'SS' || vr === 'SL') bytes.writeIntLE(one, index * size, size)
      else bytes.writeUIntLE(one, index * size, size)
    }
    return bytes
  }
  if (vr === 'AT') {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt16LE(Number.parseInt(String(value).slice(0, 4), 16), 0)
    bytes.writeUInt16LE(Number.parseInt(String(value).slice(4), 16), 2)
    return bytes
  }
  return padded(encode(String(value)), vr === 'UI' ? 0 : 0x20)
}

function padded (bytes: Buffer, pad: number): Buffer {
  return bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.from([pad])])
}
