import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { Type } from '@sinclair/typebox'
import { SIGNED_LINK } from '../../../plugins/auth.ts'
import { DOWNLOAD_PAGE, expiryMsOf, signedLink } from '../../../src/auth/signed-links.ts'
import { parseAccessionNumbers } from '../../../src/dicom/accession-number.ts'
import { MkisoError } from '../../../src/errors.ts'
import { downloadPath, withQuery } from '../../../src/http/links.ts'
import { qrPicture } from '../../../src/http/qr.ts'
import { AccessionNumberList, CHOICE_QUERY, errorResponses, SIGNED_LINK_ERRORS, SIGNED_LINK_QUERY } from '../../../src/http/schemas.ts'

/** A code that is shown to somebody who stands there, with a phone in the hand. */
const GOOD_FOR_MS = 3_600_000

const Link = Type.Object({
  link: Type.String({ description: 'To the page of the download.' }),
  expires_at: Type.Optional(Type.String({ description: 'ISO 8601; absent where nothing is asked of anybody (auth.enabled).' })),
  qr: Type.String({ description: 'The QR code of it, an address of a picture: data:image/svg+xml;base64,...' })
}, { examples: [{ link: 'https://mkiso.example/download?accession_number=MR.2024.001&expires=1767225600&signature=...', expires_at: '2026-01-01T00:00:00.000Z', qr: 'data:image/svg+xml;base64,...' }] })

const routes: FastifyPluginAsyncTypebox = async app => {
  const { server, auth: { enabled, signedLinks } } = app.config

  const linkOf = (request: FastifyRequest, list: string, { series, modality }: { series?: string, modality?: string }): { path: string, expiresMs: number | undefined } => {
    // no link is prolonged, and none that is good once becomes another
    if (request.credential === SIGNED_LINK) {
      return { path: withQuery(DOWNLOAD_PAGE, request.url, { id: undefined, lang: undefined }), expiresMs: request.signedLink?.expiresMs }
    }
    if (!enabled) return { path: withQuery(DOWNLOAD_PAGE, request.url, { id: undefined, lang: undefined }), expiresMs: undefined }
    if (signedLinks === undefined) throw new MkisoError('NOT_FOUND', 'links are made where auth.signed_links.secret is set')
    const expires = String(Math.floor((Date.now() + Math.min(GOOD_FOR_MS, signedLinks.maxAgeMs)) / 1_000))
    const part = { ...(modality === undefined ? {} : { modality }), ...(series === undefined ? {} : { series }) }
    request.log.info({ accession: list, expires }, 'a link was made')
    return { path: signedLink(signedLinks.secret, { path: DOWNLOAD_PAGE, accessionNumbers: list, expires, ...part }), expiresMs: expiryMsOf({ expires }) }
  }

  app.get('/link', {
    onRequest: app.authorise,
    config: { signedAs: downloadPath },
    schema: {
      tags: ['disc'],
      summary: 'A link for a phone, with its QR code',
      description: 'Signed, to the page of the download, good for an hour. Who came in by a signed link gets that one again.',
      security: [{ apiKey: [] }],
      querystring: Type.Object({ accession_number: AccessionNumberList, ...CHOICE_QUERY, ...SIGNED_LINK_QUERY }),
      response: { ...errorResponses('INVALID_ACCESSION_NUMBER', ...SIGNED_LINK_ERRORS, 'NOT_FOUND', 'TOO_MANY_REQUESTS'), 200: Link }
    }
  }, async (request, reply) => {
    const accessionNumbers = parseAccessionNumbers(request.query.accession_number, server.max_accessions)
    const { path, expiresMs } = linkOf(request, accessionNumbers.join(','), request.query)
    const link = `${server.public_url === '' ? `${request.protocol}://${request.host}` : new URL(server.public_url).origin}${path}`
    return reply.header('cache-control', 'no-store').send({ link, ...(expiresMs === undefined ? {} : { expires_at: new Date(expiresMs).toISOString() }), qr: await qrPicture(link) })
  })
}

export default routes
