/**
 * Whether the HIS and the archive mean the same person: the number and the name of each record against the patient of its studies. No name
 * and no number leaves this file; what it names are the fields that differ.
 */
import type { Config } from '../config/schema.ts'
import { compareNames } from '../dicom/name.ts'
import { sameNumber } from '../dicom/person.ts'
import type { Manifest, Patient } from '../dicom/study.ts'
import { MkisoError } from '../errors.ts'
import type { PatientRecord } from './answer.ts'
import type { Asking, PatientClient } from './patient-client.ts'

/** A field of the HIS's record. */
export type RecordField = 'medrec_id' | 'patient_name'

export interface IdentitySettings {
  identity: Config['patient_api']['identity']
  medrecIdPrefix: string
  /** `disc.allow_mixed_patients`: records of several people are the administrator's choice. */
  allowMixedPatients: boolean
}

/**
 * What differs between a record and the archive's patient. An empty field says nothing; a name that cannot be compared (another script,
 * one word of several, a placeholder) does not either.
 */
export function differingFields (record: PatientRecord, patient: Patient, prefix = ''): RecordField[] {
  const { medrec_id: medrecId = '' } = record
  const patientId = patient.patientId.trim()
  const name = compareNames(record.patient_name, patient.patientName)
  const fields: RecordField[] = []
  if (medrecId !== '' && patientId !== '' && !sameNumber(medrecId, patientId, prefix)) fields.push('medrec_id')
  if (name === 'changed' || name === 'different') fields.push('patient_name')
  return fields
}

/**
 * Compares each record with the studies of its accession number, and the records with each other. One field that differs is a number of
 * another system, a marriage, a spelling; both are another person.
 * @returns the fields that differ, for a warning
 * @throws MkisoError PATIENT_MISMATCH, DIFFERENT_PATIENTS, with `identity: refuse`
 */
export function checkSamePerson (records: readonly PatientRecord[], { studies }: Manifest, settings: IdentitySettings): RecordField[] {
  const { identity, medrecIdPrefix: prefix, allowMixedPatients } = settings
  if (identity === 'off') return []
  const differing = new Set<RecordField>()
  const stranger = allowMixedPatients ? undefined : records.find(record => records.some(other => !sameMedrecId(record, other, prefix)))
  if (stranger !== undefined) {
    if (identity === 'refuse') throw new MkisoError('DIFFERENT_PATIENTS', 'the HIS has them under different medical record numbers')
    differing.add('medrec_id')
  }
  for (const record of records) {
    for (const { accessionNumber, patient } of studies) {
      if (accessionNumber !== record.accession_number) continue
      const fields = differingFields(record, patient, prefix)
      if (fields.length > 1 && identity === 'refuse') {
        const detail = `of accession number ${accessionNumber} neither the medical record number nor the name agree`
        throw new MkisoError('PATIENT_MISMATCH', detail)
      }
      for (const field of fields) differing.add(field)
    }
  }
  return [...differing].sort()
}

function sameMedrecId ({ medrec_id: a = '' }: PatientRecord, { medrec_id: b = '' }: PatientRecord, prefix: string): boolean {
  return a === '' || b === '' || sameNumber(a, b, prefix)
}

/** What a request knows of its patient from the HIS. */
export interface PatientOfRequest {
  /** The name for a file name; undefined where the HIS is of no help. */
  readonly name: string | undefined
  /** Fields that differ, once {@link check} has been asked. */
  readonly differing: readonly RecordField[]
  /**
   * To be asked when the studies are known, before anything is fetched.
   * @throws MkisoError as {@link checkSamePerson}
   */
  check (manifest: Manifest): Promise<void>
}

/** A download of one number has always done without the HIS: it waits no longer than this for it, while the archive is asked. */
const IN_PASSING_MS = 3_000

/** Asks for one accession number in passing, without waiting: a HIS that is down stops nothing here. */
export function askInPassing (
  client: PatientClient, accessionNumber: string, settings: IdentitySettings, asking: Asking
): PatientOfRequest {
  const asked = settings.identity === 'off' ? Promise.resolve(undefined) : client.ifAnswered(accessionNumber, IN_PASSING_MS, asking)
  // a request that fails at the archive never looks
  asked.catch(() => {})
  return ofRequest(undefined, async () => [await asked].filter(record => record !== undefined), settings, asking)
}

/**
 * Asks for every accession number of a request that needs the HIS.
 * @throws MkisoError ACCESSION_UNKNOWN, PATIENT_API_UNAVAILABLE, where `patient_api.required` is true
 */
export async function askForAll (
  client: PatientClient, accessionNumbers: readonly string[], settings: IdentitySettings, asking: Asking
): Promise<PatientOfRequest> {
  const records = await client.byAccessions(accessionNumbers, asking)
  const name = records.length === accessionNumbers.length ? records[0]?.patient_name : undefined
  return ofRequest(name, async () => records, settings, asking)
}

function ofRequest (
  name: string | undefined, recordsOf: () => Promise<PatientRecord[]>, settings: IdentitySettings, { log }: Asking
): PatientOfRequest {
  let differing: RecordField[] = []
  return {
    name,
    get differing () { return differing },
    async check (manifest) {
      differing = checkSamePerson(await recordsOf(), manifest, settings)
      if (differing.length === 0) return
      const study = manifest.studies.map(({ studyInstanceUid }) => studyInstanceUid)
      log.warn({ differing, study }, 'the HIS and the PACS differ in whose studies these are')
    }
  }
}
