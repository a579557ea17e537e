/**
 * `npm run soak -- --minutes N [--clients N] [--seed N]`: random clients and random troubles, then a count of everything that could have been
 * left. Exit code 1 for a wrong disc, a wrong answer or a leak.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { Test } from 'tap'
import { Agent, getGlobalDispatcher, setGlobalDispatcher } from 'undici'
import { startPublisher } from '../../demo/publisher.ts'
import { freePort } from '../../demo/ports.ts'
import { dicomWebPlugin, startOrthanc } from '../../demo/orthanc.ts'
import { writeStudy, type PhantomInstance } from '../../demo/phantoms/catalogue.ts'
import { until } from '../../src/process.ts'
import { faultStudy, PATIENT } from '../faults/harness.ts'
import { Proxy } from '../faults/proxy.ts'
import { serve } from '../served.ts'
import { temporaryFolder, world } from '../world.ts'
import { act, download, type Outcomes } from './clients.ts'
import { countOf, memoryOf, type Count } from './count.ts'
import { TROUBLES, type Surroundings } from './troubles.ts'

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '20' }, clients: { type: 'string', default: '6' }, seed: { type: 'string', default: String(Date.now() % 1e6) } } })
const minutes = Number(values.minutes)
const KEEP_MS = 5_000
/** Memory of node may differ so much between the second quarter and the last. */
const MEMORY_MARGIN = 1.25
const MEMORY_MARGIN_MIB = 20

/** Of each archive. */
const LIMITS = { connect_timeout: '5s', find_timeout: '8s', idle_timeout: '8s', move_timeout: '60s', settle_timeout: '700ms', queue_timeout: '60s' }

const ends: Array<() => unknown> = []
const t = { teardown: (end: () => unknown) => { ends.unshift(end) } } as unknown as Pick<Test, 'teardown'>

/** A generator of random numbers with a seed (mulberry32), so that a run can be had once more. */
function generator (seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6D2B79F5) | 0
    let value = Math.imul(state ^ (state >>> 15), 1 | state)
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32
  }
}

async function soak (): Promise<boolean> {
  const receiverPort = await freePort()
  const toReceiver = await Proxy.start(receiverPort)
  t.teardown(async () => { await toReceiver.close() })
  const studies = [...Array.from({ length: 8 }, (_, n) => faultStudy(`SOAK.${n}`, { images: 4 + n, series: 1 + n % 3, size: 128 })), faultStudy('SOAK.100', { images: 60, series: 2, size: 256 })]
  const here = await world(t, 'orthanc', { studies, receiverPort: toReceiver.port })
  const toPacs = await Proxy.start(here.pacs.port)
  t.teardown(async () => { await toPacs.close() })
  const folder = temporaryFolder(t, 'soak')
  const tempDir = join(folder, 'temp')
  for (const one of [tempDir, join(folder, 'publisher')]) mkdirSync(one)
  const foreign = await writeStudy({ ...faultStudy('STRANGER'), patient: { ...PATIENT, patientId: 'FAULT.9' } }, join(folder, 'foreign'), here.programs)
  // a second archive, which speaks DICOMweb; of one study each archive holds a part, some images are in both
  const webDir = join(here.folder, 'web')
  mkdirSync(webDir)
  const web = await startOrthanc({ programs: here.programs, dir: webDir, aeTitle: 'WEB', destinations: [] }, { Plugins: [dicomWebPlugin()], DicomWeb: { Enable: true, Root: '/dicom-web/' } })
  const toWeb = await Proxy.start(web.httpPort)
  t.teardown(async () => { await toWeb.close() })
  const atWeb: PhantomInstance[] = []
  for (let n = 0; n < 3; n++) atWeb.push(...await writeStudy(faultStudy(`WEB.${n}`, { images: 5 + n, series: 1 + n % 2, size: 128 }), folder, here.programs))
  const shared = await writeStudy(faultStudy('BOTH.0', { images: 6, series: 2, size: 128 }), folder, here.programs)
  await here.pacs.store(shared.filter(({ instanceNumber }) => instanceNumber <= 4).map(({ path }) => path))
  await web.store([...atWeb, ...shared.filter(({ instanceNumber }) => instanceNumber >= 3)].map(({ path }) => path))
  const publisher = await startPublisher({ programs: here.programs, dir: join(folder, 'publisher') })
  const served = await serve(here.programs, tempDir, { ...here.pacs, port: toPacs.port }, receiverPort, {
    cd_publisher: { host: '127.0.0.1', port: publisher.port, ae_title: publisher.aeTitle, send_timeout: '30s' },
    iso: { temp_dir: tempDir, microdicom_path: '', keep_for: `${KEEP_MS / 1_000}s` }
  }, true, [
    { name: 'main', ae_title: here.pacs.aeTitle, host: '127.0.0.1', port: toPacs.port, ...LIMITS },
    { name: 'web', retrieve: 'wado', dicomweb: { url: `http://127.0.0.1:${toWeb.port}/dicom-web` }, ...LIMITS }
  ])

  const random = generator(Number(values.seed))
  const outcomes: Outcomes = { discs: 0, bytes: 0, kinds: new Map(), left: 0, errors: new Map(), prints: 0, wrong: [] }
  const expected = new Map<string, Map<string, string>>()
  for (const { accessionNumber, sopInstanceUid, pixelDataSha256: sha = '' } of [...here.instances, ...atWeb, ...shared]) {
    expected.set(accessionNumber, (expected.get(accessionNumber) ?? new Map<string, string>()).set(sopInstanceUid, sha))
  }
  const options = { url: () => served.url, programs: here.programs, folder, expected, outcomes, random, restarting: () => false }
  const around: Surroundings = { programs: here.programs, pacsPid: here.pacs.pid, toPacs, toReceiver, toWeb, receiverPort, servicePid: () => served.pid, foreign, random }

  // once each without troubles, so that everything that is loaded lazily is there
  for (const accessionNumber of expected.keys()) if (!await download(options, [accessionNumber])) outcomes.wrong.push(`${accessionNumber} fails before any trouble`)
  const start = await quiet(served.pid, served.url, tempDir)
  tell('at the start', start)

  const troubles = new Map<string, number>()
  const memory: number[] = []
  const endsAt = Date.now() + minutes * 60_000
  let died = false
  const goesOn = (): boolean => Date.now() < endsAt && outcomes.wrong.length < 20 && !died
  void served.child.ended.then(() => { died = true })
  await Promise.all([
    ...Array.from({ length: Number(values.clients) }, async () => {
      while (goesOn()) {
        await act(options)
        await delay(random() * 400)
      }
    }),
    (async () => {
      const names = Object.keys(TROUBLES)
      while (goesOn()) {
        await delay(300 + random() * 2_500)
        const name = names[Math.floor(random() * names.length)] ?? ''
        if (await TROUBLES[name]?.(around) !== 0) troubles.set(name, (troubles.get(name) ?? 0) + 1)
      }
    })(),
    (async () => {
      let n = 0
      let told = 0
      while (goesOn()) {
        memory.push(memoryOf(served.pid))
        for (const sentence of outcomes.wrong.slice(told)) console.log(`WRONG: ${sentence}`)
        told = outcomes.wrong.length
        if (n++ % 12 === 0) console.log(`${new Date().toISOString()} ${summary(outcomes)}, ${memory.at(-1) ?? 0} MiB`)
        await delay(5_000)
      }
    })()
  ])
  if (died) outcomes.wrong.push(`the service ended: ${served.lines.slice(-20).join('\n')}`)

  toPacs.fault = undefined
  toReceiver.fault = undefined
  toWeb.fault = undefined
  if (!died) {
    // the PACS may still be busy with what was given up
    await until(async () => await fetch(`${served.url}/api/health`).then(async answer => await answer.json() as { checks: { pacs: { status: string }, receiver: { status: string } } })
      .then(({ checks }) => checks.pacs.status === 'ok' && checks.receiver.status === 'ok', () => false), 60_000, 500)
    for (const accessionNumber of expected.keys()) if (!await download(options, [accessionNumber])) outcomes.wrong.push(`${accessionNumber} fails after the troubles`)
    const end = await quiet(served.pid, served.url, tempDir)
    tell('at the end', end)
    outcomes.wrong.push(...leaks(start, end), ...growth(memory))
    process.kill(served.pid, 'SIGTERM')
    const { exitCode } = await served.child.ended
    if (exitCode !== 0) outcomes.wrong.push(`exit code ${exitCode} after SIGTERM`)
  }
  console.log(`\nseed ${values.seed}, ${minutes} minutes, ${values.clients} clients\n${summary(outcomes)}`)
  console.log(`discs by kind: ${list(outcomes.kinds)}`)
  console.log(`errors by code: ${list(outcomes.errors)}\ntroubles: ${[...troubles.values()].reduce((sum, one) => sum + one, 0)}: ${list(troubles)}`)
  console.log(`memory of node, MiB, median of each quarter: ${quarters(memory).map(median).join(', ')}; most: ${Math.max(...memory)}`)
  console.log(outcomes.wrong.length === 0 ? 'nothing wrong, nothing left' : `WRONG:\n${outcomes.wrong.join('\n')}`)
  return outcomes.wrong.length === 0
}

/** Waits until nothing of the clients is there any more, then counts; what does not go away is counted too. */
async function quiet (pid: number, url: string, tempDir: string): Promise<Count> {
  // connections that the clients keep open are descriptors of the service
  await getGlobalDispatcher().close()
  setGlobalDispatcher(new Agent())
  let last = await countOf(pid, url, tempDir)
  await until(async () => {
    last = await countOf(pid, url, tempDir)
    return last.entries.length === 0 && last.slots === 0 && last.retrievals === 0 && last.processes.every(name => RESTING.has(name))
  }, KEEP_MS + 40_000, 500)
  return last
}

/** The receiver, with its guard. */
const RESTING = new Set(['sh'])

function leaks (start: Count, end: Count): string[] {
  return [
    ...end.entries.map(path => `left: ${path}`),
    ...(end.processes.join() === start.processes.join() ? [] : [`processes: ${start.processes.join()} became ${end.processes.join()}`]),
    ...(end.descriptors > start.descriptors + 5 ? [`descriptors: ${start.descriptors} became ${end.descriptors}`] : []),
    ...(end.workFolders > 1 ? [`${end.workFolders} work folders`] : []),
    ...(['slots', 'turns', 'retrievals'] as const).filter(what => end[what] !== 0).map(what => `${what}: ${end[what]} in use`)
  ]
}

function growth (memory: readonly number[]): string[] {
  const [, second = 0, , last = 0] = quarters(memory).map(median)
  return last > second * MEMORY_MARGIN + MEMORY_MARGIN_MIB ? [`memory grows: ${second} MiB, then ${last} MiB`] : []
}

function quarters (values: readonly number[]): number[][] {
  return [0, 1, 2, 3].map(n => values.slice(Math.floor(values.length * n / 4), Math.floor(values.length * (n + 1) / 4)))
}

function median (values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}

function tell (when: string, { descriptors, memoryMib, processes, entries, workFolders, slots, retrievals }: Count): void {
  console.log(`${when}: ${descriptors} descriptors, ${memoryMib} MiB, processes ${processes.join(' ')}, ${entries.length} entries in ${workFolders} work folder, ${slots} slots, ${retrievals} retrievals`)
}

function summary ({ discs, bytes, left, errors, prints, wrong }: Outcomes): string {
  return `${discs} discs (${Math.round(bytes / 1_024 ** 2)} MiB), ${prints} prints, ${left} left early, ${[...errors.values()].reduce((sum, one) => sum + one, 0)} errors, ${wrong.length} wrong`
}

function list (counts: ReadonlyMap<string, number>): string {
  return [...counts].sort(([a], [b]) => a < b ? -1 : 1).map(([name, count]) => `${name} ${count}`).join(', ')
}

const right = await soak().finally(async () => { for (const end of ends) await end() })
process.exitCode = right ? 0 : 1
