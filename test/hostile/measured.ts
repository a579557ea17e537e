/** What a service under attack holds, and how promptly it answers: seen from outside. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { memoryOf } from '../soak/count.ts'

export interface Held {
  descriptors: number
  memoryMib: number
}

export function heldBy (pid: number): Held {
  return { descriptors: readdirSync(`/proc/${pid}/fd`).length, memoryMib: memoryOf(pid) }
}

/** The most memory that a process has ever had. */
export function peakMib (pid: number): number {
  return Math.round(Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1_024)
}

/** Ticks are hundredths of a second on every Linux that we run on (proc(5), sysconf(_SC_CLK_TCK)). */
const TICKS_A_SECOND = 100

/** Processor time of a process, without its children. */
function cpuSecondsOf (pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND
}

export interface Liveness {
  asked: number
  /** Everything that was not 200. */
  bad: string[]
  longestMs: number
}

const PROBE_EVERY_MS = 50

/** Asks for the sign of life again and again, each time on a connection of its own as a probe does. @returns the way to end it */
export function watchLiveness (url: string): () => Promise<Liveness> {
  const seen: Liveness = { asked: 0, bad: [], longestMs: 0 }
  const ended = new AbortController()
  const done = (async () => {
    while (!ended.signal.aborted) {
      const startedMs = performance.now()
      try {
        const answer = await fetch(`${url}/api/health/live`, { headers: { connection: 'close' } })
        await answer.text()
        if (answer.status !== 200) seen.bad.push(String(answer.status))
      } catch (error) { seen.bad.push(String(error)) }
      seen.asked++
      seen.longestMs = Math.max(seen.longestMs, performance.now() - startedMs)
      await delay(PROBE_EVERY_MS)
    }
  })()
  return async () => {
    ended.abort()
    await done
    return seen
  }
}

export function tell ({ asked, longestMs }: Liveness): string {
  return `the sign of life was asked for ${asked} times, the slowest answer took ${Math.round(longestMs)} ms`
}

export interface Seen extends Liveness {
  before: Held
  peakMib: number
  tookMs: number
  cpuSeconds: number
  standstillMs: number
}

/** What a service holds and how it answers while work is done, and the answers of the work. The most memory is of that time only (proc(5), clear_refs). */
export async function during<T> ({ pid, url }: { pid: number, url: string }, work: () => Promise<T>): Promise<{ result: T, seen: Seen }> {
  const before = heldBy(pid)
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
  await longestStandstillMs(url)
  const cpuSeconds = cpuSecondsOf(pid)
  const liveness = watchLiveness(url)
  const startedMs = performance.now()
  const result = await work()
  const tookMs = performance.now() - startedMs
  const signs = await liveness()
  const standstillMs = await longestStandstillMs(url)
  return { result, seen: { ...signs, before, peakMib: peakMib(pid), tookMs, cpuSeconds: cpuSecondsOf(pid) - cpuSeconds, standstillMs } }
}

/** The longest that its event loop stood still since it was last asked, as it says itself (monitorEventLoopDelay, by prom-client). */
async function longestStandstillMs (url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Math.round(1_000 * Number(/^nodejs_eventloop_lag_max_seconds (\S+)/m.exec(text)?.[1] ?? 0))
}
