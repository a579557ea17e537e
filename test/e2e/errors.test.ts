/** Each row of the error table, from a real cause; and nothing of the request is left. */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { demoStudies } from '../../demo/phantoms/studies.ts'
import { startPublisher } from '../../demo/publisher.ts'
import { freePort, freePortRange } from '../../demo/ports.ts'
import { processesOfGroup } from '../../src/process.ts'
import { eventually } from '../eventually.ts'
import { startGate } from '../screens/gate.ts'
import { nothingLeft, patientApi, service, temporaryFolder, world, type Answer, type Service } from '../world.ts'

const STUDIES = demoStudies().filter(({ accessionNumber }) => /^(CT\.2024\.200|CR\.2024\.01[01])/.test(accessionNumber))

async function answers (t: Test, mkiso: Service, answer: Answer, status: number, code: string, body: object): Promise<void> {
  t.equal(answer.status, status)
  t.match(answer.json(), { code, request_id: answer.headers['x-request-id'], ...body })
  t.equal(answer.headers['content-disposition'], undefined, 'no file name on an error')
  t.strictSame(await nothingLeft(mkiso), [], 'nothing is left')
}

t.test('the table', async t => {
  const toReceiver = await freePort()
  const here = await world(t, 'dcmqrscp', { studies: STUDIES, destinations: [{ aeTitle: 'GATED', host: '127.0.0.1', port: toReceiver }] })
  const { pacs, receiverPort, programs } = here
  const CR = '/api/iso/download?accession_number=CR.2024.010'

  t.test('404: an accession number without a study', async t => {
    const mkiso = await service(t, pacs, receiverPort)
    await answers(t, mkiso, await mkiso.get('/api/iso/download?accession_number=NONE'), 404, 'NO_DICOM_DATA', { error: 'no DICOM data for accession_number', detail: /NONE/ })
  })

  t.test('502: the PACS is not there', async t => {
    const mkiso = await service(t, { ...pacs, port: await freePort() }, receiverPort)
    await answers(t, mkiso, await mkiso.get(CR), 502, 'PACS_UNREACHABLE', { error: 'PACS unreachable', detail: /ABPACS at 127.0.0.1:\d+: .*Connection refused/ })
  })

  t.test('502: the PACS has another AE title', async t => {
    const mkiso = await service(t, { ...pacs, aeTitle: 'WRONG' }, receiverPort)
    await answers(t, mkiso, await mkiso.get(CR), 502, 'PACS_REFUSED', { detail: /does not have the AE title WRONG: set pacs.ae_title/ })
  })

  t.test('502: the PACS does not know our AE title', async t => {
    const mkiso = await service(t, pacs, receiverPort, { our_ae: { ae_title: 'STRANGER' } })
    await answers(t, mkiso, await mkiso.get(CR), 502, 'PACS_REFUSED_MOVE', { error: 'PACS refused the move', detail: new RegExp(`register AE title STRANGER at this machine, port ${receiverPort}`) })
  })

  t.test('502: the PACS sends to another port than ours', async t => {
    const port = await freePort()
    const mkiso = await service(t, pacs, port)
    await answers(t, mkiso, await mkiso.get(CR), 502, 'PACS_REFUSED_MOVE', { detail: new RegExp(`register AE title CDRECORD at this machine, port ${port}`) })
  })

  t.test('503: the port of the receiver is taken; when it is free again, so are the discs', async t => {
    const squatter = createServer()
    await new Promise<void>(resolve => { squatter.listen(receiverPort, resolve) })
    const mkiso = await service(t, pacs, receiverPort)
    await answers(t, mkiso, await mkiso.get(CR), 503, 'RECEIVER_DOWN', { error: 'DICOM receiver not running', detail: /another program listens there/ })
    const health = await mkiso.get('/api/health')
    t.equal(health.status, 503)
    t.match(health.json(), { status: 'down', checks: { receiver: { status: 'down', detail: /another program listens there/ } } })
    await new Promise(resolve => { squatter.close(resolve) })
    t.ok(await eventually(() => mkiso.app.receiverFault() === undefined), 'the receiver comes up by itself')
    t.equal((await mkiso.get(CR)).status, 200)
  })

  t.test('503: every port of the range is taken by other programs', async t => {
    const first = await freePortRange(2)
    const squatters = [createServer(), createServer()]
    for (const [n, squatter] of squatters.entries()) await new Promise<void>(resolve => { squatter.listen(first + n, resolve) })
    const mkiso = await service(t, pacs, receiverPort, { our_ae: { ae_title: 'CDREC{n}', base_port: first, port_range: 2 } })
    await answers(t, mkiso, await mkiso.get(CR), 503, 'TOO_MANY_CONCURRENT', { error: 'too many concurrent requests' })
    for (const squatter of squatters) squatter.close()
  })

  t.test('503: the pool is full', async t => {
    const mkiso = await service(t, pacs, receiverPort, { our_ae: { port_range: 1 } })
    const slot = mkiso.app.portPool.lease()
    const answer = await mkiso.get(CR)
    slot.release()
    t.equal(answer.headers['retry-after'], '30')
    await answers(t, mkiso, answer, 503, 'TOO_MANY_CONCURRENT', { error: 'too many concurrent requests' })
    t.equal((await mkiso.get(CR)).status, 200, 'the slot is free again')
  })

  t.test('504: the PACS hangs in the move', async t => {
    const gate = await startGate(t, toReceiver, receiverPort)
    const mkiso = await service(t, pacs, receiverPort, { pacs: { idle_timeout: '1s' }, our_ae: { ae_title: 'GATED' } })
    // it must not be through before it hangs
    gate.allow(1_000_000)
    const answer = mkiso.get('/api/iso/download?accession_number=CT.2024.200')
    t.ok(await eventually(() => mkiso.log.some(({ msg }) => msg === 'running movescu'), 1))
    const paused = pause(pacs.pid)
    gate.open()
    try {
      await answers(t, mkiso, await answer, 504, 'PACS_TIMEOUT', { error: 'PACS move timed out', detail: /pacs.idle_timeout/ })
    } finally { paused.resume() }
  })

  t.test('the PACS hangs before it answers', async t => {
    const mkiso = await service(t, pacs, receiverPort, { pacs: { connect_timeout: '1s', find_timeout: '1s' } })
    const paused = pause(pacs.pid)
    try {
      const answer = await mkiso.get(CR)
      t.ok(['PACS_UNREACHABLE', 'PACS_TIMEOUT'].includes(String(answer.json()['code'])), answer.body.toString())
      t.strictSame(await nothingLeft(mkiso), [])
    } finally { paused.resume() }
  })

  t.test('500: genisoimage fails, at once, at its first byte, within the directories', async t => {
    const folder = temporaryFolder(t, 'tools')
    for (const [name, script] of [['at once', 'exit 3'], ['at its first byte', 'echo nothing; exit 3'], ['within the directories', 'genisoimage "$@" | head -c 40000; exit 3']] as const) {
      const tool = join(folder, name.replaceAll(' ', '-'))
      writeFileSync(tool, `#!/bin/sh\n${script}\n`)
      chmodSync(tool, 0o755)
      const mkiso = await service(t, pacs, receiverPort, { tools: { genisoimage: tool } })
      await answers(t, mkiso, await mkiso.get(CR), 500, 'ISO_CREATION_FAILED', { error: 'ISO creation failed' })
      t.strictSame(await nothingLeft(mkiso), [])
      await mkiso.app.close()
    }
  })

  t.test('507: the disk is full', async t => {
    const small = temporaryFolder(t, 'small')
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=9m', 'tmpfs', small])
    t.teardown(() => { execFileSync('umount', ['-l', small]) })
    const mkiso = await service(t, pacs, receiverPort, { iso: { temp_dir: small } })
    await answers(t, mkiso, await mkiso.get('/api/iso/download?accession_number=CT.2024.200'), 507, 'INSUFFICIENT_DISK_SPACE', { error: 'insufficient disk space' })
    await mkiso.app.close()
  })

  t.test('401: no key, or a wrong one', async t => {
    const mkiso = await service(t, pacs, receiverPort, { auth: { enabled: true, api_key: 'right' } })
    for (const path of ['download', 'download-multiple', 'print']) {
      await answers(t, mkiso, await mkiso.get(`/api/iso/${path}?accession_number=*`), 401, 'UNAUTHORIZED', { error: 'unauthorized' })
    }
    t.equal((await fetch(mkiso.url + CR, { headers: { 'x-api-key': 'wrong' } })).status, 401)
    const right = await fetch(mkiso.url + CR, { headers: { 'x-api-key': 'right' } })
    t.equal(right.status, 200)
    await right.arrayBuffer()
    t.equal((await mkiso.get('/api/health/live')).status, 200, 'health stays public')
    t.equal((await mkiso.get('/docs/json')).status, 200)
  })

  t.test('the patient API', async t => {
    const api = await patientApi(t, { 'CR.2024.010': 'BUDI SANTOSO', 'CR.2024.011': 'BUDI SANTOSO' })
    const settings = { patient_api: { required: true, base_url: api.baseUrl, retries: 1, slow_after: '100ms' } }
    const mkiso = await service(t, pacs, receiverPort, settings)
    const path = '/api/iso/download-multiple?accession_numbers=CR.2024.010,CR.2024.011'
    t.equal((await mkiso.get(path)).headers['content-disposition'], 'attachment; filename="BUDI SANTOSO-CR.2024.010_CR.2024.011.iso"')
    api.mode = 'slow'
    t.equal((await mkiso.get(path)).status, 200)
    t.ok(mkiso.log.some(({ msg, latency_ms: ms }) => msg === 'patient API slow' && Number(ms) > 100), 'a slow answer is a warning')
    const before = mkiso.app.dcmtk.programs.started
    // one that answers late must be waited for, one that never answers must not
    const hasty = await service(t, pacs, await freePort(), { patient_api: { ...settings.patient_api, timeout: '400ms' }, pacs: { retrieve: 'get' } })
    for (const mode of ['error', 'hang', 'nonsense', 'another-patient'] as const) {
      api.mode = mode
      api.requests.length = 0
      const asked = mode === 'hang' ? hasty : mkiso
      await answers(t, asked, await asked.get(path), 502, 'PATIENT_API_UNAVAILABLE', { error: 'patient API unavailable' })
      if (mode === 'error') t.equal(Math.max(...['CR.2024.010', 'CR.2024.011'].map(one => api.requests.filter(number => number === one).length)), 2, 'it was tried again')
    }
    api.mode = 'ok'
    await answers(t, mkiso, await mkiso.get('/api/iso/print?accession_number=CT.2024.200'), 404, 'ACCESSION_UNKNOWN', { error: 'accession_number not found' })
    t.strictSame([mkiso.app.dcmtk.programs.started, hasty.app.dcmtk.programs.started], [before, 0], 'the PACS was not troubled')
    await api.close()
    await answers(t, mkiso, await mkiso.get(path), 502, 'PATIENT_API_UNAVAILABLE', { error: 'patient API unavailable', detail: 'connection refused' })
    const lenient = await service(t, pacs, await freePort(), { ...settings, patient_api: { ...settings.patient_api, required: false }, pacs: { retrieve: 'get' } })
    t.equal((await lenient.get(path)).headers['content-disposition'], 'attachment; filename="SANTOSO BUDI-CR.2024.010_CR.2024.011.iso"', 'the name of the PACS')
  })

  t.test('the CD publisher', async t => {
    const publisherPort = await freePort()
    const mkiso = await service(t, pacs, receiverPort, { cd_publisher: { host: '127.0.0.1', port: publisherPort, connect_timeout: '1s' } })
    const path = '/api/iso/print?accession_number=CR.2024.010'
    await answers(t, mkiso, await mkiso.get(path), 502, 'CD_PUBLISHER_UNREACHABLE', { error: 'CD Publisher unreachable', destination: `127.0.0.1:${publisherPort}` })
    const dir = join(here.folder, 'refusing')
    mkdirSync(dir)
    // it breaks the association at the first image
    const refusing = await startPublisher({ programs, dir, port: publisherPort, args: ['--abort-after'] })
    await answers(t, mkiso, await mkiso.get(path), 502, 'CD_PUBLISHER_REFUSED', { error: 'CD Publisher refused images', detail: /0 of 3 images/, destination: `127.0.0.1:${publisherPort}` })
    await refusing.stop()
  })
})

/** Stops a program and what it has forked, as a machine in trouble would. */
function pause (pid: number): { resume: () => void } {
  const send = (signal: NodeJS.Signals): void => {
    for (const one of processesOfGroup(pid)) {
      try { process.kill(one, signal) } catch { /* a fork that has ended meanwhile */ }
    }
  }
  send('SIGSTOP')
  return { resume: () => { send('SIGCONT') } }
}
