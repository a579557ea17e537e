/** From accession numbers to complete studies: iso and relay stand on it. */
import fp from 'fastify-plugin'
import { createArchives, type ConfiguredArchive } from '../src/archive/create-archive.ts'
import type { Archives } from '../src/archive/archive.ts'
import { oneArchive, severalArchives } from '../src/archive/several.ts'
import type { SharedScp } from '../src/archive/dimse/shared-scp.ts'
import type { Config } from '../src/config/schema.ts'
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
    /** All of them, asked as one. */
    allArchives: Archives
  }
}

/** What is made of images and lies beside them on the disk, in proportion to them: a picture of every image, as JPEG. */
const ALL_PICTURES_FACTOR = 0.5

export default fp(async app => {
  const { config, workDir, portPool: pool, dcmtk } = app
  const { archives, sharedReceiver } = createArchives({ ...dcmtk, config, pool, workDir })
  const allArchives = archivesOf(archives)
  const studyStore = new StudyStore({ ...storeOptions(config), archives: allArchives, workDir, log: app.log })
  app.decorate('studyStore', studyStore)
  app.decorate('archives', archives)
  app.decorate('allArchives', allArchives)
  app.decorate('receiverFault', () => sharedReceiver?.fault)
  app.decorate('sharedReceiver', sharedReceiver)
  await sharedReceiver?.start()
  app.addHook('onClose', async () => {
    await studyStore.close()
    await sharedReceiver?.stop()
    await Promise.all(archives.map(async one => { await one.close() }))
  })
}, { name: 'retrieval', dependencies: ['config', 'dcmtk', 'port-pool'] })

function archivesOf (archives: readonly ConfiguredArchive[]): Archives {
  const [only, another] = archives
  // the one of a pacs section has no name, and nobody asks which
  if (only?.settings.section === 'pacs' && another === undefined) return oneArchive(only.archive)
  return severalArchives(archives.map(({ archive, settings: { optional, accessionPattern } }) => ({ archive, optional, accessionPattern })))
}

function storeOptions ({ archives, disc, iso }: Config) {
  const [first] = archives
  return {
    limitsOf: (name: string | undefined) => {
      const { idleTimeoutMs, settleTimeoutMs, queueTimeoutMs } = archives.find(archive => archive.name === name) ?? first
      return { idleTimeoutMs, settleTimeoutMs, queueTimeoutMs }
    },
    rules: { allowMixedPatients: disc.allow_mixed_patients, allowReassigned: disc.allow_reassigned, allowIncomplete: disc.allow_incomplete },
    keepForMs: iso.keepForMs,
    keepMaxBytes: iso.keepMaxBytes,
    diskReserveBytes: iso.diskReserveBytes,
    estimate: { factor: disc.web_content === 'all' ? ALL_PICTURES_FACTOR : 0 }
  }
}
