/**
 * Directory records by SOP class, and the keys of each (PS3.3 F.4 and F.5; which class makes which record: PS3.3 Table F.4-1). The keys are
 * also those that dcmmkdir writes; a test compares the two.
 */

/**
 * Type 1 must have a value, 2 may be empty, 3 stands only when there is a value (PS3.5 7.4); 1C is taken as 3: who wrote the object knew
 * the condition.
 */
export interface Key {
  tag: number
  vr: string
  type: 1 | 2 | 3
  /** What stands in the record when an object lacks a type 1 attribute; without it the object cannot be listed. */
  invented?: string
  /** How many values it has; without it one. */
  values?: number | 'any'
  /** The only values that it may have. */
  terms?: readonly string[]
}

export interface RecordType {
  /** Directory Record Type (0004,1430). */
  name: string
  keys: readonly Key[]
}

type More = Pick<Key, 'values' | 'terms'>

const required = (tag: number, vr: string, invented?: string, more: More = {}): Key => ({
  tag, vr, type: 1, ...(invented === undefined ? {} : { invented }), ...more
})
const mayBeEmpty = (tag: number, vr: string): Key => ({ tag, vr, type: 2 })
const optional = (tag: number, vr: string, more: More = {}): Key => ({ tag, vr, type: 3, ...more })

export const TAGS = {
  specificCharacterSet: 0x00080005, patientId: 0x00100020, studyDate: 0x00080020, accessionNumber: 0x00080050,
  studyInstanceUid: 0x0020000D, studyId: 0x00200010,
  modality: 0x00080060, seriesInstanceUid: 0x0020000E, seriesNumber: 0x00200011, rows: 0x00280010
} as const

const NO_DATE = '19000101'
const NO_TIME = '000000'

const SPECIFIC_CHARACTER_SET = optional(TAGS.specificCharacterSet, 'CS', { values: 'any' })
const INSTANCE_NUMBER = required(0x00200013, 'IS', '1')
const CONTENT_TIME = [required(0x00080023, 'DA', NO_DATE), required(0x00080033, 'TM', NO_TIME)]
const CONCEPT_NAME = 0x0040A043
const CONTENT_SEQUENCE = optional(0x0040A730, 'SQ')
const DESCRIPTION_AND_CREATOR = [mayBeEmpty(0x00700081, 'LO'), mayBeEmpty(0x00700084, 'PN')]
const CONTENT_IDENTIFICATION = [required(0x00700080, 'CS', 'UNNAMED'), ...DESCRIPTION_AND_CREATOR]

const type = (name: string, ...keys: Key[]): RecordType => ({ name, keys: [SPECIFIC_CHARACTER_SET, ...keys].sort((a, b) => a.tag - b.tag) })

export const PATIENT = type('PATIENT', mayBeEmpty(0x00100010, 'PN'), required(TAGS.patientId, 'LO', 'UNKNOWN'), optional(0x00100021, 'LO'),
  optional(0x00100030, 'DA'),
  optional(0x00100040, 'CS', { terms: ['M', 'F', 'O'] }))
export const STUDY = type('STUDY', required(TAGS.studyDate, 'DA', NO_DATE), required(0x00080030, 'TM', NO_TIME),
  mayBeEmpty(TAGS.accessionNumber, 'SH'),
  mayBeEmpty(0x00081030, 'LO'), required(TAGS.studyInstanceUid, 'UI'), required(TAGS.studyId, 'SH', '0'))
export const SERIES = type('SERIES', required(TAGS.modality, 'CS', 'OT'), optional(0x00080080, 'LO'), optional(0x0008103E, 'LO'),
  required(TAGS.seriesInstanceUid, 'UI'), required(TAGS.seriesNumber, 'IS', '0'))

// rows, columns and the geometry let a viewer sort and place images before it opens them; the CT/MR profile asks for them (PS3.11 B.3)
const IMAGE = type('IMAGE', INSTANCE_NUMBER, optional(0x00080008, 'CS', { values: 'any' }), optional(0x00200032, 'DS', { values: 3 }),
  optional(0x00200037, 'DS', { values: 6 }),
  optional(0x00200052, 'UI'), optional(0x00280008, 'IS'), optional(TAGS.rows, 'US'), optional(0x00280011, 'US'),
  optional(0x00280030, 'DS', { values: 2 }))
const SR_DOCUMENT = type('SR DOCUMENT', ...CONTENT_TIME, INSTANCE_NUMBER,
  required(0x0040A491, 'CS', 'PARTIAL', { terms: ['PARTIAL', 'COMPLETE'] }),
  required(0x0040A493, 'CS', 'UNVERIFIED', { terms: ['UNVERIFIED', 'VERIFIED'] }), optional(0x0040A030, 'DT'),
  required(CONCEPT_NAME, 'SQ'), CONTENT_SEQUENCE)
const KEY_OBJECT_DOC = type('KEY OBJECT DOC', ...CONTENT_TIME, INSTANCE_NUMBER, required(CONCEPT_NAME, 'SQ'), CONTENT_SEQUENCE)
const PRESENTATION = type('PRESENTATION', INSTANCE_NUMBER, ...CONTENT_IDENTIFICATION, required(0x00700082, 'DA', NO_DATE),
  required(0x00700083, 'TM', NO_TIME),
  optional(0x00081115, 'SQ'), optional(0x00700402, 'SQ'))
const WAVEFORM = type('WAVEFORM', ...CONTENT_TIME, INSTANCE_NUMBER)
const ENCAP_DOC = type('ENCAP DOC', mayBeEmpty(0x00080023, 'DA'), mayBeEmpty(0x00080033, 'TM'), INSTANCE_NUMBER,
  mayBeEmpty(CONCEPT_NAME, 'SQ'), optional(0x0040E001, 'ST'),
  mayBeEmpty(0x00420010, 'ST'), required(0x00420012, 'LO', 'application/octet-stream'))
const RT_DOSE = type('RT DOSE', INSTANCE_NUMBER, required(0x3004000A, 'CS', 'PLAN'), optional(0x30040006, 'LO'))
const RT_STRUCTURE_SET = type('RT STRUCTURE SET', INSTANCE_NUMBER, required(0x30060002, 'SH', 'UNNAMED'), mayBeEmpty(0x30060008, 'DA'),
  mayBeEmpty(0x30060009, 'TM'))
const RT_PLAN = type('RT PLAN', INSTANCE_NUMBER, required(0x300A0002, 'SH', 'UNNAMED'), mayBeEmpty(0x300A0006, 'DA'),
  mayBeEmpty(0x300A0007, 'TM'))
const RT_TREAT_RECORD = type('RT TREAT RECORD', INSTANCE_NUMBER, mayBeEmpty(0x30080250, 'DA'), mayBeEmpty(0x30080251, 'TM'))
const RAW_DATA = type('RAW DATA', ...CONTENT_TIME, mayBeEmpty(0x00200013, 'IS'))
const SPECTROSCOPY = type('SPECTROSCOPY', ...CONTENT_TIME, INSTANCE_NUMBER,
  required(0x00080008, 'CS', 'ORIGINAL\\PRIMARY', { values: 'any' }), optional(0x00089092, 'SQ'),
  required(0x00280008, 'IS', '1'), required(TAGS.rows, 'US'), required(0x00280011, 'US'), required(0x00289001, 'UL'),
  required(0x00289002, 'UL'))
const withContent = (name: string): RecordType => type(name, ...CONTENT_TIME, INSTANCE_NUMBER, ...CONTENT_IDENTIFICATION)
const REGISTRATION = withContent('REGISTRATION')
const FIDUCIAL = withContent('FIDUCIAL')
const VALUE_MAP = withContent('VALUE MAP')
const SURFACE = withContent('SURFACE')
const TRACT = withContent('TRACT')
const ANNOTATION = withContent('ANNOTATION')
const SURFACE_SCAN = withContent('SURFACE SCAN')
const MEASUREMENT = type('MEASUREMENT', ...CONTENT_TIME, INSTANCE_NUMBER)
const STEREOMETRIC = type('STEREOMETRIC', INSTANCE_NUMBER, ...CONTENT_IDENTIFICATION)
const PLAN = type('PLAN')
const ASSESSMENT = type('ASSESSMENT', INSTANCE_NUMBER, required(0x00080012, 'DA', NO_DATE), mayBeEmpty(0x00080013, 'TM'))
const RADIOTHERAPY = type('RADIOTHERAPY', INSTANCE_NUMBER, optional(0x30100033, 'SH'), optional(0x30100034, 'LO'),
  ...DESCRIPTION_AND_CREATOR)

/** Below `1.2.840.10008.5.1.4.1.1.`; the first that fits counts. */
const BY_CLASS: ReadonlyArray<[RegExp, RecordType]> = [
  [/^4\.2$/, SPECTROSCOPY],
  [/^9\./, WAVEFORM],
  [/^11\./, PRESENTATION], [/^131$/, PRESENTATION],
  [/^66$/, RAW_DATA], [/^66\.[13]$/, REGISTRATION], [/^66\.2$/, FIDUCIAL], [/^66\.5$/, SURFACE], [/^66\.6$/, TRACT], [/^67$/, VALUE_MAP],
  [/^68\.[12]$/, SURFACE_SCAN],
  // spectacle prescriptions and macular grids are reports (PS3.3 A.35)
  [/^77\.1\.5\.3$/, STEREOMETRIC], [/^78\.6$/, SR_DOCUMENT], [/^79\.1$/, SR_DOCUMENT],
  // lensometry ... visual acuity, axial measurements, intraocular lens calculations, static perimetry
  [/^78\.[1-578]$/, MEASUREMENT], [/^80\.1$/, MEASUREMENT],
  [/^88\.59$/, KEY_OBJECT_DOC], [/^88\./, SR_DOCUMENT],
  [/^90\.1$/, ASSESSMENT], [/^91\.1$/, ANNOTATION],
  [/^104\./, ENCAP_DOC],
  [/^481\.2$/, RT_DOSE], [/^481\.3$/, RT_STRUCTURE_SET], [/^481\.[58]$/, RT_PLAN], [/^481\.[4679]$/, RT_TREAT_RECORD],
  // second generation, without its images (23, 24)
  [/^481\.(1\d|2[0-25])$/, RADIOTHERAPY]
]
const STORAGE_CLASSES = '1.2.840.10008.5.1.4.1.1.'
/** RT Beams and RT Brachy Application Setup Delivery Instruction, which are no storage classes by their UID. */
const PLANS: ReadonlySet<string> = new Set(['1.2.840.10008.5.1.4.34.7', '1.2.840.10008.5.1.4.34.10'])

/**
 * @param hasRows whether the object has a matrix of pixels: any such object of a class that has no record type of its own is an image
 * @returns undefined for a class that has no directory record
 */
export function recordTypeOf (sopClassUid: string, hasRows: boolean): RecordType | undefined {
  if (PLANS.has(sopClassUid)) return PLAN
  if (sopClassUid.startsWith(STORAGE_CLASSES)) {
    const found = BY_CLASS.find(([pattern]) => pattern.test(sopClassUid.slice(STORAGE_CLASSES.length)))
    if (found !== undefined) return found[1]
  }
  return hasRows ? IMAGE : undefined
}

/** Every attribute that a record of any type may hold. */
export const DIRECTORY_TAGS: ReadonlySet<number> = new Set(
  [PATIENT, STUDY, SERIES, IMAGE, PLAN, ...BY_CLASS.map(([, one]) => one)].flatMap(({ keys }) => keys.map(({ tag }) => tag))
)
