/** DICOMDIR, the index of the disc (PS3.10 8.6, PS3.3 F): a tree of records, patient, study, series, instance, bound by byte offsets. */
import { createHash } from 'node:crypto'
import { PRODUCT } from '../../product.ts'
import type { DiscContents, DiscFile, DiscPatient, DiscSeries, DiscStudy } from '../contents.ts'
import { Attributes } from '../../dicom/attributes.ts'
import { PATIENT, SERIES, STUDY, TAGS } from '../../dicom/directory-record-types.ts'
import { element, uint16, uint32 } from '../../dicom/element-writer.ts'
import { fileBeginning } from '../../dicom/file-meta.ts'
import { encodeRecord, recordOf } from './records.ts'

/** A file that is on the disc though the DICOMDIR cannot list it. */
export interface NotListed {
  fileId: string
  reason: string
}

interface DirectoryNode {
  /** All of the record that holds no offset. */
  body: Buffer
  children: readonly DirectoryNode[]
  /** Bytes of the record and of all below it. */
  sizeBytes: number
}

const MEDIA_STORAGE_DIRECTORY = '1.2.840.10008.1.3.10'
const EXPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2.1'
/** Ours; made once from a UUID (PS3.5 B.2). */
const IMPLEMENTATION_CLASS_UID = '2.25.39241523165663433627993883919750080093'
/** The beginning of each record, to which the offsets are added. */
const NO_OFFSETS = Buffer.concat([element(0x00041400, 'UL', uint32(0)), element(0x00041410, 'US', uint16(0xFFFF)), element(0x00041420, 'UL', uint32(0))])
/** With the tag and the length of the item. */
const OFFSETS_BYTES = 8 + NO_OFFSETS.length
const NEXT_AT = 8 + 8
const LOWER_AT = OFFSETS_BYTES - 4

/**
 * @param fileSetId at most 16 characters (PS3.3 F.3.2.1)
 * @returns the file, the same bytes for the same disc, and what it does not list
 */
export function buildDicomdir (contents: DiscContents, fileSetId: string): { bytes: Buffer, notListed: NotListed[] } {
  const notListed: NotListed[] = []
  const roots = contents.patients.map((patient, index) => patientNode(patient, index, notListed)).filter(hasChildren)
  const head = (first: number, last: number, recordBytes: number): Buffer => Buffer.concat([
    element(0x00041130, 'CS', fileSetId),
    element(0x00041200, 'UL', uint32(first)),
    element(0x00041202, 'UL', uint32(last)),
    // no known inconsistencies
    element(0x00041212, 'US', uint16(0)),
    sequenceHeader(0x00041220, recordBytes)
  ])
  const start = beginning('').length + head(0, 0, 0).length
  const body = Buffer.concat(encode(roots, start))
  const last = start + roots.slice(0, -1).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const dataSet = roots.length === 0 ? head(0, 0, 0) : head(start, last, body.length)
  return { bytes: Buffer.concat([beginning(uidOf(dataSet, body)), dataSet, body]), notListed }
}

/** Its length does not depend on the UID. */
function beginning (sopInstanceUid: string): Buffer {
  return fileBeginning({
    sopClassUid: MEDIA_STORAGE_DIRECTORY,
    sopInstanceUid: Buffer.from(sopInstanceUid.padEnd(64, '\0'), 'latin1'),
    transferSyntaxUid: EXPLICIT_LITTLE_ENDIAN,
    implementationClassUid: IMPLEMENTATION_CLASS_UID,
    implementationVersionName: `MKISO_${PRODUCT.version.replaceAll('.', '')}`.slice(0, 16),
    sourceAeTitle: ''
  })
}

/** A UID from the content (PS3.5 B.2): the same disc has the same. */
function uidOf (...parts: Buffer[]): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return `2.25.${BigInt(`0x${hash.digest('hex').slice(0, 32)}`)}`
}

function sequenceHeader (tag: number, length: number): Buffer {
  const header = element(tag, 'SQ', '')
  header.writeUInt32LE(length, 8)
  return header
}

function patientNode ({ patient, studies }: DiscPatient, index: number, notListed: NotListed[]): DirectoryNode {
  const { fields } = encodeRecord(PATIENT, firstOf(studies.flatMap(({ series }) => series)), new Map([
    // an empty Patient ID is type 2 in the images and type 1 here; two nameless patients must not become one
    [TAGS.patientId, patient.patientId === '' ? `UNKNOWN-${index + 1}` : patient.patientId]
  ]))
  return node(PATIENT.name, fields, studies.map(study => studyNode(study, notListed)).filter(hasChildren))
}

function studyNode ({ study, series }: DiscStudy, notListed: NotListed[]): DirectoryNode {
  const { fields } = encodeRecord(STUDY, firstOf(series), new Map([
    [TAGS.studyInstanceUid, study.studyInstanceUid], [TAGS.studyDate, study.studyDate], [TAGS.accessionNumber, study.accessionNumber],
    [TAGS.studyId, study.studyId]
  ]))
  return node(STUDY.name, fields, series.map(one => seriesNode(one, notListed)).filter(hasChildren))
}

function seriesNode ({ series, files }: DiscSeries, notListed: NotListed[]): DirectoryNode {
  const { fields } = encodeRecord(SERIES, files[0]?.object.attributes ?? Attributes.NONE, new Map([
    [TAGS.seriesInstanceUid, series.seriesInstanceUid], [TAGS.modality, series.modality],
    [TAGS.seriesNumber, series.seriesNumber === undefined ? '' : String(series.seriesNumber)]
  ]))
  const children = files.flatMap((file): DirectoryNode[] => {
    const record = recordOf(file.object)
    if (record.listed) return [node(record.type, record.fields, [], file)]
    notListed.push({ fileId: file.fileId, reason: record.reason })
    return []
  })
  return node(SERIES.name, fields, children)
}

/** A record that leads to no file is of no use. */
function hasChildren ({ children }: DirectoryNode): boolean {
  return children.length > 0
}

/** What the first file says stands for all: that they are of one study and one patient has been seen to. */
function firstOf (series: readonly DiscSeries[]): Attributes {
  return series.flatMap(({ files }) => files)[0]?.object.attributes ?? Attributes.NONE
}

function node (type: string, fields: Buffer, children: readonly DirectoryNode[], file?: DiscFile): DirectoryNode {
  const body = Buffer.concat([
    element(0x00041430, 'CS', type),
    ...(file === undefined
      ? []
      : [
          element(0x00041500, 'CS', file.fileId.replaceAll('/', '\\')),
          element(0x00041510, 'UI', file.object.sopClassUid),
          element(0x00041511, 'UI', file.object.sopInstanceUid),
          element(0x00041512, 'UI', file.transferSyntaxUid)
        ]),
    fields
  ])
  return { body, children, sizeBytes: children.reduce((sum, child) => sum + child.sizeBytes, OFFSETS_BYTES + body.length) }
}

/** The records of one level, each followed by all below it. @param start offset of the first from the start of the file */
function encode (nodes: readonly DirectoryNode[], start: number): Buffer[] {
  let offset = start
  return nodes.flatMap(({ body, children, sizeBytes }, index) => {
    const lower = offset + OFFSETS_BYTES + body.length
    offset += sizeBytes
    // 0 stands for "there is none" (PS3.3 F.3.2.2)
    const next = index === nodes.length - 1 ? 0 : offset
    return [offsets(body.length, next, children.length === 0 ? 0 : lower), body, ...encode(children, lower)]
  })
}

function offsets (bodyBytes: number, next: number, lower: number): Buffer {
  const bytes = Buffer.alloc(OFFSETS_BYTES)
  bytes.writeUInt16LE(0xFFFE, 0)
  bytes.writeUInt16LE(0xE000, 2)
  bytes.writeUInt32LE(OFFSETS_BYTES - 8 + bodyBytes, 4)
  NO_OFFSETS.copy(bytes, 8)
  bytes.writeUInt32LE(next, NEXT_AT)
  bytes.writeUInt32LE(lower, LOWER_AT)
  return bytes
}
