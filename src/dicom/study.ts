/**
 * What an archive says of a study (DICOM PS3.4 C.4.1, Study Root): who, which series, and how many instances. How far each list can be trusted
 * stands beside it, since archives cut lists, some without a word.
 */

/** One image, report, waveform ...: an answer at IMAGE level, or what has come. */
export interface Instance {
  sopInstanceUid: string
  /** Empty until the file is here. */
  sopClassUid: string
  /** Instance Number (0020,0013), where there is one. */
  instanceNumber: number | undefined
}

/**
 * How the list of a series' instances ended. `whole`: with success. `cut`: with a status that says that there are more (0xFE00, 0xA700): what it
 * names is there, and it is not all. `empty`: with success and without an answer, as it is where an archive knows no IMAGE level, and where a series
 * holds nothing. `none`: not asked for, or refused, which says nothing.
 */
export type Listing = 'none' | 'empty' | 'cut' | 'whole'

export interface Series {
  seriesInstanceUid: string
  modality: string
  seriesNumber: number | undefined
  seriesDescription: string
  /** Body Part Examined (0018,0015), where it was asked for and the archive names one; most leave it empty. */
  bodyPartExamined?: string | undefined
  /** Number of Series Related Instances (0020,1209), where the archive gives it. */
  instanceCount: number | undefined
  listing: Listing
  /** What the list names; after a study has come, what has come. */
  instances: readonly Instance[]
}

export interface Patient {
  /** Patient ID (0010,0020); may be empty. */
  patientId: string
  issuerOfPatientId: string
  /** Person Name in DICOM's form, UTF-8: `Yamada^Tarou=山田^太郎`. */
  patientName: string
  /** DICOM date, `YYYYMMDD`, or empty. */
  birthDate: string
  sex: string
}

export interface Study {
  studyInstanceUid: string
  accessionNumber: string
  patient: Patient
  /** DICOM date, `YYYYMMDD`, or empty. */
  studyDate: string
  studyTime: string
  studyDescription: string
  studyId: string
  /** Number of Study Related Series (0020,1206) and Instances (0020,1208), where the archive gives them. */
  seriesCount: number | undefined
  instanceCount: number | undefined
  /** `cut`: the archive says that it has more series than it lists. */
  seriesListing: 'cut' | 'whole'
  series: readonly Series[]
  /** Name of the archive that says so, where there are several. */
  archive?: string | undefined
  /**
   * What each archive says of it, where more than one has it, in the order in which they are preferred. The study itself is then what they say together: a
   * description, and no witness; whether everything has come is judged by each of these.
   */
  sources?: readonly Study[] | undefined
  /** Not asked for itself: a study of the same patient before it (disc.priors). */
  prior?: boolean | undefined
  /** Optional archives that could have images of it, and did not answer. */
  silent?: readonly string[] | undefined
}

/** Names of the archives that have told of it, in the order in which they are preferred; none where there is only one archive. */
export function archivesOf ({ archive, sources = [] }: Study): string[] {
  return [...new Set([archive, ...sources.map(source => source.archive)].filter(name => name !== undefined))]
}

/** Names of the optional archives that could have images of one of them, and did not answer. */
export function silentArchivesOf (studies: readonly Study[]): string[] {
  return [...new Set(studies.flatMap(({ silent = [] }) => silent))]
}

/** A study, a series, or some instances of a series, as it is asked for; always named by unique keys. */
export interface FetchPart {
  studyInstanceUid: string
  seriesInstanceUid?: string
  sopInstanceUids?: readonly string[]
}

/** The studies of a request. */
export interface Manifest {
  studies: readonly Study[]
  /** Studies before the asked one that should be among them, and could not be. */
  priorsLeftOut?: readonly LeftOutPrior[] | undefined
}

/** An earlier study that is not on the disc, as it is named to people; all empty where it is not known which there are. */
export interface LeftOutPrior {
  studyDate: string
  studyDescription: string
  accessionNumber: string
}

/** Who an object is: one SOP Instance UID may stand in two series and in two studies (copied studies; Orthanc keeps both, measured). */
export interface InstanceIdentity {
  studyInstanceUid: string
  seriesInstanceUid: string
  sopInstanceUid: string
}

/** The same text for the same object, and for no other: UIDs hold no blanks. */
export function identityKey ({ studyInstanceUid, seriesInstanceUid, sopInstanceUid }: InstanceIdentity): string {
  return `${studyInstanceUid} ${seriesInstanceUid} ${sopInstanceUid}`
}

/** A disc of it would look whole, and be empty. Where something counts its series, the list is wrong instead. */
export function isEmptyStudy ({ series, seriesListing, seriesCount = 0, instanceCount = 0 }: Study): boolean {
  return series.length === 0 && seriesListing === 'whole' && seriesCount === 0 && instanceCount === 0
}

/**
 * What may stand where a UID is expected. The form of PS3.5 9.1 is digits and dots; real archives hold letters, hyphens and leading zeros
 * (Horos: `LOCALIZER1.2...`), and up to 64 characters. Nothing that is a path, a pattern, an option or a list fits.
 */
const UID = /^[0-9A-Za-z](?:[0-9A-Za-z._-]{0,62}[0-9A-Za-z])?$/

/** A UID is checked before it is used anywhere but in a comparison. */
export function isUid (text: string): boolean {
  return UID.test(text) && !text.includes('..')
}
