/** From accession numbers to complete studies: iso and relay stand on it. */
import fp from 'fastify-plugin'
import { AssociationLimit } from '../src/archive/dimse/association-limit.ts'
import { inTurn } from '../src/archive/dimse/busy.ts'
import { createDimseArchive } from '../src/archive/dimse/dimse-archive.ts'
import { findStudies, listInstances } from '../src/archive/dimse/find.ts'
import { aeTitleAt } from '../src/dcmtk/ae-title.ts'
import { pacsOf } from '../src/archive/dimse/pacs.ts'
import { createPerRequestScp } from '../src/archive/dimse/per-request-scp.ts'
import { SharedScp } from '../src/archive/dimse/shared-scp.ts'
import { createGetTransport } from '../src/archive/dimse/get-transport.ts'
import type { Config } from '../src/config/schema.ts'
import { readObject } from '../src/dicom/part10.ts'
import { StudyStore } from '../src/studies/study-store.ts'

declare module 'fastify' {
  interface FastifyInstance {
    studyStore: StudyStore
    associationLimit: AssociationLimit
    /** undefined while images can be received, else what is wrong. */
    receiverFault: () => string | undefined
    /** undefined where there is no receiver for all. */
    sharedReceiver: SharedScp | undefined
  }
}

/** What is made of images and lies beside them on the disk, in proportion to them: a picture of every image, as JPEG. */
const ALL_PICTURES_FACTOR = 0.5

export default fp(async app => {
  const { config, workDir, portPool: pool, dcmtk } = app
  const pacs = pacsOf(config)
  const context = { ...dcmtk, config, pacs, pool, workDir, read: async (path: string) => await readObject(path) }
  const shared = config.pacs.retrieve === 'move' && config.our_ae.receiver === 'shared' ? new SharedScp(context) : undefined
  const limit = new AssociationLimit({ associations: config.pacs.maxAssociations, moves: config.pacs.max_moves })
  const questions = { ...dcmtk, pacs, callingAeTitle: aeTitleAt(config, 0), tempDir: workDir, limit }
  const archive = createDimseArchive({
    pacs,
    find: {
      findStudies: async (accessionNumbers, asking) => await findStudies({ ...questions, log: asking.log }, accessionNumbers, asking),
      listInstances: async (study, asking, only) => await listInstances({ ...questions, log: asking.log }, study, asking, only)
    },
    transport: shared ?? (config.pacs.retrieve === 'get' ? createGetTransport(context) : createPerRequestScp(context)),
    inTurn: async (ask, { signal, log, queueTimeoutMs, onStart }) => await inTurn('move', ask, { limit, pacs, signal, log, queueTimeoutMs, onStart })
  })
  const studyStore = new StudyStore({ ...storeOptions(config), archive, workDir, log: app.log })
  app.decorate('studyStore', studyStore)
  app.decorate('associationLimit', limit)
  app.decorate('receiverFault', () => shared?.fault)
  app.decorate('sharedReceiver', shared)
  await shared?.start()
  app.addHook('onClose', async () => {
    await studyStore.close()
    await shared?.stop()
  })
}, { name: 'retrieval', dependencies: ['config', 'dcmtk', 'port-pool'] })

function storeOptions ({ pacs, disc, iso }: Config) {
  return {
    limits: { idleTimeoutMs: pacs.idleTimeoutMs, settleTimeoutMs: pacs.settleTimeoutMs, queueTimeoutMs: pacs.queueTimeoutMs },
    rules: { allowMixedPatients: disc.allow_mixed_patients, allowReassigned: disc.allow_reassigned, allowIncomplete: disc.allow_incomplete },
    keepForMs: iso.keepForMs,
    keepMaxBytes: iso.keepMaxBytes,
    diskReserveBytes: iso.diskReserveBytes,
    estimate: { factor: disc.web_content === 'all' ? ALL_PICTURES_FACTOR : 0 }
  }
}
