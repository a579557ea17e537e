/** Who asks: for the audit. */
import { isIP } from 'node:net'
import proxyAddr from '@fastify/proxy-addr'
import fp from 'fastify-plugin'
import type { FastifyRequest } from 'fastify'
import { cutText } from '../src/text.ts'
import type { Caller } from '../src/work/caller.ts'

declare module 'fastify' {
  interface FastifyRequest {
    readonly caller: Caller
  }
}

const LONGEST_USER = 128

/** The client's address, and nothing that only looks like one: a trusted proxy may pass on what a client says of itself. */
export function addressOfClient (request: FastifyRequest): string {
  const peer = request.raw.socket.remoteAddress ?? ''
  return (isIP(request.ip) === 0 ? peer : request.ip).replace(/^::ffff:/, '')
}

export default fp(async app => {
  const { audit: { user_header: userHeader }, server: { trust_proxy: proxies } } = app.config
  const trusted = proxies.length === 0 ? () => false : proxyAddr.compile(proxies)
  const header = userHeader.toLowerCase()
  app.decorateRequest('caller', {
    getter (this: FastifyRequest): Caller {
      const peer = this.raw.socket.remoteAddress ?? ''
      const user = header === '' ? undefined : this.headers[header]
      return {
        address: addressOfClient(this),
        credential: this.credential,
        user: typeof user === 'string' && user !== '' && trusted(peer, 0) ? cutText(user, LONGEST_USER).replace(/\p{Cc}/gu, '\uFFFD') : undefined
      }
    }
  })
}, { name: 'request-caller', dependencies: ['config', 'auth'] })
