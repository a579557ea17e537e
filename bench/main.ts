/**
 * `npm run bench`: the original's pipeline, the tuned tools by hand, the service, and Orthanc's own archive, from the same PACS in the same run,
 * in turn. What counts are the ratios: machines are noisy. `--quick` takes about a minute and leaves out what is large. `--against FOLDER` takes
 * another checkout that is built (an earlier release) as a contender. `--throttled` runs only the slow PACS with the slow client, `--many` only the
 * study of 20,000 images in 300 series.
 */
import { cpus, tmpdir, totalmem } from 'node:os'
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { startDcmqrscp, type Destination, type Pacs } from '../demo/pacs.ts'
import { dicomWebPlugin, startOrthanc } from '../demo/orthanc.ts'
import { writeStudy, type PhantomInstance } from '../demo/phantoms/catalogue.ts'
import { ctStudy } from '../demo/phantoms/studies.ts'
import { freePort } from '../demo/ports.ts'
import { Programs } from '../src/process.ts'
import { orthancMedia, original, tuned, type Contender, type Measured } from './contenders.ts'
import { discCosts } from './disc.ts'
import { median, ratios, table } from './figures.ts'
import { startService, type Service } from './service.ts'
import { throttle, throttledTable, timed, type Timed } from './throttled.ts'
import { timeline } from './timeline.ts'

const ROOT = join(import.meta.dirname, '..')
const throttledOnly = process.argv.includes('--throttled')
const manyOnly = process.argv.includes('--many')
const quick = throttledOnly || manyOnly || process.argv.includes('--quick')
const against = process.argv.includes('--against') ? process.argv[process.argv.indexOf('--against') + 1] : undefined

interface Size {
  images: number
  /** And columns; 512 where nothing is said. */
  rows?: number
  rounds: number
  /** Of the original, which takes half a minute for 600 images. */
  originalRounds: number
  /** Of the service with a picture of every image. */
  picturesRounds?: number
  /** Not each of these contenders; all where nothing is said. */
  only?: readonly string[]
}
const MANY_IMAGES = 20_000
const MANY_SERIES = 300
const MANY_ROWS = 64
/** More paths than this are too long for one command line. */
const STORED_AT_ONCE = 2_000
const AT_ONCE = quick ? [1, 4] : [1, 4, 16]
const AT_ONCE_ROUNDS = quick ? 1 : 2
const AT_ONCE_IMAGES = 120

const ORIGINAL = '(a) the original\'s pipeline'
const BY_HAND = '(b) the tuned tools by hand, UIDs known'
const ASKING = '(b+) the same, with the C-FINDs that tell the UIDs'
const SERVICE = '(c) the service, thumbnails'
const WITHOUT_VIEWER = '(c) the service, thumbnails, without the viewer'
const BARE = '(c) the service, no pictures, without the viewer'
const PICTURES = '(c) the service, a picture of every image'
const WEB = '(e) the service, no pictures, over WADO-RS'
const EARLIER = '(c0) the other checkout, no pictures'

const SIZES: Size[] = quick
  ? [{ images: 60, rounds: 3, originalRounds: 1 }, { images: 600, rounds: 3, originalRounds: 1 }]
  : [
      { images: 60, rounds: 5, originalRounds: 2 },
      { images: 600, rounds: 5, originalRounds: 2, picturesRounds: 1 },
      { images: 2_000, rounds: 3, originalRounds: 0 },
      { images: 2_150, rows: 1_024, rounds: 1, originalRounds: 0, only: [BY_HAND, SERVICE, BARE, WEB, EARLIER] }
    ]

const lines: string[] = []
const say = (...texts: string[]): void => {
  for (const line of texts.length === 0 ? [''] : texts) {
    lines.push(line)
    process.stdout.write(`${line}\n`)
  }
}

async function main (): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'mkiso-bench-'))
  const programs = new Programs()
  try {
    say('# Benchmark', '')
    say(`Made by \`npm run bench${quick ? ' -- --quick' : ''}\` on ${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown'}, ${Math.round(totalmem() / 1024 ** 3)} GiB, Node ${process.version}; ` +
      'PACS, service and client share the machine and its loopback. CT images in two series. Seconds are medians; ratios are medians of the ratios within each round, in which ' +
      'the contenders run in turn, forwards and backwards. The original does not make a DICOMDIR, nor do the tools by hand; the service does.', '')
    for (const kind of throttledOnly || manyOnly ? [] : ['dcmqrscp', 'Orthanc'] as const) {
      const dir = join(folder, kind)
      mkdirSync(dir)
      const ports = {
        earlier: await freePort(), earlierWatched: await freePort(), service: await freePort(), bare: await freePort(), unviewed: await freePort(), watched: await freePort(),
        pictures: await freePort(), hand: await freePort(), web: await freePort()
      }
      const destinations = Object.entries(ports).map(([name, port]): Destination => ({ aeTitle: aeTitleOf(name), host: '127.0.0.1', port }))
      const pacs = kind === 'Orthanc'
        ? await startOrthanc({ programs, dir, destinations }, { Plugins: [dicomWebPlugin()] })
        : await startDcmqrscp({ programs, dir, destinations })
      await from(pacs, folder, programs, ports)
      await pacs.stop()
      await rm(dir, { recursive: true })
    }
    if (!quick || manyOnly) say(`## ${MANY_IMAGES.toLocaleString('en')} images in ${MANY_SERIES} series`, '', ...await manySeries(folder, programs), '')
    if (!quick || throttledOnly) say('## A slow PACS and a slow client', '', ...await slowWays(600, folder, programs), '')
    if (!quick) say('## The disc of 600 images without a PACS', '', ...await discCosts(600, 7, folder, programs), '')
    // a quick run tells too little to be kept
    if (!quick) writeFileSync(join(ROOT, 'docs/benchmark.md'), `${lines.join('\n')}\n`)
  } finally {
    await programs.stopAll()
    await rm(folder, { recursive: true, force: true })
  }
}

/** From Orthanc, with thumbnails and viewer: what grows faster than the study shows here. */
async function manySeries (folder: string, programs: Programs): Promise<string[]> {
  const dir = join(folder, 'many')
  mkdirSync(dir)
  const ports = { many: await freePort(), earlier: await freePort() }
  const pacs = await startOrthanc({ programs, dir, destinations: Object.entries(ports).map(([name, port]) => ({ aeTitle: aeTitleOf(name), host: '127.0.0.1', port })) })
  const series = Array.from({ length: MANY_SERIES }, (_, index) => ({
    kind: 'CT' as const, count: Math.floor((index + 1) * MANY_IMAGES / MANY_SERIES) - Math.floor(index * MANY_IMAGES / MANY_SERIES), rows: MANY_ROWS, columns: MANY_ROWS
  }))
  const instances = await writeStudy({ ...ctStudy('MANY', 2), series }, join(dir, 'phantoms'), programs)
  for (let from = 0; from < instances.length; from += STORED_AT_ONCE) await pacs.store(instances.slice(from, from + STORED_AT_ONCE).map(({ path }) => path))
  const rows: string[][] = []
  for (const [name, root] of [['many', ROOT], ...against === undefined ? [] : [['earlier', against]]] as Array<[keyof typeof ports, string]>) {
    const service = await startService({ programs, root, folder: join(dir, name), pacs, receiverPort: ports[name], aeTitle: aeTitleOf(name), webContent: 'thumbnails', logLevel: 'info' })
    try {
      const measured: Measured[] = []
      const peaks = await service.watched(async () => { measured.push(await service.download(instances)) })
      const [one] = measured
      rows.push([name === 'many' ? 'the service' : 'the other checkout', (one?.seconds ?? NaN).toFixed(1), (one?.firstByteMs ?? NaN).toFixed(0), String(peaks.nodeMiB), String(peaks.programsMiB)])
    } finally { await service.stop() }
  }
  await pacs.stop()
  return table(['', 'seconds', 'first byte, ms after the last image', 'node, MiB', 'programs, MiB'], rows)
}

/** From Orthanc, image and ZIP in turn; and without the throttles. */
async function slowWays (images: number, folder: string, programs: Programs): Promise<string[]> {
  const dir = join(folder, 'slow')
  mkdirSync(dir)
  const [fromPacs, receiverPort, toClient] = [await freePort(), await freePort(), await freePort()]
  const pacs = await startOrthanc({ programs, dir, destinations: [{ aeTitle: aeTitleOf('slow'), host: '127.0.0.1', port: fromPacs }, { aeTitle: aeTitleOf('fast'), host: '127.0.0.1', port: receiverPort + 1 }] })
  const instances = await writeStudy(ctStudy('SLOW', images), join(dir, 'phantoms'), programs)
  await pacs.store(instances.map(({ path }) => path))
  const bytes = instances.reduce((sum, { path }) => sum + statSync(path).size, 0)
  const start = async (name: string, port: number): Promise<Service> => await startService({
    programs, root: ROOT, folder: join(dir, name), pacs, receiverPort: port, aeTitle: aeTitleOf(name), webContent: 'thumbnails', logLevel: 'info'
  })
  const [slow, fast] = [await start('slow', receiverPort), await start('fast', receiverPort + 1)]
  const ends = [await throttle(fromPacs, receiverPort, 'to target'), await throttle(toClient, slow.port, 'from target')]
  try {
    const link = (format: string): string => `/api/iso/download?accession_number=SLOW&format=${format}`
    const rows: Array<[string, Timed]> = []
    for (const [name, port] of [['throttled', toClient], ['without throttles', fast.port]] as const) {
      for (const format of ['iso', 'zip']) rows.push([`${format.toUpperCase()}, ${name}`, await timed(port, link(format))])
    }
    return throttledTable(images, bytes, rows)
  } finally {
    for (const end of ends) await end()
    for (const one of [slow, fast]) await one.stop()
    await pacs.stop()
  }
}

function aeTitleOf (name: string): string {
  return `CD${name.toUpperCase()}`
}

type Ports = Record<'service' | 'web' | 'bare' | 'unviewed' | 'watched' | 'pictures' | 'hand' | 'earlier' | 'earlierWatched', number>

async function from (pacs: Pacs, folder: string, programs: Programs, ports: Ports): Promise<void> {
  const store = async (accessionNumber: string, images: number, rows = 512): Promise<PhantomInstance[]> => {
    const dir = join(folder, 'phantoms')
    const instances = await writeStudy(ctStudy(accessionNumber, images, undefined, rows), dir, programs)
    await pacs.store(instances.map(({ path }) => path))
    await rm(dir, { recursive: true })
    return instances
  }
  const dicomWebUrl = 'dicomWebUrl' in pacs ? String(pacs.dicomWebUrl) : undefined
  const start = async (name: keyof typeof ports, webContent: 'thumbnails' | 'none' | 'all', logLevel: 'info' | 'debug', viewer?: boolean, root = ROOT): Promise<Service> =>
    await startService({
      programs, root, folder: join(folder, `${name}-${pacs.name}`), pacs, receiverPort: ports[name], aeTitle: aeTitleOf(name), webContent, logLevel, ...(viewer === undefined ? {} : { viewer }),
      ...(name === 'web' && dicomWebUrl !== undefined ? { dicomWebUrl } : {})
    })
  const service = await start('service', 'thumbnails', 'info')
  const bare = await start('bare', 'none', 'info', false)
  const unviewed = await start('unviewed', 'thumbnails', 'info', false)
  const pictures = await start('pictures', 'all', 'info')
  const watched = await start('watched', 'thumbnails', 'debug')
  const earlier = against === undefined ? undefined : await start('earlier', 'none', 'info', undefined, against)
  const earlierWatched = against === undefined ? undefined : await start('earlierWatched', 'thumbnails', 'debug', undefined, against)
  const hand = { programs, pacs, port: ports.hand, aeTitle: aeTitleOf('hand'), folder: join(folder, 'hand') }
  const web = dicomWebUrl === undefined ? undefined : await start('web', 'none', 'debug', false)
  const contenders = new Map<string, Contender>([
    [ORIGINAL, async instances => await original(hand, instances)],
    [BY_HAND, async instances => await tuned(hand, instances, false)],
    [ASKING, async instances => await tuned(hand, instances, true)],
    [SERVICE, async instances => await service.download(instances)],
    [WITHOUT_VIEWER, async instances => await unviewed.download(instances)],
    [BARE, async instances => await bare.download(instances)],
    [PICTURES, async instances => await pictures.download(instances)]
  ])
  if (earlier !== undefined) contenders.set(EARLIER, async instances => await earlier.download(instances))
  if (web !== undefined) contenders.set(WEB, async instances => await web.download(instances))
  if ('httpPort' in pacs) contenders.set('(d) Orthanc\'s archive, a ZIP', async instances => await orthancMedia(Number(pacs.httpPort), instances))

  say(`## From ${pacs.name}`, '')
  for (const size of SIZES) {
    if (size.rows !== undefined && pacs.name === 'dcmqrscp') {
      say(`### ${size.images} images of ${size.rows} x ${size.rows}`, '', 'Not from dcmqrscp: it keeps at most 1 GiB of a study, whatever its quota says (measured).', '')
      continue
    }
    const instances = await store(`CT${size.images}`, size.images, size.rows)
    await compare(size, instances, contenders)
    watched.takeLog()
    const measured: Measured[] = []
    const peaks = await watched.watched(async () => { measured.push(await watched.download(instances)) })
    say(`Node ${peaks.nodeMiB} MiB at its peak, its programs ${peaks.programsMiB} MiB together; disk ${peaks.diskRatio.toFixed(3)} times the DICOM data.`, '')
    if (web !== undefined) {
      const webPeaks = await web.watched(async () => { await web.download(instances) })
      say(`Over WADO-RS: node ${webPeaks.nodeMiB} MiB, its programs ${webPeaks.programsMiB} MiB together; disk ${webPeaks.diskRatio.toFixed(3)} times.`, '')
    }
    if (earlierWatched !== undefined) {
      const before = await earlierWatched.watched(async () => { await earlierWatched.download(instances) })
      say(`The other checkout: node ${before.nodeMiB} MiB, its programs ${before.programsMiB} MiB together; disk ${before.diskRatio.toFixed(3)} times.`, '')
    }
    if (size.images === 600) say(...timeline(watched.takeLog(), measured[0]), '')
  }
  await atOnce(service, watched, store)
  await Promise.all([service, bare, unviewed, pictures, watched, web, earlier, earlierWatched].map(async one => { await one?.stop() }))
}

async function compare (size: Size, instances: readonly PhantomInstance[], contenders: ReadonlyMap<string, Contender>): Promise<void> {
  const { images, rows = 512, rounds, originalRounds, picturesRounds = 0, only } = size
  const runs: Array<Map<string, Measured>> = []
  for (let round = 0; round < rounds; round++) {
    const run = new Map<string, Measured>()
    const roundsOf = (name: string): number => name === ORIGINAL ? originalRounds : name === PICTURES ? picturesRounds : rounds
    const order = [...contenders].filter(([name]) => (only?.includes(name) ?? true) && round < roundsOf(name))
    for (const [name, contender] of round % 2 === 0 ? order : order.reverse()) run.set(name, await contender(instances))
    runs.push(run)
  }
  const seconds = (name: string): number[] => runs.flatMap(run => run.get(name)?.seconds ?? [])
  const ratio = (name: string, to: string): string => ratios(runs.map(run => [run.get(name)?.seconds, run.get(to)?.seconds])).toFixed(2)
  const megabytes = (runs[0]?.get(BARE)?.bytes ?? NaN) / 1e6
  say(`### ${images} images of ${rows} x ${rows} (${megabytes.toFixed(0)} MB), ${rounds} rounds`, '')
  const faster = (name: string): string => originalRounds === 0 ? '–' : (median(seconds(ORIGINAL)) / median(seconds(name))).toFixed(1)
  say(...table(['', 'seconds', 'times faster than (a)', 'ratio to (b)', 'ratio to (b+)'],
    [...contenders.keys()].filter(name => seconds(name).length > 0).map(name => [name, median(seconds(name)).toFixed(2), faster(name), ratio(name, BY_HAND), ratio(name, ASKING)])), '')
  const firstByte = (name: string): string => median(runs.flatMap(run => run.get(name)?.firstByteMs ?? [])).toFixed(0)
  if (seconds(EARLIER).length > 0) say(`Against the other checkout, both without pictures: ${ratio(BARE, EARLIER)} of its time; its first byte ${firstByte(EARLIER)} ms.`, '')
  say(`First byte ${firstByte(SERVICE)} ms after the last image with thumbnails, ${firstByte(BARE)} ms without pictures.`)
}

async function atOnce (service: Service, watched: Service, store: (accessionNumber: string, images: number) => Promise<PhantomInstance[]>): Promise<void> {
  const studies: PhantomInstance[][] = []
  for (let n = 0; n < Math.max(...AT_ONCE); n++) studies.push(await store(`PAR${n}`, AT_ONCE_IMAGES))
  const all = async (one: Service, count: number): Promise<{ seconds: number, bytes: number, failed: number }> => {
    const startedAt = performance.now()
    const results = await Promise.allSettled(studies.slice(0, count).map(async instances => await one.download(instances)))
    return {
      seconds: (performance.now() - startedAt) / 1_000,
      bytes: results.reduce((sum, result) => sum + (result.status === 'fulfilled' ? result.value.bytes ?? 0 : 0), 0),
      failed: results.filter(({ status }) => status === 'rejected').length
    }
  }
  const runs: Array<Map<number, Awaited<ReturnType<typeof all>>>> = []
  for (let round = 0; round < AT_ONCE_ROUNDS; round++) {
    const run: typeof runs[number] = new Map()
    for (const count of AT_ONCE) run.set(count, await all(service, count))
    runs.push(run)
  }
  const throughput = (run: typeof runs[number], count: number): number => {
    const one = run.get(count)
    return one === undefined ? NaN : one.bytes / 1e6 / one.seconds
  }
  say(`### Downloads at once (${AT_ONCE_IMAGES} images each, thumbnails), ${AT_ONCE_ROUNDS} rounds`, '')
  const rows: string[][] = []
  for (const count of AT_ONCE) {
    const peaks = await watched.watched(async () => { await all(watched, count) })
    rows.push([
      String(count), median(runs.map(run => run.get(count)?.seconds ?? NaN)).toFixed(2), median(runs.map(run => throughput(run, count))).toFixed(0),
      ratios(runs.map(run => [throughput(run, count), throughput(run, 1)])).toFixed(2), String(runs.reduce((sum, run) => sum + (run.get(count)?.failed ?? 0), 0)),
      String(peaks.nodeMiB), String(peaks.programsMiB), peaks.diskRatio.toFixed(3)
    ])
  }
  say(...table(['at once', 'seconds', 'MB/s', 'throughput against one', 'failures', 'node, MiB', 'programs, MiB', 'disk, times the data'], rows), '')
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack ?? error.message : String(error)}\n`)
  process.exitCode = 1
})
