import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type, type Static } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { DISC_ANSWERS } from '../../../plugins/send-disc.ts'
import { checkAccessionNumber } from '../../../src/dicom/accession-number.ts'
import { choiceOf } from '../../../src/disc/choice.ts'
import { isoFileName } from '../../../src/disc/file-name.ts'
import { DiscFormatQuery, FORM_BYTES, formatWanted, readForm, ZIP_POST, ZipHeaders } from '../../../src/http/disc-format.ts'
import { withQuery } from '../../../src/http/links.ts'
import { AccessionNumber, CHOICE_QUERY, DiscNumber, discNumber, DiscSet, errorResponses, PreparationId, RETRIEVAL_ERRORS, SIGNED_LINK_QUERY } from '../../../src/http/schemas.ts'

const QUERY = Type.Object({
  accession_number: AccessionNumber, format: DiscFormatQuery, disc: DiscNumber, set: DiscSet, preparation: PreparationId, ...CHOICE_QUERY, ...SIGNED_LINK_QUERY
})

const ANSWERS = {
  ...errorResponses(...RETRIEVAL_ERRORS, 'NO_SUCH_SERIES', 'DISC_TOO_SMALL', 'SET_CHANGED', 'ISO_CREATION_FAILED', 'RANGE_NOT_SATISFIABLE', 'DOWNLOAD_CANCELLED'),
  ...DISC_ANSWERS
}

interface Asked { query: Static<typeof QUERY>, headers: Static<typeof ZipHeaders> }

const routes: FastifyPluginAsyncTypebox = async app => {
  const answer = async (request: FastifyRequest, reply: FastifyReply, { query, headers }: Asked): Promise<FastifyReply> => {
    const accessionNumber = checkAccessionNumber(query.accession_number)
    const format = formatWanted({ url: request.url, query, headers, body: request.body, httpVersion: request.raw.httpVersion })
    const activity = reply.trackDownload([accessionNumber], query)
    const patient = await app.patientOfDownload([accessionNumber], { signal: activity.signal, log: request.log })
    const linkOf = (disc: number, set: string): string => withQuery('/api/iso/download', request.url, { disc: String(disc), set, preparation: undefined })
    const { disc: number, set } = query
    const wanted = {
      ...format,
      accessionNumbers: [accessionNumber], disc: discNumber(number), choice: choiceOf(query), set, linkOf, signal: activity.signal, check: patient.check, watch: activity
    }
    const disc = await reply.openDisc(wanted)
    return disc === undefined ? reply.sendUnknownDisc() : reply.warnOfPatient(patient).sendDisc(disc, { fileName: isoFileName(accessionNumber), linkOf })
  }

  app.get('/download', {
    onRequest: app.authorise,
    schema: {
      tags: ['disc'],
      summary: 'The disc of one accession number',
      security: [{ apiKey: [] }],
      querystring: QUERY,
      headers: ZipHeaders,
      response: ANSWERS
    }
  }, async (request, reply) => await answer(request, reply, request))

  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string', bodyLimit: FORM_BYTES }, async (_request: FastifyRequest, text: string) => readForm(text))
  app.post('/download', {
    onRequest: [app.authorise, app.guardOrigin],
    bodyLimit: FORM_BYTES,
    schema: {
      ...ZIP_POST,
      summary: 'One accession number, as a ZIP with a password',
      querystring: QUERY,
      response: { ...errorResponses('FORBIDDEN_ORIGIN'), ...ANSWERS }
    }
  }, async (request, reply) => await answer(request, reply, request))
}

export default routes
