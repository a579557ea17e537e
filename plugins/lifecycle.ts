/**
 * A request from its first byte to its last: its id, its end when the client leaves, its line in the log; and the end of the service, in
 * which no new work begins, work under way has `server.shutdown_grace`, and then is cut.
 */
import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import type { IncomingMessage } from 'node:http'
import fp from 'fastify-plugin'
import { ClientGoneError } from '../src/abort.ts'
import { MkisoError } from '../src/errors.ts'
import { until } from '../src/process.ts'
import { addressOfClient } from './request-caller.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Each says whether there is work that no request waits for, and that should be finished before the service ends. */
    underWay: Set<() => boolean>
  }
  interface FastifyRequest {
    /** Aborted when the client leaves or the service must end. `request.signal` is wrong for POST (measured). */
    gone: AbortSignal
  }
  interface FastifyContextConfig {
    /** The route only looks on: the end of the service does not wait for it. */
    observer?: boolean
  }
}

/** Time for the last bytes of an answer to leave. */
const LAST_BYTES_MS = 500

const REQUEST_ID = /^[\w.-]{1,64}$/

/** An id that a proxy gave is kept when it is harmless; anything else could forge a line of the log. */
export function requestId (message: Pick<IncomingMessage, 'headers'>): string {
  const given = message.headers['x-request-id']
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID()
}

export default fp(async app => {
  const active = new Set<AbortController>()
  const observers = new Set<AbortController>()
  const underWay = new Set<() => boolean>()
  app.decorate('underWay', underWay)
  let closing = false
  app.decorateRequest('gone')

  app.addHook('onRequest', async (request, reply) => {
    const controller = new AbortController()
    // a list of accession numbers has many programs that listen
    setMaxListeners(0, controller.signal)
    request.gone = controller.signal
    const group = request.routeOptions.config.observer === true ? observers : active
    group.add(controller)
    // covers success, failure and a client that leaves; onResponse does not run for a stream that breaks
    reply.raw.once('close', () => {
      group.delete(controller)
      if (!reply.raw.writableEnded) controller.abort(new ClientGoneError())
      request.log.info({
        method: request.method,
        route: request.routeOptions.url ?? 'none',
        client: addressOfClient(request),
        key: request.credential,
        status: reply.raw.headersSent ? reply.statusCode : undefined,
        code: request.failure?.code,
        complete: reply.raw.writableEnded,
        duration_ms: Math.round(reply.elapsedTime)
      }, reply.raw.writableEnded ? 'request ended' : 'client left')
    })
    reply.header('x-request-id', request.id)
    if (closing) throw new MkisoError('SHUTTING_DOWN', undefined, { retryAfterSeconds: 10 })
  })

  app.addHook('preClose', async () => {
    closing = true
    app.log.info({ active: active.size }, 'shutting down')
    for (const controller of observers) controller.abort(new MkisoError('SHUTTING_DOWN'))
    await until(() => active.size === 0 && ![...underWay].some(works => works()), app.config.server.shutdownGraceMs, 50)
    for (const controller of active) controller.abort(new MkisoError('SHUTTING_DOWN', undefined, { retryAfterSeconds: 10 }))
    // a keep-alive client (nginx) would hold the server open for more than a minute (measured)
    const timer = setInterval(() => { app.server.closeIdleConnections() }, 100)
    timer.unref()
    // a connection on which nothing was ever asked does not count as idle; by now every answer has gone out
    const cut = setTimeout(() => { app.server.closeAllConnections() }, LAST_BYTES_MS)
    cut.unref()
    app.server.once('close', () => {
      clearInterval(timer)
      clearTimeout(cut)
    })
  })
}, { name: 'lifecycle', dependencies: ['config', 'errors'] })
