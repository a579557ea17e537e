/** Find to complete: iso and relay stand on it. */
import fp from 'fastify-plugin'
import { createCGet } from '../src/archive/dimse/c-get.ts'
import { aeTitleAt, pacsOf } from '../src/archive/dimse/pacs.ts'
import { createPerRequestReceiver } from '../src/archive/dimse/per-request-receiver.ts'
import { Retrievals } from '../src/studies/study-store.ts'
import { SharedReceiver } from '../src/archive/dimse/shared-receiver.ts'
import { AssociationLimit } from '../src/archive/dimse/association-limit.ts'

declare module 'fastify' {
  interface FastifyInstance {
    retrievals: Retrievals
    associationLimit: AssociationLimit
    /** undefined while images can be received, else what is wrong. */
    receiverFault: () => string | undefined
    /** undefined where there is no receiver for all. */
    sharedReceiver: SharedReceiver | undefined
  }
}

export default fp(async app => {
  const { config, workDir, portPool: pool, dcmtk } = app
  const pacs = pacsOf(config)
  const context = { ...dcmtk, config, pacs, pool, workDir }
  const shared = config.pacs.retrieve === 'move' && config.our_ae.receiver === 'shared' ? new SharedReceiver(context) : undefined
  const way = shared ?? (config.pacs.retrieve === 'get' ? createCGet(context) : createPerRequestReceiver(context))
  const limit = new AssociationLimit({ associations: config.pacs.maxAssociations, moves: config.pacs.max_moves })
  const retrievals = new Retrievals({
    ...dcmtk, config, pacs, way, workDir, tempDir: workDir, callingAeTitle: aeTitleAt(config, 0), limit
  })
  app.decorate('retrievals', retrievals)
  app.decorate('associationLimit', limit)
  app.decorate('receiverFault', () => shared?.fault)
  app.decorate('sharedReceiver', shared)
  await shared?.start()
  app.addHook('onClose', async () => {
    await retrievals.close()
    await shared?.stop()
  })
}, { name: 'retrieval', dependencies: ['config', 'dcmtk', 'port-pool'] })
