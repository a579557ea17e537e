import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from '@sinclair/typebox'
import { toMkisoError } from '../../../plugins/errors.ts'
import { PATIENT_WARNING } from '../../../plugins/patient-client.ts'
import { wantsPage } from '../../../plugins/screens.ts'
import type { Activity } from '../../../src/work/activity.ts'
import { ACTIVITY_EXAMPLE, activityState } from '../../../src/http/activity-state.ts'
import { parseAccessionNumbers } from '../../../src/dicom/accession-number.ts'
import { nameFromDicom } from '../../../src/disc/file-name.ts'
import type { MkisoError } from '../../../src/errors.ts'
import { AccessionNumberList, errorBody, errorResponses, eventStream, page, RETRIEVAL_ERRORS, SIGNED_LINK_QUERY } from '../../../src/http/schemas.ts'

const Printed = Type.Object({
  status: Type.Literal('success'),
  accessions_sent: Type.Array(Type.String()),
  patient_name: Type.String(),
  destination: Type.String({ description: 'The CD publisher, host:port.' }),
  files_sent: Type.Integer({ description: 'Images that the CD publisher confirmed.' })
}, { examples: [{ status: 'success', accessions_sent: ['MR.2024.001'], patient_name: 'JOHN DOE', destination: '172.16.0.120:104', files_sent: 240 }] })

const ANSWER = {
  description: 'The CD publisher has confirmed every image.',
  headers: { 'x-mkiso-patient-warning': PATIENT_WARNING },
  content: {
    'application/json': { schema: Printed },
    // for a browser that was led here by the old link, or has no script
    ...page('').content,
    // for the page: progress, and the same in the end; a failure is the last event, its status 200
    ...eventStream('', ACTIVITY_EXAMPLE).content
  }
}

const routes: FastifyPluginAsyncTypebox = async app => {
  // the form of the page, where it has no script: everything is in its address
  app.addContentTypeParser('application/x-www-form-urlencoded', async () => undefined)

  const print = async (activity: Activity, request: FastifyRequest, reply: FastifyReply) => {
    const { accessionNumbers, signal } = activity
    const patient = await app.patientOf(accessionNumbers, { signal, log: request.log })
    const { manifest, destination, filesSent } = await app.relay.print(activity, patient.check, request.log)
    // with progress, the headers have gone
    if (!reply.sent && !reply.raw.headersSent) reply.warnOfPatient(patient)
    return {
      status: 'success' as const,
      accessions_sent: [...accessionNumbers],
      patient_name: patient.name ?? nameFromDicom(manifest.studies[0]?.patient.patientName ?? ''),
      destination,
      files_sent: filesSent
    }
  }

  const answer = async (list: string, request: FastifyRequest, reply: FastifyReply) => {
    const accessionNumbers = parseAccessionNumbers(list, app.config.server.max_accessions)
    const activity = reply.track('print', accessionNumbers)
    const printed = print(activity, request, reply)
    if (request.headers.accept === 'text/event-stream') return sendProgress(activity, printed, request, reply)
    const result = await printed
    if (!wantsPage(request)) return reply.send(result)
    return reply.sendScreen('printed', { accessionNumbers, patientName: result.patient_name, destination: result.destination, filesSent: result.files_sent })
  }

  const schema = {
    tags: ['disc'],
    summary: 'Send studies to the CD publisher',
    security: [{ apiKey: [] }],
    querystring: Type.Object({ accession_number: AccessionNumberList, ...SIGNED_LINK_QUERY }),
    response: { ...errorResponses(...RETRIEVAL_ERRORS, 'ACCESSION_UNKNOWN', 'PATIENT_API_UNAVAILABLE', 'CD_PUBLISHER_UNREACHABLE', 'CD_PUBLISHER_REFUSED'), 200: ANSWER }
  }

  app.get('/print', {
    onRequest: app.authorise,
    schema: { ...schema, description: 'A comma separates accession numbers. A second request while the first is under way joins it: one disc is printed.' }
  }, async (request, reply) => await answer(request.query.accession_number, request, reply))

  app.post('/print', {
    onRequest: app.authorise,
    schema: { ...schema, description: 'As GET, which the old link needs; a print changes something, so new callers use POST.' }
  }, async (request, reply) => await answer(request.query.accession_number, request, reply))
}

/** Events until the print has ended, with its answer in the last one. */
function sendProgress (activity: Activity, printed: Promise<{ destination: string, files_sent: number }>, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  let result: { destination: string, files_sent: number } | undefined
  let failure: MkisoError | undefined
  const ended = printed.then(answer => { result = answer }, (error: Error) => {
    failure = request.failure = toMkisoError(error)
    if (failure.statusCode >= 500) request.log.error({ err: failure.cause ?? failure, code: failure.code, detail: failure.detail }, 'a print failed')
  })
  return reply.sendEvents({
    state: () => ({
      ...activityState(activity),
      ...(result === undefined ? {} : { outcome: 'success', destination: result.destination, files_sent: result.files_sent }),
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
