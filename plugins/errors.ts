/** The one error handler: whatever is thrown becomes a row of the table in src/errors.ts. */
import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import fp from 'fastify-plugin'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { ClientGoneError } from '../src/abort.ts'
import { isNoSpace } from '../src/disk.ts'
import { ERRORS, isEndOnPurpose, MkisoError } from '../src/errors.ts'
import { localUrl } from '../src/http/links.ts'
import { errorBody } from '../src/http/schemas.ts'
import { validationError, type ValidationFault } from '../src/http/validation-sentence.ts'
import { errorScreen } from '../src/http/screens/screens.ts'
import { asPage, screenContext, wantsPage } from './screens.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The error that this request was answered with. */
    failure: MkisoError | undefined
  }
}

/** Connections on which an answer is under way: nothing may be written in between its bytes. */
const answering = new WeakSet<Socket>()

export default fp(async app => {
  app.decorateRequest('failure', undefined)
  app.addHook('onRequest', async (request, reply) => {
    const { socket } = request.raw
    answering.add(socket)
    reply.raw.once('close', () => { answering.delete(socket) })
  })
  app.setErrorHandler((error: FastifyError, request, reply) => answer(toMkisoError(error), error, request, reply))
  // the default answer holds the whole address
  app.setNotFoundHandler((request, reply) => answer(new MkisoError('NOT_FOUND'), undefined, request, reply))
}, { name: 'errors', dependencies: ['sensible'] })

/** For what is not HTTP: the same shape, and nothing of what was sent. */
export function clientErrorHandler (error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET' || answering.has(socket)) {
    socket.destroy()
    return
  }
  const detail = error.code === 'HPE_HEADER_OVERFLOW' ? 'the headers are too long' : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'the request did not come in time' : 'this is not valid HTTP'
  const id = randomUUID()
  const body = JSON.stringify(errorBody(new MkisoError('INVALID_REQUEST', detail), id))
  socket.end([
    `HTTP/1.1 ${ERRORS.INVALID_REQUEST.status} Bad Request`, 'content-type: application/json; charset=utf-8', `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${id}`, 'cache-control: no-store', 'connection: close', '', body
  ].join('\r\n'))
}

/** For an address that cannot be decoded; Fastify's own answer repeats it. */
export function frameworkErrors (error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  // no hook runs, so the headers of helmet are not there either
  reply.header('x-request-id', request.id).header('content-security-policy', "default-src 'none';style-src 'self';img-src 'self'").header('x-content-type-options', 'nosniff')
  answer(new MkisoError('INVALID_REQUEST', 'the address of the request is not valid', { cause: error }), error, request, reply)
}

function answer (error: MkisoError, cause: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (!(cause instanceof ClientGoneError)) request.failure = error
  if (isEndOnPurpose(error)) {
    request.log.info({ code: error.code }, ERRORS[error.code].error)
  } else if (error.statusCode >= 500 && !(cause instanceof ClientGoneError)) {
    request.log.error({ err: error.cause ?? cause ?? error, code: error.code, detail: error.detail }, ERRORS[error.code].error)
  }
  // what a download had set already
  for (const header of ['content-disposition', 'content-length', 'etag', 'accept-ranges']) reply.removeHeader(header)
  if (error.fields.retryAfterSeconds !== undefined) reply.header('retry-after', String(error.fields.retryAfterSeconds))
  if (wantsPage(request)) return asPage(reply).status(error.statusCode).send(errorScreen(screenContext(request), error, request.id, localUrl(request.url)))
  return reply
    .status(error.statusCode)
    .header('cache-control', 'no-store')
    .type('application/json; charset=utf-8')
    .send(errorBody(error, request.id))
}

/** Errors of Fastify, its plugins and the operating system in the terms of our table. */
export function toMkisoError (
  error: Error & { code?: string, statusCode?: number, validation?: readonly ValidationFault[] | undefined, validationContext?: string | undefined }
): MkisoError {
  if (error instanceof MkisoError) return error
  if (error.validation !== undefined) return validationError(error.validation, error.validationContext, error)
  if (isNoSpace(error)) return new MkisoError('INSUFFICIENT_DISK_SPACE', undefined, { cause: error })
  if (error.code === 'FST_UNDER_PRESSURE') return new MkisoError('OVERLOADED', undefined, { retryAfterSeconds: 10, cause: error })
  const status = error.statusCode ?? 500
  if (status === 404) return new MkisoError('NOT_FOUND', undefined, { cause: error })
  if (status === 429) return new MkisoError('TOO_MANY_REQUESTS', undefined, { cause: error })
  if (status >= 400 && status < 500) return new MkisoError('INVALID_REQUEST', error.message, { cause: error })
  return new MkisoError('INTERNAL', undefined, { cause: error })
}
