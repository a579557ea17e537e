/** What the HIS says of an accession number, as it was understood. */
import { MkisoError } from '../errors.ts'
import { silentLog } from '../process.ts'
import type { PatientClient } from '../patient/patient-client.ts'
import { ok, type Finding } from './finding.ts'

const NAME = 'HIS record'

/** The shape of each field, not what it holds: what a doctor prints is sent to others. */
export async function checkPatientRecord (
  client: Pick<PatientClient, 'byAccession'>, accessionNumber: string, signal: AbortSignal
): Promise<Finding> {
  try {
    const record = await client.byAccession(accessionNumber, { signal, log: silentLog })
    const words = record.patient_name.split(/\s+/).length
    const fields = [
      `patient_name of ${words} ${words === 1 ? 'word' : 'words'}`,
      record.medrec_id === undefined ? 'no medrec_id' : `medrec_id of ${record.medrec_id.length} characters`,
      ...(record.reg_id === undefined ? [] : ['reg_id']), ...(record.modality === undefined ? [] : ['modality']),
      ...(record.study_description === undefined ? [] : ['study_description'])
    ]
    const detail = `${accessionNumber} has ${fields.join(', ')}`
    if (record.medrec_id !== undefined) return ok(NAME, detail)
    const advice = ['without medrec_id only the name tells whether HIS and PACS mean the same person']
    return { name: NAME, status: 'warning', detail, advice }
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof MkisoError)) throw error
    if (error.code === 'ACCESSION_UNKNOWN') {
      const advice = ['give an accession number that PACS and HIS both have']
      return { name: NAME, status: 'unknown', detail: `the HIS does not know ${accessionNumber}`, advice }
    }
    const [wrong = '', ...advice] = (error.detail ?? error.message).split('; ')
    return { name: NAME, status: 'down', detail: wrong, advice: [...advice, 'the interface is docs/patient-api-spec.md'] }
  }
}
