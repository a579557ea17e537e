/** What a disc holds, as its writer (layout), its index (DICOMDIR) and its pages all see it. */
import type { DicomObject } from '../dicom/part10.ts'
import { silentArchivesOf, type Instance, type Patient, type Series, type Study } from '../dicom/study.ts'

/** One DICOM file of the file-set. */
export interface DiscFile {
  instance: Instance
  /** What it says of itself, as it came from the archive. */
  object: DicomObject
  /** The file that goes onto the disc: as it came, or decoded. */
  sourcePath: string
  sizeBytes: number
  transferSyntaxUid: string
  /** Legal File ID as a path from the root of the disc (PS3.10 8.2): `DICOM/PT000001/ST000001/SE000001/IM000001`. */
  fileId: string
}

export interface DiscSeries {
  series: Series
  /** In the order in which a reader pages them: instance number, then UID. */
  files: DiscFile[]
}

export interface DiscStudy {
  study: Study
  series: DiscSeries[]
}

export interface DiscPatient {
  patient: Patient
  studies: DiscStudy[]
}

/** How much of the studies is on a disc, or on the discs of a set, where not all was asked for. */
export interface Part {
  series: number
  ofSeries: number
  images: number
  ofImages: number
}

export interface DiscContents {
  patients: DiscPatient[]
  /** This disc's place in a set, from 1; a single disc is 1 of 1. */
  disc: number
  discs: number
  /** Absent where the studies are there as a whole. */
  part?: Part | undefined
}

/** Names of the optional archives that could have had images of it, and did not answer. */
export function silentArchives ({ patients }: Pick<DiscContents, 'patients'>): string[] {
  return silentArchivesOf(patients.flatMap(({ studies }) => studies.map(({ study }) => study)))
}

/** Every file of the disc, in the disc's order. */
export function filesOf (contents: DiscContents): DiscFile[] {
  return contents.patients.flatMap(({ studies }) => studies.flatMap(({ series }) => series.flatMap(({ files }) => files)))
}
