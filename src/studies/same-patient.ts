/**
 * Whose images these are: the studies of a request against each other, the files of a study against each other, and the files against what the archive
 * says of the study. Who is the same person is judged by dicom/person.ts; here stands what is done about it. No message holds a name.
 */
import type { DicomObject } from '../dicom/part10.ts'
import { samePerson, samePersonReassigned, saysNothing, type PersonVerdict } from '../dicom/person.ts'
import type { Patient, Study } from '../dicom/study.ts'
import { MkisoError } from '../errors.ts'
import type { Log } from '../process.ts'

export interface PatientRules {
  /** disc.allow_mixed_patients: studies, and files of a study, of several patients may stand on one disc. */
  allowMixedPatients: boolean
  /** disc.allow_reassigned: files may name another person than the archive does: an emergency patient who got a name later. */
  allowReassigned: boolean
}

/**
 * Refuses studies of different patients, which one accession number can name as well as a list can, and one Study Instance UID too (Orthanc and
 * dcmqrscp answer such a study twice, measured).
 * @throws MkisoError DIFFERENT_PATIENTS
 */
export function guardOnePatient (studies: readonly Study[]): void {
  // each with each: one without a Patient ID can be the same person as either of two who are not
  for (const [index, study] of studies.entries()) {
    const other = studies.slice(index + 1).find(({ patient }) => !samePerson(study.patient, patient).same)
    if (other === undefined) continue
    throw new MkisoError('DIFFERENT_PATIENTS', study.accessionNumber === other.accessionNumber
      ? `accession number ${study.accessionNumber} names studies of more than one patient`
      : `${study.accessionNumber} and ${other.accessionNumber}`)
  }
}

/** The objects of one person. */
export interface ObjectsOfPatient {
  patient: Patient
  objects: DicomObject[]
}

/**
 * Refuses files of different patients in one study, and files of another patient than the archive's.
 * @returns the objects by patient: one entry, unless the rules allow several
 * @throws MkisoError DIFFERENT_PATIENTS
 */
export function guardFiles (study: Study, objects: readonly DicomObject[], { allowMixedPatients, allowReassigned }: PatientRules, log?: Log): ObjectsOfPatient[] {
  const { accessionNumber, patient: indexed } = study
  const persons = personsOf(objects)
  const named = persons.filter(({ patient }) => !saysNothing(patient))
  if (named.length > 1 && !allowMixedPatients) throw new MkisoError('DIFFERENT_PATIENTS', `the images of accession number ${accessionNumber} name more than one patient`)
  const groups: ObjectsOfPatient[] = []
  for (const { patient, objects } of persons) {
    const verdict = samePersonReassigned(indexed, patient)
    if (!verdict.same && !allowMixedPatients && !allowReassigned) {
      throw new MkisoError('DIFFERENT_PATIENTS', `the images of accession number ${accessionNumber} name another patient than the archive's index does ` +
        `(${verdict.differing.join(', ')}): the study was re-assigned or merged there, or it holds somebody else's images; ` +
        'have it corrected at the PACS, or set disc.allow_reassigned if you know why')
    }
    const differing = verdict.same ? verdict.remarks : verdict.differing
    if (differing.length > 0) log?.warn({ accession: accessionNumber, differing }, 'images name their patient otherwise than the archive does')
    // the archive's word counts: it may have been corrected after the images were made
    const whose = verdict.same || (allowReassigned && named.length < 2) ? indexed : patient
    const group = groups.find(one => one.patient === whose)
    if (group === undefined) groups.push({ patient: whose, objects: [...objects] })
    else for (const object of objects) group.objects.push(object)
  }
  return groups
}

/** The persons that the files name. */
function personsOf (objects: readonly DicomObject[]): ObjectsOfPatient[] {
  // nearly always all are alike to the letter
  const spellings = new Map<string, ObjectsOfPatient>()
  for (const object of objects) {
    const { patient } = object
    const key = JSON.stringify([patient.patientId, patient.issuerOfPatientId, patient.patientName, patient.birthDate, patient.sex])
    const known = spellings.get(key)
    if (known === undefined) spellings.set(key, { patient, objects: [object] })
    else known.objects.push(object)
  }
  const persons: Array<ObjectsOfPatient & { spellings: Patient[] }> = []
  for (const { patient, objects } of spellings.values()) {
    const person = persons.find(one => one.spellings.every(other => sameInFiles(other, patient).same))
    if (person === undefined) persons.push({ patient, objects: [...objects], spellings: [patient] })
    else {
      person.spellings.push(patient)
      for (const object of objects) person.objects.push(object)
    }
  }
  return persons
}

/** Of two files of one study: where one has no Patient ID, that the archive holds both as one study speaks for it. */
function sameInFiles (a: Patient, b: Patient): PersonVerdict {
  return a.patientId !== '' && b.patientId !== '' ? samePerson(a, b) : samePersonReassigned(a, b)
}
