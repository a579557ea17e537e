/**
 * Directory records (PS3.3 F.5) of what objects say of themselves. Values are copied by their meaning: a record is legal (PS3.5 6.2)
 * whatever its object holds, since one value that cannot be read costs the index of the whole disc.
 */
import type { Attribute, Attributes } from '../../dicom/attributes.ts'
import { decodeText, isCharacterSet, isTextIn } from '../../dicom/character-set.ts'
import { nameOf } from '../../dicom/dictionary.ts'
import { recordTypeOf, TAGS, type Key, type RecordType } from '../../dicom/directory-record-types.ts'
import { element, uint16, uint32 } from '../../dicom/element-writer.ts'
import { isUid } from '../../dicom/study.ts'
import type { DicomObject } from '../../dicom/part10.ts'
import { codeOf, dateOf, dateTimeOf, decimalOf, integerOf, timeOf, uidOf } from '../../dicom/values.ts'

export type DirectoryRecord =
  | { listed: true, type: string, /** The record's keys, encoded. */ fields: Buffer }
  | { listed: false, reason: string }

export interface EncodedRecord {
  fields: Buffer
  /** The tag of an attribute of type 1 that cannot be invented. */
  missing: number | undefined
}

/** Texts by tag that stand in a record where the object itself says nothing. */
export type Fallbacks = ReadonlyMap<number, string>

const UTF_8 = 'ISO_IR 192'
/** Longest values in characters (PS3.5 6.2); of a name the longest group. */
const LONGEST: Readonly<Record<string, number>> = { SH: 16, LO: 64, PN: 64, ST: 1024 }
const MOST_NAME_GROUPS = 3
const TEXT_VRS: ReadonlySet<string> = new Set(Object.keys(LONGEST))

/** What an object says of itself does not change: its record is made while others arrive, and found when the disc is made. */
const made = new WeakMap<DicomObject, DirectoryRecord>()

/** The lowest record, which references the object; made once. @throws never */
export function recordOf (object: DicomObject): DirectoryRecord {
  let record = made.get(object)
  if (record === undefined) made.set(object, record = makeRecord(object))
  return record
}

function makeRecord (object: DicomObject): DirectoryRecord {
  const { sopClassUid, sopInstanceUid, attributes } = object
  if (!isUid(sopInstanceUid) || !isUid(sopClassUid)) return { listed: false, reason: 'its SOP Instance UID or SOP Class UID is no UID' }
  try {
    const type = recordTypeOf(sopClassUid, (attributes.number(TAGS.rows) ?? 0) > 0)
    if (type === undefined) return { listed: false, reason: `there is no directory record for SOP class ${sopClassUid}` }
    const { fields, missing } = encodeRecord(type, attributes)
    if (missing !== undefined) return { listed: false, reason: `required attribute ${nameOf(missing)} is missing` }
    return { listed: true, type: type.name, fields }
  } catch (error) {
    // one odd report must not cost the disc of the others
    return { listed: false, reason: `it could not be read: ${error instanceof Error ? error.message : String(error)}` }
  }
}

/** The keys of a record in ascending order; what an object lacks of type 1 is invented. */
export function encodeRecord (type: RecordType, attributes: Attributes, fallbacks: Fallbacks = new Map()): EncodedRecord {
  const found = new Map<number, Attribute>()
  for (const attribute of attributes) found.set(attribute.tag, attribute)
  const texts = textsOf(type, found, attributes.characterSet, fallbacks)
  const missing: number[] = []
  const elements = type.keys.flatMap(key => {
    const characterSet = key.tag === TAGS.specificCharacterSet ? texts.characterSet : undefined
    const value = characterSet ?? texts.values.get(key.tag) ?? plainValue(key, found, fallbacks)
    if (value !== undefined && value.length > 0) return [element(key.tag, key.vr, value)]
    if (key.type === 1 && key.invented === undefined) missing.push(key.tag)
    if (key.type === 1) return [element(key.tag, key.vr, key.invented ?? '')]
    return key.type === 2 ? [element(key.tag, key.vr, '')] : []
  })
  return { fields: Buffer.concat(elements), missing: missing[0] }
}

interface Texts {
  /** Of Specific Character Set (0008,0005); empty for none. */
  characterSet: string
  values: Map<number, Buffer>
}

/** As they are where their character set is what they are in; else all of them in UTF-8, so that the next reader need not guess again. */
function textsOf ({ keys }: RecordType, found: ReadonlyMap<number, Attribute>, declared: string, fallbacks: Fallbacks): Texts {
  const values = new Map<number, Buffer>()
  const decoded = new Map<number, string>()
  let sound = isCharacterSet(declared)
  for (const { tag, vr } of keys) {
    if (!TEXT_VRS.has(vr)) continue
    const raw = trimmed(found.get(tag)?.value ?? Buffer.alloc(0))
    const own = decodeText(raw, declared)
    const text = legalText(vr, own) || legalText(vr, fallbacks.get(tag) ?? '')
    if (text === '') continue
    decoded.set(tag, text)
    values.set(tag, raw)
    sound &&= text === own.trim() && isTextIn(raw, declared)
  }
  if (sound) return { characterSet: declared, values }
  for (const [tag, text] of decoded) values.set(tag, Buffer.from(text, 'utf8'))
  const ascii = [...decoded.values()].every(text => /^[\x20-\x7e\r\n]*$/.test(text))
  if (!ascii) return { characterSet: UTF_8, values }
  return { characterSet: isCharacterSet(declared) ? declared : '', values }
}

function trimmed (value: Buffer): Buffer {
  let end = value.length
  while (end > 0 && (value[end - 1] === 0x20 || value[end - 1] === 0)) end--
  return value.subarray(0, end)
}

/** Without control characters and what is above the length of its VR. */
function legalText (vr: string, text: string): string {
  // eslint-disable-next-line no-control-regex
  const control = vr === 'ST' ? /[\0-\x09\x0b\x0e-\x1f\x7f-\x9f]/g : /[\0-\x1f\x7f-\x9f]/g
  const printable = text.replace(control, '').replaceAll('\uFFFD', '?').trim()
  const most = LONGEST[vr] ?? 0
  const cut = (part: string): string => [...part].slice(0, most).join('')
  if (vr === 'PN') return printable.split('\\', 1).flatMap(one => one.split('=').slice(0, MOST_NAME_GROUPS)).map(cut).join('=').trim()
  // one value: a backslash begins another one, but for ST (PS3.5 6.2)
  return cut(vr === 'ST' ? printable : printable.split('\\')[0] ?? '').trim()
}

/** @returns undefined for no value, and for one that is not legal */
function plainValue (key: Key, found: ReadonlyMap<number, Attribute>, fallbacks: Fallbacks): Buffer | string | undefined {
  const { tag, vr } = key
  if (TEXT_VRS.has(vr)) return undefined
  const attribute = found.get(tag)
  if (vr === 'SQ') return attribute?.vr === 'SQ' ? attribute.value : undefined
  if (vr === 'US' || vr === 'UL') return attribute === undefined ? undefined : binary(vr, attribute)
  return (attribute === undefined ? undefined : text(key, asText(attribute))) ?? text(key, fallbacks.get(tag) ?? '')
}

function binary (vr: 'US' | 'UL', { vr: own, value }: Attribute): Buffer | undefined {
  const size = vr === 'US' ? 2 : 4
  if (own === vr) return value.length < size ? undefined : value.subarray(0, size)
  const number = Number(integerOf(asText({ tag: 0, vr: own, value })) ?? Number.NaN)
  if (!Number.isInteger(number) || number < 0 || number >= (vr === 'US' ? 2 ** 16 : 2 ** 32)) return undefined
  return vr === 'US' ? uint16(number) : uint32(number)
}

/** A number in binary, where text should stand, as its text. */
function asText ({ vr, value }: Attribute): string {
  if ((vr === 'US' || vr === 'SS') && value.length === 2) return String(vr === 'US' ? value.readUInt16LE() : value.readInt16LE())
  if ((vr === 'UL' || vr === 'SL') && value.length === 4) return String(vr === 'UL' ? value.readUInt32LE() : value.readInt32LE())
  return trimmed(value).toString('latin1')
}

const LEGAL: Readonly<Record<string, (text: string) => string | undefined>> = {
  CS: codeOf, DA: dateOf, DS: decimalOf, DT: dateTimeOf, IS: integerOf, TM: timeOf, UI: uidOf
}

function text ({ vr, type, values: count = 1, terms }: Key, whole: string): string | undefined {
  // what the file is known by stands here as it stands there
  if (vr === 'UI' && type === 1 && isUid(whole)) return whole
  const legal = LEGAL[vr]
  if (legal === undefined || whole === '') return undefined
  const texts = whole.split('\\')
  // values of an image type may be empty
  const values = (count === 'any' ? texts : texts.slice(0, count)).map(one => count === 'any' && one.trim() === '' ? '' : legal(one))
  if (values.some(one => one === undefined) || (typeof count === 'number' && values.length !== count)) return undefined
  return terms !== undefined && !terms.includes(values[0] ?? '') ? undefined : values.join('\\')
}
