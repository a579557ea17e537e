/** Discs for download. */
import fp from 'fastify-plugin'
import { Discs } from '../src/disc/discs.ts'

declare module 'fastify' {
  interface FastifyInstance { discs: Discs }
}

export default fp(async app => {
  const { config, studyStore: studies, workDir, dcmtk } = app
  const discs = new Discs({ ...dcmtk, config, studies, workDir })
  app.decorate('discs', discs)
  app.addHook('onClose', async () => { await discs.close() })
}, { name: 'iso', dependencies: ['config', 'dcmtk', 'retrieval'] })
