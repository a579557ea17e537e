/** The HIS: the patient of an accession number. */
import fp from 'fastify-plugin'
import { createPatientClient, type PatientClient } from '../src/patient/patient-client.ts'

declare module 'fastify' {
  interface FastifyInstance { patientClient: PatientClient }
}

export default fp(async app => {
  const client = createPatientClient(app.config.patient_api)
  app.decorate('patientClient', client)
  app.addHook('onClose', async () => { await client.close() })
}, { name: 'patient-client', dependencies: ['config'] })
