/**
 * What a DICOM file (PS3.10 7) says of itself, read once: who it is, that it is whole, and what a directory record and a picture need. It
 * reads headers and skips values, so a file of gigabytes costs a few reads.
 *
 * Whole means that the sender was answered with success and the file holds what was sent. So nothing that is merely odd is an error: what
 * cannot be followed is left out with a remark. Cut off is what ends before its own lengths do.
 */
import { closeSync, openSync } from 'node:fs'
import { Attributes } from './attributes.ts'
import { DataSetReader, type PixelDataPlace } from './data-set-reader.ts'
import { isVr, lettersOf } from './dictionary.ts'
import { DIRECTORY_TAGS } from './directory-record-types.ts'
import { Headers, isLikelyGroup, UNDEFINED_LENGTH, type Encoding } from './headers.ts'
import { inflate } from './inflate.ts'
import { NUMBER_OF_FRAMES, PICTURE_TAGS } from './picture-tags.ts'
import { BeginningSource, FileSource, LostError, MemorySource, type Source } from './source.ts'
import type { Patient } from './study.ts'
import { dateOf, integerOf } from './values.ts'

/** What an object says of itself. */
export interface DicomObject {
  /** From the data set; the SOP ones from the file meta information where it has none. Any text may stand there: see isUid. */
  sopInstanceUid: string
  sopClassUid: string
  studyInstanceUid: string
  seriesInstanceUid: string
  transferSyntaxUid: string
  /** As it stands in the file, in UTF-8. */
  patient: Patient
  instanceNumber: number | undefined
  sizeBytes: number
  /** The elements that were asked for; by default those of a directory record, of a picture and of who it is. */
  attributes: Attributes
  /**
   * Where its pixels stand in the file. Undefined where there are none, where they stand only in what must be inflated, and where they are
   * not encoded as the transfer syntax says, or may not be: a picture of them could be a wrong one.
   */
  pixelData: PixelDataPlace | undefined
  /** What could not be followed, for the log; empty as a rule. */
  remarks: readonly string[]
}

/** The file holds less than was sent. */
export class CutOffError extends Error {
  /** As far as it is known; else empty. */
  readonly sopInstanceUid: string

  constructor (sopInstanceUid: string, reason: string) {
    super(`the object ${sopInstanceUid === '' ? 'of an unknown UID' : sopInstanceUid} is cut off: ${reason}`)
    this.name = 'CutOffError'
    this.sopInstanceUid = sopInstanceUid
  }
}

/** There is no DICM prefix (PS3.10 7.1). */
export class NotDicomError extends Error {
  constructor (path: string) {
    super(`${path} is no DICOM file`)
    this.name = 'NotDicomError'
  }
}

const PREFIX_BYTES = 132
/** More than any value can be long (PS3.5 7.1.1). */
const UNKNOWN_BYTES = 2 ** 40
const META_GROUP = 0x0002
const META_GROUP_LENGTH = 0x00020000
const META_SOP_CLASS_UID = 0x00020002
const META_SOP_INSTANCE_UID = 0x00020003
const META_TRANSFER_SYNTAX_UID = 0x00020010
const LONGEST_HEADER_BYTES = 12
/** Longer values of the meta information are none of those that are read here. */
const LONGEST_UID_BYTES = 256
const IMPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2'
const EXPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2.1'
const EXPLICIT_BIG_ENDIAN = '1.2.840.10008.1.2.2'
const DEFLATED = '1.2.840.10008.1.2.1.99'
const EXPLICIT: Encoding = { explicit: true, littleEndian: true }
const ENCODINGS: readonly Encoding[] = [EXPLICIT, { explicit: false, littleEndian: true }, { explicit: true, littleEndian: false }]

const SPECIFIC_CHARACTER_SET = 0x00080005
const SOP_CLASS_UID = 0x00080016
const SOP_INSTANCE_UID = 0x00080018
const PATIENT_NAME = 0x00100010
const PATIENT_ID = 0x00100020
const ISSUER_OF_PATIENT_ID = 0x00100021
const PATIENT_BIRTH_DATE = 0x00100030
const PATIENT_SEX = 0x00100040
const STUDY_INSTANCE_UID = 0x0020000D
const SERIES_INSTANCE_UID = 0x0020000E
const INSTANCE_NUMBER = 0x00200013
/** Who it is. These are always read. */
const IDENTITY_TAGS: readonly number[] = [
  SPECIFIC_CHARACTER_SET, SOP_CLASS_UID, SOP_INSTANCE_UID, PATIENT_NAME, PATIENT_ID, ISSUER_OF_PATIENT_ID, PATIENT_BIRTH_DATE, PATIENT_SEX,
  STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, INSTANCE_NUMBER, NUMBER_OF_FRAMES
]
const DEFAULT_TAGS: ReadonlySet<number> = new Set([...IDENTITY_TAGS, ...PICTURE_TAGS, ...DIRECTORY_TAGS])

interface Meta {
  sopInstanceUid: string
  sopClassUid: string
  transferSyntaxUid: string
  /** Where the data set begins. */
  end: number
}

/**
 * @param tags of the elements to keep besides those of who it is, as numbers: `0x00100010`
 * @throws CutOffError when it holds less than was sent
 * @throws NotDicomError
 */
export async function readObject (path: string, tags?: ReadonlySet<number>): Promise<DicomObject> {
  const wanted = tags === undefined ? DEFAULT_TAGS : new Set([...IDENTITY_TAGS, ...tags])
  const read = readPlain(path, wanted)
  if (read.object !== undefined) return read.object
  const { meta, zlibHeader, fileBytes } = read.deflated
  const inflated = await inflate(path, meta.end, zlibHeader)
  const plain = { ...meta, end: 0 }
  if (inflated.end === 'cut-off') throw new CutOffError(uidOfBeginning(inflated.beginning, plain, wanted), inflated.reason)
  // of one that is too large nobody knows where it ends
  const sizeBytes = inflated.end === 'too-large' ? UNKNOWN_BYTES : inflated.sizeBytes
  const object = readDataSet(new MemorySource(inflated.beginning, sizeBytes), plain, wanted, fileBytes)
  object.pixelData = undefined
  return inflated.end === 'whole' ? object : { ...object, remarks: [...object.remarks, inflated.reason] }
}

/**
 * The same, while the file is still on its way to the disk: of most images all headers stand in the first few kilobytes.
 * @param beginning of the file
 * @param sizeBytes of the whole file
 * @returns undefined where only the whole file can tell, and where it is no whole object, which is for {@link readObject} to say
 */
export function readBeginning (beginning: Buffer, sizeBytes: number): DicomObject | undefined {
  const source = new BeginningSource(beginning, sizeBytes)
  try {
    const meta = readMeta(source, 'it')
    if (meta.transferSyntaxUid === DEFLATED) return undefined
    const object = known(readDataSet(source, meta, DEFAULT_TAGS, sizeBytes), 'it')
    return source.wentBeyond ? undefined : object
  } catch (error) {
    if (error instanceof LostError || error instanceof CutOffError || error instanceof NotDicomError) return undefined
    throw error
  }
}

type Plain = { object: DicomObject } | { object: undefined, deflated: { meta: Meta, zlibHeader: boolean, fileBytes: number } }

/** All of a file that needs not be inflated. */
function readPlain (path: string, tags: ReadonlySet<number>): Plain {
  const fd = openSync(path, 'r')
  let source: FileSource | undefined
  try {
    source = new FileSource(fd)
    const meta = readMeta(source, path)
    const method = meta.transferSyntaxUid === DEFLATED ? deflation(source, meta.end) : undefined
    if (method !== undefined) return { object: undefined, deflated: { meta, zlibHeader: method === 'zlib', fileBytes: source.sizeBytes } }
    return { object: known(readDataSet(source, meta, tags, source.sizeBytes), path) }
  } finally {
    source?.release()
    closeSync(fd)
  }
}

/** Three letters in the right place do not make an object. */
function known (object: DicomObject, path: string): DicomObject {
  if (object.attributes.sizeBytes === 0 && object.sopInstanceUid === '') throw new NotDicomError(path)
  return object
}

/** The file meta information, always explicit VR little endian (PS3.10 7.1); odd elements in it are passed over. */
function readMeta (source: Source, path: string): Meta {
  if (source.sizeBytes < PREFIX_BYTES || source.bytes(0, PREFIX_BYTES).toString('latin1', 128) !== 'DICM') throw new NotDicomError(path)
  const headers = new Headers(source)
  const meta: Meta = { sopInstanceUid: '', sopClassUid: '', transferSyntaxUid: '', end: PREFIX_BYTES }
  const end = source.sizeBytes
  let groupEnd: number | undefined
  for (;;) {
    if (meta.end + 8 > end || source.uint16(meta.end, true) !== META_GROUP) break
    const header = headers.at({ at: meta.end, end, encoding: EXPLICIT, nested: false })
    if (header === undefined || header.length === UNDEFINED_LENGTH) {
      if (end - meta.end < LONGEST_HEADER_BYTES) throw new CutOffError(meta.sopInstanceUid, 'it ends within its meta information')
      // its own length leads past what cannot be read
      if (groupEnd !== undefined && groupEnd > meta.end && groupEnd < end) meta.end = groupEnd
      break
    }
    const { tag, valueAt, length } = header
    if (valueAt + length > end) throw new CutOffError(meta.sopInstanceUid, 'it ends within its meta information')
    meta.end = valueAt + length
    if (tag === META_GROUP_LENGTH && length === 4) groupEnd = meta.end + source.uint32(valueAt, true)
    if (length > LONGEST_UID_BYTES) continue
    const text = uidText(source.bytes(valueAt, length))
    if (tag === META_TRANSFER_SYNTAX_UID) meta.transferSyntaxUid = text
    else if (tag === META_SOP_CLASS_UID) meta.sopClassUid = text
    else if (tag === META_SOP_INSTANCE_UID) meta.sopInstanceUid = text
  }
  if (meta.end >= end) throw new CutOffError(meta.sopInstanceUid, 'it has no data set')
  return meta
}

/** @returns undefined for a data set that is called deflated and is not; some have a header of RFC 1950, which PS3.5 A.5 does not know */
function deflation (source: Source, at: number): 'raw' | 'zlib' | undefined {
  const first = source.bytes(at, Math.min(8, source.sizeBytes - at))
  if (first.length < 2) return 'raw'
  if (first.length === 8 && isLikelyGroup(first.readUInt16LE(0)) && isVr(first.toString('latin1', 4, 6))) return undefined
  return first[0] === 0x78 && first.readUInt16BE(0) % 31 === 0 ? 'zlib' : 'raw'
}

function readDataSet (source: Source, meta: Meta, tags: ReadonlySet<number>, sizeBytes: number): DicomObject {
  const { encoding, remark } = encodingOf(source, meta)
  const asStated = encoding.littleEndian === (meta.transferSyntaxUid !== EXPLICIT_BIG_ENDIAN)
  const reader = new DataSetReader(source, { start: meta.end, encoding, tags, lastIdentityTag: SERIES_INSTANCE_UID })
  reader.read()
  const attributes = new Attributes(reader.elements())
  const uid = (tag: number): string => uidText(attributes.value(tag) ?? Buffer.alloc(0))
  const sopInstanceUid = uid(SOP_INSTANCE_UID) || meta.sopInstanceUid
  if (reader.cutOff !== undefined) throw new CutOffError(sopInstanceUid, reader.cutOff)
  const remarks = remark === undefined ? reader.remarks : [remark, ...reader.remarks]
  if (meta.sopInstanceUid !== '' && meta.sopInstanceUid !== sopInstanceUid) {
    remarks.push(`its meta information calls it ${meta.sopInstanceUid.slice(0, 64)}`)
  }
  const instanceNumber = integerOf(attributes.text(INSTANCE_NUMBER) ?? '')
  return {
    sopInstanceUid,
    sopClassUid: shared(uid(SOP_CLASS_UID) || meta.sopClassUid),
    studyInstanceUid: shared(uid(STUDY_INSTANCE_UID)),
    seriesInstanceUid: shared(uid(SERIES_INSTANCE_UID)),
    transferSyntaxUid: shared(meta.transferSyntaxUid) || (encoding.explicit ? EXPLICIT_LITTLE_ENDIAN : IMPLICIT_LITTLE_ENDIAN),
    patient: patientOf(attributes),
    instanceNumber: instanceNumber === undefined ? undefined : Number(instanceNumber),
    sizeBytes,
    attributes,
    pixelData: asStated ? reader.pixelData : undefined,
    remarks
  }
}

function patientOf (attributes: Attributes): Patient {
  const text = (tag: number): string => shared(attributes.text(tag) ?? '')
  return {
    patientId: text(PATIENT_ID),
    issuerOfPatientId: text(ISSUER_OF_PATIENT_ID),
    patientName: text(PATIENT_NAME),
    birthDate: shared(dateOf(text(PATIENT_BIRTH_DATE)) ?? ''),
    sex: text(PATIENT_SEX)
  }
}

/** Texts that all images of a series have: a study of 20,000 keeps each of them once. */
const sharedTexts = new Map<string, string>()
const MOST_SHARED_TEXTS = 256

function shared (text: string): string {
  const known = sharedTexts.get(text)
  if (known !== undefined) return known
  if (sharedTexts.size >= MOST_SHARED_TEXTS) sharedTexts.clear()
  sharedTexts.set(text, text)
  return text
}

/** What the transfer syntax says, where the first elements agree; else what they agree with. */
function encodingOf (source: Source, { transferSyntaxUid, end: at }: Meta): { encoding: Encoding, remark: string | undefined } {
  const stated: Encoding = {
    explicit: transferSyntaxUid !== IMPLICIT_LITTLE_ENDIAN,
    littleEndian: transferSyntaxUid !== EXPLICIT_BIG_ENDIAN
  }
  const end = source.sizeBytes
  const fits = ({ explicit, littleEndian }: Encoding): boolean => {
    try {
      // (0008,....) is what a data set begins with; the other way round it is 0x0800
      const group = source.uint16(at, littleEndian)
      if (group < 0x0008 || group > 0x00FF || isVr(lettersOf(source.uint16(at + 4, false))) !== explicit) return false
      return explicit || at + 8 + source.uint32(at + 4, littleEndian) <= end
    } catch (error) {
      if (error instanceof LostError) return false
      throw error
    }
  }
  if (fits(stated)) return { encoding: stated, remark: undefined }
  const headers = new Headers(source)
  const found = ENCODINGS.find(encoding => fits(encoding) && headers.credit({ at, end, encoding, nested: false }) > 0)
  if (found === undefined) return { encoding: stated, remark: undefined }
  return { encoding: found, remark: 'its data set is not encoded as its transfer syntax says' }
}

function uidOfBeginning (beginning: Buffer, meta: Meta, tags: ReadonlySet<number>): string {
  try {
    return readDataSet(new MemorySource(beginning), meta, tags, beginning.length).sopInstanceUid
  } catch (error) {
    return error instanceof CutOffError ? error.sopInstanceUid : meta.sopInstanceUid
  }
}

/** UIDs are padded with a null character (PS3.5 9.1), by some with blanks (CTN). */
function uidText (value: Buffer): string {
  return (value.toString('latin1').split('\0', 1)[0] ?? '').trim()
}
