import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { DiscAnswer } from '../../../plugins/send-disc.ts'
import { checkAccessionNumber } from '../../../src/dicom/accession-number.ts'
import { isoFileName } from '../../../src/disc/file-name.ts'
import { AccessionNumber, DiscNumber, discLinks, discNumber, errorResponses, RETRIEVAL_ERRORS } from '../../../src/schemas.ts'

const routes: FastifyPluginAsyncTypebox = async app => {
  app.get('/api/iso/download', {
    onRequest: app.authorise,
    schema: {
      tags: ['disc'],
      summary: 'The disc of one accession number',
      security: [{ apiKey: [] }],
      querystring: Type.Object({ accession_number: AccessionNumber, disc: DiscNumber }),
      response: { ...errorResponses(...RETRIEVAL_ERRORS, 'DISC_TOO_SMALL', 'ISO_CREATION_FAILED'), 200: DiscAnswer }
    }
  }, async (request, reply) => {
    const accessionNumber = checkAccessionNumber(request.query.accession_number)
    const linkOf = discLinks(request.url)
    const disc = await app.iso.make({ accessionNumbers: [accessionNumber], disc: discNumber(request.query.disc), linkOf, signal: request.gone, log: request.log })
    return reply.sendDisc(disc, isoFileName(accessionNumber), linkOf)
  })
}

export default routes
