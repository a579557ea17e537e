/** Server-Sent Events: whoever reads slowly misses what is old, and never what is last. */
import { connect } from 'node:net'
import Fastify from 'fastify'
import fp from 'fastify-plugin'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import events from '../../plugins/events.ts'
import { eventually } from '../eventually.ts'

/** More than the buffers of both ends take. */
const LARGE = 'x'.repeat(8 * 1_024 ** 2)

t.test('a page that does not read for a while gets the last event', async t => {
  const app = Fastify({ forceCloseConnections: true })
  await app.register(fp(async app => {
    app.decorateRequest('gone')
    app.addHook('onRequest', async request => { request.gone = new AbortController().signal })
  }, { name: 'lifecycle' }))
  await app.register(events)
  let state = { step: 0, ended: false }
  let tell = (): void => {}
  let looked = 0
  app.get('/', async (_request, reply) => reply.sendEvents({
    state: () => {
      looked++
      return { ...state, LARGE }
    },
    ended: one => one.ended,
    listen: changed => {
      tell = changed
      return () => {}
    }
  }))
  t.teardown(async () => { await app.close() })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
  t.teardown(() => { socket.destroy() })
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  t.ok(await eventually(() => looked > 0))
  socket.pause()
  for (let step = 1; step <= 4; step++) {
    const before = looked
    state = { step, ended: step === 4 }
    tell()
    t.ok(await eventually(() => looked > before), `step ${step}`)
  }
  // everything has ended, and only now does it read
  let text = ''
  socket.setEncoding('utf8').on('data', (chunk: string) => { text += chunk.replaceAll(/x+/g, 'x') })
  socket.resume()
  t.ok(await eventually(() => text.includes('"ended":true')), 'the last one has come')
  const steps = [...text.matchAll(/"step":(\d)/g)].map(([, step]) => step)
  t.equal(steps.at(-1), '4')
  t.ok(steps.length < 5, `what is old is left out: ${steps.join()}`)
})
