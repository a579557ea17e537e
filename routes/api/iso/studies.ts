import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { studiesOf } from '../../../src/audit/event.ts'
import { summaryOf } from '../../../src/work/activity.ts'
import { StudiesState, studiesState } from '../../../src/http/activity-state.ts'
import { parseAccessionNumbers } from '../../../src/dicom/accession-number.ts'
import { AccessionNumberList, errorResponses, RETRIEVAL_ERRORS, SIGNED_LINK_QUERY } from '../../../src/http/schemas.ts'

const routes: FastifyPluginAsyncTypebox = async app => {
  app.get('/studies', {
    onRequest: app.authorise,
    config: { signedAs: '/api/iso/print' },
    schema: {
      tags: ['disc'],
      summary: 'Whose studies these are',
      description: 'Asks the PACS, and moves nothing: for a page that asks before it prints. It names a patient, so it is recorded (audit).',
      security: [{ apiKey: [] }],
      querystring: Type.Object({ accession_number: AccessionNumberList, ...SIGNED_LINK_QUERY }),
      response: { ...errorResponses(...RETRIEVAL_ERRORS), 200: StudiesState }
    }
  }, async (request, reply) => {
    const accessionNumbers = parseAccessionNumbers(request.query.accession_number, app.config.server.max_accessions)
    const manifest = await app.studyStore.find(accessionNumbers, { signal: request.gone, log: request.log })
    app.audit.telling({ requestId: request.id, caller: request.caller, accessionNumbers }, studiesOf(manifest))
    return reply.header('cache-control', 'no-store').send(studiesState(summaryOf(manifest)))
  })
}

export default routes
