/** The log: the original design's points with their fields, and the request id in each line of a request. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { demoStudies } from '../../demo/phantoms/studies.ts'
import { startPublisher } from '../../demo/publisher.ts'
import { freePort, freePortRange } from '../../demo/ports.ts'
import { loggerOf } from '../../src/cli/logger.ts'
import { eventually } from '../eventually.ts'
import { patientApi, service, world, type Service } from '../world.ts'

const CR = 'CR.2024.010'
const CT = 'CT.2024.200'

type Line = Record<string, unknown>

/** Lines about the service as a whole. */
const OF_NO_REQUEST = /^(Server listening at|starting storescp$|shutting down$)/

/** Does something, and gives the lines that it wrote; each has the id of its request. */
async function linesOf (t: Test, mkiso: Service, path: string, requestId = 'from-the-proxy.1'): Promise<{ status: number, lines: Line[] }> {
  const before = mkiso.log.length
  const answer = await fetch(mkiso.url + path, { headers: { 'x-request-id': requestId } })
  await answer.arrayBuffer().catch(() => {})
  await eventually(() => mkiso.log.slice(before).some(({ msg }) => msg === 'request ended'))
  const lines = mkiso.log.slice(before)
  t.ok(lines.length > 1)
  t.strictSame(lines.filter(line => line['request_id'] !== requestId), [], `every line has the request id: ${path}`)
  return { status: answer.status, lines }
}

t.test('log', async t => {
  const numbers = [CR, CT]
  const ports = await freePortRange(2)
  const here = await world(t, 'dcmqrscp', {
    studies: demoStudies().filter(({ accessionNumber }) => numbers.includes(accessionNumber)),
    destinations: [0, 1].map(n => ({ aeTitle: `CDREC${n}`, host: '127.0.0.1', port: ports + n }))
  })
  const { pacs, receiverPort, programs, folder } = here
  const dir = join(folder, 'publisher')
  mkdirSync(dir)
  const publisher = await startPublisher({ programs, dir })
  const point = (lines: Line[], msg: string): Line | undefined => lines.find(line => line['msg'] === msg)
  const publisherSettings = { port: publisher.port, ae_title: publisher.aeTitle }

  t.test('a download', async t => {
    const mkiso = await service(t, pacs, receiverPort)
    t.match(point(mkiso.log, 'starting storescp'), { port: receiverPort, dir: String, pid: Number, ae_title: 'CDRECORD' })
    t.strictSame(mkiso.log.filter(line => line['request_id'] === undefined && !OF_NO_REQUEST.test(String(line['msg']))), [])
    const { status, lines } = await linesOf(t, mkiso, `/api/iso/download?accession_number=${CR}`)
    t.equal(status, 200)
    t.match(point(lines, 'running movescu'), { accession: CR, pacs: 'ABPACS', series: String })
    t.match(point(lines, 'study complete'), { accession: CR, instances: 3, size_bytes: Number, duration_ms: Number })
    t.match(point(lines, 'iso created'), { path: String, size_bytes: Number, duration_ms: Number })
    t.match(point(lines, 'findscu ended'), { exit_code: 0, duration_ms: Number })
    t.match(point(lines, 'movescu ended'), { exit_code: 0, duration_ms: Number })
    t.match(point(lines, 'request ended'), { method: 'GET', route: '/api/iso/download', client: '127.0.0.1', status: 200, complete: true, duration_ms: Number })
    const text = JSON.stringify(mkiso.log)
    const patients = demoStudies().filter(({ accessionNumber }) => numbers.includes(accessionNumber)).map(({ patient }) => patient)
    const names = patients.flatMap(({ patientName }) => patientName.split(/[\^= ]/)).filter(name => name.length > 2)
    t.ok(names.length > 0)
    t.strictSame(names.filter(name => text.includes(name)), [], 'no patient name')
  })

  t.test('a move that fails', async t => {
    const mkiso = await service(t, pacs, await freePort(), { our_ae: { ae_title: 'STRANGER' } })
    const { status, lines } = await linesOf(t, mkiso, `/api/iso/download?accession_number=${CR}`)
    t.equal(status, 502)
    t.match(point(lines, 'movescu failed'), { level: 50, accession: CR, status: '0xA801', exit_code: Number, stderr: /MoveDestinationUnknown|destination/i })
    t.match(point(lines, 'PACS refused the move'), { level: 50, code: 'PACS_REFUSED_MOVE' })
    t.match(point(lines, 'request ended'), { status: 502, code: 'PACS_REFUSED_MOVE' })
  })

  t.test('a PACS that is not there', async t => {
    const mkiso = await service(t, { ...pacs, port: await freePort() }, await freePort())
    const { lines } = await linesOf(t, mkiso, `/api/iso/download?accession_number=${CR}`)
    t.match(point(lines, 'PACS unreachable'), { code: 'PACS_UNREACHABLE', detail: /Connection refused/ })
  })

  t.test('a movescu that dies, a genisoimage that fails', async t => {
    const tool = join(folder, 'dies')
    writeFileSync(tool, '#!/bin/sh\necho "F: out of luck" >&2\nexit 70\n')
    chmodSync(tool, 0o755)
    const dying = await service(t, pacs, await freePort(), { dcmtk: { movescu: tool, findscu: 'findscu' } })
    t.match(point((await linesOf(t, dying, `/api/iso/download?accession_number=${CR}`)).lines, 'movescu failed'), { accession: CR, exit_code: 70, stderr: 'F: out of luck' })
    const failing = await service(t, pacs, await freePort(), { tools: { genisoimage: tool }, pacs: { retrieve: 'get' } })
    const { status, lines } = await linesOf(t, failing, `/api/iso/download?accession_number=${CR}`)
    t.equal(status, 500)
    t.match(point(lines, 'running C-GET'), { accession: CR, pacs: 'ABPACS', series: String })
    t.match(point(lines, 'ISO creation failed'), { code: 'ISO_CREATION_FAILED' })
  })

  t.test('a receiver for each request: its lines have the id too', async t => {
    const mkiso = await service(t, pacs, receiverPort, { our_ae: { ae_title: 'CDREC{n}', base_port: ports, port_range: 2 } })
    const { status, lines } = await linesOf(t, mkiso, `/api/iso/download?accession_number=${CR}`)
    t.equal(status, 200)
    t.match(point(lines, 'starting storescp'), { port: Number, dir: String, pid: Number })
  })

  t.test('a print, and a HIS that is slow', async t => {
    const api = await patientApi(t, { [CR]: 'BUDI SANTOSO' })
    api.mode = 'slow'
    const mkiso = await service(t, pacs, await freePort(), { cd_publisher: publisherSettings, patient_api: { required: true, base_url: api.baseUrl, slow_after: '100ms' }, pacs: { retrieve: 'get' } })
    const { status, lines } = await linesOf(t, mkiso, `/api/iso/print?accession_number=${CR}`)
    t.equal(status, 200)
    t.match(point(lines, 'patient API slow'), { level: 40, accession: CR, latency_ms: Number })
    t.match(point(lines, 'dcmsend ended'), { exit_code: 0, duration_ms: Number, files: 3 })
  })

  t.test('two requests that share a study: each line has the id of one of them', async t => {
    const mkiso = await service(t, pacs, receiverPort)
    const ids = ['first', 'second']
    const before = mkiso.log.length
    await Promise.all(ids.map(async id => { await (await fetch(`${mkiso.url}/api/iso/download?accession_number=${CT}`, { headers: { 'x-request-id': id } })).arrayBuffer() }))
    await eventually(() => mkiso.log.filter(({ msg }) => msg === 'request ended').length === 2)
    t.strictSame(mkiso.log.slice(before).filter(line => !ids.includes(String(line['request_id']))), [])
  })
})

t.test('JSON for programs, lines for people on a terminal', async t => {
  t.match(loggerOf({ level: 'info', pretty: false }), { level: 'info', base: null, transport: undefined })
  t.match(loggerOf({ level: 'info', pretty: true }), { transport: { target: 'pino-pretty' } })
  t.equal(loggerOf({ level: 'silent', pretty: true }), false)
})
