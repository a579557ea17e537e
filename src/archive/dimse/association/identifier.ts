/** Identifiers of queries and retrievals (PS3.4 C.4): a few elements of the first level, in Implicit VR Little Endian, which every archive takes. */
import { withoutPadding } from '../../../dicom/padding.ts'
import { ProtocolError } from './pdu.ts'

/** By tag, `0x0020000D`. */
export type Identifier = ReadonlyMap<number, string>

export const TAG = {
  SOP_CLASS_UID: 0x00080016, SOP_INSTANCE_UID: 0x00080018, QUERY_LEVEL: 0x00080052, FAILED_LIST: 0x00080058, STUDY_INSTANCE_UID: 0x0020000D, SERIES_INSTANCE_UID: 0x0020000E
} as const

const UNDEFINED_LENGTH = 0xFFFFFFFF

/** Values are UIDs and codes: ASCII, several with backslashes between. */
export function writeIdentifier (identifier: Identifier): Buffer {
  return Buffer.concat([...identifier].sort(([a], [b]) => a - b).flatMap(([tag, text]) => {
    const value = Buffer.from(text.length % 2 === 0 ? text : text + (tag === TAG.QUERY_LEVEL ? ' ' : '\0'), 'latin1')
    const head = Buffer.alloc(8)
    head.writeUInt16LE(tag >>> 16)
    head.writeUInt16LE(tag & 0xFFFF, 2)
    head.writeUInt32LE(value.length, 4)
    return [head, value]
  }))
}

/** What follows a sequence of undefined length is left out: no answer that we ask for holds one. @throws ProtocolError */
export function readIdentifier (bytes: Buffer): Map<number, string> {
  const identifier = new Map<number, string>()
  for (let at = 0; at < bytes.length;) {
    if (at + 8 > bytes.length) throw new ProtocolError('an identifier that is cut off')
    const length = bytes.readUInt32LE(at + 4)
    if (length === UNDEFINED_LENGTH) return identifier
    if (at + 8 + length > bytes.length) throw new ProtocolError('an element of an identifier that is cut off')
    identifier.set(bytes.readUInt16LE(at) * 0x10000 + bytes.readUInt16LE(at + 2), withoutPadding(bytes.toString('latin1', at + 8, at + 8 + length)))
    at += 8 + length
  }
  return identifier
}
