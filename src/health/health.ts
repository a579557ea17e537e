/** Is everything there that a disc needs? Asked of the real things, at most once in a few seconds. */
import type { ArchiveSettings } from '../config/schema.ts'
import type { PortPool } from '../archive/dimse/port-pool.ts'
import { lookAtTheRobot, type PrintRecord } from '../print/print-job.ts'
import { createProbes, type Check, type ProbeContext } from './probes.ts'
import { largestOf } from '../numbers.ts'

export const CHECKS = ['pacs', 'receiver', 'tools', 'disk', 'patient_api', 'cd_publisher', 'port_pool', 'viewer', 'prints'] as const
export type CheckName = typeof CHECKS[number]

/** Without these no disc can be made: 503. The others hold up a print, a name or the viewer only. */
const VITAL: readonly CheckName[] = ['pacs', 'receiver', 'tools', 'disk']

export interface Health {
  status: 'ok' | 'degraded' | 'down'
  /** Each by its name; `pacs` among the checks is all of them. */
  archives: Record<string, Check>
  checks: Record<CheckName, Check>
}

export interface HealthContext extends ProbeContext {
  /** Asks the receiver for all. @returns what is wrong with it, and what to do; undefined while it takes images, or where there is none */
  receiverFault: () => Promise<string | undefined>
  portPool: Pick<PortPool, 'inUse' | 'size'>
  /** Prints of which nobody knows how they ended. */
  prints: { unresolved: ReadonlyArray<{ record: PrintRecord }> }
}

const CACHE_MS = 3_000

export function createHealth (context: HealthContext) {
  let last: { at: number, health: Promise<Health> } | undefined
  let seen: Health | undefined
  const { archive: probeArchive, ...others } = createProbes(context)
  const { archives: configured } = context.config
  const probes: Record<Exclude<CheckName, 'pacs'>, () => Check | Promise<Check>> = {
    ...others,
    receiver: async () => {
      const fault = await context.receiverFault()
      return fault === undefined ? { status: 'ok' } : { status: 'down', detail: fault }
    },
    port_pool: () => {
      const { inUse, size } = context.portPool
      return inUse < size ? { status: 'ok' } : { status: 'warning', detail: `all ${size} receive slots are in use (our_ae.port_range)` }
    },
    prints: () => {
      const unresolved = context.prints.unresolved
      return unresolved.length === 0 ? { status: 'ok' } : { status: 'warning', detail: unresolved.map(({ record }) => lookAtTheRobot(record)).join('; ') }
    }
  }

  const ask = async (): Promise<Health> => {
    const asked = Promise.all(configured.map(async settings => [settings, await settled(async () => await probeArchive(settings))] as const))
    const answers = await Promise.all(CHECKS.map(async (name): Promise<[CheckName, Check]> =>
      [name, name === 'pacs' ? archivesTogether(await asked) : await settled(probes[name])]))
    const checks = Object.fromEntries(answers) as Record<CheckName, Check>
    const status = VITAL.some(name => checks[name].status === 'down') ? 'down' : answers.every(([, check]) => check.status === 'ok') ? 'ok' : 'degraded'
    return { status, checks, archives: Object.fromEntries((await asked).map(([{ name }, check]) => [name, check])) }
  }

  return {
    /** What was seen last, however long ago; asks nobody. */
    get seen (): Health | undefined { return seen },
    /** The state now, or a few seconds ago; callers at the same time share one look. */
    async check (): Promise<Health> {
      if (last === undefined || performance.now() - last.at > CACHE_MS) last = { at: performance.now(), health: ask() }
      seen = await last.health
      return seen
    }
  }
}

async function settled (probe: () => Check | Promise<Check>): Promise<Check> {
  try {
    return await probe()
  } catch (error) { return { status: 'down', detail: error instanceof Error ? error.message : String(error) } }
}

/** Without an archive that is not optional no disc can be made: what only it has nobody knows. */
function archivesTogether (asked: ReadonlyArray<readonly [Pick<ArchiveSettings, 'optional'>, Check]>): Check {
  const faults = asked.filter(([, { status }]) => status !== 'ok')
  const status = faults.some(([{ optional }, check]) => check.status === 'down' && !optional) ? 'down' : faults.length > 0 ? 'warning' : 'ok'
  const details = faults.flatMap(([, { detail }]) => detail ?? [])
  const latencies = asked.flatMap(([, { latency_ms: latencyMs }]) => latencyMs ?? [])
  return { status, ...details.length === 0 ? {} : { detail: details.join('; ') }, ...latencies.length === 0 ? {} : { latency_ms: largestOf(latencies, 0) } }
}
