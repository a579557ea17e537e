/** Reads from a DICOMDIR which files it references. A DICOMDIR is always explicit VR little endian (PS3.10 8.6). */
import { readFileSync } from 'node:fs'
import { MkisoError } from '../errors.ts'

const PREFIX_LENGTH = 132
const UNDEFINED_LENGTH = 0xFFFFFFFF
const DIRECTORY_RECORD_SEQUENCE = 0x00041220
const REFERENCED_FILE_ID = 0x00041500
const ITEM = 0xFFFEE000
const ITEM_END = 0xFFFEE00D
const SEQUENCE_END = 0xFFFEE0DD
const LONG_VRS = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'SQ', 'SV', 'UC', 'UN', 'UR', 'UT', 'UV'])

/**
 * File IDs as paths, in the order of the directory records.
 * @throws MkisoError ISO_CREATION_FAILED when it cannot be read
 */
export function referencedFileIds (path: string): string[] {
  const bytes = readFileSync(path)
  const fileIds: string[] = []
  let position = PREFIX_LENGTH
  const header = (): { tag: number, length: number } => {
    const tag = bytes.readUInt16LE(position) * 0x10000 + bytes.readUInt16LE(position + 2)
    const item = tag === ITEM || tag === ITEM_END || tag === SEQUENCE_END
    const long = !item && LONG_VRS.has(bytes.toString('latin1', position + 4, position + 6))
    const length = item ? bytes.readUInt32LE(position + 4) : long ? bytes.readUInt32LE(position + 8) : bytes.readUInt16LE(position + 6)
    position += long ? 12 : 8
    return { tag, length }
  }
  /** Elements, or items, up to `end` or to their delimiter. */
  const walk = (end: number): void => {
    while (position < end) {
      const { tag, length } = header()
      if (tag === ITEM_END || tag === SEQUENCE_END) return
      if (tag === REFERENCED_FILE_ID) fileIds.push(bytes.toString('latin1', position, position + length).trim().replaceAll('\\', '/'))
      if (tag === ITEM || tag === DIRECTORY_RECORD_SEQUENCE || length === UNDEFINED_LENGTH) walk(length === UNDEFINED_LENGTH ? end : position + length)
      else position += length
    }
  }
  try {
    walk(bytes.length)
  } catch (cause) {
    throw new MkisoError('ISO_CREATION_FAILED', 'the DICOMDIR cannot be read back', { cause })
  }
  return fileIds
}
