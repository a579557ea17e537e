/**
 * Whole or visibly broken, for who is behind nginx too: every way in which a disc breaks off on its way out, through the nginx that we ship, through
 * one that knows nothing of us, and through one in front of the other; and a good one is whole.
 */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { request } from 'undici'
import { writeStudy, type PhantomInstance } from '../../demo/phantoms/catalogue.ts'
import { freePort } from '../../demo/ports.ts'
import type { Programs } from '../../src/process.ts'
import { authority } from '../certificates.ts'
import { eventually } from '../eventually.ts'
import { faultStudy, nothingRemains, PATIENT, SHORT_LIMITS } from '../faults/harness.ts'
import { startLyingPacs, type LyingPacs } from '../faults/lying-pacs.ts'
import { serve } from '../served.ts'
import { programsOf, service, temporaryFolder, type Overrides } from '../world.ts'
import { startNginx, startPlainNginx, type Nginx } from './nginx.ts'

const MIB = 1_024 ** 2
const PASSWORD = 'Merapi-2930 m'
/** More than what lies in the buffers of three connections in a row, where a client has stopped reading. */
const LARGE = { images: 90, size: 512 }
const SMALL = { images: 8, size: 512 }

interface Way {
  name: string
  url: string
  /** What a client of its own may say beside. */
  args: readonly string[]
  /** A ZIP comes when it is whole: what breaks before is an answer with a status. */
  whole: boolean
}

/** The nginx that there may be between the service and somebody. */
async function waysTo (t: Test, address: string, programs: Programs): Promise<Way[]> {
  const tls = await certificate(t, programs)
  const ours = await startNginx(t, { upstreams: [address], tls })
  const alone = await startPlainNginx(t, address)
  const before = await startPlainNginx(t, hostOf(ours))
  const behind = await startNginx(t, { upstreams: [hostOf(alone)] })
  const http2 = await startPlainNginx(t, address, { listen: 'http2', location: 'proxy_http_version 1.1;' })
  return [
    { name: 'as we ship it', url: ours.url, args: [], whole: false },
    { name: 'as we ship it, HTTPS', url: ours.tlsUrl, args: ['--insecure'], whole: false },
    { name: 'as we ship it, a client of HTTP/1.0', url: ours.url, args: ['--http1.0'], whole: true },
    { name: 'proxy_pass alone', url: alone.url, args: [], whole: true },
    { name: 'proxy_pass alone, a client of HTTP/1.0', url: alone.url, args: ['--http1.0'], whole: true },
    { name: 'proxy_pass alone in front of ours', url: before.url, args: [], whole: true },
    { name: 'ours in front of proxy_pass alone', url: behind.url, args: [], whole: true },
    { name: 'another one, a client of HTTP/2', url: http2.url, args: ['--http2-prior-knowledge'], whole: false }
  ]
}

const hostOf = ({ url }: Nginx): string => new URL(url).host

async function certificate (t: Test, programs: Programs): Promise<{ certificate: string, key: string }> {
  const { nginx } = await authority(programs, join(temporaryFolder(t), 'tls'), ['nginx'])
  if (nginx === undefined) throw new Error('no certificate')
  return { certificate: nginx.cert, key: nginx.key }
}

interface Download {
  what: string
  way: Way
  file: string
  bytes (): number
  /** Reads nothing meanwhile, as a browser that asks where to save a file. */
  pause (): void
  goOn (): void
  /** What curl says: 0 where it takes the file for whole, and the status. */
  ended: Promise<{ exitCode: number, status: number }>
}

interface Form { name: string, path (accessionNumber: string): string, args: readonly string[], key: readonly string[] }

const ISO: Form = { name: 'an ISO', path: accessionNumber => `/api/iso/download?accession_number=${accessionNumber}`, args: [], key: [] }
const ZIP: Form = { ...ISO, name: 'a ZIP', path: accessionNumber => `${ISO.path(accessionNumber)}&format=zip` }
const PROTECTED_ZIP: Form = { ...ZIP, name: 'a ZIP with a password', args: ['--data-urlencode', `password=${PASSWORD}`], key: [`-p${PASSWORD}`] }
const ZIPS = [ZIP, PROTECTED_ZIP]

function download (t: Test, programs: Programs, way: Way, form: Form, accessionNumber: string, args: readonly string[] = []): Download {
  const file = join(temporaryFolder(t), 'disc')
  const child = programs.start('curl', ['--silent', '--output', file, '--write-out', '%{http_code}', ...way.args, ...form.args, ...args, way.url + form.path(accessionNumber)])
  return {
    what: `${form.name}, ${way.name}`,
    way,
    file,
    bytes: () => statSync(file, { throwIfNoEntry: false })?.size ?? 0,
    pause: () => { process.kill(-child.pid, 'SIGSTOP') },
    goOn: () => { process.kill(-child.pid, 'SIGCONT') },
    ended: child.ended.then(({ exitCode, stdout }) => ({ exitCode, status: Number(stdout) }))
  }
}

/** Nobody takes it for a disc. */
async function isBroken (t: Test, got: Download, begun: boolean): Promise<void> {
  const { exitCode, status } = await got.ended
  if (begun) t.strictSame([exitCode !== 0, status], [true, 200], `${got.what}: the client sees it break (curl ${exitCode}, ${status})`)
  else t.ok(exitCode !== 0 || status >= 500, `${got.what}: an error before the first byte (curl ${exitCode}, ${status})`)
}

async function isWhole (t: Test, { programs }: Lying, got: Download, { key }: Form, instances: readonly PhantomInstance[]): Promise<void> {
  t.strictSame(await got.ended, { exitCode: 0, status: 200 }, got.what)
  t.equal((await programs.run('7z', ['t', ...key, got.file])).exitCode, 0, 'it is whole')
  const list = await programs.run('7z', ['l', '-ba', '-slt', ...key, got.file])
  t.equal(list.stdout.match(/^Path = DICOM\/.*\/IM\d+$/gm)?.length, instances.length, 'with every image')
}

interface Lying { pacs: LyingPacs, phantoms: string, programs: Programs, receiverPort: number }

async function lying (t: Test): Promise<Lying> {
  const programs = programsOf(t)
  const receiverPort = await freePort()
  const pacs = await startLyingPacs(receiverPort)
  t.teardown(async () => { await pacs.close() })
  return { pacs, programs, receiverPort, phantoms: temporaryFolder(t, 'phantoms') }
}

/** A study of which the second half comes when it is let, and then, for one that loses an image, all but the last. */
async function halved ({ pacs, phantoms, programs }: Lying, accessionNumber: string, { loses = false } = {}): Promise<{ instances: PhantomInstance[], goOn: () => void }> {
  const instances = await writeStudy(faultStudy(accessionNumber, SMALL), phantoms, programs)
  let goOn = (): void => {}
  const wait = new Promise<void>(resolve => { goOn = resolve })
  pacs.add(PATIENT, instances, {
    move: async move => {
      const { wanted } = move
      if (wanted.length === 1) { move.final(loses ? 0xC000 : 0, { failed: 1 }); return }
      const half = wanted.slice(0, wanted.length / 2)
      move.pending({ remaining: wanted.length })
      const first = await move.send(half)
      move.pending({ remaining: wanted.length - first, completed: first })
      await wait
      const rest = await move.send(wanted.slice(half.length, loses ? -1 : undefined))
      move.final(loses ? 0xB000 : 0, { completed: first + rest, failed: wanted.length - first - rest })
    }
  })
  return { instances, goOn }
}

const SETTINGS: Overrides = { ...SHORT_LIMITS, pacs: { ...SHORT_LIMITS['pacs'], move_timeout: '60s', idle_timeout: '50s' } }

t.test('a ZIP that breaks off while images come', async t => {
  const here = await lying(t)
  const { programs } = here
  const mkiso = await service(t, here.pacs, here.receiverPort, SETTINGS)
  const ways = await waysTo(t, new URL(mkiso.url).host, programs)
  const cancelAll = (): void => { for (const { id } of mkiso.app.activities.running) mkiso.app.activities.cancel(id, 'operator') }
  for (const [name, accessionNumber, end] of [['an image stays lost', 'LOST', () => {}], ['the operator cancels', 'CANCELLED', cancelAll]] as const) {
    await t.test(name, async t => {
      const { goOn } = await halved(here, accessionNumber, { loses: true })
      const all = ways.flatMap(way => ZIPS.map(form => download(t, programs, way, form, accessionNumber)))
      t.ok(await eventually(() => all.every(({ way: { whole }, bytes }) => whole || bytes() > MIB)), 'the first half has arrived before the second has come')
      t.ok(await eventually(() => mkiso.app.activities.running.length === all.length))
      t.ok(all.every(({ way: { whole }, bytes }) => !whole || bytes() === 0), 'and nothing where it could not be told from a whole one')
      end()
      goOn()
      for (const one of all) await isBroken(t, one, !one.way.whole)
      await nothingRemains(t, mkiso)
    })
  }
  await t.test('what does not break off is whole', async t => {
    const { goOn, instances } = await halved(here, 'GOOD')
    const all = ways.flatMap(way => ZIPS.map(form => ({ form, got: download(t, programs, way, form, 'GOOD') })))
    t.ok(await eventually(() => all.every(({ got: { way: { whole }, bytes } }) => whole || bytes() > MIB)))
    goOn()
    for (const { form, got } of all) await isWhole(t, here, got, form, instances)
    await nothingRemains(t, mkiso)
  })
})

t.test('a disc that breaks off while it goes out', async t => {
  const here = await lying(t)
  const { programs } = here
  const mkiso = await service(t, here.pacs, here.receiverPort, SETTINGS)
  const ways = await waysTo(t, new URL(mkiso.url).host, programs)
  here.pacs.add(PATIENT, await writeStudy(faultStudy('LARGE', LARGE), here.phantoms, programs))
  const all = ways.flatMap(way => [ISO, ...ZIPS].map(form => download(t, programs, way, form, 'LARGE')))
  for (const one of all) {
    t.ok(await eventually(() => one.bytes() > 0, 1), one.what)
    one.pause()
  }
  t.equal(mkiso.app.activities.running.length, all.length, 'none has gone out')
  for (const { id } of mkiso.app.activities.running) mkiso.app.activities.cancel(id, 'operator')
  for (const one of all) {
    one.goOn()
    await isBroken(t, one, true)
  }
  await nothingRemains(t, mkiso)
})

t.test('the service is killed', async t => {
  const here = await lying(t)
  const { programs } = here
  const mkiso = await serve(programs, temporaryFolder(t, 'served'), here.pacs, here.receiverPort, SETTINGS)
  const ways = await waysTo(t, new URL(mkiso.url).host, programs)
  await halved(here, 'KILLED')
  const all = ways.flatMap(way => ZIPS.map(form => download(t, programs, way, form, 'KILLED')))
  t.ok(await eventually(() => all.every(({ way: { whole }, bytes }) => whole || bytes() > MIB)))
  process.kill(mkiso.pid, 'SIGKILL')
  for (const one of all) await isBroken(t, one, !one.way.whole)
})

t.test('a ZIP goes on where it broke, and who is slow slows nobody', async t => {
  const here = await lying(t)
  const { programs } = here
  const mkiso = await service(t, here.pacs, here.receiverPort, { ...SETTINGS, iso: { keep_for: '5m' } })
  const ways = await waysTo(t, new URL(mkiso.url).host, programs)
  const { goOn, instances } = await halved(here, 'REST')
  const url = mkiso.url + ZIP.path('REST')
  const begun = await fetch(url)
  const etag = String(begun.headers.get('etag'))
  const early = ways.map(way => download(t, programs, way, ZIP, 'REST', ['--header', 'range: bytes=1000-', '--header', `if-range: ${etag}`]))
  const slow = ways.map(way => download(t, programs, way, ZIP, 'REST'))
  t.ok(await eventually(() => slow.every(({ way: { whole }, bytes }) => whole || bytes() > MIB)))
  t.ok(await eventually(() => mkiso.app.activities.running.length === 2 * ways.length + 1))
  for (const one of slow) one.pause()
  goOn()
  const whole = Buffer.from(await begun.arrayBuffer())
  for (const one of early) {
    t.strictSame(await one.ended, { exitCode: 0, status: 206 }, `${one.what}: the rest, asked for before it was there`)
    t.ok(readFileSync(one.file).equals(whole.subarray(1_000)))
  }
  for (const way of ways) {
    for (const [validator, status, from] of [[etag, 206, 5_000], ['"another"', 200, 0]] as const) {
      const part = download(t, programs, way, ZIP, 'REST', ['--header', 'range: bytes=5000-', '--header', `if-range: ${validator}`])
      t.strictSame(await part.ended, { exitCode: 0, status }, `${part.what}: ${validator === etag ? 'the rest' : 'all of it, for who has the beginning of another'}`)
      t.ok(readFileSync(part.file).equals(whole.subarray(from)))
    }
  }
  for (const one of slow) {
    one.goOn()
    await isWhole(t, here, one, ZIP, instances)
    t.ok(readFileSync(one.file).equals(whole), 'the same bytes')
  }
})

t.test('a page is told at once that its ZIP is ready, and that is when its download can begin by the way that it came', async t => {
  const here = await lying(t)
  const mkiso = await service(t, here.pacs, here.receiverPort, SETTINGS)
  for (const [index, way] of (await waysTo(t, new URL(mkiso.url).host, here.programs)).entries()) {
    if (way.args.length > 0) continue
    const accessionNumber = `PAGE.${index}`
    const { goOn } = await halved(here, accessionNumber)
    const states: Array<{ phase: string, link?: string, size_bytes?: number, images_received: number }> = []
    const events = await request(`${way.url}/api/iso/progress?accession_number=${accessionNumber}&format=zip`)
    const reading = (async () => {
      // each event is small and sent by itself: it comes in one piece
      for await (const bytes of events.body as AsyncIterable<Buffer>) {
        for (const [, json] of bytes.toString().matchAll(/^data: (.*)$/gm)) states.push(JSON.parse(json ?? '') as typeof states[number])
      }
    })()
    reading.catch(() => {})
    const last = (): typeof states[number] | undefined => states.at(-1)
    t.ok(await eventually(() => last()?.images_received === SMALL.images / 2 && (way.whole || last()?.phase === 'ready')), `${way.name}: half of it is here`)
    t.equal(last()?.link !== undefined, !way.whole, way.whole ? 'nothing would come' : 'it begins')
    goOn()
    t.ok(await eventually(() => last()?.phase === 'ready' && last()?.size_bytes !== undefined))
    const { link = '', size_bytes: sizeBytes } = last() ?? {}
    const got = download(t, here.programs, way, { ...ZIP, path: () => link }, accessionNumber)
    t.strictSame(await got.ended, { exitCode: 0, status: 200 })
    t.equal(got.bytes(), sizeBytes)
    events.body.destroy()
    await nothingRemains(t, mkiso)
  }
})
