/** What runs and what has ended: each download and print is begun here by its route, and ends with its answer. */
import fp from 'fastify-plugin'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Activities } from '../src/work/activities.ts'
import { Activity, type ActivityKind } from '../src/work/activity.ts'

declare module 'fastify' {
  interface FastifyInstance { activities: Activities }
  interface FastifyRequest {
    /** What this request does, once its route has said so. */
    activity: Activity | undefined
  }
  interface FastifyReply {
    /** Begins the activity of this request, or goes on with one that a page has begun; the answer's end is its end. */
    track (kind: ActivityKind, accessionNumbers: readonly string[], begun?: Activity): Activity
  }
}

function track (this: FastifyReply, kind: ActivityKind, accessionNumbers: readonly string[], begun?: Activity): Activity {
  const { request, server } = this
  const details = { requestId: request.id, kind, accessionNumbers, caller: request.caller, signal: request.gone }
  // HEAD asks, and does nothing
  if (request.method === 'HEAD') return new Activity(details, () => {})
  const activity = begun ?? server.activities.begin(details)
  if (begun !== undefined) request.gone.addEventListener('abort', () => { begun.leave() }, { once: true })
  request.activity = activity
  endWith(this, request, activity)
  return activity
}

function endWith ({ raw }: FastifyReply, request: FastifyRequest, activity: Activity): void {
  // an answer on its way is cut: its client must not take it for whole
  const cut = (): void => { if (raw.headersSent) raw.destroy() }
  activity.signal.addEventListener('abort', cut, { once: true })
  const end = (): void => {
    // Node 20 holds a signal of AbortSignal.any for ever while somebody listens: each answer stayed in memory, 0.5 MB apiece (soak)
    activity.signal.removeEventListener('abort', cut)
    const { failure } = request
    // the relay tells how it ended
    if (activity.committed) return
    if (failure !== undefined) activity.fail(failure)
    else activity.end(raw.writableFinished ? { kind: 'success' } : { kind: 'cancelled', by: 'client' })
  }
  if (raw.destroyed) end()
  else raw.once('close', end)
}

export default fp(async app => {
  app.decorate('activities', new Activities())
  app.decorateRequest('activity', undefined)
  app.decorateReply('track', track)
}, { name: 'activity', dependencies: ['errors', 'lifecycle', 'request-caller'] })
