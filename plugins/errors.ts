/** The one error handler: whatever is thrown becomes a row of the table in src/errors.ts. */
import fp from 'fastify-plugin'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { ClientGoneError } from '../src/abort.ts'
import { ERRORS, MkisoError } from '../src/errors.ts'
import { ACCESSION_NUMBER_RULE } from '../src/dicom/accession-number.ts'
import { errorBody } from '../src/schemas.ts'
import { errorScreen } from '../src/screens/screens.ts'
import { asPage, screenContext, wantsPage } from './screens.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The error that this request was answered with. */
    failure: MkisoError | undefined
  }
}

export default fp(async app => {
  app.decorateRequest('failure', undefined)
  app.setErrorHandler((error: FastifyError, request, reply) => answer(toMkisoError(error), error, request, reply))
  // the default answer holds the whole address
  app.setNotFoundHandler((request, reply) => answer(new MkisoError('NOT_FOUND'), undefined, request, reply))
}, { name: 'errors' })

function answer (error: MkisoError, cause: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (!(cause instanceof ClientGoneError)) request.failure = error
  if (error.statusCode >= 500 && !(cause instanceof ClientGoneError)) {
    request.log.error({ err: error.cause ?? cause ?? error, code: error.code, detail: error.detail }, ERRORS[error.code].error)
  }
  // what a download had set already
  for (const header of ['content-disposition', 'content-length', 'etag', 'accept-ranges']) reply.removeHeader(header)
  if (error.fields.retryAfterSeconds !== undefined) reply.header('retry-after', String(error.fields.retryAfterSeconds))
  if (wantsPage(request)) return asPage(reply).status(error.statusCode).send(errorScreen(screenContext(request), error, request.id, request.url))
  return reply
    .status(error.statusCode)
    .header('cache-control', 'no-store')
    .type('application/json; charset=utf-8')
    .send(errorBody(error, request.id))
}

/** Errors of Fastify, its plugins and the operating system in the terms of our table. */
export function toMkisoError (error: Error & { code?: string, statusCode?: number, validation?: unknown }): MkisoError {
  if (error instanceof MkisoError) return error
  if (error.validation !== undefined) {
    const code = error.message.includes('accession_number') ? 'INVALID_ACCESSION_NUMBER' : 'INVALID_REQUEST'
    // an expression tells a clerk nothing
    const detail = /must match pattern/.test(error.message) && code === 'INVALID_ACCESSION_NUMBER' ? ACCESSION_NUMBER_RULE : error.message
    return new MkisoError(code, detail, { cause: error })
  }
  if (error.code === 'ENOSPC' || error.code === 'EDQUOT') return new MkisoError('INSUFFICIENT_DISK_SPACE', undefined, { cause: error })
  if (error.code === 'FST_UNDER_PRESSURE') return new MkisoError('OVERLOADED', undefined, { retryAfterSeconds: 10, cause: error })
  const status = error.statusCode ?? 500
  if (status === 404) return new MkisoError('NOT_FOUND', undefined, { cause: error })
  if (status === 429) return new MkisoError('TOO_MANY_REQUESTS', undefined, { cause: error })
  if (status >= 400 && status < 500) return new MkisoError('INVALID_REQUEST', error.message, { cause: error })
  return new MkisoError('INTERNAL', undefined, { cause: error })
}
