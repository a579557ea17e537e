/** Each plugin by itself on a bare Fastify: what it decorates, what it needs, what it leaves. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import Fastify, { type FastifyInstance, type FastifyPluginAsync } from 'fastify'
import t, { type Test } from 'tap'
import { request } from 'undici'
import { buildApp } from '../../src/app.ts'
import { parseConfig } from '../../src/config/load.ts'
import { MkisoError } from '../../src/errors.ts'
import { eventually } from '../eventually.ts'
import config from '../../plugins/config.ts'
import { requestId } from '../../plugins/lifecycle.ts'
import { temporaryFolder } from '../world.ts'

const FOLDER = join(import.meta.dirname, '../../plugins')

type Plugin = FastifyPluginAsync & { [meta: symbol]: { name: string, dependencies?: string[] } | undefined }
const metaOf = (plugin: Plugin) => plugin[Symbol.for('plugin-meta')] ?? { name: 'none' }

/** All plugins, by the name of their file. */
const PLUGINS = new Map(await Promise.all(readdirSync(FOLDER).map(async (file): Promise<[string, Plugin]> => {
  const { default: plugin } = await import(join(FOLDER, file)) as { default: Plugin }
  return [file.replace(/\.ts$/, ''), plugin]
})))

function pluginOf (name: string): Plugin {
  const plugin = PLUGINS.get(name)
  if (plugin === undefined) throw new Error(`there is no plugin ${name}`)
  return plugin
}

/** The plugins and what they say that they need, what is needed first. */
function withDependencies (names: readonly string[]): string[] {
  return [...new Set(names.flatMap(name => [...withDependencies(metaOf(pluginOf(name)).dependencies ?? []), name]))]
}

/** A bare instance with these plugins on it, and nothing beside what they say that they need. */
async function bare (t: Test, names: readonly string[], settings: Record<string, Record<string, unknown>> = {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  const tempDir = temporaryFolder(t)
  const parsed = parseConfig(JSON.stringify({ pacs: { retrieve: 'get' }, ...settings, iso: { temp_dir: tempDir, ...settings['iso'] } }), 'test.yaml', { env: {} })
  for (const name of withDependencies(names)) {
    if (name === 'config') await app.register(config, { config: parsed })
    else await app.register(pluginOf(name))
  }
  return app
}

t.test('config: the folder comes and goes', async t => {
  const app = await bare(t, ['config'])
  await app.ready()
  t.ok(existsSync(app.workDir))
  const tempDir = app.config.iso.temp_dir
  await app.close()
  t.strictSame(readdirSync(tempDir), [])
})

t.test('errors: every throw is a row of the table', async t => {
  const app = await bare(t, ['errors'])
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
  const app = await bare(t, ['auth'], { auth: { enabled: true, api_key: 'right' } })
  app.get('/', { onRequest: app.authorise, schema: { querystring: { type: 'object', required: ['x'] } } }, async () => 'in')
  t.equal((await app.inject('/')).statusCode, 401, '401 comes before 400')
  for (const key of ['wrong', '', 'right ', 'Right']) t.equal((await app.inject({ url: '/?x=1', headers: { 'x-api-key': key } })).statusCode, 401, key)
  t.equal((await app.inject({ url: '/?x=1', headers: { 'x-api-key': 'right' } })).body, 'in')
  const open = await bare(t, ['auth'])
  open.get('/', { onRequest: open.authorise }, async () => 'in')
  t.equal((await open.inject('/')).body, 'in')
})

t.test('lifecycle: ids and the end of a request', async t => {
  const app = await bare(t, ['lifecycle'])
  app.get('/', async request => ({ aborted: request.gone.aborted }))
  const answer = await app.inject('/')
  t.strictSame(answer.json(), { aborted: false })
  t.match(answer.headers['x-request-id'], /^.+$/)
  t.equal(requestId({ headers: { 'x-request-id': 'from-nginx.1' } }), 'from-nginx.1')
  for (const forged of ['a b', 'a\nb', 'x'.repeat(65), '', 'ä']) t.not(requestId({ headers: { 'x-request-id': forged } }), forged)
})

t.test('events: the last state reaches a reader that was slow', async t => {
  const app = await bare(t, ['events'])
  // more than the sockets of both sides hold
  const filling = 'x'.repeat(8_000_000)
  const state = { n: 0, filling, ended: false }
  let change = (): void => {}
  let told = false
  app.get('/', async (_request, reply) => reply.sendEvents({ state: () => { told = state.ended; return state }, ended: ({ ended }) => ended, listen: changed => { change = changed; return () => {} } }))
  await app.listen({ host: '127.0.0.1', port: 0 })
  const answer = await request(app.listeningOrigin)
  // a page that is busy: nothing is read while the work ends
  Object.assign(state, { n: 1, ended: true })
  change()
  t.ok(await eventually(() => told), 'it was to be told while nobody read')
  const last = (await answer.body.text()).trimEnd().split('\n\n').at(-1) ?? ''
  t.match(JSON.parse(last.slice('data: '.length)), { n: 1, ended: true })
})

t.test('port-pool, dcmtk, retrieval, iso, relay, patient-client, health, send-disc', async t => {
  const plugins = ['relay', 'health', 'send-disc']
  const app = await bare(t, plugins, { our_ae: { port_range: 5 }, relay: { state_dir: temporaryFolder(t, 'state') } })
  await app.ready()
  t.equal(app.portPool.size, 5)
  t.strictSame(app.dcmtk.programs.pids, [])
  t.equal(app.receiverFault(), undefined, 'C-GET needs no receiver')
  t.equal(app.studyStore.running, 0)
  t.type(app.discs.open, 'function')
  t.type(app.prints.ask, 'function')
  t.type(app.patientClient.byAccession, 'function')
  t.ok(app.hasReplyDecorator('sendDisc'))
  const sleeper = app.dcmtk.programs.start('sleep', ['60'])
  await app.close()
  t.equal((await sleeper.ended).stopCause, 'stopped', 'what was started is ended')
})

t.test('a plugin has the name of its file, starts with what it says that it needs, and not without', async t => {
  for (const [name, plugin] of PLUGINS) {
    const { name: given, dependencies = [] } = metaOf(plugin)
    t.equal(given, name)
    t.strictSame(dependencies.filter(needed => !PLUGINS.has(needed)), [], `${name}: what it needs is there`)
    const app = await bare(t, [name])
    await t.resolves(async () => { await app.ready() }, name)
    for (const missing of dependencies) {
      const others = withDependencies(dependencies.filter(needed => needed !== missing))
      if (others.includes(missing)) continue
      const lacking = await bare(t, others)
      lacking.register(plugin)
      await t.rejects(async () => { await lacking.ready() }, { message: `The dependency '${missing}' of plugin '${name}' is not registered` })
    }
  }
})

t.test('the service has every plugin and every route of the folders, and each route answers where its file lies', async t => {
  const tempDir = temporaryFolder(t)
  // the desk is off where no key is asked for
  const app = await buildApp(parseConfig(JSON.stringify({ pacs: { retrieve: 'get' }, desk: { enabled: true }, audit: { user_header: 'X-Remote-User' }, iso: { temp_dir: tempDir } }), 'test.yaml', { env: {} }))
  t.teardown(async () => { await app.close() })
  t.strictSame([...PLUGINS.keys()].filter(name => !app.hasPlugin(name)), [])
  const files = readdirSync(join(FOLDER, '../routes'), { recursive: true, encoding: 'utf8' }).filter(file => file.endsWith('.ts'))
  t.ok(files.length > 5)
  const urls = files.map(file => `/${file.replace(/(?:index)?\.ts$/, '')}`)
  t.strictSame(urls.filter(url => !app.hasRoute({ method: 'GET', url })), [])
})

t.test('whatever refuses a request: its answer has an id and the headers for browsers', async t => {
  const tempDir = temporaryFolder(t)
  const app = await buildApp(parseConfig(JSON.stringify({
    pacs: { retrieve: 'get' }, iso: { temp_dir: tempDir }, auth: { enabled: true, api_key: 'right' }, server: { rate_limit: 2 }
  }), 'test.yaml', { env: {} }))
  t.teardown(async () => { await app.close() })
  const seen = new Set<number>()
  for (const url of ['/docs/json', '/nowhere', '/api/iso/download?accession_number=X', '/status', '/status', '/status']) {
    const { statusCode, headers } = await app.inject({ url })
    seen.add(statusCode)
    t.match(headers, { 'x-request-id': String, 'content-security-policy': /^default-src 'none'/, 'x-content-type-options': 'nosniff' }, `${url} ${statusCode}`)
  }
  for (const status of [200, 404, 401, 429]) t.ok(seen.has(status), String(status))
})

t.test('openapi, sensible, under-pressure', async t => {
  const app = await bare(t, ['openapi'])
  app.get('/x', { schema: { summary: 'x' } }, async () => 'x')
  t.ok((await app.inject('/docs/json')).json().paths['/x'])
  t.type(app.httpErrors.notFound, 'function')
  t.type(app.memoryUsage, 'function')
  t.equal((await app.inject('/x')).statusCode, 200)
})
