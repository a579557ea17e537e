import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { isBearer } from '../src/auth/bearer.ts'
import { MkisoError } from '../src/errors.ts'
import { errorResponses } from '../src/http/schemas.ts'

const routes: FastifyPluginAsyncTypebox = async app => {
  const { enabled, token } = app.config.metrics
  if (!enabled) return
  app.get('/metrics', {
    // Prometheus sends a bearer token, but no header of its own name
    onRequest: async request => {
      if (token !== '' && !isBearer(request.headers.authorization, token)) throw new MkisoError('UNAUTHORIZED', 'send the header Authorization: Bearer TOKEN (metrics.token)')
    },
    schema: {
      tags: ['health'],
      summary: 'Metrics for Prometheus',
      description: 'No patient, no accession number. Needs "Authorization: Bearer ..." where metrics.token is set.',
      response: { ...errorResponses('UNAUTHORIZED'), 200: { description: 'Text format 0.0.4.', content: { 'text/plain': { schema: Type.String({ examples: ['mkiso_requests_active{kind="download"} 1'] }) } } } }
    }
  }, async (_request, reply) => reply.type(app.metrics.contentType).header('cache-control', 'no-store').send(await app.metrics.text()))
}

export default routes
