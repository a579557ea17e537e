import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { addressOf } from '../src/dcmtk/peer.ts'
import { parseAccessionNumbers } from '../src/dicom/accession-number.ts'
import { withQuery } from '../src/http/links.ts'
import { publisherOf } from '../src/print/relay.ts'
import { AccessionNumberList, errorResponses, LanguageCode, page, SIGNED_LINK_QUERY } from '../src/http/schemas.ts'

const routes: FastifyPluginAsyncTypebox = async app => {
  app.get('/print', {
    schema: {
      tags: ['pages'],
      summary: 'Page of a print: asks, sends, and tells what the CD publisher has confirmed',
      querystring: Type.Object({ accession_number: AccessionNumberList, lang: LanguageCode, ...SIGNED_LINK_QUERY }),
      response: { ...errorResponses('INVALID_ACCESSION_NUMBER', 'TOO_MANY_REQUESTS'), 200: page('The page; nothing is sent by it alone.') }
    }
  }, async (request, reply) => reply.sendScreen('print', {
    accessionNumbers: parseAccessionNumbers(request.query.accession_number, app.config.server.max_accessions),
    destination: addressOf(publisherOf(app.config)),
    printUrl: withQuery('/api/iso/print', request.url),
    findUrl: withQuery('/api/iso/studies', request.url, { lang: undefined })
  }))
}

export default routes
