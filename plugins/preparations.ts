/** Discs that are made for a page before its download asks for them. */
import fp from 'fastify-plugin'
import type { FastifyReply } from 'fastify'
import type { DiscFormat } from '../src/disc/discs.ts'
import type { Activity } from '../src/work/activity.ts'
import { choiceOf, type ChoiceQuery } from '../src/disc/choice.ts'
import { Preparations } from '../src/work/preparations.ts'
import { discNumber } from '../src/http/schemas.ts'
import { toMkisoError } from './errors.ts'

declare module 'fastify' {
  interface FastifyInstance { preparations: Preparations }
  interface FastifyReply {
    /** As `track`; goes on with the activity of the page that has had the disc made. */
    trackDownload (accessionNumbers: readonly string[], query: DownloadQuery): Activity
  }
}

interface DownloadQuery extends ChoiceQuery {
  preparation?: string
  disc?: string
  format?: DiscFormat
}

function trackDownload (this: FastifyReply, accessionNumbers: readonly string[], query: DownloadQuery): Activity {
  const { request, server: { preparations } } = this
  const { preparation } = query
  const asked = { accessionNumbers, disc: discNumber(query.disc), choice: choiceOf(query), format: query.format ?? 'iso' }
  const link = request.signedLink
  const isHead = request.method === 'HEAD'
  const mayTake = link?.late === undefined || (link.takes !== undefined && link.takes === preparation)
  const begun = isHead || !mayTake ? undefined : preparations.take(preparation, asked)
  // a link that was good when this disc began to be made is good for taking it, and no other
  if (link !== undefined && mayTake && (begun !== undefined || (isHead && preparations.isMaking(preparation, asked)))) request.signedLink = { ...link, late: undefined }
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
  app.activities.on('ended', ({ id }) => { app.linkUses.ended(id) })
  app.decorate('preparations', preparations)
  app.decorateReply('trackDownload', trackDownload)
  app.addHook('preClose', async () => { preparations.close() })
}, { name: 'preparations', dependencies: ['errors', 'auth', 'activity', 'iso', 'patient-client'] })
