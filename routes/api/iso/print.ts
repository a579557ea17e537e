import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from '@sinclair/typebox'
import { parseAccessionNumbers } from '../../../src/dicom/accession-number.ts'
import { nameFromDicom } from '../../../src/disc/file-name.ts'
import { AccessionNumberList, errorResponses, RETRIEVAL_ERRORS, SIGNED_LINK_QUERY } from '../../../src/schemas.ts'

const routes: FastifyPluginAsyncTypebox = async app => {
  const responses = {
    ...errorResponses(...RETRIEVAL_ERRORS, 'ACCESSION_UNKNOWN', 'PATIENT_API_UNAVAILABLE', 'CD_PUBLISHER_UNREACHABLE', 'CD_PUBLISHER_REFUSED'),
    200: Type.Object({
      status: Type.Literal('success'),
      accessions_sent: Type.Array(Type.String()),
      patient_name: Type.String(),
      destination: Type.String({ description: 'The CD publisher, host:port.' }),
      files_sent: Type.Integer({ description: 'Images that the CD publisher confirmed.' })
    })
  }
  const print = async (list: string, request: FastifyRequest, reply: FastifyReply) => {
    const accessionNumbers = parseAccessionNumbers(list, app.config.server.max_accessions)
    const activity = reply.track('print', accessionNumbers)
    const patientName = await app.patientClient.nameFor(accessionNumbers, activity.signal, request.log)
    const { manifest, destination, filesSent } = await app.relay.print(activity, request.log)
    return {
      status: 'success' as const,
      accessions_sent: accessionNumbers,
      patient_name: patientName ?? nameFromDicom(manifest.studies[0]?.patient.patientName ?? ''),
      destination,
      files_sent: filesSent
    }
  }

  app.get('/api/iso/print', {
    onRequest: app.authorise,
    schema: {
      tags: ['disc'],
      summary: 'Send studies to the CD publisher',
      description: 'A comma separates accession numbers. A second request while the first is under way joins it: one disc is printed.',
      security: [{ apiKey: [] }],
      querystring: Type.Object({ accession_number: AccessionNumberList, ...SIGNED_LINK_QUERY }),
      response: responses
    }
  }, async (request, reply) => await print(request.query.accession_number, request, reply))

  app.post('/api/iso/print', {
    onRequest: app.authorise,
    schema: {
      tags: ['disc'],
      summary: 'Send studies to the CD publisher',
      description: 'As GET, which the old link needs; a print changes something, so new callers use POST.',
      security: [{ apiKey: [] }],
      querystring: Type.Object({ accession_number: AccessionNumberList, ...SIGNED_LINK_QUERY }),
      response: responses
    }
  }, async (request, reply) => await print(request.query.accession_number, request, reply))
}

export default routes
