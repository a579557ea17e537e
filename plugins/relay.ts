/** Prints: studies to the CD publisher. */
import fp from 'fastify-plugin'
import type { Activity } from '../src/work/activity.ts'
import { SharedWatch } from '../src/studies/watch.ts'
import type { Audit } from '../src/audit/audit.ts'
import type { Log } from '../src/process.ts'
import { relay, type RelayOptions, type RelayResult } from '../src/print/relay.ts'
import type { CompleteStudies } from '../src/studies/complete-studies.ts'
import { SharedWork } from '../src/shared-work.ts'
import { toMkisoError } from './errors.ts'

declare module 'fastify' {
  interface FastifyInstance { relay: ReturnType<typeof createRelay> }
}

export function createRelay (options: RelayOptions, audit: Audit) {
  const prints = new SharedWork<RelayResult>()
  const running = new Map<string, { watch: SharedWatch, work: Promise<RelayResult>, waiting: Set<Activity> }>()
  const begin = async (key: string, accessionNumbers: readonly string[], check: RelayOptions['check'], signal: AbortSignal, log: Log): Promise<RelayResult> => {
    const watch = new SharedWatch()
    const waiting = new Set<Activity>()
    const onTransfer = (studies: CompleteStudies): void => { for (const activity of waiting) audit.transferring(activity, studies) }
    const mine = { watch, waiting, work: relay({ ...options, check, onTransfer }, accessionNumbers, signal, log, watch) }
    running.set(key, mine)
    try { return await mine.work } finally { if (running.get(key) === mine) running.delete(key) }
  }
  return {
    /**
     * A second click while the first is under way joins it: the robot makes one disc.
     * @param check is asked when the studies are known, and may refuse them
     */
    async print (activity: Activity, check: RelayOptions['check'], log: Log): Promise<RelayResult> {
      const { accessionNumbers, signal } = activity
      const key = [...accessionNumbers].sort().join(',')
      const result = prints.join(key, async shared => await begin(key, accessionNumbers, check, shared, log), signal)
      const shared = running.get(key)
      const leave = shared?.watch.join(activity)
      shared?.waiting.add(activity)
      try {
        return await result
      } finally {
        shared?.waiting.delete(activity)
        // whoever leaves while the images go out has printed all the same
        if (activity.committed && shared !== undefined) void endWith(activity, shared.work).finally(leave)
        else leave?.()
      }
    }
  }
}

async function endWith (activity: Activity, work: Promise<unknown>): Promise<void> {
  await work.then(() => { activity.end({ kind: 'success' }) }, (error: Error) => { activity.fail(toMkisoError(error)) })
}

export default fp(async app => {
  const { config, studyStore: studies, workDir, dcmtk } = app
  app.decorate('relay', createRelay({ ...dcmtk, config, studies, workDir }, app.audit))
}, { name: 'relay', dependencies: ['config', 'errors', 'dcmtk', 'retrieval', 'audit'] })
