/** What the operator sees: running and finished work, resources, health. Looked up only while somebody looks. */
import fp from 'fastify-plugin'
import { Type, type Static } from '@sinclair/typebox'
import { ACTIVITY_EXAMPLE, ActivityState, activityState } from '../src/http/activity-state.ts'
import { person, Person, PrintState, printState } from '../src/http/print-state.ts'
import { diskOf } from '../src/disk.ts'
import type { ConfiguredArchive } from '../src/archive/create-archive.ts'
import type { Health } from '../src/health/health.ts'
import type { PrintQueue } from '../src/print/print-queue.ts'
import type { Log } from '../src/process.ts'
import type { Activities } from '../src/work/activities.ts'
import type { Activity } from '../src/work/activity.ts'

const Resources = Type.Object({
  slots: Type.Object({ in_use: Type.Integer(), size: Type.Integer({ description: 'our_ae.port_range' }) }),
  moves: Type.Object({ active: Type.Integer(), waiting: Type.Integer(), max: Type.Integer({ description: 'pacs.max_moves, of all archives.' }) }),
  kept: Type.Object({ studies: Type.Integer({ description: 'On disk though nobody uses them (iso.keep_for).' }), bytes: Type.Integer(), max_bytes: Type.Integer({ description: 'iso.keep_max_bytes' }) }),
  disk: Type.Optional(Type.Object({ free_bytes: Type.Integer(), total_bytes: Type.Integer() }, { description: 'Where iso.temp_dir is.' }))
})

const HealthState = Type.Object({
  status: Type.String({ description: 'As /api/health.' }),
  checks: Type.Record(Type.String(), Type.Object({ status: Type.String(), detail: Type.Optional(Type.String()), latency_ms: Type.Optional(Type.Integer()) })),
  archives: Type.Record(Type.String(), Type.Object({ status: Type.String(), detail: Type.Optional(Type.String()), latency_ms: Type.Optional(Type.Integer()) }))
})

const ShownActivity = Type.Object({ ...ActivityState.properties, asked_by: Type.Optional(Person) }, { title: 'Activity' })

const State = Type.Object({
  started_at: Type.String({ description: 'ISO 8601.' }),
  names: Type.Boolean({ description: 'Patients\' names are only shown where a key is asked for.' }),
  running: Type.Array(ShownActivity, { description: 'Oldest first.' }),
  finished: Type.Array(ShownActivity, { description: 'The last 50, newest first.' }),
  unknown_prints: Type.Array(PrintState, { description: 'Somebody must look at the robot for each of them; then POST /api/iso/print/jobs/ID/acknowledge.' }),
  resources: Resources,
  health: Type.Optional(HealthState)
})

export const SERVICE_STATE_EXAMPLE: Static<typeof State> = {
  started_at: '2024-05-06T06:00:00.000Z',
  names: true,
  running: [ACTIVITY_EXAMPLE],
  finished: [],
  unknown_prints: [],
  resources: {
    slots: { in_use: 1, size: 100 },
    moves: { active: 2, waiting: 0, max: 8 },
    kept: { studies: 0, bytes: 0, max_bytes: 20_000_000_000 },
    disk: { free_bytes: 80_000_000_000, total_bytes: 100_000_000_000 }
  }
}

export const ServiceState = Type.Object(State.properties, { title: 'ServiceState', examples: [SERVICE_STATE_EXAMPLE] })

export type ServiceState = Static<typeof ServiceState>

declare module 'fastify' {
  interface FastifyInstance { serviceState: ReturnType<typeof createServiceState> }
}

const REFRESH_MS = 5_000

/** What the state is told from; where it is counted does not matter here. */
export interface ServiceStateContext {
  activities: Pick<Activities, 'running' | 'finished' | 'on' | 'off'>
  /** `names`: patients' names may be shown. */
  names: boolean
  slots: { readonly inUse: number, readonly size: number }
  moves: () => { active: number, waiting: number }
  maxMoves: number
  kept: { readonly kept: number, readonly keptBytes: number }
  keepMaxBytes: number
  prints: Pick<PrintQueue, 'unresolved' | 'on' | 'off'>
  health: { check (): Promise<Health> }
  workDir: string
  log: Log
}

export function createServiceState (context: ServiceStateContext) {
  const { activities, names, slots, moves, kept, prints } = context
  const startedAt = new Date().toISOString()
  let health: ServiceState['health']
  let disk: ServiceState['resources']['disk']
  const watchers = new Set<() => void>()
  let timer: NodeJS.Timeout | undefined

  const shown = (activity: Activity): Static<typeof ShownActivity> =>
    ({ ...activityState(activity, names), ...(names ? { asked_by: person(activity.caller) } : {}) })

  const refresh = async (): Promise<void> => {
    const [checked, { freeBytes, sizeBytes }] = await Promise.all([context.health.check(), diskOf(context.workDir)])
    health = checked
    disk = { free_bytes: freeBytes, total_bytes: sizeBytes }
    for (const changed of watchers) changed()
  }
  const refreshSoon = (): void => { refresh().catch((error: unknown) => { context.log.error({ err: error }, 'the state of the service cannot be read') }) }

  return {
    refresh,
    now: (): ServiceState => ({
      started_at: startedAt,
      names,
      running: activities.running.map(shown),
      finished: activities.finished.map(shown),
      unknown_prints: prints.unresolved.map(job => printState(job, names)),
      resources: {
        slots: { in_use: slots.inUse, size: slots.size },
        moves: { ...moves(), max: context.maxMoves },
        kept: { studies: kept.kept, bytes: kept.keptBytes, max_bytes: context.keepMaxBytes },
        ...(disk === undefined ? {} : { disk })
      },
      ...(health === undefined ? {} : { health })
    }),
    /** Calls back when something may have changed. @returns the way to end it */
    listen: (changed: () => void): () => void => {
      watchers.add(changed)
      refreshSoon()
      timer ??= setInterval(refreshSoon, REFRESH_MS).unref()
      for (const event of ['started', 'changed', 'ended'] as const) activities.on(event, changed)
      prints.on('changed', changed)
      return () => {
        watchers.delete(changed)
        prints.off('changed', changed)
        for (const event of ['started', 'changed', 'ended'] as const) activities.off(event, changed)
        if (watchers.size > 0) return
        clearInterval(timer)
        timer = undefined
      }
    }
  }
}

export default fp(async app => {
  const { activities, archives, config, portPool: slots, studyStore: kept, prints, health, workDir, log } = app
  const total = (read: (archive: ConfiguredArchive) => number): number => archives.reduce((sum, one) => sum + read(one), 0)
  const moves = () => ({ active: total(({ limit }) => limit.moves.active), waiting: total(({ limit }) => limit.moves.waiting) })
  const maxMoves = total(({ settings }) => Math.min(settings.max_moves, settings.maxAssociations))
  app.decorate('serviceState', createServiceState({
    activities, names: config.auth.enabled, slots, moves, maxMoves, kept, keepMaxBytes: config.iso.keepMaxBytes, prints, health, workDir, log
  }))
}, { name: 'service-state', dependencies: ['config', 'activity', 'health', 'port-pool', 'relay', 'retrieval'] })
