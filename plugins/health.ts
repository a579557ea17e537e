/** Is everything there that a disc needs? Asked of the real things, at most once in a few seconds. */
import { accessSync, constants } from 'node:fs'
import { statfs } from 'node:fs/promises'
import fp from 'fastify-plugin'
import type { FastifyInstance } from 'fastify'
import { echoscu } from '../src/dicom/echoscu.ts'
import type { Peer } from '../src/dicom/peer.ts'
import { viewerFault } from '../src/disc/viewer.ts'
import { publisherOf } from '../src/relay/relay.ts'
import { aeTitleAt, pacsOf } from '../src/retrieval/pacs.ts'

declare module 'fastify' {
  interface FastifyInstance { health: ReturnType<typeof createHealth> }
}

export interface Check {
  status: 'ok' | 'warning' | 'down'
  /** What is wrong, and what to do. */
  detail?: string
  latency_ms?: number
}

export const CHECKS = ['pacs', 'receiver', 'tools', 'disk', 'patient_api', 'cd_publisher', 'port_pool', 'viewer'] as const
export type CheckName = typeof CHECKS[number]

/** Without these no disc can be made: 503. The others hold up a print, a name or the viewer only. */
const VITAL: readonly CheckName[] = ['pacs', 'receiver', 'tools', 'disk']

export interface Health {
  status: 'ok' | 'degraded' | 'down'
  checks: Record<CheckName, Check>
}

const CACHE_MS = 3_000
const PROBE_TIMEOUT_MS = 4_000
const LOW_DISK_BYTES = 1_024 ** 3

export function createHealth (app: Pick<FastifyInstance, 'config' | 'dcmtk' | 'receiverFault' | 'portPool' | 'patientClient' | 'workDir'>) {
  const { config } = app
  let last: { at: number, health: Promise<Health> } | undefined

  const echo = async (peer: Peer, whatToDo: string): Promise<Check> => {
    const startedAt = performance.now()
    const fault = await echoscu(app.dcmtk, { ...peer, connectTimeoutMs: Math.min(peer.connectTimeoutMs, PROBE_TIMEOUT_MS) }, aeTitleAt(config, 0))
    const latencyMs = Math.round(performance.now() - startedAt)
    return fault === undefined
      ? { status: 'ok', latency_ms: latencyMs }
      : { status: 'down', detail: `${peer.aeTitle} at ${peer.host}:${peer.port}: ${fault.reason}; ${whatToDo}`, latency_ms: latencyMs }
  }

  const probes: Record<CheckName, () => Check | Promise<Check>> = {
    pacs: async () => await echo(pacsOf(config), `check pacs.* and that the PACS knows the AE title ${aeTitleAt(config, 0)}`),
    cd_publisher: async () => await echo(publisherOf(config), 'check cd_publisher.* and that the robot is switched on'),
    receiver: () => down(app.receiverFault(), 'free the port, or change our_ae.base_port here and at the PACS'),
    tools: () => {
      const missing = [...Object.values(config.dcmtk).filter(path => path.includes('/')), config.tools.genisoimage].filter(path => !runs(path))
      return missing.length === 0 ? { status: 'ok' } : { status: 'down', detail: `cannot be run: ${missing.join(', ')}; apt-get install dcmtk genisoimage` }
    },
    disk: async () => {
      const { bavail, bsize } = await statfs(app.workDir)
      const free = bavail * bsize
      return free >= LOW_DISK_BYTES ? { status: 'ok' } : { status: 'down', detail: `${Math.floor(free / 1_024 ** 2)} MiB free in iso.temp_dir, less than 1024 MiB` }
    },
    patient_api: async () => {
      const startedAt = performance.now()
      const fault = await app.patientClient.probe(AbortSignal.timeout(PROBE_TIMEOUT_MS))
      const latencyMs = Math.round(performance.now() - startedAt)
      if (fault === undefined) return { status: 'ok', latency_ms: latencyMs }
      return { status: config.patient_api.required ? 'down' : 'warning', detail: `${fault}; check patient_api.*, or set patient_api.required: false`, latency_ms: latencyMs }
    },
    port_pool: () => {
      const { inUse, size } = app.portPool
      return inUse < size ? { status: 'ok' } : { status: 'warning', detail: `all ${size} receive slots are in use (our_ae.port_range)` }
    },
    viewer: async () => {
      const fault = await viewerFault(config.iso.microdicom_path, config.disc.viewer_program)
      return fault === undefined ? { status: 'ok' } : { status: 'warning', detail: fault }
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
    /** The state now, or a few seconds ago; callers at the same time share one look. */
    async check (): Promise<Health> {
      if (last === undefined || performance.now() - last.at > CACHE_MS) last = { at: performance.now(), health: ask() }
      return await last.health
    }
  }
}

function down (fault: string | undefined, whatToDo: string): Check {
  return fault === undefined ? { status: 'ok' } : { status: 'down', detail: `${fault}; ${whatToDo}` }
}

function runs (path: string): boolean {
  try { accessSync(path, constants.X_OK); return true } catch { return false }
}

export default fp(async app => {
  app.decorate('health', createHealth(app))
}, { name: 'health', dependencies: ['config', 'dcmtk', 'retrieval', 'port-pool', 'patient-client'] })
