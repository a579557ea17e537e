import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import { Type } from '@sinclair/typebox'
import { parseAccessionNumbers } from '../src/dicom/accession-number.ts'
import { withQuery } from '../src/http/links.ts'
import { printState } from '../src/http/print-state.ts'
import { AccessionNumberList, errorResponses, LanguageCode, page, SIGNED_LINK_QUERY } from '../src/http/schemas.ts'
import type { PrintJob } from '../src/print/job-under-way.ts'
import { nameOfCaller } from '../src/print/print-job.ts'
import { robotName } from '../src/print/relay.ts'

/**
 * The page that asks before it prints.
 * @param before a print of the same studies, for whoever may see it: the page says so even where it has no script
 */
export function sendPrintScreen (reply: FastifyReply, accessionNumbers: readonly string[], before?: PrintJob): FastifyReply {
  const { request, server: { config } } = reply
  const link = (path: string, changes: Record<string, string | undefined> = {}): string => withQuery(path, request.url, { lang: undefined, again: undefined, ...changes })
  return reply
    // a form without script says by Origin where it comes from, which no-referrer would take away
    .header('referrer-policy', 'same-origin')
    .sendScreen('print', {
      // not the old link itself, which would print
      url: withQuery('/print', request.url, { again: undefined }),
      accessionNumbers,
      destination: robotName(config),
      before: before === undefined ? undefined : { ...printState(before), by: nameOfCaller(before.record.caller) },
      printUrl: withQuery('/api/iso/print', request.url, { again: before === undefined ? undefined : 'true' }),
      againUrl: withQuery('/api/iso/print', request.url, { again: 'true' }),
      findUrl: link('/api/iso/studies'),
      jobsUrl: link('/api/iso/print/jobs')
    })
}

const routes: FastifyPluginAsyncTypebox = async app => {
  app.get('/print', {
    schema: {
      tags: ['pages'],
      summary: 'Page of a print: asks, sends, and tells what the CD publisher has confirmed',
      querystring: Type.Object({ accession_number: AccessionNumberList, lang: LanguageCode, ...SIGNED_LINK_QUERY }),
      response: { ...errorResponses('INVALID_ACCESSION_NUMBER', 'TOO_MANY_REQUESTS'), 200: page('The page; nothing is sent by it alone.') }
    }
  }, async (request, reply) => sendPrintScreen(reply, parseAccessionNumbers(request.query.accession_number, app.config.server.max_accessions)))
}

export default routes
