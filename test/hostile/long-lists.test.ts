/** Lists of DICOMweb servers that are never too long for one answer, and have no end: what is read of all pages together has a bound. */
import { createServer } from 'node:http'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import t from 'tap'
import { DicomwebConnection } from '../../src/archive/dicomweb/connection.ts'
import { JsonAnswer, readAnswers } from '../../src/archive/dicomweb/json-answer.ts'
import { MOST_LIST_BYTES, search } from '../../src/archive/dicomweb/search.ts'
import { dicomwebServerOf } from '../../src/archive/dicomweb/server.ts'
import { AssociationLimit } from '../../src/archive/dimse/association-limit.ts'
import { freePort } from '../../demo/ports.ts'
import { parseConfig } from '../../src/config/load.ts'
import { silentLog } from '../../src/process.ts'

const MIB = 1024 ** 2
const PAGE_BYTES = 16 * MIB

t.test('a list whose answers are megabytes, one a page', async t => {
  let pages = 0
  const port = await freePort()
  const padding = 'x'.repeat(PAGE_BYTES)
  const http = createServer((_request, response) => {
    pages++
    response.setHeader('content-type', 'application/dicom+json')
    response.end(JSON.stringify([{ '00080018': { vr: 'UI', Value: [`1.2.${pages}`] }, '00081030': { vr: 'LO', Value: [padding] } }]))
  }).listen(port, '127.0.0.1')
  await once(http, 'listening')
  t.teardown(() => { http.close() })
  const pacs = { host: '127.0.0.1', ae_title: 'WEB', retrieve: 'wado', dicomweb: { url: `http://127.0.0.1:${port}` } }
  const [settings] = parseConfig(JSON.stringify({ iso: { temp_dir: '/tmp' }, pacs }), 'test', { env: {} }).archives
  const connection = new DicomwebConnection(dicomwebServerOf(settings))
  t.teardown(async () => { await connection.close() })
  const limit = new AssociationLimit({ section: 'pacs', associations: 2, moves: 1 })
  await t.rejects(
    search({ connection, limit }, { path: '/studies', query: [], keyOf: answer => answer.text('00080018'), queueTimeoutMs: undefined }, { signal: new AbortController().signal, log: silentLog }),
    { code: 'PACS_REFUSED', detail: /more than 128 MiB for one list/ }
  )
  t.equal(pages, MOST_LIST_BYTES / PAGE_BYTES, 'and nobody asks for more of it')
})

t.test('an answer of millions of objects is none, one of as many values as a study may have is', async t => {
  const pieces = (text: string, times: number): Readable => Readable.from((function * () {
    yield Buffer.from('[{}')
    for (let index = 0; index < times; index++) yield Buffer.from(text)
    yield Buffer.from(']')
  })())
  await t.rejects(readAnswers(pieces(',{}'.repeat(10_000), 1_000), '', 32 * MIB), /more than 2000000 parts/)
  await t.rejects(readAnswers(pieces('['.repeat(10_000), 1_000), '', 32 * MIB), /more than 2000000 parts/, 'within each other')
  const answer = ',{"00080005":{"vr":"CS","Value":["ISO_IR 100"]},"00080018":{"vr":"UI","Value":["1.2.3"]},"0020000D":{"vr":"UI","Value":["1.2.3"]}}'
  const { values, bytes } = await readAnswers(pieces(answer.repeat(100), 1_250), '', 32 * MIB)
  t.equal(values.length, 125_001)
  t.equal(bytes, 125_000 * answer.length + 4)
  t.equal(new JsonAnswer(values.at(-1)).text('00080018'), '1.2.3')
})
