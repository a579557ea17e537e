/** What acts is not for pages of other web sites: a hook for the routes that print, cancel or acknowledge. */
import fp from 'fastify-plugin'
import type { FastifyRequest, onRequestHookHandler } from 'fastify'
import { MkisoError } from '../src/errors.ts'
import { askerOf, isNavigation, isPrefetch } from '../src/http/same-origin.ts'
import { SIGNED_LINK } from './auth.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** After `authorise`. A link that was clicked on elsewhere passes with `fromElsewhere`, for a route that asks first. */
    guardOrigin: onRequestHookHandler
  }
  interface FastifyRequest {
    /** A person has followed a link of a web site that is not trusted, or may yet follow one: to be asked before anything happens. */
    fromElsewhere: boolean
  }
}

export default fp(async app => {
  const { trusted_origins: trusted } = app.config.server
  app.decorateRequest('fromElsewhere', false)
  app.decorate('guardOrigin', async (request: FastifyRequest) => {
    // whoever's page it is, and whatever is signed: nobody has clicked yet
    if (isPrefetch(request.headers)) {
      if (!isNavigation(request.method, request.headers)) throw new MkisoError('FORBIDDEN_ORIGIN', 'a browser asks for this before a person does')
      request.fromElsewhere = true
      return
    }
    // a signature is the HIS's own word
    if (request.credential === SIGNED_LINK || askerOf(request.headers, trusted) !== 'stranger') return
    if (!isNavigation(request.method, request.headers)) {
      throw new MkisoError('FORBIDDEN_ORIGIN', 'a page of another web site may not do this; its address can be allowed (server.trusted_origins)')
    }
    request.fromElsewhere = true
  })
}, { name: 'same-origin', dependencies: ['config', 'errors', 'auth'] })
