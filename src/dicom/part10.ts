/**
 * Reads as much of a DICOM file (PS3.10 7) as completeness needs: who it is, and that it is whole, which is that its last element ends
 * where the file ends. It reads headers and skips values, so a file of gigabytes costs a few reads.
 */
import type { Patient } from './study.ts'
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

/** What an object says of itself, read once. */
export interface DicomObject extends Part10Facts {
  /** As it stands in the file, in UTF-8. */
  patient: Patient
  instanceNumber: number | undefined
  /** What the parser could not follow. */
  remarks: readonly string[]
}

export interface Part10Facts {
  sopInstanceUid: string
  sopClassUid: string
  transferSyntaxUid: string
  studyInstanceUid: string
  seriesInstanceUid: string
  sizeBytes: number
}

/** The file is cut off, or is not a DICOM file. */
export class NotWholeError extends Error {
  constructor (path: string, reason: string) {
    super(`${path}: ${reason}`)
    this.name = 'NotWholeError'
  }
}

const UNDEFINED_LENGTH = 0xFFFFFFFF
const PREFIX_LENGTH = 132
const IMPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2'
const EXPLICIT_BIG_ENDIAN = '1.2.840.10008.1.2.2'
const DEFLATED = '1.2.840.10008.1.2.1.99'
const ITEM = 0xFFFEE000
const ITEM_END = 0xFFFEE00D
const SEQUENCE_END = 0xFFFEE0DD
const PIXEL_DATA = 0x7FE00010
// VRs with a 32 bit length after two reserved bytes (PS3.5 7.1.2)
const LONG_VRS = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'SQ', 'SV', 'UC', 'UN', 'UR', 'UT', 'UV'])
const SOP_CLASS_UID = 0x00080016
const SOP_INSTANCE_UID = 0x00080018
const STUDY_INSTANCE_UID = 0x0020000D
const SERIES_INSTANCE_UID = 0x0020000E
const IDENTITY: ReadonlySet<number> = new Set([SOP_CLASS_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID, SERIES_INSTANCE_UID])

interface Encoding { explicit: boolean, littleEndian: boolean }
interface ElementHeader { tag: number, vr: string, length: number }

/**
 * @throws NotWholeError when the file is cut off or not DICOM
 */
export function readPart10 (path: string): Part10Facts {
  const { meta, values, sizeBytes } = readElements(path, IDENTITY)
  const text = (tag: number, fallback = ''): string => {
    const value = values.get(tag)
    return value === undefined ? fallback : uid(value)
  }
  return {
    sopInstanceUid: text(SOP_INSTANCE_UID, meta.sopInstanceUid),
    sopClassUid: text(SOP_CLASS_UID, meta.sopClassUid),
    transferSyntaxUid: meta.transferSyntaxUid,
    studyInstanceUid: text(STUDY_INSTANCE_UID),
    seriesInstanceUid: text(SERIES_INSTANCE_UID),
    sizeBytes
  }
}

export interface Meta {
  sopInstanceUid: string
  sopClassUid: string
  transferSyntaxUid: string
}

/**
 * The values of some elements of the first level, as they are; one that is longer than 16 KiB (a sequence: 8 MiB) is left out.
 * @param tags as numbers, `0x00100010`
 * @throws NotWholeError when the file is cut off or not DICOM
 */
export function readElements (path: string, tags: ReadonlySet<number>): { meta: Meta, values: Map<number, Buffer>, sizeBytes: number } {
  const fd = openSync(path, 'r')
  try {
    return new Walker(fd, path).walk(tags)
  } finally {
    closeSync(fd)
  }
}

const WINDOW_BYTES = 16 * 1024
const DELIMITER_BYTES = 8
/** A large structured report. */
const LARGEST_SEQUENCE_BYTES = 8 * 1024 ** 2

class Walker {
  readonly #fd: number
  readonly #path: string
  readonly #size: number
  readonly #window = Buffer.allocUnsafe(WINDOW_BYTES)
  #windowStart = 0
  #windowLength = 0
  #position = 0

  constructor (fd: number, path: string) {
    this.#fd = fd
    this.#path = path
    this.#size = fstatSync(fd).size
  }

  walk (tags: ReadonlySet<number>): { meta: Meta, values: Map<number, Buffer>, sizeBytes: number } {
    if (this.#size < PREFIX_LENGTH || this.#bytes(PREFIX_LENGTH).toString('latin1', 128) !== 'DICM') throw this.#cut('no DICM prefix')
    const meta: Meta = { sopInstanceUid: '', sopClassUid: '', transferSyntaxUid: '' }
    const values = new Map<number, Buffer>()
    const answer = { meta, values, sizeBytes: this.#size }
    // the meta information is always explicit VR little endian (PS3.10 7.1)
    for (;;) {
      if (this.#position + 2 > this.#size || this.#peek(2).readUInt16LE() !== 0x0002) break
      const { tag, length } = this.#header({ explicit: true, littleEndian: true })
      const value = this.#bytes(length)
      if (tag === 0x00020010) meta.transferSyntaxUid = uid(value)
      else if (tag === 0x00020002) meta.sopClassUid = uid(value)
      else if (tag === 0x00020003) meta.sopInstanceUid = uid(value)
    }
    // a deflated data set cannot be walked without inflating it; that storescp closed it normally must do
    if (meta.transferSyntaxUid === DEFLATED) return answer
    const encoding: Encoding = { explicit: meta.transferSyntaxUid !== IMPLICIT_LITTLE_ENDIAN, littleEndian: meta.transferSyntaxUid !== EXPLICIT_BIG_ENDIAN }
    while (this.#position < this.#size) {
      const { tag, vr, length } = this.#header(encoding)
      if (tags.has(tag) && length <= WINDOW_BYTES) values.set(tag, Buffer.from(this.#bytes(length)))
      else if (tags.has(tag) && vr === 'SQ') this.#keepItems(encoding, tag, length, values)
      else if (length === UNDEFINED_LENGTH) this.#skipItems(vr === 'UN' ? { explicit: false, littleEndian: true } : encoding, tag === PIXEL_DATA)
      else this.#skip(length)
      // what some senders append after the pixel data is none of our business
      if (tag === PIXEL_DATA) break
    }
    return answer
  }

  /** The items of a sequence; of one of undefined length without the delimiter, so that with its length known they are one of defined length. */
  #keepItems (encoding: Encoding, tag: number, length: number, values: Map<number, Buffer>): void {
    const start = this.#position
    if (length === UNDEFINED_LENGTH) this.#skipItems(encoding, false)
    else this.#skip(length)
    const bytes = length === UNDEFINED_LENGTH ? this.#position - DELIMITER_BYTES - start : length
    if (bytes > LARGEST_SEQUENCE_BYTES) return
    const value = Buffer.alloc(bytes)
    if (readSync(this.#fd, value, 0, bytes, start) < bytes) throw this.#cut('it became shorter while it was read')
    values.set(tag, value)
  }

  /** A sequence or encapsulated pixel data of undefined length (PS3.5 7.5, A.4). */
  #skipItems (encoding: Encoding, fragments: boolean): void {
    for (;;) {
      const { tag, length } = this.#header(encoding)
      if (tag === SEQUENCE_END) return
      if (tag !== ITEM) throw this.#cut('a sequence holds something else than items')
      if (length !== UNDEFINED_LENGTH) this.#skip(length)
      else if (fragments) throw this.#cut('a fragment of undefined length')
      else this.#skipItemElements(encoding)
    }
  }

  #skipItemElements (encoding: Encoding): void {
    for (;;) {
      const { tag, vr, length } = this.#header(encoding)
      if (tag === ITEM_END) return
      if (length === UNDEFINED_LENGTH) this.#skipItems(vr === 'UN' ? { explicit: false, littleEndian: true } : encoding, false)
      else this.#skip(length)
    }
  }

  #header ({ explicit, littleEndian }: Encoding): ElementHeader {
    const head = this.#bytes(8)
    const group = littleEndian ? head.readUInt16LE(0) : head.readUInt16BE(0)
    const element = littleEndian ? head.readUInt16LE(2) : head.readUInt16BE(2)
    const tag = group * 0x10000 + element
    // items and delimiters have no VR in any encoding (PS3.5 7.5)
    if (!explicit || group === 0xFFFE) return { tag, vr: '', length: littleEndian ? head.readUInt32LE(4) : head.readUInt32BE(4) }
    const vr = head.toString('latin1', 4, 6)
    if (!LONG_VRS.has(vr)) {
      if (!/^[A-Z]{2}$/.test(vr)) throw this.#cut(`no VR at byte ${this.#position - 4}`)
      return { tag, vr, length: littleEndian ? head.readUInt16LE(6) : head.readUInt16BE(6) }
    }
    const long = this.#bytes(4)
    return { tag, vr, length: littleEndian ? long.readUInt32LE() : long.readUInt32BE() }
  }

  #skip (length: number): void {
    this.#position += length
    if (this.#position > this.#size) throw this.#cut(`${this.#position - this.#size} bytes are missing`)
  }

  #bytes (length: number): Buffer {
    const bytes = this.#peek(length)
    this.#position += length
    return bytes
  }

  #peek (length: number): Buffer {
    if (this.#position + length > this.#size) throw this.#cut(`${this.#position + length - this.#size} bytes are missing`)
    if (length > this.#window.length) throw this.#cut('an element of the header is too long')
    if (this.#position < this.#windowStart || this.#position + length > this.#windowStart + this.#windowLength) {
      this.#windowStart = this.#position
      this.#windowLength = readSync(this.#fd, this.#window, 0, this.#window.length, this.#position)
      if (this.#windowLength < length) throw this.#cut('it became shorter while it was read')
    }
    const offset = this.#position - this.#windowStart
    return this.#window.subarray(offset, offset + length)
  }

  #cut (reason: string): NotWholeError {
    return new NotWholeError(this.#path, `not a whole DICOM file: ${reason}`)
  }
}

/** UIDs are padded with a null character, by some senders with a blank. */
function uid (value: Buffer): string {
  return value.toString('latin1').replace(/[\0 ]+$/, '')
}
