/** The programs: whatever was started is ended when the service stops. */
import { EventEmitter } from 'node:events'
import fp from 'fastify-plugin'
import { Programs } from '../src/process.ts'
import type { Operation, ToolContext } from '../src/dicom/peer.ts'

declare module 'fastify' {
  interface FastifyInstance {
    dcmtk: ToolContext
    /** Tells of each DICOM operation that has ended. */
    operations: EventEmitter<{ ended: [Operation] }>
  }
}

export default fp(async app => {
  const programs = new Programs()
  const operations = new EventEmitter<{ ended: [Operation] }>()
  app.decorate('operations', operations)
  app.decorate('dcmtk', { programs, dcmtk: app.config.dcmtk, log: app.log, onOperation: operation => { operations.emit('ended', operation) } })
  app.addHook('onClose', async () => { await programs.stopAll() })
}, { name: 'dcmtk', dependencies: ['config'] })
