import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { errorResponses, LanguageCode, page } from '../src/http/schemas.ts'
import { robotName } from '../src/print/relay.ts'

const routes: FastifyPluginAsyncTypebox = async app => {
  const { config } = app
  if (!config.desk.enabled) return
  app.get('/desk', {
    schema: {
      tags: ['pages'],
      summary: 'Page of the desk: finds studies, takes those of one person, shows the queue and who has had what',
      querystring: Type.Object({ lang: LanguageCode }),
      response: { ...errorResponses('TOO_MANY_REQUESTS'), 200: page('The page; what it shows comes with the key.') }
    }
  }, async (_request, reply) => reply.sendScreen('desk', { most: config.server.max_accessions, destination: robotName(config) }))
}

export default routes
