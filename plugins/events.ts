/** Answers that go on: Server-Sent Events, each the whole state, so that one that is lost or left out costs nothing. */
import { PassThrough } from 'node:stream'
import fp from 'fastify-plugin'
import type { FastifyReply } from 'fastify'

/** Not more often than a person can read. */
const PACE_MS = 200
/** Silence after which a proxy might take the connection for dead, and a page might take the service for dead. */
const HEARTBEAT_MS = 10_000

export interface EventSource<T> {
  /** The state now. */
  state: () => T
  /** True with the last state. */
  ended: (state: T) => boolean
  /** Calls back when something may have changed. @returns the way to end it */
  listen: (changed: () => void) => () => void
}

declare module 'fastify' {
  interface FastifyReply {
    /** Sends the state now, and again whenever it changes, until it has ended or the client leaves. */
    sendEvents<T> (source: EventSource<T>): FastifyReply
  }
}

function sendEvents<T> (this: FastifyReply, { state, ended, listen }: EventSource<T>): FastifyReply {
  const stream = new PassThrough()
  let last = ''
  let timer: NodeJS.Timeout | undefined
  const write = (): void => {
    timer = undefined
    if (stream.destroyed || stream.writableEnded) return
    const now = state()
    const text = JSON.stringify(now)
    const isLast = ended(now)
    // a client that does not read gets the newest state once it reads again; nothing is newer than the last one, which it always gets
    if ((isLast || !stream.writableNeedDrain) && text !== last) stream.write(`data: ${last = text}\n\n`)
    if (isLast) stream.end()
  }
  const stop = listen(() => { timer ??= setTimeout(write, PACE_MS) })
  const heartbeat = setInterval(() => { if (!stream.writableNeedDrain) stream.write(': still here\n\n') }, HEARTBEAT_MS)
  heartbeat.unref()
  stream.on('drain', write)
  this.raw.once('close', () => {
    clearTimeout(timer)
    clearInterval(heartbeat)
    stop()
    stream.destroy()
  })
  this.request.gone.addEventListener('abort', () => { stream.end() }, { once: true })
  write()
  return this
    .type('text/event-stream; charset=utf-8')
    .header('cache-control', 'no-store')
    // nginx would hold events back
    .header('x-accel-buffering', 'no')
    .send(stream)
}

export default fp(async app => {
  app.decorateReply('sendEvents', sendEvents)
}, { name: 'events', dependencies: ['lifecycle'] })
