import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { parseAccessionNumbers } from '../src/dicom/accession-number.ts'
import { choiceKey, choiceOf } from '../src/disc/choice.ts'
import { DiscFormatQuery } from '../src/http/disc-format.ts'
import { downloadPath, withQuery } from '../src/http/links.ts'
import { AccessionNumberList, CHOICE_QUERY, DiscNumber, errorResponses, LanguageCode, page, SIGNED_LINK_QUERY } from '../src/http/schemas.ts'

const Protected = Type.Optional(Type.String({ pattern: '^(true|false)$', description: 'true: a ZIP with a password, which the page makes and shows once.' }))

const routes: FastifyPluginAsyncTypebox = async app => {
  const { auth } = app.config

  app.get('/download', {
    schema: {
      tags: ['pages'],
      summary: 'Page of a download: progress, cancel, and the download by itself when the disc is ready',
      querystring: Type.Object({
        accession_number: AccessionNumberList, format: DiscFormatQuery, protected: Protected, disc: DiscNumber, lang: LanguageCode, ...CHOICE_QUERY, ...SIGNED_LINK_QUERY
      }),
      response: { ...errorResponses('INVALID_ACCESSION_NUMBER', 'TOO_MANY_REQUESTS'), 200: page('The page; it holds nothing but what its address says.') }
    }
  }, async (request, reply) => {
    const { accession_number: list, disc, protected: isProtected, series, modality, signature } = request.query
    const choice = choiceOf({ series, modality })
    const accessionNumbers = parseAccessionNumbers(list, app.config.server.max_accessions)
    const withPassword = isProtected === 'true'
    // only an image is one of a set, and only a ZIP has a password
    const format = withPassword ? 'zip' : request.query.format ?? (disc === undefined ? app.config.disc.format : 'iso')
    // what the API does unasked is not asked for: links of a HIS stay as they were signed
    const ofApi = { lang: undefined, protected: undefined, format: format === 'zip' ? format : undefined }
    const other = (changes: Record<string, string | undefined>): string => withQuery('/download', request.url, { disc: undefined, protected: undefined, ...changes })
    return reply.sendScreen('download', {
      accessionNumbers,
      disc,
      format,
      withPassword,
      key: [accessionNumbers.join(','), disc ?? '', format, withPassword ? 'protected' : '', choiceKey(choice)].join(' ').trim(),
      choice,
      // a link that was signed for a part does not open the whole
      wholeUrl: choice === undefined || signature !== undefined ? undefined : withQuery('/download', request.url, { series: undefined, modality: undefined }),
      studiesUrl: withQuery('/api/iso/studies', request.url, { lang: undefined, disc: undefined, set: undefined, format: undefined, protected: undefined }),
      // nothing is offered that would be refused
      linkUrl: auth.enabled && auth.signedLinks === undefined ? undefined : withQuery('/api/iso/link', request.url, { ...ofApi, disc: undefined, set: undefined }),
      lookUrl: app.config.disc.viewer && app.config.iso.keepForMs > 0 ? withQuery('/look', request.url, { lang: undefined, format: undefined, protected: undefined }) : undefined,
      progressUrl: withQuery('/api/iso/progress', request.url, ofApi),
      directUrl: withQuery(downloadPath(accessionNumbers.join(',')), request.url, ofApi),
      isoUrl: other({ format: 'iso' }),
      zipUrl: other({ format: 'zip' }),
      protectedUrl: other({ format: 'zip', protected: 'true' })
    })
  })
}

export default routes
