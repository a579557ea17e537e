import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { Type } from '@sinclair/typebox'
import { SIGNED_LINK } from '../../../../plugins/auth.ts'
import { studiesOfPrint } from '../../../../src/audit/event.ts'
import { parseAccessionNumbers } from '../../../../src/dicom/accession-number.ts'
import { MkisoError } from '../../../../src/errors.ts'
import { PRINT_EXAMPLE, PrintState, printState } from '../../../../src/http/print-state.ts'
import { AccessionNumberList, errorResponses, eventStream, SIGNED_LINK_ERRORS, SIGNED_LINK_QUERY } from '../../../../src/http/schemas.ts'
import type { PrintJob } from '../../../../src/print/job-under-way.ts'
import { isUnderWay, studySetOf } from '../../../../src/print/print-job.ts'

/** Of one list of accession numbers. */
const MOST = 10
const PRINT_PATH = '/api/iso/print'

const Job = Type.Object(PrintState.properties, { title: 'Print', examples: [PRINT_EXAMPLE] })
const Params = Type.Object({ id: Type.String({ format: 'uuid', description: 'Of the print, as 202 and the list tell it.' }) })
/** In links, so that of several machines the right one is asked, and for a link that the HIS has signed. */
const OfStudies = Type.Object({ accession_number: Type.Optional(AccessionNumberList), ...SIGNED_LINK_QUERY })

const routes: FastifyPluginAsyncTypebox = async app => {
  const common = { tags: ['disc'], security: [{ apiKey: [] }] }
  const REFUSALS = ['INVALID_ACCESSION_NUMBER', ...SIGNED_LINK_ERRORS, 'TOO_MANY_REQUESTS', 'AUDIT_FAILED'] as const

  const isOf = (job: PrintJob, list: string): boolean => studySetOf(parseAccessionNumbers(list, app.config.server.max_accessions)) === job.studySet

  /** @throws MkisoError NOT_FOUND, also for a signed link to other studies */
  const jobOf = (request: FastifyRequest, id: string, list: string | undefined): PrintJob => {
    const job = app.prints.get(id)
    if (job === undefined || (request.credential === SIGNED_LINK && !isOf(job, list ?? ''))) throw new MkisoError('NOT_FOUND', 'there is no print with this id')
    return job
  }

  /** Who has asked for a print stands in its own record; whoever else is told of whom it is gets one. */
  const record = (request: FastifyRequest, jobs: readonly PrintJob[]): void => {
    const told = jobs.map(job => job.record).filter(({ caller, patientName }) => patientName !== '' && JSON.stringify(caller) !== JSON.stringify(request.caller))
    if (told.length === 0) return
    app.audit.telling({ requestId: request.id, caller: request.caller, accessionNumbers: [...new Set(told.flatMap(one => one.accessionNumbers))] }, told.flatMap(studiesOfPrint))
  }

  app.get('/jobs', {
    onRequest: app.authorise,
    config: { signedAs: PRINT_PATH },
    schema: {
      ...common,
      summary: 'The prints of these studies, newest first',
      description: 'For a page that is loaded again. Accession numbers in any order; the last ten.',
      querystring: Type.Object({ accession_number: AccessionNumberList, ...SIGNED_LINK_QUERY }),
      response: { ...errorResponses(...REFUSALS), 200: Type.Object({ jobs: Type.Array(PrintState) }, { examples: [{ jobs: [PRINT_EXAMPLE] }] }) }
    }
  }, async (request, reply) => {
    const accessionNumbers = parseAccessionNumbers(request.query.accession_number, app.config.server.max_accessions)
    const jobs = app.prints.find(accessionNumbers).slice(0, MOST)
    record(request, jobs)
    return reply.header('cache-control', 'no-store').send({ jobs: jobs.map(job => printState(job)) })
  })

  app.get('/jobs/:id', {
    onRequest: app.authorise,
    config: { signedAs: PRINT_PATH },
    schema: { ...common, summary: 'A print', params: Params, querystring: OfStudies, response: { ...errorResponses(...REFUSALS, 'NOT_FOUND'), 200: Job } }
  }, async (request, reply) => {
    const job = jobOf(request, request.params.id, request.query.accession_number)
    record(request, [job])
    return reply.header('cache-control', 'no-store').send(printState(job))
  })

  app.get('/jobs/:id/events', {
    onRequest: app.authorise,
    config: { signedAs: PRINT_PATH, observer: true },
    schema: {
      ...common,
      summary: 'The same, live',
      params: Params,
      querystring: OfStudies,
      response: { ...errorResponses(...REFUSALS, 'NOT_FOUND'), 200: eventStream('The whole state whenever it changes, until the print has ended. Who stays away ends nothing.', PRINT_EXAMPLE) }
    }
  }, async (request, reply) => {
    const job = jobOf(request, request.params.id, request.query.accession_number)
    record(request, [job])
    return reply.sendEvents({
      state: () => printState(job),
      ended: state => !isUnderWay(state),
      listen: changed => {
        const onChange = (one: PrintJob): void => { if (one === job) changed() }
        app.prints.on('changed', onChange)
        return () => { app.prints.off('changed', onChange) }
      }
    })
  })

  app.delete('/jobs/:id', {
    onRequest: [app.authorise, app.guardOrigin],
    config: { signedAs: PRINT_PATH },
    schema: {
      ...common,
      summary: 'Cancels a print',
      description: 'As long as none of its images is on its way to the robot. Whoever waits for it is told.',
      params: Params,
      querystring: OfStudies,
      response: { ...errorResponses(...REFUSALS, 'NOT_FOUND', 'PRINT_UNDER_WAY', 'FORBIDDEN_ORIGIN'), 204: Type.Null({ description: 'It is cancelled.' }) }
    }
  }, async (request, reply) => {
    const job = jobOf(request, request.params.id, request.query.accession_number)
    if (!isUnderWay(job.record)) throw new MkisoError('NOT_FOUND', 'this print has ended')
    if (!app.prints.cancel(job, 'client')) throw new MkisoError('PRINT_UNDER_WAY')
    return reply.status(204).send(null)
  })

  app.post('/jobs/:id/acknowledge', {
    onRequest: [app.authorise, app.guardOrigin],
    schema: {
      ...common,
      summary: 'Somebody has looked at the robot',
      description: 'For a print that is unknown. Health, metrics and the page of the operator are quiet about it from then on; it is not sent again by this.',
      params: Params,
      querystring: Type.Object({ accession_number: Type.Optional(AccessionNumberList) }),
      response: { ...errorResponses(...REFUSALS, 'NOT_FOUND', 'FORBIDDEN_ORIGIN'), 200: Job }
    }
  }, async (request, reply) => {
    const job = app.prints.get(request.params.id)
    if (job === undefined || !await app.prints.acknowledge(job, request.caller)) {
      throw new MkisoError('NOT_FOUND', 'no print with this id waits for somebody to look at the robot')
    }
    return reply.header('cache-control', 'no-store').send(printState(job))
  })
}

export default routes
