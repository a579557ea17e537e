import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { studiesOf } from '../../../src/audit/event.ts'
import { FoundState, foundState } from '../../../src/http/desk-state.ts'
import { errorResponses } from '../../../src/http/schemas.ts'
import { findForDesk } from '../../../src/studies/find-for-desk.ts'

// * ? and \ are refused where every search is checked, with a sentence
const value = (description: string, example: string) => Type.Optional(Type.String({ maxLength: 64, pattern: '^[^\\x00-\\x1f\\x7f]*$', description, examples: [example] }))
const day = (description: string) => Type.Optional(Type.String({ pattern: '^[0-9]{8}$', description }))

const routes: FastifyPluginAsyncTypebox = async app => {
  if (!app.config.desk.enabled) return
  app.get('/search', {
    onRequest: app.authoriseDesk,
    schema: {
      tags: ['desk'],
      summary: 'Finds studies, and moves nothing',
      description: 'Asks every archive (C-FIND, QIDO-RS). All that is given must match; the service adds the wildcards, and takes none. It names patients, so it is recorded (audit), and no signed link opens it. Where no key is asked for it needs a login (audit.user_header). ' +
        'An archive that is not optional and does not answer is an error: a list that lacks what it holds would look whole.',
      security: [{ apiKey: [] }],
      querystring: Type.Object({
        accession_number: value('The whole accession number.', 'MR.2024.001'),
        patient_id: value('The whole Patient ID.', 'P0001'),
        patient_name: value('Parts of the words of the name, in any order and case, with or without accents: of three letters or more from anywhere in a word, of two its beginning.', 'doe j'),
        from: day('First day of the study, YYYYMMDD.'),
        to: day('Last day of the study, YYYYMMDD.')
      }),
      response: {
        ...errorResponses('UNAUTHORIZED', 'TOO_MANY_REQUESTS', 'AUDIT_FAILED', 'PACS_UNREACHABLE', 'PACS_REFUSED', 'PACS_TIMEOUT', 'TOO_MANY_CONCURRENT'), 200: FoundState
      }
    }
  }, async (request, reply) => {
    const { accession_number: accessionNumber, patient_id: patientId, patient_name: patientName, from, to } = request.query
    const search = { accessionNumber: accessionNumber?.trim(), patientId: patientId?.trim(), patientName: patientName?.trim(), from, to }
    const found = await findForDesk(app.allArchives, search, { signal: request.gone, log: request.log })
    const studies = found.studies.map(({ study }) => study)
    // also when nothing was found: who has asked is known
    app.audit.telling({ requestId: request.id, caller: request.caller, accessionNumbers: [...new Set(studies.map(study => study.accessionNumber))] }, studiesOf({ studies }))
    return reply.header('cache-control', 'no-store').send(foundState(found, studyInstanceUid => app.studyStore.has(studyInstanceUid)))
  })
}

export default routes
