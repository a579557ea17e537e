import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type, type Static } from '@sinclair/typebox'
import { CHECKS } from '../../src/health/health.ts'
import { PRODUCT } from '../../src/product.ts'
import { errorResponses } from '../../src/http/schemas.ts'

const Check = Type.Object({
  status: Type.String({ enum: ['ok', 'warning', 'down'] }),
  detail: Type.Optional(Type.String({ description: 'What is wrong, and what to do.' })),
  latency_ms: Type.Optional(Type.Integer())
}, { title: 'HealthCheck' })

const Health = Type.Object({
  status: Type.String({ enum: ['ok', 'degraded', 'down'], description: 'down: no disc can be made.' }),
  checks: Type.Object(Object.fromEntries(CHECKS.map(name => [name, Check]))),
  archives: Type.Record(Type.String(), Check, { description: 'Each archive by its name; "pacs" among the checks is all of them.' })
}, { title: 'Health', examples: [example('ok', { status: 'ok', latency_ms: 12 })] })

const Down = Type.Union([Health, errorResponses()[503] ?? Health], { examples: [example('down', { status: 'down', detail: 'ABPACS at localhost:11112: connection refused; check pacs.* and that the PACS knows the AE title CDRECORD' })] })

function example (status: string, pacs: Static<typeof Check>): object {
  return { status, checks: Object.fromEntries(CHECKS.map(name => [name, name === 'pacs' ? pacs : { status: 'ok' }])), archives: { ABPACS: pacs } }
}

const routes: FastifyPluginAsyncTypebox = async app => {
  app.get('/health', {
    schema: {
      tags: ['health'],
      summary: 'Health and the state of each dependency',
      description: 'Asks the real things; the answer is kept for a few seconds. 503 when no disc can be made.',
      // 503 is the same document: monitoring wants to know what is down
      response: { ...errorResponses(), 200: Health, 503: Down }
    }
  }, async (_request, reply) => {
    const health = await app.health.check()
    return reply.status(health.status === 'down' ? 503 : 200).header('cache-control', 'no-store').send(health)
  })

  app.get('/health/live', {
    schema: { tags: ['health'], summary: 'Is the process alive?', response: { ...errorResponses(), 200: Type.Object({ status: Type.Literal('ok'), service: Type.String({ description: 'Who answers: another program may have the port.' }) }, { examples: [{ status: 'ok', service: PRODUCT.name }] }) } }
  }, async () => ({ status: 'ok' as const, service: PRODUCT.name }))
}

export default routes
