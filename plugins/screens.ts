/** Pages for people, and the files that they need. */
import { join } from 'node:path'
import fp from 'fastify-plugin'
import fastifyStatic from '@fastify/static'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { chooseLanguage } from '../src/http/screens/choose-language.ts'
import { localUrl } from '../src/http/links.ts'
import { renderScreen, type ScreenContext, type ScreenName } from '../src/http/screens/screens.ts'

type ScreenData = Record<string, unknown> & { url?: string }

declare module 'fastify' {
  interface FastifyReply {
    /** @param data `url`: the address of the page, where another path than the request's shows it */
    sendScreen (name: ScreenName, data?: ScreenData): FastifyReply
  }
}

const VARIES_WITH = 'accept, accept-language'

/** A browser that shows a page, not a program, and not the script of a page. */
export function wantsPage ({ headers: { accept = '' } }: Pick<FastifyRequest, 'headers'>): boolean {
  return /\btext\/html\b/i.test(accept)
}

export function screenContext (request: FastifyRequest): ScreenContext {
  const { disc } = request.server.config
  // an address that cannot be decoded has no query
  const { lang } = (request.query ?? {}) as { lang?: unknown }
  return { language: chooseLanguage(disc, typeof lang === 'string' ? lang : undefined, request.headers['accept-language']), institution: disc.institution, url: localUrl(request.url) }
}

/** Of a page: what it says depends on who asks, and nobody keeps it. */
export function asPage (reply: FastifyReply): FastifyReply {
  // nothing that plugins add is there where the address could not be decoded (frameworkErrors of Fastify)
  const bare: Partial<Pick<FastifyReply, 'vary'>> = reply
  if (bare.vary === undefined) reply.header('vary', VARIES_WITH)
  else bare.vary(VARIES_WITH)
  return reply.type('text/html; charset=utf-8').header('cache-control', 'no-store')
}

function sendScreen (this: FastifyReply, name: ScreenName, data: ScreenData = {}): FastifyReply {
  const context = screenContext(this.request)
  const { url = context.url } = data
  return asPage(this).send(renderScreen(name, { ...context, url }, { ...data, url }))
}

export default fp(async app => {
  app.decorateReply('sendScreen', sendScreen)
  await app.register(fastifyStatic, { root: join(import.meta.dirname, '../src/http/screens/assets'), prefix: '/assets/', decorateReply: false, index: false })
}, { name: 'screens', dependencies: ['config', 'sensible'] })
