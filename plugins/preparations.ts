/** Discs that are made for a page before its download asks for them. */
import fp from 'fastify-plugin'
import type { FastifyReply } from 'fastify'
import type { DiscFormat } from '../src/disc/discs.ts'
import type { Activity } from '../src/work/activity.ts'
import { Preparations } from '../src/work/preparations.ts'
import { discNumber } from '../src/http/schemas.ts'
import { toMkisoError } from './errors.ts'

declare module 'fastify' {
  interface FastifyInstance { preparations: Preparations }
  interface FastifyReply {
    /** As `track`; goes on with the activity of the page that has had the disc made. */
    trackDownload (accessionNumbers: readonly string[], query: { preparation?: string, disc?: string, format?: DiscFormat }): Activity
  }
}

function trackDownload (this: FastifyReply, accessionNumbers: readonly string[], { preparation, disc, format = 'iso' }: { preparation?: string, disc?: string, format?: DiscFormat }): Activity {
  const { request, server } = this
  const begun = request.method === 'HEAD' ? undefined : server.preparations.take(preparation, { accessionNumbers, disc: discNumber(disc), format })
  return this.track('download', accessionNumbers, begun)
}

export default fp(async app => {
  const { discs, activities } = app
  const preparations = new Preparations({
    discs,
    activities,
    toMkisoError,
    check: async (accessionNumbers, signal, log) => {
      const patient = await app.patientOfDownload(accessionNumbers, { signal, log })
      return async manifest => { await patient.check(manifest) }
    }
  })
  app.decorate('preparations', preparations)
  app.decorateReply('trackDownload', trackDownload)
  app.addHook('preClose', async () => { preparations.close() })
}, { name: 'preparations', dependencies: ['errors', 'activity', 'iso', 'patient-client'] })
