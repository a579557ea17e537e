/** Refuses work while the process itself cannot keep up. The PACS stays out of it: a check that fails at boot would refuse for ever. */
import fp from 'fastify-plugin'
import underPressure from '@fastify/under-pressure'

export const options = {
  maxEventLoopDelay: 5_000,
  maxRssBytes: 2 * 1_024 ** 3,
  retryAfter: 10,
  exposeStatusRoute: false
}

export default fp(async app => { await app.register(underPressure, options) }, { name: 'under-pressure' })
