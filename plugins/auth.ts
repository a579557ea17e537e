/** Who may come in: a key in `X-API-Key`, as nginx or a program sends it, or a link that the HIS has signed. */
import fp from 'fastify-plugin'
import type { FastifyRequest, onRequestHookHandler } from 'fastify'
import { nameOfKey } from '../src/auth/keys.ts'
import { checkSignedLink } from '../src/auth/signed-links.ts'
import type { Config } from '../src/config/schema.ts'
import { MkisoError } from '../src/errors.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Hook for routes that need the key; in `onRequest`, so that 401 comes before 400. */
    authorise: ReturnType<typeof createAuthorise>
  }
  interface FastifyRequest {
    /** By what the client came in: the name of a key, {@link SIGNED_LINK}, or undefined where nothing is asked (auth.enabled). */
    credential: string | undefined
  }
  interface FastifyContextConfig {
    /** Another route whose signed links open this one too: a page that leads to a download. */
    signedAs?: string | ((accessionNumbers: string) => string)
  }
}

export const SIGNED_LINK = 'signed link'

export function createAuthorise ({ enabled, keys, signedLinks }: Config['auth']): onRequestHookHandler {
  return async function authorise (request) {
    if (!enabled) return
    const given = request.headers['x-api-key']
    const name = typeof given === 'string' ? nameOfKey(keys, given) : undefined
    if (name !== undefined) {
      request.credential = name
      return
    }
    const { accession_number: one, accession_numbers: list, expires, signature } = request.query as Record<string, unknown>
    if (signedLinks === undefined || typeof signature !== 'string' || typeof expires !== 'string') throw new MkisoError('UNAUTHORIZED')
    const accessionNumbers = list ?? one
    // one that was not signed must not stand beside it
    if (typeof accessionNumbers !== 'string' || (one !== undefined && one !== accessionNumbers)) throw new MkisoError('UNAUTHORIZED')
    checkSignedLink(signedLinks, { path: signedPathOf(request, accessionNumbers), accessionNumbers, expires, signature })
    request.credential = SIGNED_LINK
  }
}

function signedPathOf ({ routeOptions: { config: { signedAs }, url = '' } }: FastifyRequest, accessionNumbers: string): string {
  return typeof signedAs === 'function' ? signedAs(accessionNumbers) : signedAs ?? url
}

export default fp(async app => {
  app.decorateRequest('credential', undefined)
  app.decorate('authorise', createAuthorise(app.config.auth))
}, { name: 'auth', dependencies: ['config', 'errors'] })
