import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { ACTIVITY_EXAMPLE, activityState } from '../../../src/http/activity-state.ts'
import { choiceOf } from '../../../src/disc/choice.ts'
import { parseAccessionNumbers } from '../../../src/dicom/accession-number.ts'
import { MkisoError } from '../../../src/errors.ts'
import { DiscFormatQuery, hidesBreakingOff } from '../../../src/http/disc-format.ts'
import { downloadPath, withQuery } from '../../../src/http/links.ts'
import { AccessionNumberList, CHOICE_QUERY, DiscNumber, discNumber, DiscSet, errorBody, errorResponses, eventStream, PreparationId, RETRIEVAL_ERRORS, SIGNED_LINK_ERRORS, SIGNED_LINK_QUERY } from '../../../src/http/schemas.ts'

const routes: FastifyPluginAsyncTypebox = async app => {
  app.get('/progress', {
    onRequest: app.authorise,
    config: { signedAs: downloadPath },
    schema: {
      tags: ['disc'],
      summary: 'Makes a disc ready for its download, and tells how far it is',
      description: 'Server-Sent Events, each the whole state. With the disc ready there is a link, which downloads it. Who comes back with the id of an earlier event joins, or is told that the disc has gone out; who stays away for ten seconds gives the disc up.',
      security: [{ apiKey: [] }],
      querystring: Type.Object({
        accession_number: AccessionNumberList, format: DiscFormatQuery, disc: DiscNumber, set: DiscSet, id: PreparationId, ...CHOICE_QUERY, ...SIGNED_LINK_QUERY
      }),
      response: { ...errorResponses(...RETRIEVAL_ERRORS, 'NO_SUCH_SERIES'), 200: eventStream('Progress, until the disc has gone out or cannot be made.', ACTIVITY_EXAMPLE) }
    }
  }, async (request, reply) => {
    const { accession_number: list, format = 'iso', id, disc, set } = request.query
    const accessionNumbers = parseAccessionNumbers(list, app.config.server.max_accessions)
    const asked = {
      format,
      whole: hidesBreakingOff({ httpVersion: request.raw.httpVersion, headers: request.headers }),
      requestId: request.id,
      caller: request.caller,
      accessionNumbers,
      disc: discNumber(disc),
      choice: choiceOf(request.query),
      set,
      linkOf: (n: number, set: string) => withQuery('/download', request.url, { disc: String(n), set, id: undefined }),
      log: request.log
    }
    const late = request.signedLink?.late
    const preparation = late === undefined ? app.preparations.join(id, asked) : app.preparations.comeBack(id, asked)
    if (preparation === undefined) throw late
    const { activity } = preparation
    // a link that was good when this began is good for taking it
    if (request.signedLink !== undefined && activity.outcome === undefined) app.linkUses.making(activity.id, request.signedLink.signature)
    const link = withQuery(downloadPath(accessionNumbers.join(',')), request.url, { id: undefined, preparation: activity.id })
    return reply.sendEvents({
      state: () => ({
        ...activityState(activity),
        ...(preparation.disc === undefined ? {} : { disc: preparation.disc }),
        ...(activity.phase === 'ready' ? { link } : {}),
        ...(preparation.error === undefined ? {} : { error: errorBody(preparation.error, activity.requestId) })
      }),
      ended: ({ outcome }) => outcome !== undefined,
      listen: changed => {
        const leave = preparation.follow()
        const stop = app.activities.listenTo(activity, changed)
        return () => { stop(); leave() }
      }
    })
  })

  app.delete('/progress', {
    onRequest: [app.authorise, app.guardOrigin],
    config: { signedAs: downloadPath },
    schema: {
      tags: ['disc'],
      summary: 'Gives up a disc that a page follows',
      description: 'Ends its retrieval when nobody else waits for it, and its download.',
      security: [{ apiKey: [] }],
      querystring: Type.Object({ accession_number: AccessionNumberList, disc: DiscNumber, id: Type.String({ format: 'uuid', description: 'Of the disc, as it comes with each event.' }), ...SIGNED_LINK_QUERY }),
      response: { ...errorResponses('INVALID_ACCESSION_NUMBER', ...SIGNED_LINK_ERRORS, 'TOO_MANY_REQUESTS', 'NOT_FOUND', 'FORBIDDEN_ORIGIN'), 204: Type.Null({ description: 'It is given up.' }) }
    }
  }, async (request, reply) => {
    const { accession_number: list, id } = request.query
    if (!app.preparations.cancel(id, parseAccessionNumbers(list, app.config.server.max_accessions))) throw new MkisoError('NOT_FOUND', 'no disc with this id is being made')
    return reply.status(204).send(null)
  })
}

export default routes
