/** The programs: whatever was started is ended when the service stops. */
import { EventEmitter } from 'node:events'
import fp from 'fastify-plugin'
import { Programs } from '../src/process.ts'
import type { Operation, ToolContext } from '../src/dcmtk/peer.ts'
import { endpointArguments, Tunnels } from '../src/dcmtk/tunnel.ts'
import { publisherOf } from '../src/print/relay.ts'
import { pacsOf } from '../src/archive/dimse/pacs.ts'

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
  const tunnels = new Tunnels({ programs, stunnel: app.config.tools.stunnel, folder: app.workDir, log: app.log })
  app.decorate('dcmtk', { programs, dcmtk: app.config.dcmtk, log: app.log, tunnels, onOperation: operation => { operations.emit('ended', operation) } })
  for (const { section, tls, retrieve } of app.config.archives) {
    if (tls?.incoming === 'plain' && retrieve === 'move') app.log.warn({}, `${section}.tls.incoming is plain: the PACS sends images to us unencrypted`)
  }
  // a certificate that is wrong shows at the start, not at the first click
  for (const peer of [...app.config.archives.map(pacsOf), publisherOf(app.config)]) void endpointArguments(app.dcmtk, peer).catch((error: unknown) => { app.log.error({ err: error }, 'a TLS tunnel does not start') })
  app.addHook('onClose', async () => { await programs.stopAll() })
}, { name: 'dcmtk', dependencies: ['config'] })
