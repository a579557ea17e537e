/** Prints as jobs over HTTP: asked for without waiting, followed, cancelled, asked for once more; and who may ask. */
import t, { type Test } from 'tap'
import { request } from 'undici'
import type { PrintState } from '../../src/http/print-state.ts'
import { askerOf } from '../../src/http/same-origin.ts'
import { eventually } from '../eventually.ts'
import { faultStudy } from '../faults/harness.ts'
import { nothingLeft, service, world, type Service } from '../world.ts'
import { startRobot } from './robot.ts'

const PRINT = '/api/iso/print?accession_number='
/** Each test has its own, so that it can run alone. */
const NUMBERS = ['JOB.1', 'JOB.2', 'JOB.3', 'JOB.4', 'JOB.5', 'JOB.6', 'JOB.7', 'JOB.8', 'AGAIN.1', 'OLD.1', 'ENDED.1']
const ASYNC = { prefer: 'respond-async' }

async function ask (mkiso: Service, method: 'GET' | 'POST' | 'DELETE', path: string, headers: Record<string, string> = {}) {
  const answer = await request(mkiso.url + path, { method, headers, headersTimeout: 60_000 })
  const text = await answer.body.text()
  return { status: answer.statusCode, headers: answer.headers, text, json: (): Record<string, unknown> => JSON.parse(text) as Record<string, unknown> }
}

t.test('prints over HTTP', async t => {
  const here = await world(t, 'dcmqrscp', { studies: NUMBERS.map(accessionNumber => faultStudy(accessionNumber)) })
  const robot = await startRobot(t)
  const mkiso = await service(t, here.pacs, here.receiverPort, {
    cd_publisher: { host: '127.0.0.1', port: robot.port }, server: { trusted_origins: ['https://his.example/'] }, auth: { enabled: true, api_key: 'site', signed_links: { secret: 's'.repeat(32) } }
  })
  const KEY = { 'x-api-key': 'site' }
  const discs = (accessionNumber: string): number => robot.discsOf(here.of(accessionNumber)[0]?.studyInstanceUid ?? '').length
  const ended = async (path: string): Promise<PrintState> => {
    let state: PrintState | undefined
    await eventually(async () => {
      state = (await ask(mkiso, 'GET', path, KEY)).json() as unknown as PrintState
      return !['queued', 'fetching', 'sending'].includes(state.state)
    }, 20)
    if (state === undefined) throw new Error('no state')
    return state
  }

  const print = async (accessionNumber: string): Promise<void> => {
    t.match((await ask(mkiso, 'POST', `${PRINT}${accessionNumber}`, KEY)).json(), { status: 'success', files_sent: 3 }, 'printed before')
  }

  await t.test('202 with the link of the job, its state and its events', async t => {
    const answer = await ask(mkiso, 'POST', `${PRINT}JOB.1`, { ...KEY, ...ASYNC })
    t.equal(answer.status, 202)
    t.equal(answer.headers['preference-applied'], 'respond-async')
    const job = answer.json()
    const location = String(answer.headers['location'])
    t.equal(location, `/api/iso/print/jobs/${String(job['id'])}?accession_number=JOB.1`)
    t.match(job, { accession_numbers: ['JOB.1'], asked_by: { key: 'api_key' }, destination: `127.0.0.1:${robot.port}`, request_id: answer.headers['x-request-id'] })
    const events = await ask(mkiso, 'GET', location.replace('?', '/events?'), KEY)
    t.match(events.headers['content-type'], /^text\/event-stream/)
    const states = events.text.split('\n\n').filter(line => line.startsWith('data: ')).map(line => JSON.parse(line.slice(6)) as PrintState)
    t.match(states.at(-1), { state: 'sent', sent_images: 3, images_expected: 3, patient_name: 'FAULT PROVOKED' })
    t.strictSame(await ended(location), states.at(-1))
    t.equal(discs('JOB.1'), 1)
    t.ok(await eventually(() => mkiso.app.activities.finished.some(({ id }) => id === job['id'])), 'the activity ends after the job')
    t.match(mkiso.app.activities.finished.find(({ id }) => id === job['id']), { kind: 'print', outcome: { kind: 'success' }, sentImages: 3 })
    t.match((await ask(mkiso, 'GET', '/api/iso/print/jobs?accession_number=JOB.1', KEY)).json(), { jobs: [{ id: job['id'], state: 'sent' }] })
    t.strictSame(await nothingLeft(mkiso), [])
  })

  await t.test('again: a program gets 409 with the job, and says again=true', async t => {
    await print('AGAIN.1')
    for (const [method, headers] of [['GET', {}], ['POST', {}], ['POST', ASYNC]] as const) {
      const answer = await ask(mkiso, method, `${PRINT}AGAIN.1`, { ...KEY, ...headers })
      t.equal(answer.status, 409)
      t.match(answer.json(), { code: 'PRINTED_ALREADY', detail: /^sent at .* by api_key, 3 images/, job: { state: 'sent', sent_images: 3, asked_by: { key: 'api_key' } } })
    }
    t.equal(discs('AGAIN.1'), 1)
    t.match((await ask(mkiso, 'GET', `${PRINT}AGAIN.1&again=true`, KEY)).json(), { status: 'success', files_sent: 3 })
    t.equal(discs('AGAIN.1'), 2)
  })

  await t.test('a person with the old link is asked', async t => {
    await print('OLD.1')
    const page = await ask(mkiso, 'GET', `${PRINT}OLD.1&lang=en`, { ...KEY, accept: 'text/html' })
    t.equal(page.status, 409)
    t.match(page.text, /Send these studies once more\?[\s\S]*by api_key: 3 images/)
    t.match(page.text, /action="\/api\/iso\/print\?accession_number=OLD\.1&amp;lang=en&amp;again=true"/)
    t.match(page.text, /href="\/print\?accession_number=OLD.1&amp;lang=id"/, 'the other language is not the old link')
    t.equal(discs('OLD.1'), 1)
  })

  await t.test('Idempotency-Key', async t => {
    const headers = { ...KEY, 'idempotency-key': 'his-4711' }
    const [one, two] = await Promise.all([ask(mkiso, 'POST', `${PRINT}JOB.2`, { ...headers, ...ASYNC }), ask(mkiso, 'POST', `${PRINT}JOB.2`, { ...headers, ...ASYNC })])
    t.equal(one.json()['id'], two.json()['id'])
    await ended(String(one.headers['location']))
    t.equal((await ask(mkiso, 'POST', `${PRINT}JOB.2`, { ...headers, ...ASYNC })).json()['id'], one.json()['id'])
    t.match((await ask(mkiso, 'POST', `${PRINT}JOB.2`, headers)).json(), { status: 'success', files_sent: 3 })
    const other = await ask(mkiso, 'POST', `${PRINT}JOB.3`, headers)
    t.equal(other.status, 422)
    t.match(other.json(), { code: 'IDEMPOTENCY_KEY_REUSED' })
    t.strictSame([discs('JOB.2'), discs('JOB.3')], [1, 0])
    t.equal((await ask(mkiso, 'POST', `${PRINT}JOB.3`, { ...KEY, 'idempotency-key': 'x'.repeat(256) })).status, 400)
  })

  await t.test('cancelled, as long as the robot has nothing', async t => {
    await robot.off()
    const { headers, text } = await ask(mkiso, 'POST', `${PRINT}JOB.4`, { ...KEY, ...ASYNC })
    t.match(JSON.parse(text), { state: /queued|fetching/ })
    const location = String(headers['location'])
    const waits = await eventually(async () => (await ask(mkiso, 'GET', location, KEY)).json()['waits_for'] === 'robot', 20)
    t.ok(waits, 'it waits for the robot')
    const joined = ask(mkiso, 'GET', `${PRINT}JOB.4`, { ...KEY, accept: 'text/event-stream' })
    const plain = ask(mkiso, 'GET', `${PRINT}JOB.4`, KEY)
    t.ok(await eventually(() => (mkiso.app.prints.get(JSON.parse(text).id)?.followers ?? 0) >= 3), 'two more wait')
    t.equal((await ask(mkiso, 'DELETE', location, { ...KEY, origin: 'http://evil.example' })).status, 403)
    t.equal((await ask(mkiso, 'DELETE', location, KEY)).status, 204)
    t.match(await ended(location), { state: 'cancelled', cancelled_by: 'client' })
    t.match((await joined).text, /"code":"CANCELLED"/)
    t.equal((await plain).status, 503)
    t.strictSame(mkiso.log.filter(({ code, level }) => code === 'CANCELLED' && Number(level) >= 50), [], 'what somebody wanted is no error in the log')
    t.equal((await ask(mkiso, 'DELETE', location, KEY)).status, 404)
    await robot.on()
    t.equal((await ask(mkiso, 'POST', `${PRINT}JOB.4`, KEY)).status, 200, 'and asked for anew without a question')
    t.equal(discs('JOB.4'), 1)
  })

  await t.test('a robot that is off: who waits is told at once, a job goes on', async t => {
    await robot.off()
    const waiting = await ask(mkiso, 'GET', `${PRINT}JOB.5`, KEY)
    t.equal(waiting.status, 502)
    t.match(waiting.json(), { code: 'CD_PUBLISHER_UNREACHABLE', destination: `127.0.0.1:${robot.port}` })
    const { headers } = await ask(mkiso, 'POST', `${PRINT}JOB.5`, { ...KEY, ...ASYNC })
    t.ok(await eventually(async () => (await ask(mkiso, 'GET', String(headers['location']), KEY)).json()['waits_for'] === 'robot', 20))
    await robot.on()
    t.match(await ended(String(headers['location'])), { state: 'sent' })
    t.equal(discs('JOB.5'), 1)
  })

  await t.test('while images go out it cannot be cancelled', async t => {
    robot.hold()
    const { headers } = await ask(mkiso, 'POST', `${PRINT}JOB.6`, { ...KEY, ...ASYNC })
    t.ok(await eventually(() => discs('JOB.6') === 1, 5))
    const refused = await ask(mkiso, 'DELETE', String(headers['location']), KEY)
    t.equal(refused.status, 409)
    t.match(refused.json(), { code: 'PRINT_UNDER_WAY' })
    robot.letGo()
    t.match(await ended(String(headers['location'])), { state: 'sent', sent_images: 3 })
  })

  await t.test('a link that the HIS has signed opens the job of its studies, and no other', async t => {
    const { createHmac } = await import('node:crypto')
    const signed = (list: string): string => {
      const expires = Math.floor(Date.now() / 1_000) + 600
      const signature = createHmac('sha256', 's'.repeat(32)).update(`/api/iso/print\n${list}\n${expires}`).digest('hex')
      return `accession_number=${list}&expires=${expires}&signature=${signature}`
    }
    const answer = await ask(mkiso, 'POST', `/api/iso/print?${signed('JOB.7')}`, { ...ASYNC, origin: 'http://evil.example' })
    t.equal(answer.status, 202, 'a signature is the word of the HIS')
    const location = String(answer.headers['location'])
    t.match(await ask(mkiso, 'GET', location), { status: 200 })
    t.equal((await ask(mkiso, 'GET', location.replace(/\?.*/, ''))).status, 401)
    t.equal((await ask(mkiso, 'GET', location.replace(/\?.*/, `?${signed('JOB.1')}`))).status, 404)
    await ended(location)
  })

  await t.test('nothing to acknowledge, nothing to find', async t => {
    await print('ENDED.1')
    const id = mkiso.app.prints.jobs.find(({ record }) => record.accessionNumbers.includes('ENDED.1'))?.id ?? ''
    t.equal((await ask(mkiso, 'POST', `/api/iso/print/jobs/${id}/acknowledge`, KEY)).status, 404)
    t.equal((await ask(mkiso, 'GET', '/api/iso/print/jobs/3f0c1f9e-6f5b-4d0e-9a52-2b7a4f1d1c11', KEY)).status, 404)
    t.equal((await ask(mkiso, 'GET', `/api/iso/print/jobs/${id}`)).status, 401)
  })

  await t.test('who may ask', async t => {
    const host = new URL(mkiso.url).host
    const NAVIGATION = { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
    const before = robot.images()
    const refused: Array<[string, 'GET' | 'POST', Record<string, string>]> = [
      ['an image on another site', 'GET', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', accept: 'image/avif,*/*' }],
      ['a script of another site', 'GET', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors', origin: 'https://evil.example' }],
      ['another port of this machine', 'POST', { 'sec-fetch-site': 'same-site', origin: 'http://127.0.0.1:1' }],
      ['a form of another site', 'POST', { ...NAVIGATION, 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }],
      ['a form of another site, over HTTP', 'POST', { accept: 'text/html', origin: 'http://evil.example' }],
      ['a page that hides itself', 'POST', { origin: 'null' }],
      ['an image on another site, over HTTP', 'GET', { accept: 'image/avif,*/*', referer: 'http://evil.example/' }],
      ['one that only begins like the HIS', 'POST', { origin: 'https://his.example.evil' }],
      ['a prefetch of another site', 'GET', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-purpose': 'prefetch', accept: '*/*' }],
      ['a prefetch of the HIS', 'GET', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-purpose': 'prefetch', referer: 'https://his.example/', accept: '*/*' }],
      ['a prefetch of our own page', 'GET', { 'sec-fetch-site': 'same-origin', purpose: 'prefetch', accept: '*/*' }],
      ['a prefetch of an old browser', 'GET', { 'x-moz': 'prefetch', accept: '*/*' }]
    ]
    for (const [name, method, headers] of refused) {
      const answer = await ask(mkiso, method, `${PRINT}JOB.8`, { ...KEY, ...headers })
      t.equal(answer.status, 403, name)
      if (headers['accept'] !== 'text/html') t.match(answer.text, /FORBIDDEN_ORIGIN/, name)
    }
    for (const [name, headers] of [
      ['a link on another site, over HTTPS', { ...NAVIGATION, 'sec-fetch-site': 'cross-site' }],
      ['a link on another site, over HTTP', { accept: 'text/html', referer: 'http://his-elsewhere/list' }],
      // Chromium prerenders an address that is being typed, and the links that a page of the HIS recommends (speculation rules)
      ['an address that is only being typed', { ...NAVIGATION, 'sec-fetch-site': 'none', 'sec-purpose': 'prefetch;prerender' }],
      ['a link in the HIS that nobody has clicked on', { ...NAVIGATION, 'sec-fetch-site': 'cross-site', 'sec-purpose': 'prefetch', referer: 'https://his.example/' }]
    ] as const) {
      const answer = await ask(mkiso, 'GET', `${PRINT}JOB.8&lang=en`, { ...KEY, ...headers })
      t.equal(answer.status, 200, name)
      t.match(answer.text, /Send these studies to the disc robot\?/, 'opens the page that asks')
    }
    t.equal(robot.images(), before, 'and nothing was printed')
    const allowed: Array<[string, 'GET' | 'POST', Record<string, string>]> = [
      ['a click in the HIS, whose site is trusted', 'GET', { ...NAVIGATION, 'sec-fetch-site': 'cross-site', referer: 'https://his.example/' }],
      ['a script of the HIS', 'POST', { 'sec-fetch-site': 'cross-site', origin: 'https://his.example' }],
      ['our own page', 'POST', { 'sec-fetch-site': 'same-origin', origin: mkiso.url }],
      ['our own page, over HTTP', 'POST', { origin: `http://${host}` }],
      ['an address that was typed', 'GET', { ...NAVIGATION, 'sec-fetch-site': 'none' }],
      ['a program', 'GET', {}]
    ]
    for (const [name, method, headers] of allowed) t.equal((await ask(mkiso, method, `${PRINT}JOB.8&again=true`, { ...KEY, ...headers })).status, 200, name)
  })
})

t.test('kill -9 in the middle: page, health, metrics and log say so until somebody has looked', async t => {
  await unknownPrint(t)
})

async function unknownPrint (t: Test): Promise<void> {
  const { serve } = await import('../served.ts')
  const { temporaryFolder } = await import('../world.ts')
  const here = await world(t, 'dcmqrscp', { studies: [faultStudy('JOB.1')] })
  const robot = await startRobot(t)
  robot.hold()
  const folder = temporaryFolder(t, 'unknown')
  const settings = { cd_publisher: { host: '127.0.0.1', port: robot.port } }
  const first = await serve(here.programs, folder, here.pacs, here.receiverPort, settings)
  const lost = fetch(`${first.url}${PRINT}JOB.1`).then(async answer => await answer.text(), (error: Error) => error.name)
  t.ok(await eventually(() => robot.images() === 1, 5))
  process.kill(first.pid, 'SIGKILL')
  t.equal(await lost, 'TypeError')
  robot.letGo()
  const second = await serve(here.programs, folder, here.pacs, here.receiverPort, settings)
  const json = async (path: string, method = 'GET'): Promise<Record<string, unknown>> => await (await fetch(second.url + path, { method })).json() as Record<string, unknown>
  const { jobs } = await json('/api/iso/print/jobs?accession_number=JOB.1') as { jobs: PrintState[] }
  const id = jobs[0]?.id ?? ''
  t.match(jobs, [{ state: 'unknown', sent_images: 0, images_expected: 3, error: { code: 'PRINT_UNKNOWN' } }])
  const sentence = new RegExp(`look at the robot \\(127\\.0\\.0\\.1:${robot.port}\\): job ${id} of \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d`)
  t.match(await json('/api/health'), { status: 'degraded', checks: { prints: { status: 'warning', detail: sentence } } })
  t.ok(second.lines.some(line => sentence.test(line) && /"level":50/.test(line)), 'an error in the log')
  t.match(await (await fetch(`${second.url}/metrics`)).text(), /^mkiso_prints_unknown 1$/m)
  t.match(await json('/status/state'), { unknown_prints: [{ id, state: 'unknown' }], finished: [{ id, outcome: 'failed', error: { code: 'PRINT_UNKNOWN' } }] })
  t.match(await json(`${PRINT}JOB.1`), { code: 'PRINTED_ALREADY', detail: /not known how much/, job: { id } })
  t.equal(robot.discs().length, 1, 'it was not sent again')
  t.match(await json(`/api/iso/print/jobs/${id}/acknowledge`, 'POST'), { state: 'unknown', acknowledged: { by: { address: '127.0.0.1' } } })
  t.ok(await eventually(async () => JSON.stringify(await json('/api/health')).includes('"prints":{"status":"ok"}'), 100), 'health is quiet')
  t.match(await (await fetch(`${second.url}/metrics`)).text(), /^mkiso_prints_unknown 0$/m)
  t.match(await json(`${PRINT}JOB.1&again=true`), { status: 'success', files_sent: 3 })
  t.equal(robot.discs().length, 2)
}

t.test('whose page asks', async t => {
  const host = 'mkiso.example'
  for (const [headers, who] of [
    [{}, 'unknown'], [{ referer: 'not an address' }, 'unknown'], [{ origin: 'https://mkiso.example:8443' }, 'stranger'], [{ origin: 'https://mkiso.example' }, 'ourselves'],
    [{ referer: 'http://mkiso.example/print?accession_number=X' }, 'ourselves'], [{ 'sec-fetch-site': 'same-site' }, 'stranger'], [{ origin: 'https://his.example', 'sec-fetch-site': 'cross-site' }, 'trusted']
  ] as const) t.equal(askerOf({ host, ...headers }, ['https://his.example']), who, JSON.stringify(headers))
})
