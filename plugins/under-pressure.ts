/** Refuses work while the process itself cannot keep up. The PACS stays out of it: a check that fails at boot would refuse for ever. */
import fp from 'fastify-plugin'
import underPressure from '@fastify/under-pressure'

export const options = {
  maxEventLoopDelay: 5_000,
  // a sample without a turn of the event loop counts as an infinite delay: with the default of 1 s, a process that was held up for a second
  // refused everybody for another one (measured)
  sampleInterval: 10_000,
  maxRssBytes: 2 * 1_024 ** 3,
  retryAfter: 10,
  exposeStatusRoute: false
}

export default fp(async app => {
  await app.register(underPressure, options)
  // what is refused has its id and its headers all the same
}, { name: 'under-pressure', dependencies: ['errors', 'lifecycle', 'helmet'] })
