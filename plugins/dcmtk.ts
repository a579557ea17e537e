/** The programs: whatever was started is ended when the service stops. */
import fp from 'fastify-plugin'
import { Programs } from '../src/process.ts'
import type { ToolContext } from '../src/dicom/peer.ts'

declare module 'fastify' {
  interface FastifyInstance {
    dcmtk: ToolContext
  }
}

export default fp(async app => {
  const programs = new Programs()
  app.decorate('dcmtk', { programs, dcmtk: app.config.dcmtk, log: app.log })
  app.addHook('onClose', async () => { await programs.stopAll() })
}, { name: 'dcmtk', dependencies: ['config'] })
