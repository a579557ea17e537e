/** The HIS: the patient of an accession number, and whether it is the archive's. */
import fp from 'fastify-plugin'
import { Type } from '@sinclair/typebox'
import { askForAll, askInPassing, type PatientOfRequest } from '../src/patient/identity.ts'
import { createPatientClient, type Asking, type PatientClient } from '../src/patient/patient-client.ts'

declare module 'fastify' {
  interface FastifyInstance {
    patientClient: PatientClient
    /** Of a download: of a list as {@link FastifyInstance.patientOf}; one number does without the HIS where it does not answer. */
    patientOfDownload (accessionNumbers: readonly string[], asking: Asking): Promise<PatientOfRequest>
    /** Where the HIS must know every number: a print, and a disc that has the patient's name in its file name. */
    patientOf (accessionNumbers: readonly string[], asking: Asking): Promise<PatientOfRequest>
  }
  interface FastifyReply {
    /** Says in a header which fields the HIS and the PACS differ in. */
    warnOfPatient (patient: { readonly differing: readonly string[] }): FastifyReply
  }
}

/** The header of {@link FastifyReply.warnOfPatient}. */
export const PATIENT_WARNING = Type.String({
  description: 'Fields in which the HIS and the PACS differ (medrec_id, patient_name); absent when there is none.'
})

export default fp(async app => {
  const { patient_api: config, disc } = app.config
  const client = createPatientClient(config)
  const settings = { identity: config.identity, medrecIdPrefix: config.medrec_id_prefix, allowMixedPatients: disc.allow_mixed_patients }
  app.decorate('patientClient', client)
  app.decorate('patientOf', async (accessionNumbers, asking) => await askForAll(client, accessionNumbers, settings, asking))
  app.decorate('patientOfDownload', async (accessionNumbers, asking) => {
    const [first = '', ...others] = accessionNumbers
    return others.length === 0 ? askInPassing(client, first, settings, asking) : await askForAll(client, accessionNumbers, settings, asking)
  })
  app.decorateReply('warnOfPatient', function ({ differing }) {
    return differing.length === 0 ? this : this.header('x-mkiso-patient-warning', differing.join(', '))
  })
  app.addHook('onClose', async () => { await client.close() })
}, { name: 'patient-client', dependencies: ['config'] })
