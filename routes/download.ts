import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { parseAccessionNumbers } from '../src/dicom/accession-number.ts'
import { choiceKey, choiceOf } from '../src/disc/choice.ts'
import { downloadPath, withQuery } from '../src/http/links.ts'
import { AccessionNumberList, CHOICE_QUERY, DiscNumber, errorResponses, LanguageCode, page, SIGNED_LINK_QUERY } from '../src/http/schemas.ts'

const routes: FastifyPluginAsyncTypebox = async app => {
  const { auth } = app.config

  app.get('/download', {
    schema: {
      tags: ['pages'],
      summary: 'Page of a download: progress, cancel, and the download by itself when the disc is ready',
      querystring: Type.Object({ accession_number: AccessionNumberList, disc: DiscNumber, lang: LanguageCode, ...CHOICE_QUERY, ...SIGNED_LINK_QUERY }),
      response: { ...errorResponses('INVALID_ACCESSION_NUMBER', 'TOO_MANY_REQUESTS'), 200: page('The page; it holds nothing but what its address says.') }
    }
  }, async (request, reply) => {
    const { accession_number: list, disc, series, modality, signature } = request.query
    const choice = choiceOf({ series, modality })
    const accessionNumbers = parseAccessionNumbers(list, app.config.server.max_accessions)
    return reply.sendScreen('download', {
      accessionNumbers,
      disc,
      key: [accessionNumbers.join(','), disc ?? '', choiceKey(choice)].join(' ').trim(),
      choice,
      // a link that was signed for a part does not open the whole
      wholeUrl: choice === undefined || signature !== undefined ? undefined : withQuery('/download', request.url, { series: undefined, modality: undefined }),
      studiesUrl: withQuery('/api/iso/studies', request.url, { lang: undefined, disc: undefined, set: undefined }),
      // nothing is offered that would be refused
      linkUrl: auth.enabled && auth.signedLinks === undefined ? undefined : withQuery('/api/iso/link', request.url, { lang: undefined, disc: undefined, set: undefined }),
      lookUrl: app.config.disc.viewer && app.config.iso.keepForMs > 0 ? withQuery('/look', request.url, { lang: undefined }) : undefined,
      progressUrl: withQuery('/api/iso/progress', request.url, { lang: undefined }),
      directUrl: withQuery(downloadPath(accessionNumbers.join(',')), request.url, { lang: undefined })
    })
  })
}

export default routes
