/**
 * Directory records by SOP class, and the keys of each (PS3.3 F.4 and F.5; which class makes which record: PS3.3 Table F.4-1). The keys are
 * also those that dcmmkdir writes; a test compares the two.
 */

/** Type 1 must have a value, 2 may be empty, 3 stands only when there is a value (PS3.5 7.4); 1C is taken as 3: who wrote the object knew the condition. */
export interface Key {
  tag: number
  vr: string
  type: 1 | 2 | 3
  /** What stands in the record when an object lacks a type 1 attribute; without it the object cannot be listed. */
  invented?: string
}

export interface RecordType {
  /** Directory Record Type (0004,1430). */
  name: string
  keys: readonly Key[]
  /** Keys hold sequences, which are copied as they are and so must be explicit VR little endian. */
  sequences: boolean
}

const required = (tag: number, vr: string, invented?: string): Key => ({ tag, vr, type: 1, ...(invented === undefined ? {} : { invented }) })
const mayBeEmpty = (tag: number, vr: string): Key => ({ tag, vr, type: 2 })
const optional = (tag: number, vr: string): Key => ({ tag, vr, type: 3 })

export const TAGS = {
  patientName: 0x00100010, patientId: 0x00100020, studyDate: 0x00080020, accessionNumber: 0x00080050, studyInstanceUid: 0x0020000D, studyId: 0x00200010,
  modality: 0x00080060, seriesInstanceUid: 0x0020000E, seriesNumber: 0x00200011, rows: 0x00280010, contentSequence: 0x0040A730
} as const

const NO_DATE = '19000101'
const NO_TIME = '000000'

const SPECIFIC_CHARACTER_SET = optional(0x00080005, 'CS')
const INSTANCE_NUMBER = required(0x00200013, 'IS', '1')
const CONTENT_TIME = [required(0x00080023, 'DA', NO_DATE), required(0x00080033, 'TM', NO_TIME)]
const CONCEPT_NAME = 0x0040A043
const CONTENT_SEQUENCE = optional(TAGS.contentSequence, 'SQ')
const CONTENT_IDENTIFICATION = [required(0x00700080, 'CS', 'UNNAMED'), mayBeEmpty(0x00700081, 'LO'), mayBeEmpty(0x00700084, 'PN')]

const type = (name: string, ...keys: Key[]): RecordType => ({
  name,
  keys: [SPECIFIC_CHARACTER_SET, ...keys].sort((a, b) => a.tag - b.tag),
  sequences: keys.some(({ vr }) => vr === 'SQ')
})

export const PATIENT = type('PATIENT', mayBeEmpty(TAGS.patientName, 'PN'), required(TAGS.patientId, 'LO', 'UNKNOWN'), optional(0x00100021, 'LO'), optional(0x00100030, 'DA'), optional(0x00100040, 'CS'))
export const STUDY = type('STUDY', required(TAGS.studyDate, 'DA', NO_DATE), required(0x00080030, 'TM', NO_TIME), mayBeEmpty(TAGS.accessionNumber, 'SH'), mayBeEmpty(0x00081030, 'LO'),
  required(TAGS.studyInstanceUid, 'UI'), required(TAGS.studyId, 'SH', '0'))
export const SERIES = type('SERIES', required(TAGS.modality, 'CS', 'OT'), optional(0x00080080, 'LO'), optional(0x0008103E, 'LO'), required(TAGS.seriesInstanceUid, 'UI'), required(TAGS.seriesNumber, 'IS', '0'))

// rows, columns and the geometry let a viewer sort and place images before it opens them; the CT/MR profile asks for them (PS3.11 B.3)
const IMAGE = type('IMAGE', INSTANCE_NUMBER, optional(0x00080008, 'CS'), optional(0x00200032, 'DS'), optional(0x00200037, 'DS'), optional(0x00200052, 'UI'), optional(0x00280008, 'IS'),
  optional(TAGS.rows, 'US'), optional(0x00280011, 'US'), optional(0x00280030, 'DS'))
const SR_DOCUMENT = type('SR DOCUMENT', ...CONTENT_TIME, INSTANCE_NUMBER, required(0x0040A491, 'CS', 'PARTIAL'), required(0x0040A493, 'CS', 'UNVERIFIED'), optional(0x0040A030, 'DT'),
  required(CONCEPT_NAME, 'SQ'), CONTENT_SEQUENCE)
const KEY_OBJECT_DOC = type('KEY OBJECT DOC', ...CONTENT_TIME, INSTANCE_NUMBER, required(CONCEPT_NAME, 'SQ'), CONTENT_SEQUENCE)
const PRESENTATION = type('PRESENTATION', INSTANCE_NUMBER, ...CONTENT_IDENTIFICATION, required(0x00700082, 'DA', NO_DATE), required(0x00700083, 'TM', NO_TIME),
  optional(0x00081115, 'SQ'), optional(0x00700402, 'SQ'))
const WAVEFORM = type('WAVEFORM', ...CONTENT_TIME, INSTANCE_NUMBER)
const ENCAP_DOC = type('ENCAP DOC', mayBeEmpty(0x00080023, 'DA'), mayBeEmpty(0x00080033, 'TM'), INSTANCE_NUMBER, mayBeEmpty(CONCEPT_NAME, 'SQ'), optional(0x0040E001, 'ST'),
  mayBeEmpty(0x00420010, 'ST'), required(0x00420012, 'LO', 'application/octet-stream'))
const RT_DOSE = type('RT DOSE', INSTANCE_NUMBER, required(0x3004000A, 'CS', 'PLAN'), optional(0x30040006, 'LO'))
const RT_STRUCTURE_SET = type('RT STRUCTURE SET', INSTANCE_NUMBER, required(0x30060002, 'SH', 'UNNAMED'), mayBeEmpty(0x30060008, 'DA'), mayBeEmpty(0x30060009, 'TM'))
const RT_PLAN = type('RT PLAN', INSTANCE_NUMBER, required(0x300A0002, 'SH', 'UNNAMED'), mayBeEmpty(0x300A0006, 'DA'), mayBeEmpty(0x300A0007, 'TM'))
const RT_TREAT_RECORD = type('RT TREAT RECORD', INSTANCE_NUMBER, mayBeEmpty(0x30080250, 'DA'), mayBeEmpty(0x30080251, 'TM'))
const RAW_DATA = type('RAW DATA', ...CONTENT_TIME, mayBeEmpty(0x00200013, 'IS'))
const SPECTROSCOPY = type('SPECTROSCOPY', ...CONTENT_TIME, INSTANCE_NUMBER, required(0x00080008, 'CS', 'ORIGINAL\\PRIMARY'), optional(0x00089092, 'SQ'), required(0x00280008, 'IS', '1'),
  required(TAGS.rows, 'US'), required(0x00280011, 'US'), required(0x00289001, 'UL'), required(0x00289002, 'UL'))
const withContent = (name: string): RecordType => type(name, ...CONTENT_TIME, INSTANCE_NUMBER, ...CONTENT_IDENTIFICATION)
const [REGISTRATION, FIDUCIAL, VALUE_MAP, SURFACE, TRACT] = [withContent('REGISTRATION'), withContent('FIDUCIAL'), withContent('VALUE MAP'), withContent('SURFACE'), withContent('TRACT')]
const SURFACE_SCAN = type('SURFACE SCAN', ...CONTENT_TIME)
const MEASUREMENT = type('MEASUREMENT', ...CONTENT_TIME, INSTANCE_NUMBER)
const STEREOMETRIC = type('STEREOMETRIC')

/** Below `1.2.840.10008.5.1.4.1.1.`; the first that fits counts. */
const BY_CLASS: ReadonlyArray<[RegExp, RecordType]> = [
  [/^4\.2$/, SPECTROSCOPY],
  [/^9\./, WAVEFORM],
  [/^11\./, PRESENTATION],
  [/^66$/, RAW_DATA], [/^66\.[13]$/, REGISTRATION], [/^66\.2$/, FIDUCIAL], [/^66\.5$/, SURFACE], [/^66\.6$/, TRACT], [/^67$/, VALUE_MAP], [/^68\.[12]$/, SURFACE_SCAN],
  [/^77\.1\.5\.3$/, STEREOMETRIC], [/^78\.[1-6]$/, MEASUREMENT],
  [/^88\.59$/, KEY_OBJECT_DOC], [/^88\./, SR_DOCUMENT],
  [/^104\./, ENCAP_DOC],
  [/^481\.2$/, RT_DOSE], [/^481\.3$/, RT_STRUCTURE_SET], [/^481\.[58]$/, RT_PLAN], [/^481\.[4679]$/, RT_TREAT_RECORD]
]
const STORAGE_CLASSES = '1.2.840.10008.5.1.4.1.1.'

/**
 * @param hasRows whether the object has a matrix of pixels: any such object of a class that has no record type of its own is an image
 * @returns undefined for a class that has no directory record
 */
export function recordTypeOf (sopClassUid: string, hasRows: boolean): RecordType | undefined {
  if (sopClassUid.startsWith(STORAGE_CLASSES)) {
    const found = BY_CLASS.find(([pattern]) => pattern.test(sopClassUid.slice(STORAGE_CLASSES.length)))
    if (found !== undefined) return found[1]
  }
  return hasRows ? IMAGE : undefined
}

/** Every attribute that a record of any type may hold. */
export const RECORD_TAGS: ReadonlySet<number> = new Set([PATIENT, STUDY, SERIES, IMAGE, ...BY_CLASS.map(([, one]) => one)].flatMap(({ keys }) => keys.map(({ tag }) => tag)))

/** What the records above an object may hold. */
export const UPPER_TAGS: ReadonlySet<number> = new Set([PATIENT, STUDY, SERIES].flatMap(({ keys }) => keys.map(({ tag }) => tag)))
