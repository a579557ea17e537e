import type { Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { parseAccessionNumbers } from '../src/dicom/accession-number.ts'
import { imageStream } from '../src/disc/image/image.ts'
import { MkisoError } from '../src/errors.ts'
import { downloadPath, withQuery } from '../src/http/links.ts'
import { lookCookies, lookPath, secretOf } from '../src/http/look-cookies.ts'
import { AccessionNumberList, DiscNumber, discNumber, DiscSet, errorResponses, RETRIEVAL_ERRORS, SIGNED_LINK_QUERY } from '../src/http/schemas.ts'

const FILE = { description: 'The file.', content: { 'application/octet-stream': { schema: Type.Unsafe<string | Readable>({ type: 'string', format: 'binary' }) } } }

const routes: FastifyPluginAsyncTypebox = async app => {
  app.get('/look', {
    onRequest: app.authorise,
    config: { signedAs: downloadPath },
    schema: {
      tags: ['disc'],
      summary: 'Opens the images of a kept disc in the viewer',
      description: 'Fetches nothing: only what a download has left here (iso.keep_for) can be looked at. The key or the signed link is the download\'s.',
      security: [{ apiKey: [] }],
      querystring: Type.Object({ accession_number: AccessionNumberList, disc: DiscNumber, set: DiscSet, ...SIGNED_LINK_QUERY }),
      response: {
        ...errorResponses(...RETRIEVAL_ERRORS, 'NOT_KEPT', 'DISC_TOO_SMALL', 'SET_CHANGED', 'ISO_CREATION_FAILED', 'AUDIT_FAILED'),
        303: Type.Null({ description: 'To the page; cookies let its pictures in.' })
      }
    }
  }, async (request, reply) => {
    const { accession_number: list, disc: number, set } = request.query
    const accessionNumbers = parseAccessionNumbers(list, app.config.server.max_accessions)
    const asking = { signal: request.gone, log: request.log }
    const patient = await app.patientOfDownload(accessionNumbers, asking)
    const linkOf = (disc: number, set: string): string => withQuery('/look', request.url, { disc: String(disc), set })
    const disc = await app.discs.openKept({ format: 'iso', accessionNumbers, disc: discNumber(number), set, linkOf, check: patient.check, ...asking })
    if (disc === undefined) throw new MkisoError('NOT_KEPT')
    try {
      app.audit.looking(request, accessionNumbers, disc)
      const look = app.looks.begin(disc)
      if (look === undefined) throw new MkisoError('NOT_KEPT', 'the discs of this service have no viewer (disc.viewer)')
      for (const cookie of lookCookies(look, request.url, request.protocol === 'https')) reply.header('set-cookie', cookie)
      return reply.header('cache-control', 'no-store').redirect(`${lookPath(look.id)}INDEX.HTM`, 303)
    } finally {
      disc.close()
    }
  })

  app.get('/look/:id/*', {
    exposeHeadRoute: false,
    schema: {
      hide: true,
      tags: ['pages'],
      summary: 'A file of a kept disc: the viewer\'s page, and what it shows',
      params: Type.Object({ id: Type.String({ pattern: '^[0-9a-f]{24}$' }), '*': Type.String({ maxLength: 200 }) }),
      response: { ...errorResponses('NOT_KEPT', 'NOT_FOUND'), 200: FILE }
    }
  }, async (request, reply) => {
    const { id, '*': path } = request.params
    const file = app.looks.open({ id, secret: secretOf(request.headers.cookie) }, path)
    if (file === 'gone') throw new MkisoError('NOT_KEPT')
    if (file === undefined) throw new MkisoError('NOT_FOUND')
    reply.raw.once('close', file.close)
    // for a client that has left already, that event is over
    if (reply.raw.destroyed) file.close()
    reply.raw.setTimeout(app.config.server.writeTimeoutMs, () => { reply.raw.destroy() })
    // pictures of a patient do not stay in a browser that others use
    reply.type(file.type).header('content-security-policy', file.policy).header('cache-control', 'no-store')
    const { content } = file
    if (typeof content === 'string') return reply.send(content)
    return reply.header('content-length', String(content.sizeBytes)).send(imageStream(content))
  })
}

export default routes
