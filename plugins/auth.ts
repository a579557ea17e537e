/** The key: `X-API-Key`, as nginx adds it. */
import { createHash, timingSafeEqual } from 'node:crypto'
import fp from 'fastify-plugin'
import type { onRequestHookHandler } from 'fastify'
import { MkisoError } from '../src/errors.ts'
import type { Config } from '../src/config/schema.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Hook for routes that need the key; in `onRequest`, so that 401 comes before 400. */
    authorise: ReturnType<typeof createAuthorise>
  }
}

export function createAuthorise (auth: Config['auth']): onRequestHookHandler {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  const expected = digest(auth.api_key)
  return async function authorise (request) {
    if (!auth.enabled) return
    const given = request.headers['x-api-key']
    // digests have one length, so the comparison takes the same time whatever was sent
    if (typeof given !== 'string' || !timingSafeEqual(digest(given), expected)) throw new MkisoError('UNAUTHORIZED')
  }
}

export default fp(async app => {
  app.decorate('authorise', createAuthorise(app.config.auth))
}, { name: 'auth', dependencies: ['config', 'errors'] })
