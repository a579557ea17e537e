/** Bytes of DICOM files as their writers make them, not as the standard asks: every element says for itself how it is encoded. */

export interface Syntax { explicit: boolean, littleEndian: boolean }

export const EXPLICIT: Syntax = { explicit: true, littleEndian: true }
export const IMPLICIT: Syntax = { explicit: false, littleEndian: true }
export const BIG_ENDIAN: Syntax = { explicit: true, littleEndian: false }

export const SYNTAX_UIDS = {
  explicit: '1.2.840.10008.1.2.1', implicit: '1.2.840.10008.1.2', bigEndian: '1.2.840.10008.1.2.2',
  deflated: '1.2.840.10008.1.2.1.99'
} as const

const LONG = /^(O[BDFLVW]|S[QV]|U[CNRTV])$/
const UNDEFINED = 0xFFFFFFFF

export function u16 (value: number, { littleEndian }: Syntax = EXPLICIT): Buffer {
  const bytes = Buffer.alloc(2)
  if (littleEndian) bytes.writeUInt16LE(value)
  else bytes.writeUInt16BE(value)
  return bytes
}

export function u32 (value: number, { littleEndian }: Syntax = EXPLICIT): Buffer {
  const bytes = Buffer.alloc(4)
  if (littleEndian) bytes.writeUInt32LE(value)
  else bytes.writeUInt32BE(value)
  return bytes
}

function tagBytes (tag: number, syntax: Syntax): Buffer {
  return Buffer.concat([u16(tag >>> 16, syntax), u16(tag & 0xFFFF, syntax)])
}

function padded (value: Buffer | string, vr: string): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value
  return bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.from(vr === 'UI' || vr === 'UN' || vr === 'OB' ? '\0' : ' ')])
}

/** @param vr the letters as they stand in the file, also those that are none @param length where it is not the value's */
export function el (tag: number, vr: string, value: Buffer | string, syntax: Syntax = EXPLICIT, length?: number): Buffer {
  const bytes = padded(value, vr)
  const said = length ?? bytes.length
  if (!syntax.explicit) return Buffer.concat([tagBytes(tag, syntax), u32(said, syntax), bytes])
  const letters = Buffer.from(vr, 'latin1')
  return LONG.test(vr)
    ? Buffer.concat([tagBytes(tag, syntax), letters, Buffer.alloc(2), u32(said, syntax), bytes])
    : Buffer.concat([tagBytes(tag, syntax), letters, u16(said, syntax), bytes])
}

export interface SequenceForm { undefinedLength?: boolean, undefinedItems?: boolean, vr?: string, inside?: Syntax }

/** @param items each the bytes of its elements */
export function sequence (tag: number, items: readonly Buffer[], syntax: Syntax = EXPLICIT, form: SequenceForm = {}): Buffer {
  const { undefinedLength = false, undefinedItems = false, vr = 'SQ', inside = syntax } = form
  const body = Buffer.concat(items.map(item => Buffer.concat([
    tagBytes(0xFFFEE000, inside), u32(undefinedItems ? UNDEFINED : item.length, inside), item,
    ...(undefinedItems ? [tagBytes(0xFFFEE00D, inside), u32(0)] : [])
  ])))
  if (!undefinedLength) return el(tag, vr, body, syntax)
  return Buffer.concat([el(tag, vr, body, syntax, UNDEFINED), tagBytes(0xFFFEE0DD, inside), u32(0)])
}

/** Encapsulated pixel data (PS3.5 A.4). */
export function fragments (parts: readonly Buffer[], delimiter = true): Buffer {
  return Buffer.concat([
    el(0x7FE00010, 'OB', Buffer.alloc(0), EXPLICIT, UNDEFINED), item(Buffer.alloc(0)), ...parts.map(item),
    ...(delimiter ? [Buffer.from('feffdde000000000', 'hex')] : [])
  ])
}

function item (bytes: Buffer): Buffer {
  return Buffer.concat([tagBytes(0xFFFEE000, EXPLICIT), u32(bytes.length), bytes])
}

export function meta (transferSyntaxUid: string, more: readonly Buffer[] = [], sopInstanceUid = ''): Buffer {
  const elements = Buffer.concat([
    el(0x00020001, 'OB', Buffer.from([0, 1])), el(0x00020002, 'UI', '1.2.840.10008.5.1.4.1.1.2'),
    ...(sopInstanceUid === '' ? [] : [el(0x00020003, 'UI', sopInstanceUid)]),
    el(0x00020010, 'UI', transferSyntaxUid), el(0x00020012, 'UI', '1.2.3'), ...more
  ])
  return Buffer.concat([Buffer.alloc(128), Buffer.from('DICM'), el(0x00020000, 'UL', u32(elements.length)), elements])
}

export function file (transferSyntaxUid: string, ...elements: readonly Buffer[]): Buffer {
  return Buffer.concat([meta(transferSyntaxUid), ...elements])
}

export const WHO = {
  sopClassUid: '1.2.840.10008.5.1.4.1.1.2', sopInstanceUid: '1.2.3.4.5', studyInstanceUid: '1.2.3',
  seriesInstanceUid: '1.2.3.4'
} as const

/** The elements of who it is, each by itself, so that odd ones can stand between them. */
export function identity (syntax: Syntax = EXPLICIT, vr: (vr: string) => string = vr => vr): {
  sop: Buffer, patient: Buffer, study: Buffer,
  image: Buffer
} {
  const one = (tag: number, letters: string, value: Buffer | string): Buffer => el(tag, vr(letters), value, syntax)
  return {
    sop: Buffer.concat([one(0x00080016, 'UI', WHO.sopClassUid), one(0x00080018, 'UI', WHO.sopInstanceUid), one(0x00080060, 'CS', 'CT')]),
    patient: Buffer.concat([one(0x00100010, 'PN', 'Doe^Jane'), one(0x00100020, 'LO', 'P1'), one(0x00100030, 'DA', '19700131'),
      one(0x00100040, 'CS', 'F')]),
    study: Buffer.concat([one(0x0020000D, 'UI', WHO.studyInstanceUid), one(0x0020000E, 'UI', WHO.seriesInstanceUid),
      one(0x00200013, 'IS', '7')]),
    image: Buffer.concat([one(0x00280008, 'IS', '1'), one(0x00280010, 'US', u16(2, syntax)), one(0x00280011, 'US', u16(2, syntax))])
  }
}

export function pixels (syntax: Syntax = EXPLICIT, bytes = 8): Buffer {
  return el(0x7FE00010, 'OW', Buffer.alloc(bytes, 0x41), syntax)
}
