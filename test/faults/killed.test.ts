/** kill -9: of every tool, of the PACS, of the publisher, and of the service itself; and a receiver that falls, or cannot listen. */
import { once } from 'node:events'
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startPublisher } from '../../demo/publisher.ts'
import { freePort } from '../../demo/ports.ts'
import { listeningSockets, processesOfGroup } from '../../src/process.ts'
import { eventually } from '../eventually.ts'
import { PATIENT_ORTHANC } from '../screens/gate.ts'
import { serve } from '../served.ts'
import { descendants, nameOf } from '../soak/troubles.ts'
import { service, temporaryFolder, world, type Answer, type Overrides, type Service } from '../world.ts'
import { faultStudy, linkTo, nothingRemains, rightAnswer, SHORT_LIMITS, tellFaults, type Expected } from './harness.ts'
import { Proxy } from './proxy.ts'
import { fell } from './receivers.ts'

/** 24 images of 130 kB. */
const STUDY = faultStudy('KILL.1', { images: 12, series: 2, size: 256 })
/** In the third image of an association. */
const HELD = { kind: 'hold', afterBytes: 300_000 } as const

/** Kills what runs below a process; @returns how many there were. */
function kill (below: number, program: string, most = Infinity): number {
  const found = descendants(below).filter(pid => nameOf(pid) === program).slice(0, most)
  for (const pid of found) {
    try { process.kill(pid, 'SIGKILL') } catch { /* ended meanwhile */ }
  }
  return found.length
}

/** A program that kills itself, after doing something else. */
function suicidal (t: Test, name: string, before = ''): string {
  const tool = join(temporaryFolder(t, 'tool'), name)
  writeFileSync(tool, `#!/bin/sh\n${before}\nkill -9 $$\n`)
  chmodSync(tool, 0o755)
  return tool
}

t.test('tools of a request', async t => {
  const receiverPort = await freePort()
  const toReceiver = await Proxy.start(receiverPort)
  t.teardown(async () => { await toReceiver.close() })
  const here = await world(t, 'orthanc', { studies: [STUDY], receiverPort: toReceiver.port, orthanc: PATIENT_ORTHANC })
  const toPacs = await Proxy.start(here.pacs.port)
  t.teardown(async () => { await toPacs.close() })
  const start = async (t: Test, overrides: Overrides = {}): Promise<Service> =>
    await service(t, { ...here.pacs, port: toPacs.port }, receiverPort, { ...SHORT_LIMITS, ...overrides, pacs: { ...SHORT_LIMITS['pacs'], ...overrides['pacs'] } })
  const right = async (t: Test, answer: Promise<Answer>, expected: Expected = 'disc'): Promise<void> => {
    await rightAnswer(t, here.programs, await answer, expected, here.instances)
  }
  let faults = 0

  /** Asks for the disc, and waits until some of its images have come; no more come until there is no fault any more. */
  const underWay = async (t: Test, mkiso: Service): Promise<{ answer: Promise<Answer> }> => {
    faults++
    toReceiver.fault = HELD
    const answer = mkiso.get(linkTo('KILL.1'))
    answer.catch(() => {})
    t.ok(await eventually(() => toReceiver.bytes >= HELD.afterBytes && descendants(process.pid).some(pid => nameOf(pid) === 'movescu'), 2), 'it is under way')
    return { answer }
  }

  await t.test('the receiver', async t => {
    const mkiso = await start(t)
    const restarts = (): number => mkiso.app.sharedReceiver?.restarts ?? 0
    await t.test('while images arrive', async t => {
      const { answer } = await underWay(t, mkiso)
      t.ok(fell(receiverPort))
      toReceiver.fault = undefined
      await right(t, answer)
      t.equal(restarts(), 1, 'it was started again')
      await nothingRemains(t, mkiso)
    })
    await t.test('one of its associations', async t => {
      faults++
      toReceiver.fault = { kind: 'cut', afterBytes: 500_000, delayMs: 15, times: 1 }
      await right(t, mkiso.get(linkTo('KILL.1')))
      t.equal(toReceiver.hits, 1)
      t.equal(restarts(), 1, 'the receiver stands')
      await nothingRemains(t, mkiso)
    })
    await t.test('while nobody needs it', async t => {
      faults++
      toReceiver.fault = undefined
      t.ok(fell(receiverPort))
      await right(t, mkiso.get(linkTo('KILL.1')))
      t.equal(restarts(), 2)
      await nothingRemains(t, mkiso)
    })
    await t.test('again and again', async t => {
      faults++
      // within the first image: no association may bring one between two falls, or they would bring the study piece by piece
      toReceiver.fault = { kind: 'hold', afterBytes: 100_000 }
      const answer = mkiso.get(linkTo('KILL.1'))
      let ended = false
      void answer.finally(() => { ended = true }).catch(() => {})
      let falls = 0
      // one that nobody has connected to cannot fall
      t.ok(await eventually(() => {
        if (fell(receiverPort)) falls++
        return ended
      }, 200), 'it falls as long as anybody tries')
      t.ok(falls >= 2, `${falls} times`)
      await right(t, answer, { codes: ['RECEIVER_DOWN', 'INCOMPLETE_RETRIEVAL', 'PACS_REFUSED_MOVE'] })
      t.ok(await eventually(() => mkiso.app.receiverFault() === undefined), 'it comes back')
      toReceiver.fault = undefined
      await right(t, mkiso.get(linkTo('KILL.1')))
      await nothingRemains(t, mkiso)
    })
    await t.test('movescu, once', async t => {
      const { answer } = await underWay(t, mkiso)
      t.ok(kill(process.pid, 'movescu') > 0)
      toReceiver.fault = undefined
      await right(t, answer)
      await nothingRemains(t, mkiso)
    })
    await t.test('findscu', async t => {
      faults++
      // it waits for the PACS as long as it lives
      const patient = await start(t, { pacs: { retrieve: 'get', connect_timeout: '60s', find_timeout: '60s' } })
      // within its A-ASSOCIATE-RQ: no query is short enough to be answered all the same
      toPacs.fault = { kind: 'hold', afterBytes: 100 }
      const answer = patient.get(linkTo('KILL.1'))
      t.ok(await eventually(() => toPacs.bytes >= 100 && kill(process.pid, 'findscu') > 0))
      await right(t, answer, { codes: ['PACS_UNREACHABLE'] })
      toPacs.fault = undefined
      await nothingRemains(t, patient)
    })
    await t.test('dcmsend', async t => {
      faults++
      const dir = join(here.folder, 'publisher')
      mkdirSync(dir)
      const publisher = await startPublisher({ programs: here.programs, dir })
      const toPublisher = await Proxy.start(publisher.port)
      t.teardown(async () => { await toPublisher.close() })
      toPublisher.fault = HELD
      const printing = await service(t, here.pacs, await freePort(), { ...SHORT_LIMITS, pacs: { ...SHORT_LIMITS['pacs'], retrieve: 'get' }, cd_publisher: { host: '127.0.0.1', port: toPublisher.port } })
      const answer = printing.get('/api/iso/print?accession_number=KILL.1')
      t.ok(await eventually(() => toPublisher.bytes >= HELD.afterBytes && kill(process.pid, 'dcmsend') > 0))
      await right(t, answer, { codes: ['CD_PUBLISHER_REFUSED'], detail: /\d+ of 24 images/ })
      await nothingRemains(t, printing)
      toPublisher.fault = undefined
      t.match((await printing.get('/api/iso/print?accession_number=KILL.1')).json(), { files_sent: 24 }, 'the next click prints')
      await nothingRemains(t, printing)
    })
  })

  toReceiver.fault = undefined
  const failed: Expected = { codes: ['ISO_CREATION_FAILED'] }
  for (const [name, settings, expected] of [
    ['movescu, each time', (t: Test) => ({ dcmtk: { movescu: suicidal(t, 'movescu') } }), { codes: ['INCOMPLETE_RETRIEVAL'] }],
    ['genisoimage, at once', (t: Test) => ({ tools: { genisoimage: suicidal(t, 'genisoimage') } }), failed],
    ['genisoimage, within its output', (t: Test) => ({ tools: { genisoimage: suicidal(t, 'genisoimage', 'genisoimage "$@" | head -c 40000') } }), failed],
    ['dcmj2pnm: a disc without pictures', (t: Test) => ({ dcmtk: { dcmj2pnm: suicidal(t, 'dcmj2pnm') }, disc: { web_content: 'thumbnails' } }), 'disc'],
    ['storescp and getscu: nobody starts them', (t: Test) => ({ dcmtk: { storescp: suicidal(t, 'storescp'), getscu: suicidal(t, 'getscu') } }), 'disc']
  ] as ReadonlyArray<readonly [string, (t: Test) => Overrides, Expected]>) {
    faults++
    await t.test(name, async t => {
      const mkiso = await start(t, settings(t))
      await right(t, mkiso.get(linkTo('KILL.1')), expected)
      await nothingRemains(t, mkiso)
      await mkiso.app.close()
    })
  }

  for (const receiver of ['shared', 'per-request'] as const) {
    await t.test(`${receiver}: a port that another program holds, until it gives it back`, async t => {
      faults++
      const squatter = createServer().listen(receiverPort)
      await once(squatter, 'listening')
      const mkiso = await start(t, { our_ae: { receiver, port_range: 1 } })
      await right(t, mkiso.get(linkTo('KILL.1')), { codes: [receiver === 'shared' ? 'RECEIVER_DOWN' : 'TOO_MANY_CONCURRENT'] })
      await nothingRemains(t, mkiso)
      t.equal((await mkiso.get('/api/health')).status, receiver === 'shared' ? 503 : 200)
      await new Promise(resolve => { squatter.close(resolve) })
      t.ok(await eventually(() => mkiso.app.receiverFault() === undefined), 'it listens')
      await right(t, mkiso.get(linkTo('KILL.1')))
      await nothingRemains(t, mkiso)
      await mkiso.app.close()
      t.strictSame(listeningSockets(receiverPort), [], 'and not any more')
    })
  }

  await t.test('the PACS', async t => {
    faults++
    const mkiso = await start(t)
    toReceiver.fault = HELD
    const answer = mkiso.get(linkTo('KILL.1'))
    t.ok(await eventually(() => toReceiver.bytes >= HELD.afterBytes))
    for (const pid of processesOfGroup(here.pacs.pid)) process.kill(pid, 'SIGKILL')
    toReceiver.fault = undefined
    await right(t, answer, { codes: ['PACS_UNREACHABLE', 'INCOMPLETE_RETRIEVAL', 'PACS_TIMEOUT'] })
    await nothingRemains(t, mkiso)
  })
  tellFaults(t, faults)
})

t.test('the service, in the middle of 8 downloads', async t => {
  const studies = Array.from({ length: 8 }, (_, n) => faultStudy(`KILL.8${n}`, { images: 12, series: 1, size: 256 }))
  const receiverPort = await freePort()
  const toReceiver = await Proxy.start(receiverPort)
  t.teardown(async () => { await toReceiver.close() })
  const here = await world(t, 'orthanc', { studies, receiverPort: toReceiver.port, orthanc: PATIENT_ORTHANC })
  const folder = temporaryFolder(t, 'killed')
  const beside = await serve(here.programs, folder, here.pacs, await freePort(), { pacs: { ae_title: here.pacs.aeTitle, host: here.pacs.host, port: here.pacs.port, retrieve: 'move' } })
  const first = await serve(here.programs, folder, here.pacs, receiverPort)
  const workFolders = (): string[] => readdirSync(folder).filter(name => name.startsWith('dicomdir_'))
  t.equal(workFolders().length, 2, 'two services with one folder for temporary files')

  toReceiver.fault = { kind: 'hold', afterBytes: 600_000 }
  const answers = studies.map(async ({ accessionNumber }) => await fetch(first.url + linkTo(accessionNumber)).then(async answer => await answer.arrayBuffer().then(() => 'a disc'), () => 'no disc'))
  t.ok(await eventually(() => toReceiver.open >= 4 && toReceiver.bytes > 2_000_000, 2), 'images arrive on several associations')
  const family = descendants(first.pid)
  t.ok(family.filter(pid => nameOf(pid) === 'movescu').length >= 3, 'for several moves')
  process.kill(first.pid, 'SIGKILL')
  t.ok((await Promise.all(answers)).every(answer => answer === 'no disc'), 'nobody has got a disc')
  t.ok(await eventually(() => family.every(pid => nameOf(pid) === '')), 'no process is left')
  t.ok(await eventually(() => listeningSockets(receiverPort).length === 0), 'nor its receiver')
  t.equal(workFolders().length, 2, 'its folder is')
  toReceiver.fault = undefined

  const second = await serve(here.programs, folder, here.pacs, receiverPort)
  t.equal(workFolders().length, 2, 'until the next one starts, which leaves alone that of the one beside it')
  for (const { accessionNumber } of studies) {
    const answer = await fetch(second.url + linkTo(accessionNumber))
    const body = Buffer.from(await answer.arrayBuffer())
    await rightAnswer(t, here.programs, { status: answer.status, headers: Object.fromEntries(answer.headers), body, json: () => JSON.parse(body.toString()) as Record<string, unknown> }, 'disc', here.of(accessionNumber))
  }
  t.equal((await fetch(`${beside.url}/api/health/live`)).status, 200)

  // SIGTERM: what is under way is finished, nothing new begins
  toReceiver.fault = HELD
  const last = fetch(second.url + linkTo('KILL.80')).then(async answer => Buffer.from(await answer.arrayBuffer()))
  t.ok(await eventually(() => toReceiver.bytes >= HELD.afterBytes))
  process.kill(second.pid, 'SIGTERM')
  t.ok(await eventually(() => second.lines.some(line => line.includes('shutting down')), 2))
  t.equal((await fetch(second.url + linkTo('KILL.81'))).status, 503, 'no new work')
  toReceiver.fault = undefined
  t.equal((await last).length % 2_048, 0, 'the disc is finished')
  t.equal((await second.child.ended).exitCode, 0)
  t.equal(workFolders().length, 1)
  tellFaults(t, 2)
})
