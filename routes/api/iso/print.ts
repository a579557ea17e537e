import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from '@sinclair/typebox'
import { toMkisoError } from '../../../plugins/errors.ts'
import { PATIENT_WARNING } from '../../../plugins/patient-client.ts'
import { wantsPage } from '../../../plugins/screens.ts'
import { parseAccessionNumbers } from '../../../src/dicom/accession-number.ts'
import { isEndOnPurpose, MkisoError } from '../../../src/errors.ts'
import { ACTIVITY_EXAMPLE, activityState, ARCHIVE_SILENT, SilentArchives, silentState } from '../../../src/http/activity-state.ts'
import { withQuery } from '../../../src/http/links.ts'
import { PRINT_EXAMPLE, PrintState, printState } from '../../../src/http/print-state.ts'
import { AccessionNumberList, errorBody, errorResponses, eventStream, page, RETRIEVAL_ERRORS, SIGNED_LINK_QUERY } from '../../../src/http/schemas.ts'
import type { PrintRecord } from '../../../src/print/print-job.ts'
import { PrintedAlreadyError } from '../../../src/print/print-outcome.ts'
import type { PrintRequest } from '../../../src/print/print-queue.ts'
import type { Activity } from '../../../src/work/activity.ts'
import { sendPrintScreen } from '../../print.ts'

const Printed = Type.Object({
  status: Type.Literal('success'),
  accessions_sent: Type.Array(Type.String()),
  patient_name: Type.String(),
  destination: Type.String({ description: 'The CD publisher, host:port.' }),
  files_sent: Type.Integer({ description: 'Images that the CD publisher confirmed.' }),
  archives_silent: SilentArchives
}, { title: 'Printed', examples: [{ status: 'success', accessions_sent: ['MR.2024.001'], patient_name: 'JOHN DOE', destination: '172.16.0.120:104', files_sent: 240 }] })

const ANSWER = {
  description: 'The CD publisher has confirmed every image.',
  headers: { 'x-mkiso-patient-warning': PATIENT_WARNING, 'x-mkiso-archive-silent': ARCHIVE_SILENT },
  content: {
    'application/json': { schema: Printed },
    // for a browser that was led here by the old link, or has no script
    ...page('').content,
    // progress, and the same in the end; a failure is the last event, its status 200
    ...eventStream('', ACTIVITY_EXAMPLE).content
  }
}

const ACCEPTED = {
  description: 'It is written down, and goes on by itself (Prefer: respond-async).',
  headers: { location: Type.String({ description: 'Of the job: its state, and below it its events.' }) },
  content: { 'application/json': { schema: Type.Object(PrintState.properties, { title: 'Print', examples: [PRINT_EXAMPLE] }) } }
}

const QUERY = {
  accession_number: AccessionNumberList,
  again: Type.Optional(Type.String({ pattern: '^(true|false)$', description: 'true: once more, though the same was sent a short while ago (relay.ask_again_within).' })),
  ...SIGNED_LINK_QUERY
}

const HEADERS = Type.Object({
  'idempotency-key': Type.Optional(Type.String({
    pattern: '^[\\x21-\\x7e]{1,255}$',
    description: 'The program\'s own name for this print: a repeated request with it is the same print, for seven days.'
  }))
})

const routes: FastifyPluginAsyncTypebox = async app => {
  // the form of the page, where it has no script: everything is in its address
  app.addContentTypeParser('application/x-www-form-urlencoded', async () => undefined)

  interface Asked { query: { accession_number: string, again?: string }, headers: { 'idempotency-key'?: string } }

  const printOf = (request: FastifyRequest, { query, headers }: Asked, detached: boolean): PrintRequest => {
    // to print all where a part was asked for would be as wrong as the other way round
    if ('series' in query || 'modality' in query) throw new MkisoError('INVALID_REQUEST', 'a print is of whole studies: series and modality are for downloads')
    return {
      accessionNumbers: parseAccessionNumbers(query.accession_number, app.config.server.max_accessions),
      caller: request.caller,
      requestId: request.id,
      again: query.again === 'true',
      detached,
      idempotencyKey: headers['idempotency-key']
    }
  }

  const waitFor = async (print: PrintRequest, activity: Activity): Promise<PrintRecord> => {
    try {
      return await app.prints.wait(await app.prints.ask(print), activity)
    } catch (error) { throw withJob(error) }
  }

  const answer = async (request: FastifyRequest, reply: FastifyReply, asked: Asked) => {
    const print = printOf(request, asked, false)
    const { accessionNumbers } = print
    // a link on a page of somebody else: a person says yes or no first
    if (request.fromElsewhere) return sendPrintScreen(reply, accessionNumbers)
    const activity = reply.track('print', accessionNumbers)
    const printed = waitFor(print, activity)
    if (request.headers.accept === 'text/event-stream') return sendProgress(activity, printed, request, reply)
    if (!wantsPage(request)) {
      const record = await printed
      return withWarnings(reply, record).send(success(accessionNumbers, record))
    }
    try {
      const record = await printed
      const { patientName, destination, sentImages, silentArchives } = record
      return withWarnings(reply, record).sendScreen('printed', { accessionNumbers, patientName, destination, filesSent: sentImages, silentArchives })
    } catch (error) {
      if (!(error instanceof MkisoError) || error.code !== 'PRINTED_ALREADY') throw error
      request.failure = error
      return sendPrintScreen(reply.status(error.statusCode), accessionNumbers, app.prints.find(accessionNumbers)[0])
    }
  }

  const schema = {
    tags: ['disc'],
    summary: 'Send studies to the CD publisher',
    security: [{ apiKey: [] }],
    querystring: Type.Object(QUERY),
    headers: HEADERS,
    response: {
      ...errorResponses(
        ...RETRIEVAL_ERRORS, 'ACCESSION_UNKNOWN', 'PATIENT_API_UNAVAILABLE', 'CD_PUBLISHER_UNREACHABLE', 'CD_PUBLISHER_REFUSED',
        'PRINTED_ALREADY', 'PRINT_UNKNOWN', 'FORBIDDEN_ORIGIN', 'IDEMPOTENCY_KEY_REUSED'
      ),
      200: ANSWER
    }
  }
  const onRequest = [app.authorise, app.guardOrigin]

  app.get('/print', {
    onRequest,
    schema: {
      ...schema,
      description: 'A comma separates accession numbers. Waits until the robot has confirmed every image; who leaves before the first one goes out ends it. A second request while the ' +
        'first is under way joins it; a later one within relay.ask_again_within is asked (a person) or gets 409 (a program).'
    }
  }, async (request, reply) => await answer(request, reply, request))

  app.post('/print', {
    onRequest,
    schema: {
      ...schema,
      description: 'As GET, which the old link needs; a print changes something, so new callers use POST. With "Prefer: respond-async" it does not wait: 202 with the link of the job.',
      response: { ...schema.response, 202: ACCEPTED }
    }
  }, async (request, reply) => {
    if (!prefersAsync(request)) return await answer(request, reply, request)
    const job = await app.prints.ask(printOf(request, request, true)).catch((error: unknown) => { throw withJob(error) })
    const location = withQuery(`/api/iso/print/jobs/${job.id}`, request.url, { again: undefined, lang: undefined })
    return reply
      .status(202)
      .header('location', location)
      .header('preference-applied', 'respond-async')
      .header('cache-control', 'no-store')
      .send(printState(job))
  })
}

/** RFC 7240 */
function prefersAsync ({ headers: { prefer } }: FastifyRequest): boolean {
  const preferences = [prefer ?? []].flat().join(',').split(',')
  return preferences.some(preference => preference.split(';')[0]?.trim().toLowerCase() === 'respond-async')
}

/** The print that was there before goes with the answer. */
function withJob (error: unknown): unknown {
  if (!(error instanceof PrintedAlreadyError)) return error
  return new MkisoError(error.code, error.detail, { job: printState(error.job) })
}

/** As of a download. */
function withWarnings (reply: FastifyReply, record: PrintRecord): FastifyReply {
  if (record.silentArchives.length > 0) reply.header('x-mkiso-archive-silent', record.silentArchives.join(', '))
  return reply.warnOfPatient(record)
}

function success (accessionNumbers: readonly string[], { patientName, destination, sentImages, silentArchives }: PrintRecord) {
  return { status: 'success' as const, accessions_sent: [...accessionNumbers], patient_name: patientName, destination, files_sent: sentImages, ...silentState(silentArchives) }
}

/** Events until the print has ended, with its answer in the last one. */
function sendProgress (activity: Activity, printed: Promise<PrintRecord>, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  let result: PrintRecord | undefined
  let failure: MkisoError | undefined
  const ended = printed.then(record => { result = record }, (error: Error) => {
    failure = request.failure = toMkisoError(error)
    if (failure.statusCode < 500 || isEndOnPurpose(failure)) return
    request.log.error({ err: failure.cause ?? failure, code: failure.code, detail: failure.detail }, 'a print failed')
  })
  return reply.sendEvents({
    state: () => ({
      ...activityState(activity),
      ...(result === undefined ? {} : { outcome: 'success', destination: result.destination, files_sent: result.sentImages }),
      ...(failure === undefined ? {} : { outcome: 'failed', error: errorBody(failure, request.id) })
    }),
    // the activity can end before its answer is there
    ended: () => result !== undefined || failure !== undefined,
    listen: changed => {
      void ended.then(changed)
      return request.server.activities.listenTo(activity, changed)
    }
  })
}

export default routes
