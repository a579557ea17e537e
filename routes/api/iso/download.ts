import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { DISC_ANSWERS } from '../../../plugins/send-disc.ts'
import { checkAccessionNumber } from '../../../src/dicom/accession-number.ts'
import { choiceOf } from '../../../src/disc/choice.ts'
import { isoFileName } from '../../../src/disc/file-name.ts'
import { withQuery } from '../../../src/http/links.ts'
import { AccessionNumber, CHOICE_QUERY, DiscNumber, discNumber, DiscSet, errorResponses, PreparationId, RETRIEVAL_ERRORS, SIGNED_LINK_QUERY } from '../../../src/http/schemas.ts'

const routes: FastifyPluginAsyncTypebox = async app => {
  app.get('/download', {
    onRequest: app.authorise,
    schema: {
      tags: ['disc'],
      summary: 'The disc of one accession number',
      security: [{ apiKey: [] }],
      querystring: Type.Object({ accession_number: AccessionNumber, disc: DiscNumber, set: DiscSet, preparation: PreparationId, ...CHOICE_QUERY, ...SIGNED_LINK_QUERY }),
      response: { ...errorResponses(...RETRIEVAL_ERRORS, 'NO_SUCH_SERIES', 'DISC_TOO_SMALL', 'SET_CHANGED', 'ISO_CREATION_FAILED', 'RANGE_NOT_SATISFIABLE', 'DOWNLOAD_CANCELLED'), ...DISC_ANSWERS }
    }
  }, async (request, reply) => {
    const accessionNumber = checkAccessionNumber(request.query.accession_number)
    const activity = reply.trackDownload([accessionNumber], request.query)
    const patient = await app.patientOfDownload([accessionNumber], { signal: activity.signal, log: request.log })
    const linkOf = (disc: number, set: string): string => withQuery('/api/iso/download', request.url, { disc: String(disc), set, preparation: undefined })
    const { disc: number, set } = request.query
    const wanted = {
      accessionNumbers: [accessionNumber], disc: discNumber(number), choice: choiceOf(request.query), set, linkOf, signal: activity.signal, check: patient.check, watch: activity
    }
    const disc = await reply.openDisc(wanted)
    return disc === undefined ? reply.sendUnknownDisc() : reply.warnOfPatient(patient).sendDisc(disc, { fileName: isoFileName(accessionNumber), linkOf })
  })
}

export default routes
