/** The state of everything that a disc needs. */
import fp from 'fastify-plugin'
import { createHealth } from '../src/health/health.ts'

declare module 'fastify' {
  interface FastifyInstance { health: ReturnType<typeof createHealth> }
}

export default fp(async app => {
  const { config, dcmtk, patientClient, portPool, prints, sharedReceiver, workDir } = app
  app.decorate('health', createHealth({ config, dcmtk, patientClient, portPool, prints, receiverFault: async () => await sharedReceiver?.probe(), workDir }))
}, { name: 'health', dependencies: ['config', 'dcmtk', 'retrieval', 'port-pool', 'patient-client', 'relay'] })
