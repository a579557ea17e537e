/** Studies that have come, and their files. */
import type { DicomObject } from '../dicom/part10.ts'
import type { LeftOutPrior, Manifest, Patient, Study } from '../dicom/study.ts'

/** A file that is whole. It belongs to its held study: link it, do not change or move it. */
export interface HeldFile {
  readonly path: string
  readonly object: DicomObject
  /** Name of the archive that it came from, where there are several. */
  readonly archive?: string | undefined
}

export interface CompleteStudies {
  readonly studies: readonly CompleteStudy[]
  /** Images that are missing: 0 for none, undefined where nobody can tell. Other than 0 only where disc.allow_incomplete lets it through. */
  readonly missing: number | undefined
  /** Earlier studies that should be among them, and are not: named on the disc. */
  readonly priorsLeftOut?: readonly LeftOutPrior[] | undefined
}

/** A study with what has come of it, of one patient. */
export interface CompleteStudy {
  /** As the archive describes it, with the series and instances that have come. */
  readonly study: Study
  readonly patient: Patient
  readonly files: readonly HeldFile[]
}

/** Every file of a request's studies. */
export function filesOfStudies ({ studies }: CompleteStudies): HeldFile[] {
  return studies.flatMap(({ files }) => files)
}

/** The studies as they have come. */
export function manifestOf ({ studies }: CompleteStudies): Manifest {
  return { studies: studies.map(({ study }) => study) }
}
