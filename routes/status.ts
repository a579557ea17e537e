import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { SERVICE_STATE_EXAMPLE, ServiceState } from '../plugins/service-state.ts'
import { MkisoError } from '../src/errors.ts'
import { errorResponses, eventStream, LanguageCode, page } from '../src/http/schemas.ts'

const routes: FastifyPluginAsyncTypebox = async app => {
  app.get('/status', {
    schema: {
      tags: ['pages'],
      summary: 'Page of the operator; it asks for a key',
      querystring: Type.Object({ lang: LanguageCode }),
      response: { ...errorResponses('TOO_MANY_REQUESTS'), 200: page('The page; what it shows comes with the key.') }
    }
  }, async (_request, reply) => reply.sendScreen('status', { keyNeeded: app.config.auth.enabled }))

  const security = [{ apiKey: [] }]

  app.get('/status/state', {
    onRequest: app.authorise,
    schema: { tags: ['operator'], summary: 'What the service does now', security, response: { ...errorResponses('UNAUTHORIZED', 'TOO_MANY_REQUESTS'), 200: ServiceState } }
  }, async (_request, reply) => {
    await app.serviceState.refresh()
    return reply.header('cache-control', 'no-store').send(app.serviceState.now())
  })

  app.get('/status/events', {
    onRequest: app.authorise,
    config: { observer: true },
    schema: {
      tags: ['operator'],
      summary: 'The same, live',
      security,
      response: { ...errorResponses('UNAUTHORIZED', 'TOO_MANY_REQUESTS'), 200: eventStream('The whole state, as /status/state, whenever it changes.', SERVICE_STATE_EXAMPLE) }
    }
  }, async (_request, reply) => reply.sendEvents({ state: app.serviceState.now, ended: () => false, listen: app.serviceState.listen }))

  app.delete('/status/activities/:id', {
    onRequest: [app.authorise, app.guardOrigin],
    schema: {
      tags: ['operator'],
      summary: 'Cancels a download or print',
      description: 'Its client is told. A print of which images have reached the CD publisher goes on.',
      security,
      params: Type.Object({ id: Type.String({ format: 'uuid' }) }),
      response: { ...errorResponses('UNAUTHORIZED', 'TOO_MANY_REQUESTS', 'NOT_FOUND', 'PRINT_UNDER_WAY', 'FORBIDDEN_ORIGIN'), 204: Type.Null({ description: 'It is cancelled.' }) }
    }
  }, async (request, reply) => {
    const activity = app.activities.get(request.params.id)
    if (activity === undefined || activity.outcome !== undefined) throw new MkisoError('NOT_FOUND', 'nothing with this id runs')
    if (!activity.cancel('operator')) throw new MkisoError('PRINT_UNDER_WAY')
    request.log.info({ activity: activity.id, cancelled_request: activity.requestId }, 'cancelled by the operator')
    return reply.status(204).send(null)
  })
}

export default routes
