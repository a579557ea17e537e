/**
 * The Study Instance UID of an object of which only the first bytes have come: whether somebody wants it is known before gigabytes are taken.
 * Elements stand in ascending order (PS3.5 7.1), so that it is among the first few kilobytes.
 */
import { constants, inflateRawSync } from 'node:zlib'
import { withoutPadding } from '../../../dicom/padding.ts'
import { DEFLATED_LITTLE_ENDIAN, EXPLICIT_BIG_ENDIAN, IMPLICIT_LITTLE_ENDIAN } from './transfer-syntax.ts'

/** So much of an object is looked through. */
export const PREFIX_BYTES = 64 * 1024
const LONGEST_INFLATED_BYTES = 1024 ** 2

/** `more`: it may still come. `none`: it is not there, or the elements cannot be followed. */
export type StudyOfPrefix = { kind: 'found', studyInstanceUid: string } | { kind: 'more' } | { kind: 'none' }

interface Encoding { explicit: boolean, littleEndian: boolean }

const STUDY_INSTANCE_UID = 0x0020000D
const ITEM = 0xFFFEE000
const ITEM_END = 0xFFFEE00D
const SEQUENCE_END = 0xFFFEE0DD
const UNDEFINED_LENGTH = 0xFFFFFFFF
// VRs with a 32 bit length after two reserved bytes (PS3.5 7.1.2)
const LONG_VRS = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'SQ', 'SV', 'UC', 'UN', 'UR', 'UT', 'UV'])

export function studyOfPrefix (prefix: Buffer, transferSyntax: string): StudyOfPrefix {
  const bytes = transferSyntax === DEFLATED_LITTLE_ENDIAN ? inflated(prefix) : prefix
  if (bytes === undefined) return { kind: 'none' }
  const encoding = { explicit: transferSyntax !== IMPLICIT_LITTLE_ENDIAN, littleEndian: transferSyntax !== EXPLICIT_BIG_ENDIAN }
  // one entry for each sequence of undefined length that is open
  const sequences: Encoding[] = []
  for (let at = 0; ;) {
    const current = sequences.at(-1) ?? encoding
    const header = headerAt(bytes, at, current)
    if (header === 'more' || header === 'none') return { kind: header }
    const { tag, vr, length, valueAt } = header
    if (sequences.length === 0) {
      if (tag > STUDY_INSTANCE_UID) return { kind: 'none' }
      if (tag === STUDY_INSTANCE_UID) return valueOf(bytes, valueAt, length)
    }
    at = valueAt
    if (tag === SEQUENCE_END) sequences.pop()
    else if (length !== UNDEFINED_LENGTH) at += tag === ITEM_END ? 0 : length
    // the items of UN are in Implicit VR Little Endian (PS3.5 6.2.2)
    else if (tag !== ITEM) sequences.push(vr === 'UN' ? { explicit: false, littleEndian: true } : current)
  }
}

function headerAt (bytes: Buffer, at: number, { explicit, littleEndian }: Encoding): { tag: number, vr: string, length: number, valueAt: number } | 'more' | 'none' {
  if (at + 8 > bytes.length) return 'more'
  const group = littleEndian ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at)
  const tag = group * 0x10000 + (littleEndian ? bytes.readUInt16LE(at + 2) : bytes.readUInt16BE(at + 2))
  const length32 = (from: number): number => littleEndian ? bytes.readUInt32LE(from) : bytes.readUInt32BE(from)
  // items and delimiters have no VR in any encoding (PS3.5 7.5)
  if (!explicit || group === 0xFFFE) return { tag, vr: '', length: length32(at + 4), valueAt: at + 8 }
  const vr = bytes.toString('latin1', at + 4, at + 6)
  if (!/^[A-Z]{2}$/.test(vr)) return 'none'
  if (!LONG_VRS.has(vr)) return { tag, vr, length: littleEndian ? bytes.readUInt16LE(at + 6) : bytes.readUInt16BE(at + 6), valueAt: at + 8 }
  return at + 12 > bytes.length ? 'more' : { tag, vr, length: length32(at + 8), valueAt: at + 12 }
}

function valueOf (bytes: Buffer, at: number, length: number): StudyOfPrefix {
  if (length > 128) return { kind: 'none' }
  if (at + length > bytes.length) return { kind: 'more' }
  return { kind: 'found', studyInstanceUid: withoutPadding(bytes.toString('latin1', at, at + length)) }
}

/** As far as it goes; undefined when it cannot be inflated, or swells as only a bomb does. */
function inflated (prefix: Buffer): Buffer | undefined {
  try {
    return inflateRawSync(prefix, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: LONGEST_INFLATED_BYTES })
  } catch { return undefined }
}
