import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { studiesOf } from '../../../src/audit/event.ts'
import { summaryOf } from '../../../src/work/activity.ts'
import { StudiesOfArchive, studiesOfArchive } from '../../../src/http/activity-state.ts'
import { downloadPath } from '../../../src/http/links.ts'
import { parseAccessionNumbers } from '../../../src/dicom/accession-number.ts'
import { AccessionNumberList, CHOICE_QUERY, errorResponses, PreparationId, RETRIEVAL_ERRORS, SIGNED_LINK_QUERY } from '../../../src/http/schemas.ts'

/** The page waits no longer for a name, milliseconds. */
const HIS_MS = 3_000

const routes: FastifyPluginAsyncTypebox = async app => {
  app.get('/studies', {
    onRequest: app.authorise,
    config: { signedAs: list => ['/api/iso/print', downloadPath(list)] },
    schema: {
      tags: ['disc'],
      summary: 'Whose studies these are',
      description: 'Asks the PACS, or takes what is known where their disc is being made for a page (id), and moves nothing: for a page that asks before it prints, and for one that offers a part of the study. It names a patient, so it is recorded (audit).',
      security: [{ apiKey: [] }],
      querystring: Type.Object({ accession_number: AccessionNumberList, id: PreparationId, ...CHOICE_QUERY, ...SIGNED_LINK_QUERY }),
      response: { ...errorResponses(...RETRIEVAL_ERRORS), 200: StudiesOfArchive }
    }
  }, async (request, reply) => {
    const accessionNumbers = parseAccessionNumbers(request.query.accession_number, app.config.server.max_accessions)
    const manifest = app.preparations.manifestOf(request.query.id, accessionNumbers) ?? await app.studyStore.find(accessionNumbers, { signal: request.gone, log: request.log })
    app.audit.telling({ requestId: request.id, caller: request.caller, accessionNumbers }, studiesOf(manifest))
    const summary = summaryOf(manifest)
    // a person who is asked "this patient?" must see one
    const [first] = accessionNumbers
    const his = summary.patientName === '' && first !== undefined ? await app.patientClient.ifAnswered(first, HIS_MS, { signal: request.gone, log: request.log }) : undefined
    return reply.header('cache-control', 'no-store').send(studiesOfArchive(summary, manifest, his?.patient_name))
  })
}

export default routes
