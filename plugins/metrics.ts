/** Prometheus' metrics, and the count of every answer. */
import fp from 'fastify-plugin'
import { createMetrics, type Metrics } from '../src/metrics/metrics.ts'

declare module 'fastify' {
  interface FastifyInstance { metrics: Metrics }
}

/** nginx's number for a client that has left. */
const CLIENT_CLOSED_REQUEST = 499

export default fp(async app => {
  const { activities, archives, config, health, operations, patientClient, portPool, prints, receiverFault, sharedReceiver, studyStore: studies, workDir } = app
  const metrics = createMetrics({
    activities, archives, config, health, operations, patientClient, portPool, prints, receiverFault, sharedReceiver, studies, workDir
  })
  app.decorate('metrics', metrics)
  app.addHook('onRequest', async (request, reply) => {
    // onResponse does not run for a stream that breaks
    reply.raw.once('close', () => {
      metrics.onResponse(request.routeOptions.url ?? 'none', reply.raw.writableEnded ? reply.statusCode : CLIENT_CLOSED_REQUEST)
    })
  })
}, { name: 'metrics', dependencies: ['activity', 'config', 'dcmtk', 'health', 'patient-client', 'port-pool', 'relay', 'retrieval'] })
