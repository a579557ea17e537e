/**
 * HEAD never acts (RFC 9110 9.2.1, 9.3.2): it starts no program, moves nothing, prints nothing. Fastify would run the handler of GET. Here
 * a HEAD that is valid and may come in is answered without it; pages, which only say what their address says, and files answer as for GET.
 */
import fp from 'fastify-plugin'
import type { FastifyRequest } from 'fastify'

/** Their HEAD tells the size of a disc that is here; to find that out costs a question to the PACS, so only where there can be one. */
const DISCS = ['/api/iso/download', '/api/iso/download-multiple']

function acts ({ routeOptions: { schema } }: FastifyRequest): boolean {
  const tags = schema?.tags ?? []
  return tags.length > 0 && !tags.includes('pages')
}

export default fp(async app => {
  app.addHook('preHandler', async (request, reply) => {
    if (request.method !== 'HEAD' || !acts(request)) return
    const { url = '' } = request.routeOptions
    if (DISCS.includes(url)) {
      if (app.studyStore.kept === 0) return reply.sendUnknownDisc()
      return
    }
    // whoever asks with HEAD whether discs can be made gets what was seen last
    if (url === '/api/health' && app.health.seen?.status === 'down') reply.status(503)
    return reply.header('cache-control', 'no-store').send()
  })
}, { name: 'head', dependencies: ['health', 'retrieval', 'send-disc'] })
