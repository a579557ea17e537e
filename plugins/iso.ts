/** Discs for download. */
import fp from 'fastify-plugin'
import { makeIso, type IsoDownload, type IsoRequest } from '../src/disc/iso.ts'

declare module 'fastify' {
  interface FastifyInstance { iso: ReturnType<typeof createIso> }
}

export function createIso (options: Parameters<typeof makeIso>[0]) {
  return {
    make: async (request: IsoRequest): Promise<IsoDownload> => await makeIso(options, request)
  }
}

export default fp(async app => {
  const { config, retrievals, workDir, dcmtk } = app
  app.decorate('iso', createIso({ ...dcmtk, config, retrievals, workDir }))
}, { name: 'iso', dependencies: ['config', 'dcmtk', 'retrieval'] })
