/** Signed links that live long enough, and no longer: what began in time is taken to its end, and one that is good once is good once. */
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { request } from 'undici'
import { demoStudies } from '../../demo/phantoms/studies.ts'
import { signatureOf } from '../../src/auth/signed-links.ts'
import { UsedLinks } from '../../src/auth/used-links.ts'
import { eventually } from '../eventually.ts'
import { freePort } from '../../demo/ports.ts'
import { startNarrowWay } from '../screens/gate.ts'
import { service, temporaryFolder, world, type Service } from '../world.ts'

const SECRET = '0123456789abcdef0123456789abcdef'
const MR = 'MR.2024.001'
const CT = 'CT.2024.200'
/** An end of a disc that a link that is used up still gives. */
const TAIL_BYTES = 16 * 1_024 ** 2

/** Longer than anything here takes: a link expires when a test says so. */
const A_WHILE_S = 600

const inSeconds = (seconds: number): string => String(Math.floor(Date.now() / 1_000) + seconds)

function link (path: string, accessionNumbers: string, expires: string, once?: string): string {
  const signature = signatureOf(SECRET, { path, accessionNumbers, expires, ...(once === undefined ? {} : { once }) })
  return `${path}?${new URLSearchParams({ accession_number: accessionNumbers, expires, ...(once === undefined ? {} : { once }), signature }).toString()}`
}

/** The clock of this process goes on from the second after. */
function expire (t: Pick<Test, 'teardown'>, expires: string): void {
  const { now } = Date
  const aheadMs = Number(expires) * 1_000 + 1_000 - now()
  Date.now = () => now() + aheadMs
  t.teardown(() => { Date.now = now })
}

interface Got { status: number, headers: Record<string, unknown>, body: Buffer, code: unknown }

async function get (mkiso: Service, path: string, headers: Record<string, string> = {}, method: 'GET' | 'DELETE' = 'GET'): Promise<Got> {
  const answer = await request(mkiso.url + path, { method, headers })
  const body = Buffer.from(await answer.body.arrayBuffer())
  const code: unknown = answer.statusCode < 400 ? undefined : (JSON.parse(body.toString()) as { code: unknown }).code
  return { status: answer.statusCode, headers: answer.headers, body, code }
}

interface State { id: string, link?: string, outcome?: string, error?: { code: string } }

/** Follows a page's progress up to a state, which may be the last. */
async function follow (mkiso: Service, path: string, until: (state: State) => boolean) {
  const answer = await request(mkiso.url + path, { headers: { accept: 'text/event-stream' } })
  let rest = ''
  for await (const text of answer.body.setEncoding('utf8') as AsyncIterable<string>) {
    const events = (rest + text).split('\n\n')
    rest = events.pop() ?? ''
    for (const event of events) {
      if (!event.startsWith('data: ')) continue
      const state = JSON.parse(event.slice('data: '.length)) as State
      if (until(state)) return { state, leave: () => { answer.body.destroy() } }
    }
  }
  throw new Error(`the progress ended: ${rest}`)
}

t.test('signed links', async t => {
  const here = await world(t, 'dcmqrscp', { studies: demoStudies().filter(({ accessionNumber }) => [MR, CT].includes(accessionNumber)) })
  const stateDir = temporaryFolder(t, 'state')
  const settings = {
    auth: { enabled: true, signed_links: { secret: SECRET } }, iso: { keep_for: '5m' }, disc: { web_content: 'none' }, relay: { state_dir: stateDir }
  }
  const mkiso = await service(t, here.pacs, here.receiverPort, settings)

  t.test('a page whose link expires while its disc is made gets the disc', async t => {
    for (const path of ['/download', '/api/iso/download']) {
      const expires = inSeconds(A_WHILE_S)
      const signed = link(path, MR, expires).replace(path, '')
      const { state, leave } = await follow(mkiso, `/api/iso/progress${signed}`, ({ link }) => link !== undefined)
      expire(t, expires)
      const again = await follow(mkiso, `/api/iso/progress${signed}&id=${state.id}`, () => true)
      t.equal(again.state.id, state.id, 'its connection may break')
      const disc = await get(mkiso, state.link ?? '')
      t.equal(disc.status, 200, path)
      t.equal(disc.body.length, Number(disc.headers['content-length']))
      leave()
      again.leave()
      const late = await get(mkiso, state.link ?? '')
      t.match(late, { status: 401, code: 'LINK_EXPIRED' }, 'and that once')
      t.match(JSON.parse(late.body.toString()), { error: 'link expired', detail: /good until 20/ })
      t.match(await get(mkiso, `/api/iso/progress${signed}`), { status: 401, code: 'LINK_EXPIRED' }, 'nothing begins with it any more')
    }
  })

  t.test('a page that has lost its connection is told how it ended, when its link has expired or is used up; and nothing else is', async t => {
    const ends = {
      done: { outcome: 'success' },
      cancelled: { outcome: 'cancelled' }
    }
    for (const end of ['done', 'cancelled'] as const) {
      for (const once of [undefined, randomBytes(16).toString('hex')]) {
        const expires = inSeconds(A_WHILE_S)
        const signed = link('/download', MR, expires, once).replace('/download', '')
        const { state: { id, link: taking = '' }, leave } = await follow(mkiso, `/api/iso/progress${signed}`, ({ link }) => link !== undefined)
        leave()
        if (end === 'done') t.equal((await get(mkiso, taking)).status, 200)
        else t.equal((await get(mkiso, `/api/iso/progress${signed}&id=${id}`, {}, 'DELETE')).status, 204)
        t.ok(await eventually(() => mkiso.app.activities.running.length === 0))
        expire(t, expires)
        const told = await follow(mkiso, `/api/iso/progress${signed}&id=${id}`, () => true)
        t.match(told.state, { id, ...ends[end] }, `${end}, ${once === undefined ? 'expired' : 'good once'}`)
        const another = link('/download', MR, inSeconds(-100)).replace('/download', '')
        for (const path of [`/api/iso/progress${signed}`, `/api/iso/progress${signed}&id=${id}&format=zip`, `/api/iso/progress${another}&id=${id}`, taking, `${taking}&format=zip`]) {
          t.match((await get(mkiso, path)).code, /^LINK_(EXPIRED|USED)$/, `nothing else: ${path.replace(/&.*?(?=&id|&preparation|&format)/, '')}`)
        }
      }
    }
    t.strictSame(mkiso.app.activities.running, [])
  })

  t.test('a page that comes back with an expired link hears of a failure, and not that it may wait for another disc', async t => {
    const expires = inSeconds(A_WHILE_S)
    const signed = link('/download', `${MR},NONE`, expires).replace('/download', '')
    const { state: { id } } = await follow(mkiso, `/api/iso/progress${signed}`, () => true)
    t.ok(await eventually(() => mkiso.app.activities.running.length === 0))
    expire(t, expires)
    t.match((await follow(mkiso, `/api/iso/progress${signed}&id=${id}`, () => true)).state, { id, outcome: 'failed', error: { code: 'NO_DICOM_DATA' } })
  })

  t.test('while its disc is made an expired link is good for that disc and for nothing else', async t => {
    const expires = inSeconds(A_WHILE_S)
    const signed = link('/download', MR, expires).replace('/download', '')
    const { state: { id, link: taking = '' }, leave } = await follow(mkiso, `/api/iso/progress${signed}&format=zip`, ({ link }) => link !== undefined)
    expire(t, expires)
    const before = mkiso.app.activities.running.length
    for (const path of [
      `/api/iso/progress${signed}&id=${id}`, `/api/iso/progress${signed}&format=zip&modality=MR&id=${id}`, taking.replace('&format=zip', ''), `${taking}&modality=MR`,
      `/look${signed}&id=${id}`, `/look${signed}&preparation=${id}`, `/api/iso/studies${signed}&id=${id}`, `/api/iso/link${signed}&id=${id}`,
      `/api/iso/progress${link('/download', MR, inSeconds(-100)).replace('/download', '')}&format=zip&id=${id}`, taking.replace(/signature=\w+/, link('/download', MR, expires, 'a'.repeat(32)).replace(/.*(once=)/, '$1'))
    ]) t.match(await get(mkiso, path), { status: 401, code: 'LINK_EXPIRED' }, path.replace(signed, ''))
    t.equal(mkiso.app.activities.running.length, before, 'nothing was begun')
    const again = await follow(mkiso, `/api/iso/progress${signed}&format=zip&id=${id}`, () => true)
    t.equal(again.state.id, id)
    const head = await request(mkiso.url + taking, { method: 'HEAD' })
    t.equal(head.statusCode, 200, 'a program that asks first')
    const zip = await request(mkiso.url + taking, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'password=correct+horse+7' })
    t.equal(zip.statusCode, 200, 'that disc, also with a password')
    t.equal((await zip.body.arrayBuffer()).byteLength, Number(zip.headers['content-length']))
    leave()
    again.leave()
  })

  t.test('it can be cancelled after that, too', async t => {
    const expires = inSeconds(A_WHILE_S)
    const signed = link('/download', MR, expires).replace('/download', '')
    const { state, leave } = await follow(mkiso, `/api/iso/progress${signed}`, ({ link }) => link !== undefined)
    expire(t, expires)
    t.equal((await get(mkiso, `/api/iso/progress${signed}&id=${state.id}`, {}, 'DELETE')).status, 204)
    leave()
    t.match(await get(mkiso, state.link ?? ''), { status: 401 })
  })

  t.test('a browser that shows an expired link says so, and not that a program needs a header', async t => {
    const page = await request(mkiso.url + link('/api/iso/download', MR, inSeconds(-5)), { headers: { accept: 'text/html' } })
    t.equal(page.statusCode, 401)
    const text = await page.body.text()
    t.match(text, 'This link has expired.')
    t.notMatch(text, 'X-API-Key')
  })

  t.test('a download that began in time goes on to its end; nothing else does', async t => {
    const expires = inSeconds(A_WHILE_S)
    const path = link('/api/iso/download', MR, expires)
    const whole = await get(mkiso, path)
    t.equal(whole.status, 200)
    const etag = String(whole.headers['etag'])
    expire(t, expires)
    const rest = await get(mkiso, path, { range: 'bytes=1000-', 'if-range': etag })
    t.equal(rest.status, 206)
    t.ok(rest.body.equals(whole.body.subarray(1000)))
    const refused: Array<Record<string, string>> = [{}, { range: 'bytes=0-', 'if-range': etag }, { range: 'bytes=1000-', 'if-range': '"another"' }, { range: 'bytes=0-5' }]
    for (const headers of refused) t.match(await get(mkiso, path, headers), { status: 401, code: 'LINK_EXPIRED' }, JSON.stringify(headers))
    const never = link('/api/iso/download', MR, inSeconds(-1_000))
    t.match(await get(mkiso, never, { range: 'bytes=1000-', 'if-range': etag }), { status: 401, code: 'LINK_EXPIRED' }, 'a link that began nothing')
    t.match(await get(mkiso, path.replace('download', 'progress'), { range: 'bytes=1000-' }), { status: 401, code: 'LINK_EXPIRED' }, 'no new disc')
  })

  t.test('a link that is good once', async t => {
    const once = randomBytes(16).toString('hex')
    const path = link('/api/iso/download', CT, inSeconds(600), once)
    t.match(await get(mkiso, path.replace(`&once=${once}`, '')), { status: 401, code: 'UNAUTHORIZED' }, 'it cannot be made another one')
    const first = await get(mkiso, path, { range: 'bytes=0-9999' })
    t.equal(first.status, 206)
    const etag = String(first.headers['etag'])
    const whole = await get(mkiso, path)
    t.equal(whole.status, 200, 'one that broke may begin again')
    t.ok(await eventually(() => existsSync(join(stateDir, 'used-links', `${once}-1`))))
    const size = whole.body.length
    t.ok(size > TAIL_BYTES + 10_000)
    const page = path.replace('download', 'progress')
    for (const [at, headers] of [[path, {}], [page, {}], [path, { range: 'bytes=0-', 'if-range': etag }], [path, { range: `bytes=${size - TAIL_BYTES - 1_000}-`, 'if-range': etag }]] as const) {
      t.match(await get(mkiso, at, headers), { status: 410, code: 'LINK_USED' }, JSON.stringify(headers))
    }
    const end = await get(mkiso, path, { range: `bytes=${size - 1_000}-`, 'if-range': etag })
    t.equal(end.status, 206, 'the end of it may have been lost on its way')
    t.ok(end.body.equals(whole.body.subarray(size - 1_000)))

    const another = await service(t, here.pacs, await freePort(), settings)
    t.match(await get(another, path), { status: 410, code: 'LINK_USED' }, 'a service that was started again knows it')
  })

  t.test('a link that is good once, after a download that broke', async t => {
    const path = link('/api/iso/download', CT, inSeconds(600), randomBytes(16).toString('hex'))
    const broken = await request(mkiso.url + path)
    const etag = String(broken.headers['etag'])
    broken.body.on('error', () => {})
    broken.body.destroy()
    t.ok(await eventually(() => mkiso.app.activities.running.length === 0))
    const rest = await get(mkiso, path, { range: 'bytes=5000-', 'if-range': etag })
    t.equal(rest.status, 206)
    t.ok(await eventually(() => mkiso.app.activities.running.length === 0))
    t.match(await get(mkiso, path), { status: 410, code: 'LINK_USED' })
  })

  t.test('a link that is good once is not good for two at the same time', async t => {
    const path = link('/api/iso/download', CT, inSeconds(600), randomBytes(16).toString('hex'))
    const port = await freePort()
    const way = await startNarrowWay(t, port, Number(new URL(mkiso.url).port), 1_000_000)
    const slow = await request(`http://127.0.0.1:${port}${path}`)
    const cut = slow.body.arrayBuffer().then(() => 'whole', () => 'cut')
    t.ok(await eventually(() => mkiso.app.activities.running.some(({ sentBytes }) => sentBytes > 0)))
    t.equal((await get(mkiso, path)).status, 200, 'who comes last has it')
    way.open()
    t.equal(await cut, 'cut')
    t.match(await get(mkiso, path), { status: 410 })
  })
})

t.test('used links are forgotten when they would have expired anyway', async t => {
  const folder = join(temporaryFolder(t), 'used-links')
  const [old, young] = ['a'.repeat(32), 'b'.repeat(32)]
  const used = new UsedLinks(folder)
  await used.tidyUp()
  await used.use(old, 1, 1_000)
  await used.use(young, 2, 3_000)
  await used.tidyUp(2_000)
  t.strictSame(readdirSync(folder), [`${young}-2`])
  const again = new UsedLinks(folder)
  t.ok(again.isUsed(young, 2))
  t.notOk(again.isUsed(young, 1), 'another disc of the set')
  t.notOk(again.isUsed(old, 1))
})
