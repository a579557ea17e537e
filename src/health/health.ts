/** Is everything there that a disc needs? Asked of the real things, at most once in a few seconds. */
import type { PortPool } from '../archive/dimse/port-pool.ts'
import { lookAtTheRobot, type PrintRecord } from '../print/print-job.ts'
import { createProbes, type Check, type ProbeContext } from './probes.ts'

export const CHECKS = ['pacs', 'receiver', 'tools', 'disk', 'patient_api', 'cd_publisher', 'port_pool', 'viewer', 'prints'] as const
export type CheckName = typeof CHECKS[number]

/** Without these no disc can be made: 503. The others hold up a print, a name or the viewer only. */
const VITAL: readonly CheckName[] = ['pacs', 'receiver', 'tools', 'disk']

export interface Health {
  status: 'ok' | 'degraded' | 'down'
  checks: Record<CheckName, Check>
}

export interface HealthContext extends ProbeContext {
  receiverFault: () => string | undefined
  portPool: Pick<PortPool, 'inUse' | 'size'>
  /** Prints of which nobody knows how they ended. */
  prints: { unresolved: ReadonlyArray<{ record: PrintRecord }> }
}

const CACHE_MS = 3_000

export function createHealth (context: HealthContext) {
  let last: { at: number, health: Promise<Health> } | undefined
  let seen: Health | undefined
  const probes: Record<CheckName, () => Check | Promise<Check>> = {
    ...createProbes(context),
    receiver: () => {
      const fault = context.receiverFault()
      return fault === undefined ? { status: 'ok' } : { status: 'down', detail: `${fault}; free the port, or change our_ae.base_port here and at the PACS` }
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
    const answers = await Promise.all(CHECKS.map(async (name): Promise<[CheckName, Check]> => {
      try {
        return [name, await probes[name]()]
      } catch (error) { return [name, { status: 'down', detail: error instanceof Error ? error.message : String(error) }] }
    }))
    const checks = Object.fromEntries(answers) as Record<CheckName, Check>
    const status = VITAL.some(name => checks[name].status === 'down') ? 'down' : answers.every(([, check]) => check.status === 'ok') ? 'ok' : 'degraded'
    return { status, checks }
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
