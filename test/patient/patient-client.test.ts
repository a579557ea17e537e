/** A HIS as people write it, over real HTTP: each form that says the same is understood, each fault is named for what it is. */
import { readFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { PATIENT_API_FAULTS, PATIENT_API_FORMS, startPatientApi, type HisPatient } from '../../demo/patient-api.ts'
import { parseConfig } from '../../src/config/load.ts'
import { MkisoError } from '../../src/errors.ts'
import { noAnswerSentence, noAnswerShort } from '../../src/no-answer.ts'
import { understand } from '../../src/patient/answer.ts'
import { createPatientClient } from '../../src/patient/patient-client.ts'
import { silentLog } from '../../src/process.ts'
import { authority } from '../certificates.ts'
import { programsOf, temporaryFolder } from '../world.ts'

const asking = { signal: new AbortController().signal, log: silentLog }

async function hisWith (t: Pick<Test, 'teardown'>, patients: Record<string, HisPatient>, settings: Record<string, unknown> = {}) {
  const api = await startPatientApi(new Map(Object.entries(patients)))
  const yaml = JSON.stringify({ patient_api: { base_url: api.baseUrl, token: 'secret', timeout: '30s', retries: 0, ...settings } })
  const client = createPatientClient(parseConfig(yaml, 'test.yaml', { env: {} }).patient_api)
  t.teardown(async () => { await client.close(); await api.close() })
  return { api, client }
}

t.test('every form that says the same', async t => {
  const { api, client } = await hisWith(t, { A1: { name: 'JOSÉ MUÑOZ', medrecId: '00012345' }, A2: { name: 'BUDI', medrecId: 12345 }, A3: { name: 'SITI', medrecId: null }, 7: 'AGUS' })
  for (const mode of ['ok', ...PATIENT_API_FORMS] as const) {
    api.mode = mode
    const record = await client.byAccession('A1', asking)
    t.match(record, { accession_number: 'A1', patient_name: 'JOSÉ MUÑOZ', medrec_id: '00012345' }, mode)
    t.equal((await client.byAccession('A2', asking)).medrec_id, '12345', `${mode}: a number is its text`)
    t.equal((await client.byAccession('A3', asking)).medrec_id, undefined, `${mode}: null is not there`)
    await t.rejects(client.byAccession('A9', asking), { code: 'ACCESSION_UNKNOWN' }, `${mode}: not known`)
    t.equal(await client.probe(asking.signal), undefined, `${mode}: the probe is content`)
  }
  t.ok(api.authorizations.every(header => header === 'Bearer secret'))
})

t.test('every fault is named for what it is', async t => {
  const patient = { A1: 'BUDI SANTOSO' }
  const answering = await hisWith(t, patient)
  const hanging = await hisWith(t, patient, { timeout: '400ms' })
  const wanted: Record<typeof PATIENT_API_FAULTS[number], RegExp> = {
    error: /answered 500/, hang: /no answer in time/, nonsense: /200 with something that is no JSON; is patient_api\.base_url right/, 'another-patient': /another accession number/,
    'html-404': /404 with something that is no JSON; is patient_api\.base_url right/, 'server-404': /404, and not in the words of the interface/, 'too-long': /longer than 64 KiB/,
    bomb: /longer than 64 KiB/, 'redirect-elsewhere': /redirects to another address/, 'redirect-circle': /redirects in a circle/, denied: /403; is patient_api\.token right/,
    nameless: /patient_name is missing or no text/, list: /it is no object/
  }
  for (const mode of PATIENT_API_FAULTS) {
    // only silence is waited out: on a busy machine an answer may take longer than the shortest timeout
    const { api, client } = mode === 'hang' ? hanging : answering
    api.mode = mode
    const error: unknown = await client.byAccession('A1', asking).catch((error: Error) => error)
    t.match(error, { code: 'PATIENT_API_UNAVAILABLE', detail: wanted[mode] }, mode)
    if (mode !== 'redirect-circle' && mode !== 'redirect-elsewhere') t.equal(error instanceof MkisoError && error.message.includes('BUDI'), false)
    t.match(await client.probe(AbortSignal.timeout(mode === 'hang' ? 500 : 30_000)) ?? 'content', mode === 'hang' ? /time/ : wanted[mode], `${mode}: health says the same`)
  }
})

t.test('nobody answers: the administrator reads where and what to check, who clicks reads what it is', async t => {
  const { his } = await authority(programsOf(t), join(temporaryFolder(t), 'ca'), ['his'])
  if (his === undefined) throw new Error('no certificate')
  const listen = async (server: Server): Promise<number> => {
    await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
    t.teardown(() => { server.close() })
    return (server.address() as AddressInfo).port
  }
  const quiet = (socket: Socket): void => { socket.on('error', () => {}) }
  const tls = await listen(createTlsServer({ key: readFileSync(his.key), cert: readFileSync(his.cert) }, quiet).on('tlsClientError', () => {}))
  const mute = await listen(createServer(socket => { quiet(socket); socket.once('data', () => { socket.destroy() }) }))
  const mail = await listen(createServer(socket => { quiet(socket); socket.end('220 mail.example ESMTP\r\n') }))
  const cases: Array<[string, RegExp, RegExp]> = [
    // RFC 2606: a name that nobody has
    ['http://his-server.invalid/api', /^there is no host his-server\.invalid; check patient_api\.base_url$/, /^there is no host of this name$/],
    [`https://127.0.0.1:${tls}/api`, /^the certificate of 127\.0\.0\.1 is from nobody .*; set NODE_EXTRA_CA_CERTS/, /^its certificate is not trusted$/],
    [`http://127.0.0.1:${mute}/api`, new RegExp(`^127\\.0\\.0\\.1:${mute} closed the connection .*https there\\?`), /^it closed the connection/],
    [`http://127.0.0.1:${mail}/api`, /does not speak HTTP \(HPE_.*is it https there/, /^it does not speak HTTP$/],
    [`https://127.0.0.1:${mail}/api`, /does not speak https \(.*is it http there/, /^it does not speak https$/],
    ['http://127.0.0.1:9/api', /^connection refused, nothing listens at 127\.0\.0\.1:9; check the port in patient_api\.base_url$/, /^connection refused$/]
  ]
  for (const [baseUrl, sentence, short] of cases) {
    const client = createPatientClient(parseConfig(JSON.stringify({ patient_api: { base_url: baseUrl, retries: 0, timeout: '5s' } }), 'test.yaml', { env: {} }).patient_api)
    t.match(await client.probe(AbortSignal.timeout(10_000)), sentence, baseUrl)
    await t.rejects(client.byAccession('A1', asking), { code: 'PATIENT_API_UNAVAILABLE', detail: short }, baseUrl)
    await client.close()
  }
  for (const code of ['EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID', 'ERR_TLS_CERT_ALTNAME_INVALID', 'ETIMEDOUT']) {
    t.match(noAnswerSentence(code, 'https://his.example/api', 'patient_api.base_url'), /his\.example/, `${code} names the host`)
    t.notMatch(noAnswerShort(code), /his\.example|E[A-Z]{4}/, code)
  }
})

t.test('the token does not follow a redirect to another host', async t => {
  const { api, client } = await hisWith(t, { A1: 'BUDI SANTOSO' })
  api.mode = 'redirect-elsewhere'
  await t.rejects(client.byAccession('A1', asking))
  t.equal(api.requests.length, 1, 'the other host was not asked')
})

t.test('a list is asked for number by number, and a HIS that is not required stops nothing', async t => {
  const numbers = Array.from({ length: 30 }, (_, index) => `N${index}`)
  const strict = await hisWith(t, Object.fromEntries(numbers.map(number => [number, 'BUDI'])))
  t.strictSame((await strict.client.byAccessions(numbers, asking)).map(({ accession_number: number }) => number), numbers)
  await t.rejects(strict.client.byAccessions(['N1', 'X'], asking), { code: 'ACCESSION_UNKNOWN' })
  const lenient = await hisWith(t, { N1: 'BUDI' }, { required: false })
  t.strictSame((await lenient.client.byAccessions(['N1', 'X'], asking)).length, 1)
  t.equal(await strict.client.ifAnswered('X', 100, asking), undefined)
  strict.api.mode = 'hang'
  t.equal(await strict.client.ifAnswered('N1', 50, asking), undefined)
  strict.api.mode = 'ok'
  strict.api.requests.length = 0
  t.equal(await strict.client.ifAnswered('N1', 50, asking), undefined, 'one that did not answer is left alone for a while')
  t.strictSame(strict.api.requests, [])
  t.equal((await strict.client.byAccession('N1', asking)).patient_name, 'BUDI', 'by those that do without')
  strict.api.mode = 'error'
  strict.api.requests.length = 0
  await t.rejects(strict.client.byAccessions(numbers, asking), { code: 'PATIENT_API_UNAVAILABLE' })
  t.ok(strict.api.requests.length < numbers.length, 'a HIS that is down is not asked for the rest of the list')
  lenient.api.mode = 'hang'
  const leaving = new AbortController()
  const left = lenient.client.ifAnswered('N1', 5_000, { ...asking, signal: leaving.signal })
  leaving.abort(new Error('gone'))
  await t.rejects(left, { message: 'gone' })
})

t.test('texts that are not what they say', async t => {
  const answer = (body: Buffer, contentType = 'application/json', contentEncoding = '') => understand({ status: 200, contentType, contentEncoding, body }, '7')
  const latin = Buffer.from('{"accession_number": 7, "patient_name": "MU\xd1OZ"}', 'latin1')
  t.match(answer(latin), { kind: 'record', record: { accession_number: '7', patient_name: 'MUÑOZ' } }, 'Latin 1 that nobody declared')
  t.match(answer(Buffer.from('{"accession_number": "7", "patient_name": "MUÑOZ"}'), 'application/json; charset=nonsense'), { record: { patient_name: 'MUÑOZ' } })
  t.match(answer(Buffer.from('{"accession_number": "7", "patient_name": "山田"}'), 'application/json; charset="UTF-8"'), { record: { patient_name: '山田' } })
  t.match(answer(Buffer.from('{"accession_number": "7", "patient_name": "  "}')), { kind: 'fault', reason: /patient_name is empty/ })
  t.match(answer(Buffer.from('cut off'), '', 'gzip'), { kind: 'fault' })
  t.match(answer(Buffer.alloc(0), '', 'deflate'), { kind: 'fault' })
  t.match(answer(Buffer.from('null')), { kind: 'fault', reason: /no object/ })
})
