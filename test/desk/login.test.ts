/** Who may use the desk: without a key only a person whom a trusted proxy names, and where nobody could tell who it is there is no desk. */
import t from 'tap'
import { request } from 'undici'
import { freePort } from '../../demo/ports.ts'
import { parseConfig } from '../../src/config/load.ts'
import { service } from '../world.ts'

const ROUTES = ['/api/iso/search?patient_name=rahayu', '/api/iso/queue', '/api/iso/queue/events', '/api/iso/history']

t.test('without a key: off, and no mistake of the configuration opens it', async t => {
  const mkiso = await service(t, { aeTitle: 'NOBODY', host: '127.0.0.1', port: await freePort() }, await freePort())
  for (const path of ['/desk', ...ROUTES]) t.equal((await mkiso.get(path)).status, 404, path)
  t.throws(() => parseConfig('{iso: {temp_dir: /tmp}, desk: {enabled: true}}', 'test', { env: {} }), /desk\.enabled is true while auth\.enabled is false.*audit\.user_header/s)
  t.equal(parseConfig('{iso: {temp_dir: /tmp}, auth: {enabled: true, api_key: k}}', 'test', { env: {} }).desk.enabled, true)
  t.equal(parseConfig('{iso: {temp_dir: /tmp}, auth: {enabled: true, api_key: k}, desk: {enabled: false}}', 'test', { env: {} }).desk.enabled, false)
})

t.test('with a login instead of a key: nobody without a name, and none from whoever is not trusted', async t => {
  const desk = { desk: { enabled: true }, audit: { user_header: 'X-Remote-User' } }
  const pacs = { aeTitle: 'NOBODY', host: '127.0.0.1', port: await freePort() }
  const mkiso = await service(t, pacs, await freePort(), desk)
  for (const path of ROUTES) t.match(await mkiso.get(path), { status: 401 }, path)
  const named = async (url: string, path: string): Promise<number> => {
    const { statusCode, body } = await request(url + path, { headers: { 'x-remote-user': 'siti' } })
    await body.dump()
    return statusCode
  }
  t.equal(await named(mkiso.url, '/api/iso/history'), 200)
  t.equal(await named(mkiso.url, '/api/iso/search?patient_name=rahayu'), 502, 'it asks the archive')
  t.equal(await named(mkiso.url, '/api/iso/search?patient_name=ra*'), 400)
  const distrustful = await service(t, pacs, await freePort(), { ...desk, server: { trust_proxy: ['10.0.0.1'] } })
  t.equal(await named(distrustful.url, '/api/iso/history'), 401)
})
