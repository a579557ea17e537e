/** Limits, and the headers under which a browser shows our pages. */
import { connect } from 'node:net'
import t from 'tap'
import { request } from 'undici'
import { startBrowser } from '../../demo/browser.ts'
import { freePort } from '../../demo/ports.ts'
import { ConfigError, parseConfig } from '../../src/config/load.ts'
import { service, type Service } from '../world.ts'

const NOBODY = async () => ({ aeTitle: 'NOBODY', host: '127.0.0.1', port: await freePort() })

async function ask (mkiso: Service, path: string, headers: Record<string, string> = {}) {
  const answer = await request(mkiso.url + path, { headers })
  return { status: answer.statusCode, headers: answer.headers, body: await answer.body.text() }
}

t.test('rate limit: a client behind a trusted proxy by itself', async t => {
  const mkiso = await service(t, await NOBODY(), await freePort(), { server: { rate_limit: 3, trust_proxy: ['127.0.0.1'] }, auth: { enabled: true, api_key: 'right' } })
  const PATH = '/api/iso/download?accession_number=A'
  for (const n of '123') t.equal((await ask(mkiso, PATH, { 'x-forwarded-for': '10.1.1.1' })).status, 401, n)
  const refused = await ask(mkiso, PATH, { 'x-forwarded-for': '10.1.1.1', 'x-api-key': 'right' })
  t.equal(refused.status, 429, 'the right key does not help who tries keys')
  t.match(JSON.parse(refused.body), { error: 'too many requests', code: 'TOO_MANY_REQUESTS', detail: /at most 3 requests a minute/, request_id: String })
  const seconds = Number(refused.headers['retry-after'])
  t.ok(seconds >= 1 && seconds <= 60, `Retry-After: ${seconds}`)
  t.equal((await ask(mkiso, PATH, { 'x-forwarded-for': '10.1.1.1, 10.1.1.2' })).status, 401, 'another client; what it says of itself does not count')
  t.equal((await ask(mkiso, '/nowhere', { 'x-forwarded-for': '10.1.1.2' })).status, 404)
  t.equal((await ask(mkiso, '/nowhere', { 'x-forwarded-for': '10.1.1.2' })).status, 404)
  t.equal((await ask(mkiso, '/nowhere', { 'x-forwarded-for': '10.1.1.2' })).status, 429, 'looking around counts')
  for (const n of '12345') t.equal((await ask(mkiso, '/api/health/live', { 'x-forwarded-for': '10.1.1.1' })).status, 200, `monitoring is not limited, ${n}`)
})

t.test('rate limit: nobody else is believed', async t => {
  const mkiso = await service(t, await NOBODY(), await freePort(), { server: { rate_limit: 3, trust_proxy: ['10.0.0.0/8'] } })
  const statuses: number[] = []
  for (const n of '12345') statuses.push((await ask(mkiso, '/api/iso/download?accession_number=*', { 'x-forwarded-for': `10.1.1.${n}` })).status)
  t.strictSame(statuses, [400, 400, 400, 429, 429])
})

t.test('a proxy that is no address is a fault of the configuration', async t => {
  try {
    parseConfig('server: {trust_proxy: [nginx, 10.0.0.0/8, loopback]}\niso: {temp_dir: /tmp}', 'mkiso.yaml', { env: {} })
    t.fail('it loads')
  } catch (error) {
    t.strictSame(error instanceof ConfigError && error.faults, ['mkiso.yaml:1: server.trust_proxy: "nginx" is not an address (10.0.0.1) or a network (10.0.0.0/8)'])
  }
})

t.test('what is not HTTP gets our shape, and never in between the bytes of an answer', async t => {
  const mkiso = await service(t, await NOBODY(), await freePort())
  const port = Number(new URL(mkiso.url).port)
  const answerTo = async (bytes: string): Promise<string> => await new Promise<string>((resolve, reject) => {
    let received = ''
    const socket = connect(port, '127.0.0.1', () => { socket.write(bytes) })
    socket.setEncoding('utf8').on('data', chunk => { received += chunk }).on('close', () => { resolve(received) }).on('error', reject)
  })
  t.match(await answerTo('GARBAGE\r\n\r\n'), /^HTTP\/1\.1 400 [^]*"code":"INVALID_REQUEST"[^]*not valid HTTP/)
  // in one piece: nothing of the first has been answered when the second is read
  t.equal(await answerTo('GET /api/health HTTP/1.1\r\nHost: x\r\n\r\nGARBAGE\r\n\r\n'), '', 'nothing before the answer: the connection is cut')
})

t.test('Swagger UI works under the policy', async t => {
  const mkiso = await service(t, await NOBODY(), await freePort())
  const page = await ask(mkiso, '/docs/')
  t.match(page.headers['content-security-policy'], /default-src 'none';script-src 'self';.*style-src 'self'/)
  t.notMatch(page.headers['content-security-policy'], /unsafe/)
  t.match(page.headers, { 'x-content-type-options': 'nosniff', 'x-frame-options': 'SAMEORIGIN', 'referrer-policy': 'no-referrer' })
  t.equal(page.headers['strict-transport-security'], undefined)
  const browser = await startBrowser()
  t.teardown(async () => { await browser.close() })
  const tab = await browser.newPage()
  const violations: string[] = []
  const hosts = new Set<string>()
  tab.on('console', message => { if (/Content Security Policy|Refused to/i.test(message.text())) violations.push(message.text()) })
  tab.on('request', one => { if (!one.url().startsWith('data:')) hosts.add(new URL(one.url()).host) })
  await tab.goto(`${mkiso.url}/docs/`)
  // Swagger UI makes its ids of operationId: the document is asked, not known by heart
  const { paths } = JSON.parse((await ask(mkiso, '/docs/json')).body) as { paths: Record<string, { get?: { operationId?: string } }> }
  const { operationId } = paths['/api/health/live']?.get ?? {}
  if (operationId === undefined) throw new Error('the document lists no GET /api/health/live')
  const operation = tab.locator(`#operations-health-${operationId}`)
  await operation.locator('.opblock-summary-control').click()
  await operation.locator('button.execute').click()
  await operation.locator('.live-responses-table .response-col_status').getByText('200').waitFor()
  t.strictSame(violations, [])
  t.strictSame([...hosts], [new URL(mkiso.url).host], 'no other host is asked')
})
