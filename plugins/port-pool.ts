/** The receive slots, `our_ae.port_range` of them. */
import fp from 'fastify-plugin'
import { PortPool } from '../src/archive/dimse/port-pool.ts'

declare module 'fastify' {
  interface FastifyInstance { portPool: PortPool }
}

export default fp(async app => {
  app.decorate('portPool', new PortPool(app.config.our_ae.port_range))
}, { name: 'port-pool', dependencies: ['config'] })
