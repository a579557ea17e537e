/**
 * Many prints while the service is killed with -9, the robot is switched off and the connection is cut at random moments; then the discs are counted.
 * `npm run print-storm` does 300 of them; the tests do some.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import { freePort } from '../../demo/ports.ts'
import type { PrintState } from '../../src/http/print-state.ts'
import { until } from '../../src/process.ts'
import { Proxy } from '../faults/proxy.ts'
import { serve, type Served } from '../served.ts'
import { temporaryFolder, world } from '../world.ts'
import { startRobot } from './robot.ts'

const IMAGES = 8
/** Prints at the same time. */
const AT_ONCE = 4
/** An undisturbed wave takes about so long here. */
const WAVE_MS = 2_500
const END_TIMEOUT_MS = 60_000
const TROUBLES = ['nothing', 'service', 'service', 'robot', 'connection'] as const

export interface StormResult {
  seed: number
  prints: number
  /** Jobs by their state. */
  states: Record<string, number>
  troubles: Record<string, number>
  /** Jobs that are not as they must be, each with why. */
  wrong: string[]
  seconds: number
}

/** The same numbers for the same seed (mulberry32). */
function randomOf (seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6D2B79F5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

export async function storm (t: Pick<Test, 'teardown'>, { prints, seed, built = false }: { prints: number, seed: number, built?: boolean }): Promise<StormResult> {
  const startedAt = performance.now()
  const random = randomOf(seed)
  const accessionNumbers = Array.from({ length: prints }, (_, n) => `STORM.${n + 1}`)
  const patient = { patientId: 'STORM.1', patientName: 'STORM^OF PRINTS', birthDate: '19700101', sex: 'O' }
  const studies = accessionNumbers.map(accessionNumber => ({
    accessionNumber, patient, studyDate: '20240501', studyDescription: 'Storm', series: [{ kind: 'CR' as const, count: IMAGES, rows: 32, columns: 32 }]
  }))
  const receiverPort = await freePort()
  const here = await world(t, 'dcmqrscp', { studies, receiverPort })
  const robot = await startRobot(t)
  robot.delayMs = 20
  const toRobot = await Proxy.start(robot.port)
  t.teardown(async () => { await toRobot.close() })
  const folder = temporaryFolder(t, 'storm')
  const start = async (): Promise<Served> => await serve(here.programs, folder, here.pacs, receiverPort, { cd_publisher: { host: '127.0.0.1', port: toRobot.port, connect_timeout: '3s' } }, built)
  let served = await start()

  const ask = async <T>(method: string, path: string, headers: Record<string, string> = {}): Promise<T | undefined> => {
    try {
      const answer = await fetch(served.url + path, { method, headers })
      return answer.ok ? await answer.json() as T : undefined
    } catch { return undefined }
  }
  /** As a program of the HIS does that does not give up. */
  const print = async (accessionNumber: string): Promise<string> => {
    let id: string | undefined
    const asked = await until(async () => {
      const job = await ask<PrintState>('POST', `/api/iso/print?accession_number=${accessionNumber}`, { prefer: 'respond-async', 'idempotency-key': `${seed}-${accessionNumber}` })
      id = job?.id
      return id !== undefined
    }, END_TIMEOUT_MS, 50)
    if (!asked || id === undefined) throw new Error(`seed ${seed}: ${accessionNumber} cannot be printed: ${served.lines.slice(-20).join('\n')}`)
    return id
  }
  const stateOf = async (id: string): Promise<PrintState | undefined> => await ask<PrintState>('GET', `/api/iso/print/jobs/${id}`)
  const trouble = async (kind: typeof TROUBLES[number]): Promise<void> => {
    await delay(random() * WAVE_MS)
    if (kind === 'service') {
      process.kill(served.pid, 'SIGKILL')
      await served.child.ended
      served = await start()
    } else if (kind === 'robot') {
      await robot.off()
      await delay(random() * WAVE_MS)
      await robot.on()
    } else if (kind === 'connection') {
      toRobot.fault = { kind: 'cut', afterBytes: Math.round(random() * IMAGES * 3_000), times: 1 }
    }
  }

  const troubles: Record<string, number> = {}
  const ids = new Map<string, string>()
  for (let first = 0; first < prints; first += AT_ONCE) {
    const kind = TROUBLES[Math.floor(random() * TROUBLES.length)] ?? 'nothing'
    troubles[kind] = (troubles[kind] ?? 0) + 1
    const wave = accessionNumbers.slice(first, first + AT_ONCE)
    const printing = Promise.all(wave.map(async accessionNumber => { ids.set(accessionNumber, await print(accessionNumber)) }))
    await Promise.all([printing, trouble(kind)])
    const ended = await until(async () => {
      const states = await Promise.all(wave.map(async accessionNumber => (await stateOf(ids.get(accessionNumber) ?? ''))?.state))
      return states.every(state => state !== undefined && !['queued', 'fetching', 'sending'].includes(state))
    }, END_TIMEOUT_MS, 50)
    if (!ended) throw new Error(`seed ${seed}: a wave with ${kind} does not end: ${served.lines.slice(-20).join('\n')}`)
    toRobot.fault = undefined
  }

  const health = JSON.stringify(await ask('GET', '/api/health'))
  const states: Record<string, number> = {}
  const wrong: string[] = []
  for (const [accessionNumber, id] of ids) {
    const job = await stateOf(id)
    const state = job?.state ?? 'lost'
    states[state] = (states[state] ?? 0) + 1
    const [instance] = here.of(accessionNumber)
    const discs = robot.discsOf(instance?.studyInstanceUid ?? '')
    const images = discs[0]?.images.size ?? 0
    const tell = (what: string): void => { wrong.push(`${accessionNumber} (${id}) ${state} ${job?.error?.code ?? ''}: ${what}; discs of ${discs.map(disc => disc.images.size).join(', ')}`) }
    if (discs.length > 1) tell('more than one disc')
    if (state === 'sent' && images !== IMAGES) tell('not all images')
    if (state === 'failed' && job?.error?.code === 'CD_PUBLISHER_UNREACHABLE' && discs.length > 0) tell('the robot has something of it')
    if (state === 'failed' && !(job?.error?.code ?? '').startsWith('CD_PUBLISHER')) tell('it should have gone on')
    if (state === 'unknown' && !health.includes(id)) tell('nobody is told of it')
    if (!['sent', 'failed', 'unknown'].includes(state)) tell('it has no end')
  }
  if (robot.discs().length > prints) wrong.push(`${robot.discs().length} discs of ${prints} prints`)
  return { seed, prints, states, troubles, wrong, seconds: Math.round((performance.now() - startedAt) / 1_000) }
}
