/**
 * `npm run bench`: the original's pipeline, the tuned tools by hand, the service, and Orthanc's own archive, from the same PACS in the same
 * run, one after the other in turn. Ratios of medians count, not seconds. `--quick` takes a minute; `--full` adds 2000 images and 4.5 GB.
 */
import { cpus, totalmem, tmpdir } from 'node:os'
import { mkdirSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { startDcmqrscp, type Pacs } from '../demo/pacs.ts'
import { startOrthanc } from '../demo/orthanc.ts'
import { writeStudy, type PhantomInstance } from '../demo/phantoms/catalogue.ts'
import { ctStudy } from '../demo/phantoms/studies.ts'
import { freePort } from '../demo/ports.ts'
import { Programs, until } from '../src/process.ts'
import { orthancMedia, original, tuned, type Contender } from './contenders.ts'
import { startService } from './service.ts'

const ROOT = join(import.meta.dirname, '..')
const quick = process.argv.includes('--quick')
const full = process.argv.includes('--full')
const sizes = quick ? [60, 600] : full ? [60, 600, 2_000, 9_000] : [60, 600]
const rounds = quick ? 2 : 5
const atOnce = quick ? [1, 4] : [1, 4, 16]

function median (values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? NaN
}

const lines: string[] = []
const say = (line = ''): void => {
  lines.push(line)
  process.stdout.write(`${line}\n`)
}

async function main (): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'mkiso-bench-'))
  const programs = new Programs()
  try {
    const [serviceReceiver, bareReceiver, handReceiver] = [await freePort(), await freePort(), await freePort()]
    const destinations = [['CDRECORD', serviceReceiver], ['CDBARE', bareReceiver], ['BYHAND', handReceiver]].map(([aeTitle, port]) => ({ aeTitle: String(aeTitle), host: '127.0.0.1', port: Number(port) }))
    say('# Benchmark')
    say()
    say(`Made by \`npm run bench${quick ? ' -- --quick' : full ? ' -- --full' : ''}\` on ${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown'}, ${Math.round(totalmem() / 1024 ** 3)} GiB, Node ${process.version}, loopback.`)
    say(`CT images of 512 x 512, two series; medians of ${rounds} rounds, the contenders in turn within each round.`)
    for (const kind of ['dcmqrscp', 'Orthanc'] as const) {
      const dir = join(folder, kind)
      mkdirSync(dir)
      const start = kind === 'Orthanc' ? startOrthanc : startDcmqrscp
      const pacs = await start({ programs, dir, destinations })
      await from(pacs, folder, programs, { serviceReceiver, bareReceiver, handReceiver })
      await pacs.stop()
      await rm(dir, { recursive: true })
    }
    writeFileSync(join(ROOT, 'docs/benchmark.md'), `${lines.join('\n')}\n`)
  } finally {
    await programs.stopAll()
    await rm(folder, { recursive: true, force: true })
  }
}

async function from (pacs: Pacs, folder: string, programs: Programs, ports: { serviceReceiver: number, bareReceiver: number, handReceiver: number }): Promise<void> {
  const studies = new Map<number, PhantomInstance[]>()
  const several: PhantomInstance[][] = []
  const store = async (accessionNumber: string, images: number): Promise<PhantomInstance[]> => {
    const dir = join(folder, 'phantoms')
    const instances = await writeStudy(ctStudy(accessionNumber, images), dir, programs)
    await pacs.store(instances.map(({ path }) => path))
    await rm(dir, { recursive: true })
    return instances
  }
  for (const size of sizes) studies.set(size, await store(`CT${size}`, size))
  for (let n = 0; n < Math.max(...atOnce); n++) several.push(await store(`PAR${n}`, 120))

  const service = await startService({ programs, root: ROOT, folder: join(folder, `service-${pacs.name}`), pacs, receiverPort: ports.serviceReceiver, aeTitle: 'CDRECORD', webContent: 'thumbnails' })
  const bare = await startService({ programs, root: ROOT, folder: join(folder, `bare-${pacs.name}`), pacs, receiverPort: ports.bareReceiver, aeTitle: 'CDBARE', webContent: 'none' })
  const context = { programs, pacs, port: ports.handReceiver, aeTitle: 'BYHAND', folder: join(folder, 'hand') }
  const contenders: Array<[name: string, run: Contender]> = [
    ['(a) the original\'s pipeline', async instances => await original(context, instances)],
    ['(b) the tuned tools by hand', async instances => await tuned(context, instances)],
    ['(c) the service, thumbnails', async instances => await service.download(instances)],
    ['(c) the service, no pictures', async instances => await bare.download(instances)]
  ]
  if ('httpPort' in pacs) contenders.push(['(d) Orthanc /media', async instances => await orthancMedia(Number(pacs.httpPort), instances)])

  say()
  say(`## From ${pacs.name}`)
  for (const [size, instances] of studies) {
    const times = new Map<string, number[]>()
    const firstBytes: number[] = []
    // the original takes half a minute a round for 600 images: a few rounds tell enough
    const many = size > 600 ? 1 : rounds
    for (let round = 0; round < many; round++) {
      for (const [name, run] of contenders) {
        if (name.startsWith('(a)') && (size > 600 || (size === 600 && round >= 2))) continue
        const { seconds, firstByteMs } = await run(instances)
        times.set(name, [...times.get(name) ?? [], seconds])
        if (name === '(c) the service, thumbnails' && firstByteMs !== undefined) firstBytes.push(firstByteMs)
      }
    }
    const of = (name: string): number => median(times.get(contenders.find(([one]) => one.startsWith(name))?.[0] ?? '') ?? [])
    say()
    say(`### ${size} images (${(instances.length * 0.526).toFixed(0)} MB)`)
    say()
    say('| | seconds | times faster than (a) | ratio to (b) |')
    say('| --- | --- | --- | --- |')
    for (const [name] of contenders) {
      const seconds = median(times.get(name) ?? [])
      const faster = of('(a)') / seconds
      say(`| ${name} | ${Number.isNaN(seconds) ? '–' : seconds.toFixed(2)} | ${Number.isNaN(faster) ? '–' : faster.toFixed(1)} | ${(seconds / of('(b)')).toFixed(2)} |`)
    }
    say()
    say(`First byte of the service ${median(firstBytes)} ms after the last image.`)
  }
  say()
  say('### Downloads at once (120 images each, the service with thumbnails)')
  say()
  say('| at once | seconds | MB/s | failures |')
  say('| --- | --- | --- | --- |')
  for (const count of atOnce) {
    const startedAt = performance.now()
    const results = await Promise.allSettled(several.slice(0, count).map(async instances => await service.download(instances)))
    const seconds = (performance.now() - startedAt) / 1_000
    const bytes = results.reduce((sum, result) => sum + (result.status === 'fulfilled' ? result.value.bytes ?? 0 : 0), 0)
    say(`| ${count} | ${seconds.toFixed(2)} | ${(bytes / 1e6 / seconds).toFixed(0)} | ${results.filter(({ status }) => status === 'rejected').length} |`)
  }
  await until(() => service.settled(), 5_000)
  const memory = service.memory()
  say()
  say(`Memory: node ${memory.nodeMiB} MiB at its peak, its programs ${memory.childrenMiB} MiB together; disk beyond the DICOM data: ${(100 * (service.diskRatio() - 1)).toFixed(1)} %.`)
  await Promise.all([service.stop(), bare.stop()])
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack ?? error.message : String(error)}\n`)
  process.exitCode = 1
})
