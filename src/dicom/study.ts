/**
 * The manifest: what the PACS says a request consists of, down to every SOP Instance UID. It is read by C-FIND before anything moves
 * (DICOM PS3.4 C.4.1, Study Root), and a retrieval is complete when every instance it names is on disk.
 */

/** One image, report, waveform ...: an IMAGE-level answer. */
export interface Instance {
  sopInstanceUid: string
  /** Empty until the file is here. */
  sopClassUid: string
  /** Instance Number (0020,0013), where the PACS knows one. */
  instanceNumber: number | undefined
}

export interface Series {
  seriesInstanceUid: string
  modality: string
  seriesNumber: number | undefined
  seriesDescription: string
  /** Empty when the PACS does not answer IMAGE-level queries; then `instanceCount` alone is known, or nothing. */
  instances: readonly Instance[]
  /** Number of Series Related Instances (0020,1209), where the PACS gives it. */
  instanceCount: number | undefined
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
  series: readonly Series[]
}

export interface Manifest {
  studies: readonly Study[]
}

/** Every SOP Instance UID of a study. */
export function sopInstanceUidsOf (study: Study): string[] {
  return study.series.flatMap(series => series.instances.map(instance => instance.sopInstanceUid))
}

/** True when both name the same instances: what was fetched for one is the other. */
export function sameInstances (a: Study, b: Study): boolean {
  const uids = new Set(sopInstanceUidsOf(a))
  const others = sopInstanceUidsOf(b)
  return uids.size > 0 && uids.size === new Set(others).size && others.every(uid => uids.has(uid))
}
