/** Languages of the pages, errors for people and for programs, and discs that are prepared for a page. */
import { createHmac } from 'node:crypto'
import t from 'tap'
import { request } from 'undici'
import { Activities } from '../../src/work/activities.ts'
import { Preparations } from '../../src/work/preparations.ts'
import type { OpenDisc } from '../../src/disc/discs.ts'
import { loadLanguage } from '../../src/language/language.ts'
import { ERRORS, errorTexts, MkisoError } from '../../src/errors.ts'
import { silentLog } from '../../src/process.ts'
import { eventually } from '../eventually.ts'
import { chooseLanguage } from '../../src/http/screens/choose-language.ts'
import { freePort } from '../../demo/ports.ts'
import { service } from '../world.ts'

const SITE = { language: 'en', language_dir: '' }

t.test('the language: of the address, of the browser, of the site', async t => {
  const code = (site: string, asked: string | undefined, accept: string | undefined): string => chooseLanguage({ ...SITE, language: site }, asked, accept).code
  t.equal(code('en', undefined, undefined), 'en')
  t.equal(code('id', undefined, undefined), 'id')
  t.equal(code('id', undefined, 'en-GB,en;q=0.9'), 'en')
  t.equal(code('id', undefined, 'fr-FR,en;q=0.9'), 'en', 'the best liked of those that there are')
  t.equal(code('en', undefined, 'fr,id;q=0.9'), 'id')
  t.equal(code('id', undefined, 'fr'), 'id')
  t.equal(code('id', undefined, 'id;q=0,en-GB;q=0.1'), 'en', 'not one that is refused')
  t.equal(code('en', 'id', 'en'), 'id')
  t.equal(code('en', 'xx', 'de'), 'en')
})

t.test('every sentence and every word is translated', async t => {
  const [english, indonesian] = [loadLanguage('en', ''), loadLanguage('id', '')]
  for (const key of Object.keys(errorTexts())) t.not(indonesian.say(key), english.say(key), key)
})

t.test('an error: a page for a person, JSON for a program, from one table', async t => {
  const mkiso = await service(t, { aeTitle: 'NOBODY', host: '127.0.0.1', port: await freePort() }, await freePort())
  const ask = async (accept: string | undefined, path = '/api/iso/download?accession_number=*', language = 'en'): Promise<{ status: number, type: string, text: string }> => {
    const answer = await request(mkiso.url + path, { headers: { ...(accept === undefined ? {} : { accept }), 'accept-language': language, 'x-request-id': 'the-id' } })
    return { status: answer.statusCode, type: String(answer.headers['content-type']), text: await answer.body.text() }
  }
  const browser = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'
  const page = await ask(browser)
  t.match(page, { status: 400, type: /^text\/html/ })
  for (const text of [ERRORS.INVALID_ACCESSION_NUMBER.sentence, ERRORS.INVALID_ACCESSION_NUMBER.advice, 'the-id']) t.match(page.text, text)
  t.match((await ask(browser, undefined, 'id')).text, 'Nomor aksesi pada tautan tidak benar.')
  t.match((await ask(browser, '/download?accession_number=*')).text, ERRORS.INVALID_ACCESSION_NUMBER.sentence, 'the page itself')
  t.match((await ask(browser, '/nowhere?lang=id')).text, 'Halaman ini tidak ada.')
  const injected = await ask(browser, '/download?accession_number=X&lang=id&x="><script>alert(1)</script>')
  t.notMatch(injected.text, '<script>alert')
  for (const accept of [undefined, '*/*', 'application/json']) {
    const program = await ask(accept)
    t.match(program, { status: 400, type: /^application\/json/ })
    t.match(JSON.parse(program.text), { error: 'invalid accession_number', code: 'INVALID_ACCESSION_NUMBER', request_id: 'the-id' })
  }
})

t.test('a link that the HIS has signed opens the page of its download, and no other', async t => {
  const secret = 'a secret of thirty-two characters or more'
  const mkiso = await service(t, { aeTitle: 'NOBODY', host: '127.0.0.1', port: await freePort() }, await freePort(), { auth: { enabled: true, api_key: 'the-key', signed_links: { secret } } })
  const expires = String(Math.floor(Date.now() / 1_000) + 600)
  const signed = (path: string, list: string): string => `accession_number=${list}&expires=${expires}&signature=${createHmac('sha256', secret).update([path, list, expires].join('\n')).digest('hex')}`
  for (const [path, list] of [['/api/iso/download', 'X'], ['/api/iso/download-multiple', 'X,Y']] as const) {
    const query = signed(path, list)
    const page = await mkiso.get(`/download?${query}`)
    t.equal(page.status, 200)
    t.match(page.body.toString(), `data-progress="/api/iso/progress?${query.replaceAll('&', '&amp;')}"`, 'the page hands the signature on')
    const progress = await mkiso.get(`/api/iso/progress?${query}`)
    t.equal(progress.status, 200)
    const last = progress.body.toString().trim().split('\n\n').at(-1)?.replace('data: ', '') ?? ''
    t.match(JSON.parse(last), { outcome: 'failed', error: { code: list === 'X' ? 'PACS_UNREACHABLE' : /./ } })
    t.equal((await mkiso.get(`/api/iso/progress?${query.replace('=X', '=Z')}`)).status, 401)
    t.equal((await mkiso.get(`/status/state?${query}`)).status, 401, 'it makes nobody an operator')
  }
})

t.test('who only looks on does not hold up the end of the service', async t => {
  const mkiso = await service(t, { aeTitle: 'NOBODY', host: '127.0.0.1', port: await freePort() }, await freePort())
  const events = await request(`${mkiso.url}/status/events`)
  const text = events.body.text()
  await mkiso.app.close()
  t.match(await text, /^data: \{"started_at"/, 'the stream has ended')
  t.match(mkiso.log.find(({ msg }) => msg === 'shutting down'), { active: 0 })
})

t.test('a disc for a page', async t => {
  const settings = { requestId: 'r', caller: { address: '127.0.0.1', credential: undefined, user: undefined }, accessionNumbers: ['A'], format: 'iso' as const, disc: undefined, set: undefined, linkOf: () => '', log: silentLog }
  const make = (open: (signal: AbortSignal) => Promise<OpenDisc>) => {
    const activities = new Activities()
    const preparations = new Preparations({
      discs: { open: async ({ signal }) => await open(signal) }, activities, toMkisoError: error => error instanceof MkisoError ? error : new MkisoError('INTERNAL'), check: async () => async () => {}, lingerMs: 20
    })
    return { activities, preparations }
  }
  const never = async (signal: AbortSignal): Promise<OpenDisc> => await new Promise((_resolve, reject) => { signal.addEventListener('abort', () => { reject(signal.reason) }) })
  let closed = 0
  const made = async (): Promise<OpenDisc> => ({ image: { sizeBytes: 7, segments: [] }, discs: 1, close: () => { closed++ } }) as unknown as OpenDisc

  t.test('a page that is loaded again finds its own; one that stays away gives it up', async t => {
    const { activities, preparations } = make(never)
    const first = preparations.join(undefined, settings)
    const leave = first.follow()
    leave()
    const again = preparations.join(first.activity.id, settings)
    t.equal(again, first)
    const leaveAgain = again.follow()
    t.not(preparations.join(first.activity.id, { ...settings, accessionNumbers: ['B'] }), first, 'not under another number')
    t.equal(activities.running.length, 2)
    leaveAgain()
    t.ok(await eventually(() => first.activity.outcome !== undefined))
    t.match(first.activity.outcome, { kind: 'cancelled', by: 'client' })
    t.equal(first.activity.signal.aborted, true)
  })

  t.test('its download goes on with the same activity, once; the disc is held until that ends', async t => {
    const { preparations } = make(made)
    const preparation = preparations.join(undefined, settings)
    const { activity } = preparation
    preparation.follow()
    t.ok(await eventually(() => activity.phase === 'ready'))
    t.equal(preparations.take(activity.id, { accessionNumbers: ['B'], disc: undefined, format: 'iso' }), undefined)
    t.equal(preparations.take(activity.id, { accessionNumbers: ['A'], disc: undefined, format: 'iso', choice: { series: undefined, modalities: ['CT'] } }), undefined, 'nor with a part')
    t.equal(preparations.take(activity.id, { accessionNumbers: ['A'], disc: undefined, format: 'iso' }), activity)
    t.equal(preparations.take(activity.id, { accessionNumbers: ['A'], disc: undefined, format: 'iso' }), undefined)
    t.equal(closed, 0)
    activity.end({ kind: 'success' })
    t.equal(closed, 1)
    t.notOk(preparations.cancel(activity.id, ['A']), 'nothing is left to cancel')
  })

  t.test('a page whose connection broke while its disc went out is told so, and has no second one made', async t => {
    const { activities, preparations } = make(made)
    const { activity, follow } = preparations.join(undefined, settings)
    const leave = follow()
    t.ok(await eventually(() => activity.phase === 'ready'))
    preparations.take(activity.id, { accessionNumbers: ['A'], disc: undefined, format: 'iso' })
    leave()
    activity.end({ kind: 'success' })
    t.equal(preparations.join(activity.id, settings).activity, activity)
    t.equal(activities.running.length, 0)
    t.not(preparations.join(activity.id, { ...settings, format: 'zip' }).activity, activity, 'not for another form')
    t.not(preparations.join(undefined, settings).activity, activity, 'nor for who comes anew')
    const left = preparations.join(undefined, settings)
    left.activity.leave()
    t.not(preparations.join(left.activity.id, settings).activity, left.activity, 'what was given up begins anew')
    preparations.close()
  })

  t.test('the service ends', async t => {
    const { activities, preparations } = make(never)
    const { activity } = preparations.join(undefined, settings)
    preparations.close()
    t.match(activity.outcome, { kind: 'failed', code: 'SHUTTING_DOWN' })
    t.equal(activities.running.length, 0)
  })
})
