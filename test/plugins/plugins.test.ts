/** Each plugin by itself on a bare Fastify: what it decorates, what it needs, what it leaves. */
import { existsSync, readdirSync } from 'node:fs'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { parseConfig } from '../../src/config/load.ts'
import { MkisoError } from '../../src/errors.ts'
import activity from '../../plugins/activity.ts'
import audit from '../../plugins/audit.ts'
import auth from '../../plugins/auth.ts'
import config from '../../plugins/config.ts'
import dcmtk from '../../plugins/dcmtk.ts'
import errors from '../../plugins/errors.ts'
import health from '../../plugins/health.ts'
import iso from '../../plugins/iso.ts'
import lifecycle, { requestId } from '../../plugins/lifecycle.ts'
import openapi from '../../plugins/openapi.ts'
import patientClient from '../../plugins/patient-client.ts'
import portPool from '../../plugins/port-pool.ts'
import relay from '../../plugins/relay.ts'
import requestCaller from '../../plugins/request-caller.ts'
import retrieval from '../../plugins/retrieval.ts'
import sendDisc from '../../plugins/send-disc.ts'
import sensible from '../../plugins/sensible.ts'
import underPressure from '../../plugins/under-pressure.ts'
import { temporaryFolder } from '../world.ts'

/** config takes options, the others none. */
type Plugin = typeof auth | typeof config

/** A bare instance with these plugins on it. */
async function bare (t: Test, plugins: Plugin[], settings: Record<string, Record<string, unknown>> = {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  const tempDir = temporaryFolder(t)
  const parsed = parseConfig(JSON.stringify({ pacs: { retrieve: 'get' }, ...settings, iso: { temp_dir: tempDir, ...settings['iso'] } }), 'test.yaml', { env: {} })
  for (const plugin of plugins) {
    if (plugin === config) await app.register(config, { config: parsed })
    else await app.register(plugin as typeof auth)
  }
  return app
}

t.test('config: the folder comes and goes', async t => {
  const app = await bare(t, [config])
  await app.ready()
  t.ok(existsSync(app.workDir))
  const tempDir = app.config.iso.temp_dir
  await app.close()
  t.strictSame(readdirSync(tempDir), [])
})

t.test('errors: every throw is a row of the table', async t => {
  const app = await bare(t, [errors])
  const throws: Array<[string, unknown, number, object]> = [
    ['/mkiso', new MkisoError('PACS_UNREACHABLE', 'x at y'), 502, { error: 'PACS unreachable', code: 'PACS_UNREACHABLE', detail: 'x at y' }],
    ['/busy', new MkisoError('TOO_MANY_CONCURRENT', undefined, { retryAfterSeconds: 7 }), 503, { error: 'too many concurrent requests' }],
    ['/full', Object.assign(new Error('no space'), { code: 'ENOSPC' }), 507, { error: 'insufficient disk space' }],
    ['/bug', new Error('secret: /etc/passwd'), 500, { error: 'internal error', code: 'INTERNAL' }],
    ['/teapot', Object.assign(new Error('short and stout'), { statusCode: 418 }), 400, { code: 'INVALID_REQUEST' }]
  ]
  for (const [path, error] of throws) app.get(path, async () => { throw error })
  for (const [path, , status, body] of throws) {
    const answer = await app.inject(path)
    t.equal(answer.statusCode, status, path)
    t.match(answer.json(), { ...body, request_id: String })
    t.notMatch(answer.body, /secret/, 'the cause of a 500 is for the log')
  }
  t.equal((await app.inject('/busy')).headers['retry-after'], '7')
  const missing = await app.inject('/nowhere?accession_number=SECRET')
  t.equal(missing.statusCode, 404)
  t.notMatch(missing.body, /SECRET/)
})

t.test('auth: the key, before anything else', async t => {
  const app = await bare(t, [errors, config, auth], { auth: { enabled: true, api_key: 'right' } })
  app.get('/', { onRequest: app.authorise, schema: { querystring: { type: 'object', required: ['x'] } } }, async () => 'in')
  t.equal((await app.inject('/')).statusCode, 401, '401 comes before 400')
  for (const key of ['wrong', '', 'right ', 'Right']) t.equal((await app.inject({ url: '/?x=1', headers: { 'x-api-key': key } })).statusCode, 401, key)
  t.equal((await app.inject({ url: '/?x=1', headers: { 'x-api-key': 'right' } })).body, 'in')
  const open = await bare(t, [errors, config, auth])
  open.get('/', { onRequest: open.authorise }, async () => 'in')
  t.equal((await open.inject('/')).body, 'in')
})

t.test('lifecycle: ids and the end of a request', async t => {
  const app = await bare(t, [errors, config, lifecycle])
  app.get('/', async request => ({ aborted: request.gone.aborted }))
  const answer = await app.inject('/')
  t.strictSame(answer.json(), { aborted: false })
  t.match(answer.headers['x-request-id'], /^.+$/)
  t.equal(requestId({ headers: { 'x-request-id': 'from-nginx.1' } }), 'from-nginx.1')
  for (const forged of ['a b', 'a\nb', 'x'.repeat(65), '', 'ä']) t.not(requestId({ headers: { 'x-request-id': forged } }), forged)
})

t.test('port-pool, dcmtk, retrieval, iso, relay, patient-client, health, send-disc', async t => {
  const plugins = [errors, config, lifecycle, auth, requestCaller, activity, audit, portPool, dcmtk, retrieval, iso, patientClient, relay, health, sendDisc]
  const app = await bare(t, plugins, { our_ae: { port_range: 5 }, relay: { state_dir: temporaryFolder(t, 'state') } })
  await app.ready()
  t.equal(app.portPool.size, 5)
  t.strictSame(app.dcmtk.programs.pids, [])
  t.equal(app.receiverFault(), undefined, 'C-GET needs no receiver')
  t.equal(app.retrievals.running, 0)
  t.type(app.discs.open, 'function')
  t.type(app.prints.ask, 'function')
  t.type(app.patientClient.byAccession, 'function')
  t.ok(app.hasReplyDecorator('sendDisc'))
  const sleeper = app.dcmtk.programs.start('sleep', ['60'])
  await app.close()
  t.equal((await sleeper.ended).stopCause, 'stopped', 'what was started is ended')
})

t.test('a missing dependency fails at boot', async t => {
  for (const plugin of [auth, activity, audit, requestCaller, dcmtk, portPool, retrieval, iso, relay, patientClient, health, sendDisc, lifecycle, openapi]) {
    const app = Fastify()
    app.register(plugin)
    await t.rejects(async () => { await app.ready() }, /dependency|not present|decorator|undefined/i)
  }
})

t.test('openapi, sensible, under-pressure', async t => {
  const app = await bare(t, [errors, openapi, sensible, underPressure])
  app.get('/x', { schema: { summary: 'x' } }, async () => 'x')
  t.ok((await app.inject('/docs/json')).json().paths['/x'])
  t.type(app.httpErrors.notFound, 'function')
  t.type(app.memoryUsage, 'function')
  t.equal((await app.inject('/x')).statusCode, 200)
})
