/** The audit trail hears of every activity's end; what leaves is recorded before, where it leaves (send-disc, relay). */
import fp from 'fastify-plugin'
import { Audit } from '../src/audit/audit.ts'

declare module 'fastify' {
  interface FastifyInstance { audit: Audit }
}

export default fp(async app => {
  const audit = new Audit(app.config, app.log)
  app.decorate('audit', audit)
  app.activities.on('ended', activity => { audit.ended(activity) })
  app.addHook('onClose', async () => { await audit.close() })
}, { name: 'audit', dependencies: ['config', 'activity'] })
