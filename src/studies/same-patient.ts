import { samePerson } from '../dicom/person.ts'
import type { Manifest, Patient } from '../dicom/study.ts'
import { MkisoError } from '../errors.ts'

/**
 * Refuses studies of different patients, which one accession number can name as well as a list can; who is the same is `samePerson`'s to
 * say.
 * @throws MkisoError DIFFERENT_PATIENTS; the message holds no name
 */
export function guardOnePatient (manifest: Manifest): void {
  // each with each: one without a Patient ID can be the same person as either of two who are not
  for (const [index, study] of manifest.studies.entries()) {
    const other = manifest.studies.slice(index + 1).find(({ patient }) => !samePatient(study.patient, patient))
    if (other === undefined) continue
    throw new MkisoError('DIFFERENT_PATIENTS', study.accessionNumber === other.accessionNumber
      ? `accession number ${study.accessionNumber} names studies of more than one patient`
      : `${study.accessionNumber} and ${other.accessionNumber}`)
  }
}

export function samePatient (a: Patient, b: Patient): boolean {
  return samePerson(a, b).same
}
