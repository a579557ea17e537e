/** Discs for download. */
import fp from 'fastify-plugin'
import { makeIso, type IsoDownload } from '../src/disc/iso.ts'
import type { Log } from '../src/process.ts'

declare module 'fastify' {
  interface FastifyInstance { iso: ReturnType<typeof createIso> }
}

export function createIso (options: Parameters<typeof makeIso>[0]) {
  return {
    make: async (accessionNumbers: readonly string[], signal: AbortSignal, log: Log): Promise<IsoDownload> => await makeIso(options, accessionNumbers, signal, log)
  }
}

export default fp(async app => {
  const { config, retrievals, workDir, dcmtk } = app
  app.decorate('iso', createIso({ ...dcmtk, config, retrievals, workDir }))
}, { name: 'iso', dependencies: ['config', 'dcmtk', 'retrieval'] })
