import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { Type } from '@sinclair/typebox'
import { studiesOf, studiesOfPrint } from '../../../src/audit/event.ts'
import { MkisoError } from '../../../src/errors.ts'
import { QUEUE_EXAMPLE, QueueState, queueState } from '../../../src/http/desk-state.ts'
import { errorResponses, eventStream } from '../../../src/http/schemas.ts'
import { isUnderWay, isUnresolved, nameOfCaller } from '../../../src/print/print-job.ts'

const REFUSALS = ['UNAUTHORIZED', 'TOO_MANY_REQUESTS', 'AUDIT_FAILED'] as const

const routes: FastifyPluginAsyncTypebox = async app => {
  if (!app.config.desk.enabled) return
  const common = { tags: ['desk'], security: [{ apiKey: [] }] }
  const downloads = () => app.activities.running.filter(({ kind }) => kind === 'download')
  const prints = () => [...app.prints.jobs].reverse().filter(({ record }) => isUnderWay(record) || isUnresolved(record))
  const now = () => queueState(downloads(), prints())

  /** Whoever is told whose studies these are leaves a record. */
  const record = (request: FastifyRequest): void => {
    const records = prints().map(job => job.record)
    const studies = [...downloads().flatMap(({ manifest }) => studiesOf(manifest)), ...records.flatMap(studiesOfPrint)]
    const accessionNumbers = [...new Set([...downloads(), ...records].flatMap(one => one.accessionNumbers))]
    if (studies.length > 0) app.audit.telling({ requestId: request.id, caller: request.caller, accessionNumbers }, studies)
  }

  app.get('/queue', {
    onRequest: app.authoriseDesk,
    schema: { ...common, summary: 'What is under way, with places and times', response: { ...errorResponses(...REFUSALS), 200: QueueState } }
  }, async (request, reply) => {
    record(request)
    return reply.header('cache-control', 'no-store').send(now())
  })

  app.get('/queue/events', {
    onRequest: app.authoriseDesk,
    config: { observer: true },
    schema: { ...common, summary: 'The same, live', response: { ...errorResponses(...REFUSALS), 200: eventStream('The whole queue whenever it changes.', QUEUE_EXAMPLE) } }
  }, async (request, reply) => {
    record(request)
    // a clock alone is no news
    let shown = ''
    let state = now()
    return reply.sendEvents({
      state: () => {
        const fresh = now()
        const text = JSON.stringify([fresh.downloads.map(one => ({ ...one, duration_ms: 0 })), fresh.prints])
        if (text !== shown) {
          shown = text
          state = fresh
        }
        return state
      },
      ended: () => false,
      listen: changed => {
        for (const event of ['started', 'changed', 'ended'] as const) app.activities.on(event, changed)
        app.prints.on('changed', changed)
        return () => {
          app.prints.off('changed', changed)
          for (const event of ['started', 'changed', 'ended'] as const) app.activities.off(event, changed)
        }
      }
    })
  })

  app.delete('/queue/:id', {
    onRequest: [...app.authoriseDesk, app.guardOrigin],
    schema: {
      ...common,
      summary: 'Cancels a download',
      description: 'Its client is told. A print is cancelled at /api/iso/print/jobs.',
      params: Type.Object({ id: Type.String({ format: 'uuid', description: 'Of the download, as the queue tells it.' }) }),
      response: { ...errorResponses('UNAUTHORIZED', 'TOO_MANY_REQUESTS', 'NOT_FOUND', 'FORBIDDEN_ORIGIN'), 204: Type.Null({ description: 'It is cancelled.' }) }
    }
  }, async (request, reply) => {
    const activity = downloads().find(({ id }) => id === request.params.id)
    if (activity?.cancel('operator') !== true) throw new MkisoError('NOT_FOUND', 'no download with this id is under way')
    const { requestId, caller } = activity
    request.log.info({ activity: activity.id, cancelled_request: requestId, asked_by: nameOfCaller(caller), by: nameOfCaller(request.caller) }, 'cancelled at the desk')
    return reply.status(204).send(null)
  })
}

export default routes
