/** Who may use the desk, which finds patients by less than an accession number, and names them. */
import fp from 'fastify-plugin'
import type { onRequestHookHandler } from 'fastify'
import { MkisoError } from '../src/errors.ts'
import { SIGNED_LINK } from './auth.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Hooks for the routes of the desk, in `onRequest`. */
    authoriseDesk: onRequestHookHandler[]
  }
}

export default fp(async app => {
  const { enabled } = app.config.auth
  const isSomebody: onRequestHookHandler = async request => {
    if (request.credential === SIGNED_LINK) throw new MkisoError('UNAUTHORIZED', 'a signed link opens its own studies, and finds no others')
    // without a key, whoever is logged in at a trusted proxy; nobody else goes through the names of all patients
    if (!enabled && request.caller.user === undefined) {
      throw new MkisoError('UNAUTHORIZED', 'the desk needs a login where no key is asked for: nginx must name the person (audit.user_header, server.trust_proxy)')
    }
  }
  app.decorate('authoriseDesk', [app.authorise, isSomebody])
}, { name: 'desk', dependencies: ['config', 'auth', 'request-caller'] })
