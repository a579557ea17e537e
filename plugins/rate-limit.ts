/**
 * So many requests a minute for one client (`server.rate_limit`), those that are refused included: a key, or a number that exists, cannot be
 * found by trying. The client is the address that a trusted proxy names (`server.trust_proxy`), else the one that is connected.
 */
import fp from 'fastify-plugin'
import rateLimit from '@fastify/rate-limit'
import { MkisoError } from '../src/errors.ts'

/** Monitoring, and the files of pages, which come by the dozen. */
const FREE = /^\/(?:api\/health|metrics|docs|assets|static|look\/:id)(?:\/|$)/

const NO_HEADERS = { 'x-ratelimit-limit': false, 'x-ratelimit-remaining': false, 'x-ratelimit-reset': false }

export default fp(async app => {
  const { rate_limit: max } = app.config.server
  if (max === 0) return
  await app.register(rateLimit, {
    global: false,
    max,
    timeWindow: 60_000,
    addHeadersOnExceeding: NO_HEADERS,
    // Retry-After is set where all errors are answered
    addHeaders: { ...NO_HEADERS, 'retry-after': false },
    errorResponseBuilder: (_request, { ttl }) =>
      new MkisoError('TOO_MANY_REQUESTS', `at most ${max} requests a minute from one address (server.rate_limit)`, { retryAfterSeconds: Math.max(1, Math.ceil(ttl / 1_000)) })
  })
  const limit = app.rateLimit()
  // before the hooks of the routes: what lacks a key counts too
  app.addHook('onRequest', async (request, reply) => {
    if (!FREE.test(request.routeOptions.url ?? '')) await limit.call(app, request, reply)
  })
}, { name: 'rate-limit', dependencies: ['config', 'errors', 'lifecycle', 'helmet'] })
