import type { Manifest, Patient } from '../dicom/study.ts'
import { MkisoError } from '../errors.ts'

/**
 * Refuses studies of different patients, which one accession number can name as well as a list can. Two studies are of one patient when
 * Patient ID and issuer agree (PS3.3 C.7.1.1); where a study has no Patient ID, name and birth date must.
 * @throws MkisoError DIFFERENT_PATIENTS; the message holds no name
 */
export function guardOnePatient (manifest: Manifest): void {
  const [first, ...others] = manifest.studies
  if (first === undefined) return
  const other = others.find(study => !samePatient(first.patient, study.patient))
  if (other === undefined) return
  throw new MkisoError('DIFFERENT_PATIENTS', first.accessionNumber === other.accessionNumber
    ? `accession number ${first.accessionNumber} names studies of more than one patient`
    : `${first.accessionNumber} and ${other.accessionNumber}`)
}

export function samePatient (a: Patient, b: Patient): boolean {
  const issuersDiffer = a.issuerOfPatientId !== '' && b.issuerOfPatientId !== '' && a.issuerOfPatientId !== b.issuerOfPatientId
  if (a.patientId !== b.patientId || issuersDiffer) return false
  if (a.patientId !== '') return true
  return a.patientName !== '' && a.patientName === b.patientName && a.birthDate === b.birthDate
}
