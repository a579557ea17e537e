/** The state of everything that a disc needs. */
import fp from 'fastify-plugin'
import { createHealth } from '../src/health/health.ts'

declare module 'fastify' {
  interface FastifyInstance { health: ReturnType<typeof createHealth> }
}

export default fp(async app => {
  const { config, dcmtk, patientClient, portPool, prints, receiverFault, workDir } = app
  app.decorate('health', createHealth({ config, dcmtk, patientClient, portPool, prints, receiverFault, workDir }))
}, { name: 'health', dependencies: ['config', 'dcmtk', 'retrieval', 'port-pool', 'patient-client', 'relay'] })
