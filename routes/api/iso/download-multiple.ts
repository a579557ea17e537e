import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { DISC_ANSWERS } from '../../../plugins/send-disc.ts'
import { parseAccessionNumbers } from '../../../src/dicom/accession-number.ts'
import { choiceOf } from '../../../src/disc/choice.ts'
import { isoFileNameForPatient, nameFromDicom } from '../../../src/disc/file-name.ts'
import { MkisoError } from '../../../src/errors.ts'
import { withQuery } from '../../../src/http/links.ts'
import { AccessionNumberList, CHOICE_QUERY, DiscNumber, discNumber, DiscSet, errorResponses, PreparationId, RETRIEVAL_ERRORS, SIGNED_LINK_QUERY } from '../../../src/http/schemas.ts'

const routes: FastifyPluginAsyncTypebox = async app => {
  app.get('/download-multiple', {
    onRequest: app.authorise,
    schema: {
      tags: ['disc'],
      summary: 'One disc of several accession numbers of one patient',
      security: [{ apiKey: [] }],
      // mkiso_multiple.php passes accession_number, and nginx forwards it as it is
      querystring: Type.Object({
        accession_numbers: Type.Optional(AccessionNumberList),
        accession_number: Type.Optional(AccessionNumberList),
        disc: DiscNumber,
        set: DiscSet,
        preparation: PreparationId,
        ...CHOICE_QUERY,
        ...SIGNED_LINK_QUERY
      }),
      response: { ...errorResponses(...RETRIEVAL_ERRORS, 'NO_SUCH_SERIES', 'ACCESSION_UNKNOWN', 'PATIENT_API_UNAVAILABLE', 'DISC_TOO_SMALL', 'SET_CHANGED', 'ISO_CREATION_FAILED', 'RANGE_NOT_SATISFIABLE', 'DOWNLOAD_CANCELLED'), ...DISC_ANSWERS }
    }
  }, async (request, reply) => {
    const { accession_numbers: list, accession_number: other } = request.query
    if (list !== undefined && other !== undefined && list !== other) throw new MkisoError('INVALID_ACCESSION_NUMBER', 'accession_numbers and accession_number differ; give one of them')
    const accessionNumbers = parseAccessionNumbers(list ?? other ?? '', app.config.server.max_accessions)
    const activity = reply.trackDownload(accessionNumbers, request.query)
    // a list of one has the patient's name in its file name, too
    const patient = await app.patientOf(accessionNumbers, { signal: activity.signal, log: request.log })
    const linkOf = (disc: number, set: string): string => withQuery('/api/iso/download-multiple', request.url, { disc: String(disc), set, preparation: undefined })
    const { disc: number, set } = request.query
    const wanted = { accessionNumbers, disc: discNumber(number), choice: choiceOf(request.query), set, linkOf, signal: activity.signal, check: patient.check, watch: activity }
    const disc = await reply.openDisc(wanted)
    if (disc === undefined) return reply.sendUnknownDisc()
    return reply.warnOfPatient(patient).sendDisc(disc, { fileName: isoFileNameForPatient(patient.name ?? nameFromDicom(disc.patient.patientName), accessionNumbers), linkOf })
  })
}

export default routes
