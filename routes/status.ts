import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { Type } from '@sinclair/typebox'
import { SELF_TEST_EXAMPLE } from '../plugins/self-test.ts'
import { SERVICE_STATE_EXAMPLE, ServiceState } from '../plugins/service-state.ts'
import { studiesOf, studiesOfPrint, type AuditedStudy } from '../src/audit/event.ts'
import { checkAccessionNumber } from '../src/dicom/accession-number.ts'
import { snippetsOf } from '../src/doctor/snippets.ts'
import { MkisoError } from '../src/errors.ts'
import { AccessionNumber, errorResponses, eventStream, LanguageCode, page } from '../src/http/schemas.ts'

const Snippets = Type.Object({
  snippets: Type.Array(Type.Object({
    name: Type.String({ description: 'What it is.' }),
    where: Type.String({ description: 'The file, or who has it.' }),
    text: Type.String({ description: 'No secret stands in it.' })
  }))
}, { title: 'Snippets', examples: [{ snippets: [{ name: 'nginx', where: '/etc/nginx/mkiso/upstream.conf', text: 'server 127.0.0.1:8080 max_fails=1 fail_timeout=5s;' }] }] })

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

  /** Whoever sees the names of all patients is recorded, once for each time that the page is opened. */
  const record = (request: FastifyRequest): void => {
    if (!app.config.auth.enabled) return
    const { running, finished } = app.activities
    const activities = [...running, ...finished]
    const prints = app.prints.unresolved.map(job => job.record)
    const accessionNumbers = [...new Set([...activities, ...prints].flatMap(one => one.accessionNumbers))]
    const studies = [...activities.flatMap(({ manifest }) => studiesOf(manifest)), ...prints.flatMap(studiesOfPrint)]
    if (studies.length > 0) app.audit.telling({ requestId: request.id, caller: request.caller, accessionNumbers }, distinct(studies))
  }

  app.get('/status/state', {
    onRequest: app.authorise,
    schema: { tags: ['operator'], summary: 'What the service does now', security, response: { ...errorResponses('UNAUTHORIZED', 'TOO_MANY_REQUESTS', 'AUDIT_FAILED'), 200: ServiceState } }
  }, async (request, reply) => {
    await app.serviceState.refresh()
    record(request)
    return reply.header('cache-control', 'no-store').send(app.serviceState.now())
  })

  app.get('/status/events', {
    onRequest: app.authorise,
    config: { observer: true },
    schema: {
      tags: ['operator'],
      summary: 'The same, live',
      security,
      response: { ...errorResponses('UNAUTHORIZED', 'TOO_MANY_REQUESTS', 'AUDIT_FAILED'), 200: eventStream('The whole state, as /status/state, whenever it changes.', SERVICE_STATE_EXAMPLE) }
    }
  }, async (request, reply) => {
    record(request)
    return reply.sendEvents({ state: app.serviceState.now, ended: () => false, listen: app.serviceState.listen })
  })

  app.post('/status/test', {
    onRequest: [app.authorise, app.guardOrigin],
    config: { observer: true },
    schema: {
      tags: ['operator'],
      summary: 'Tests everything that a disc needs',
      description: 'What "mkiso doctor" asks: programs, ports, disk, the HIS, the CD publisher, and of each archive an association, a query, and one image, which is thrown away. ' +
        'Server-Sent Events, each with all findings so far. One at a time; who leaves ends it.',
      security,
      querystring: Type.Object({ accession_number: Type.Optional(AccessionNumber) }),
      response: {
        ...errorResponses('UNAUTHORIZED', 'TOO_MANY_REQUESTS', 'INVALID_ACCESSION_NUMBER', 'FORBIDDEN_ORIGIN', 'TOO_MANY_CONCURRENT'),
        200: { ...eventStream('The findings, until everything has been asked.', SELF_TEST_EXAMPLE) }
      }
    }
  }, async (request, reply) => {
    const { accession_number: asked } = request.query
    const accessionNumber = asked === undefined ? undefined : checkAccessionNumber(asked.trim())
    const test = app.selfTest.begin({ accessionNumber, serviceUrl: app.listeningOrigin, signal: request.gone })
    request.log.info({ accession: accessionNumber }, 'the operator tests what a disc needs')
    return reply.sendEvents({ state: test.state, ended: ({ ended }) => ended, listen: test.listen })
  })

  app.get('/status/snippets', {
    onRequest: app.authorise,
    schema: {
      tags: ['operator'],
      summary: 'What to type at the PACS, at nginx and in the HIS, with this site\'s values',
      security,
      response: { ...errorResponses('UNAUTHORIZED', 'TOO_MANY_REQUESTS'), 200: Snippets }
    }
  }, async (request, reply) => reply.header('cache-control', 'no-store').send({ snippets: await snippetsOf(app.config, `${request.protocol}://${request.host}`) }))

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

/** A study that was downloaded often stands there once. */
function distinct (studies: readonly AuditedStudy[]): AuditedStudy[] {
  return [...new Map(studies.map(study => [JSON.stringify([study.studyInstanceUid, study.accessionNumber, study.patient]), study])).values()]
}

export default routes
