/** From accession numbers to complete studies: iso and relay stand on it. */
import fp from 'fastify-plugin'
import type { Archive } from '../src/archive/archive.ts'
import { createArchives, type ConfiguredArchive } from '../src/archive/create-archive.ts'
import type { SharedScp } from '../src/archive/dimse/shared-scp.ts'
import type { Config } from '../src/config/schema.ts'
import { readObject } from '../src/dicom/part10.ts'
import { StudyStore } from '../src/studies/study-store.ts'

declare module 'fastify' {
  interface FastifyInstance {
    studyStore: StudyStore
    /** In the order of the configuration. */
    archives: readonly ConfiguredArchive[]
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
  const { archives, sharedReceiver } = createArchives({ ...dcmtk, config, pool, workDir, read: async path => await readObject(path) })
  const archive = oneOf(archives)
  const studyStore = new StudyStore({ ...storeOptions(config), archive, workDir, log: app.log })
  app.decorate('studyStore', studyStore)
  app.decorate('archives', archives)
  app.decorate('receiverFault', () => sharedReceiver?.fault)
  app.decorate('sharedReceiver', sharedReceiver)
  await sharedReceiver?.start()
  app.addHook('onClose', async () => {
    await studyStore.close()
    await sharedReceiver?.stop()
  })
}, { name: 'retrieval', dependencies: ['config', 'dcmtk', 'port-pool'] })

function oneOf (archives: readonly ConfiguredArchive[]): Archive {
  const [only, another] = archives
  if (only === undefined || another !== undefined) throw new Error('archives: several are not supported yet')
  return only.archive
}

function storeOptions ({ archives: [{ idleTimeoutMs, settleTimeoutMs, queueTimeoutMs }], disc, iso }: Config) {
  return {
    limits: { idleTimeoutMs, settleTimeoutMs, queueTimeoutMs },
    rules: { allowMixedPatients: disc.allow_mixed_patients, allowReassigned: disc.allow_reassigned, allowIncomplete: disc.allow_incomplete },
    keepForMs: iso.keepForMs,
    keepMaxBytes: iso.keepMaxBytes,
    diskReserveBytes: iso.diskReserveBytes,
    estimate: { factor: disc.web_content === 'all' ? ALL_PICTURES_FACTOR : 0 }
  }
}
