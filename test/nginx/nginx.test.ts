/** `config/nginx.conf` in the real nginx: what it passes on, what it keeps to itself, what it says when nobody answers. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Agent, request } from 'undici'
import { startPublisher } from '../../demo/publisher.ts'
import { freePort } from '../../demo/ports.ts'
import { demoStudies } from '../../demo/phantoms/studies.ts'
import { eventually } from '../eventually.ts'
import { programsOf, service, temporaryFolder, world } from '../world.ts'
import { startEcho, type Asked } from './echo.ts'
import { startNginx } from './nginx.ts'

const ROOT = join(import.meta.dirname, '../..')
const KEY = 'a-key-of-the-site'
const HTML = { accept: 'text/html,application/xhtml+xml' }

t.test('what is passed on', async t => {
  const echo = await startEcho(t)
  const stage1 = await startNginx(t, { upstreams: [echo.address] })
  const nginx = await startNginx(t, { upstreams: [echo.address], key: KEY })
  const ask = async (path: string, headers: Record<string, string> = {}, url = nginx.url): Promise<Asked> => await (await fetch(url + path, { headers })).json() as Asked

  t.test('nginx -t', async t => {
    for (const one of [stage1, nginx]) {
      const { exitCode, stderr } = await one.check()
      t.equal(exitCode, 0, stderr)
      t.notMatch(stderr, /warn/)
    }
  })

  t.test('the PHP links, with their arguments as they are', async t => {
    for (const [link, url] of [
      ['/mkiso.php?accession_number=X', '/api/iso/download?accession_number=X'],
      ['/mkiso_multiple.php?accession_number=X,Y%2CZ%20', '/api/iso/download-multiple?accession_number=X,Y%2CZ%20'],
      ['/send_rimage_multiple.php?accession_number=X,Y', '/api/iso/print?accession_number=X,Y'],
      ['/mkiso.php', '/api/iso/download']
    ] as const) t.equal((await ask(link)).url, url)
  })

  t.test('the key: for the HIS and its pages, not for the operator; a key that came is kept', async t => {
    for (const path of ['/mkiso.php', '/mkiso_multiple.php', '/send_rimage_multiple.php', '/api/iso/download', '/api/iso/print', '/api/iso/progress', '/download', '/print']) {
      t.equal((await ask(path)).headers['x-api-key'], KEY, path)
      t.equal((await ask(path, { 'x-api-key': 'own' })).headers['x-api-key'], 'own', path)
      t.equal((await ask(path, {}, stage1.url)).headers['x-api-key'], undefined, `${path} in stage 1`)
    }
    for (const path of ['/status', '/status/events', '/metrics', '/api/health', '/api/status', '/docs/']) t.equal((await ask(path)).headers['x-api-key'], undefined, path)
  })

  t.test('who asks: not what a client says of itself', async t => {
    const { headers } = await ask('/mkiso.php', { 'x-forwarded-for': '6.6.6.6', 'x-remote-user': 'director', 'x-request-id': 'forged' })
    t.equal(headers['x-forwarded-for'], '127.0.0.1')
    t.equal(headers['x-remote-user'], undefined)
    const authorization = `Basic ${Buffer.from('director:guess').toString('base64')}`
    for (const path of ['/mkiso.php', '/api/iso/download', '/print', '/status']) {
      t.equal((await ask(path, { authorization })).headers['x-remote-user'], undefined, `a name that nothing has checked: ${path}`)
    }
    t.match(headers['x-request-id'], /^[0-9a-f]{32}$/)
  })

  t.test('in a browser the PHP links open the pages, or by choice do not; a program gets what it asked for', async t => {
    const direct = await startNginx(t, { upstreams: [echo.address], key: KEY, links: 'direct' })
    for (const [link, page, route] of [
      ['/mkiso.php?accession_number=X', '/download?accession_number=X', '/api/iso/download?accession_number=X'],
      ['/mkiso_multiple.php?accession_number=X,Y', '/download?accession_number=X,Y', '/api/iso/download-multiple?accession_number=X,Y'],
      ['/send_rimage_multiple.php?accession_number=X,Y', '/print?accession_number=X,Y', '/api/iso/print?accession_number=X,Y']
    ] as const) {
      const answer = await request(nginx.url + link, { headers: HTML })
      t.equal(answer.statusCode, 302)
      t.equal(new URL(String(answer.headers.location), nginx.url).href, nginx.url + page)
      await answer.body.dump()
      t.equal((await ask(link, HTML, direct.url)).url, route, 'direct')
      for (const accept of ['*/*', 'application/json']) t.equal((await ask(link, { accept })).url, route, accept)
    }
  })

  t.test('events leave at once: the second is only sent when the first has arrived', async t => {
    let second: (() => void) | undefined
    echo.answer = (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
      second = () => { response.end('data: 2\n\n') }
    }
    t.teardown(() => { echo.answer = undefined })
    const { body } = await request(`${nginx.url}/api/iso/progress?accession_number=X`, { headers: { 'accept-encoding': 'gzip' } })
    const events: string[] = []
    for await (const chunk of body) {
      events.push(String(chunk))
      second?.()
      second = undefined
    }
    t.strictSame(events, ['data: 1\n\n', 'data: 2\n\n'])
  })

  t.test('a client that leaves is gone for the service too', async t => {
    let left = false
    echo.answer = (_, response) => {
      response.once('close', () => { left = true })
      response.writeHead(200).write('x')
    }
    t.teardown(() => { echo.answer = undefined })
    const leaving = new AbortController()
    const { body } = await request(`${nginx.url}/mkiso.php?accession_number=X`, { signal: leaving.signal })
    body.once('error', () => {})
    leaving.abort()
    t.ok(await eventually(() => left))
  })

  t.test('the log has no accession number', async t => {
    await ask('/mkiso.php?accession_number=SECRET.1')
    t.ok(await eventually(() => nginx.accessLog().includes('"GET /mkiso.php" 200')))
    t.notMatch(nginx.accessLog(), /SECRET/)
  })
})

t.test('several machines: the requests of one study meet, however its number is written', async t => {
  const echoes = [await startEcho(t), await startEcho(t)]
  const nginx = await startNginx(t, { upstreams: echoes.map(({ address }) => address) })
  for (let n = 0; n < 20; n++) {
    const seen = echoes.map(({ asked }) => asked.length)
    for (const path of ['/mkiso.php?accession_number=N', '/mkiso_multiple.php?accession_number=N,M', '/api/iso/progress?accession_number=N%2CM',
      '/api/iso/download-multiple?accession_numbers=N%2cM,L', '/download?accession_number=N']) await (await fetch(nginx.url + path.replace('N', `CT.${n}`))).arrayBuffer()
    t.strictSame(echoes.map(({ asked }, index) => asked.length - (seen[index] ?? 0)).sort(), [0, 5], `CT.${n}`)
  }
  t.ok(echoes.every(({ asked }) => asked.length > 0), 'and the studies are spread')
})

t.test('in its container nginx takes the key from the secret', async t => {
  const folder = temporaryFolder(t, 'container')
  const [target, secret] = [join(folder, 'mkiso'), join(folder, 'secret')]
  const env = { MKISO_NGINX_SOURCE: join(ROOT, 'config/nginx'), MKISO_NGINX_TARGET: target, MKISO_SECRET: secret, MKISO_NGINX_LOG: join(folder, 'log') }
  const run = async (): Promise<number> => (await programsOf(t).run('sh', [join(ROOT, 'packaging/nginx-container.sh')], { env })).exitCode
  t.equal(await run(), 0, 'stage 1')
  t.equal(readFileSync(join(target, 'key.conf'), 'utf8'), readFileSync(join(ROOT, 'config/nginx/key.conf'), 'utf8'))
  t.match(readFileSync(join(target, 'upstream.conf'), 'utf8'), /^ {4}server mkiso:8080 max_fails/m)
  writeFileSync(secret, 'abc-DEF_123\n')
  t.equal(await run(), 0, 'stage 2')
  t.match(readFileSync(join(target, 'key.conf'), 'utf8'), /^ {4}"" "abc-DEF_123";$/m)
  writeFileSync(secret, 'a"; evil')
  t.equal(await run(), 1, 'a key that would end the line')
})

t.test('nobody answers', async t => {
  const nginx = await startNginx(t, { upstreams: [`127.0.0.1:${await freePort()}`] })
  const json = await request(`${nginx.url}/mkiso.php?accession_number=X`)
  t.equal(json.statusCode, 503)
  t.equal(json.headers['retry-after'], '30')
  t.match(await json.body.json(), { error: 'service unavailable', code: 'SERVICE_UNAVAILABLE', request_id: json.headers['x-request-id'] })
  const page = await request(`${nginx.url}/download?accession_number=X`, { headers: HTML })
  t.equal(page.statusCode, 503)
  t.match(page.headers['content-type'], 'text/html')
  const text = await page.body.text()
  t.match(text, /does not answer/)
  t.match(text, /http-equiv="refresh"/, 'it goes on by itself')
  t.match(text, /href="">Try again/)
  const print = await request(`${nginx.url}/print?accession_number=X`, { headers: HTML })
  t.notMatch(await print.body.text(), /http-equiv/, 'not a print')
})

t.test('too much from one address', async t => {
  const echo = await startEcho(t)
  const nginx = await startNginx(t, { upstreams: [echo.address], limits: true })
  const answers = await Promise.all(Array.from({ length: 40 }, async () => await fetch(`${nginx.url}/mkiso.php?accession_number=X`)))
  const refused = answers.filter(({ status }) => status === 429)
  // 16 at once, a burst of 20
  t.ok(refused.length > 0 && answers.length - refused.length >= 16, `${refused.length} of 40 refused`)
  t.match(await refused[0]?.json(), { code: 'TOO_MANY_REQUESTS' })
  t.equal((await fetch(`${nginx.url}/api/health`)).status, 200, 'monitoring goes on')
})

t.test('the service behind it, stage 2 and HTTPS', async t => {
  const here = await world(t, 'dcmqrscp', { studies: demoStudies().filter(({ accessionNumber }) => accessionNumber === 'MR.2024.001') })
  const publisher = await startPublisher({ programs: here.programs, dir: temporaryFolder(t, 'publisher') })
  const mkiso = await service(t, here.pacs, here.receiverPort, {
    auth: { enabled: true, api_key: KEY }, cd_publisher: { host: publisher.host, port: publisher.port, ae_title: publisher.aeTitle }, iso: { keep_for: '1m' }
  })
  const folder = temporaryFolder(t, 'tls')
  const tls = { certificate: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
  const made = await programsOf(t).run('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=localhost', '-keyout', tls.key, '-out', tls.certificate])
  t.equal(made.exitCode, 0, made.stderr)
  const nginx = await startNginx(t, { upstreams: [new URL(mkiso.url).host], key: KEY, tls })

  const disc = await fetch(`${nginx.url}/mkiso.php?accession_number=MR.2024.001`)
  t.equal(disc.status, 200)
  t.match(disc.headers.get('content-disposition'), 'MR.2024.001.iso')
  t.equal((await disc.arrayBuffer()).byteLength, Number(disc.headers.get('content-length')))
  const multiple = await fetch(`${nginx.url}/mkiso_multiple.php?accession_number=MR.2024.001`)
  t.equal(multiple.status, 200)
  await multiple.arrayBuffer()
  const part = await fetch(`${nginx.url}/mkiso.php?accession_number=MR.2024.001`, { headers: { range: 'bytes=32768-', 'if-range': String(disc.headers.get('etag')) } })
  t.equal(part.status, 206, 'a broken download goes on')
  await part.arrayBuffer()
  t.match(await (await fetch(`${nginx.url}/send_rimage_multiple.php?accession_number=MR.2024.001`)).json(), { files_sent: 24 })
  t.equal((await publisher.received()).length, 24)
  t.equal((await fetch(`${nginx.url}/mkiso.php?accession_number=*`)).status, 400, 'an answer of the service passes unchanged')
  t.equal((await fetch(`${nginx.url}/mkiso.php?accession_number=MR.2024.001`, { headers: { 'x-api-key': 'wrong' } })).status, 401)
  t.equal((await fetch(`${mkiso.url}/api/iso/download?accession_number=MR.2024.001`)).status, 401, 'past nginx there is no key')

  const dispatcher = new Agent({ connect: { rejectUnauthorized: false } })
  t.teardown(async () => { await dispatcher.close() })
  const secure = await request(`${nginx.tlsUrl}/mkiso.php?accession_number=MR.2024.001`, { dispatcher })
  t.equal(secure.statusCode, 200)
  t.match(secure.headers['strict-transport-security'], /max-age/)
  t.equal((await secure.body.arrayBuffer()).byteLength, Number(disc.headers.get('content-length')))
})
