/** Discs for download. */
import fp from 'fastify-plugin'
import { Discs } from '../src/disc/discs.ts'
import { Looks } from '../src/disc/look/looks.ts'

declare module 'fastify' {
  interface FastifyInstance {
    discs: Discs
    looks: Looks
  }
}

export default fp(async app => {
  const { config, studyStore: studies, workDir, dcmtk } = app
  const discs = new Discs({ ...dcmtk, config, studies, workDir })
  app.decorate('discs', discs)
  app.decorate('looks', new Looks())
  app.addHook('onClose', async () => { await discs.close() })
}, { name: 'iso', dependencies: ['config', 'dcmtk', 'retrieval'] })
