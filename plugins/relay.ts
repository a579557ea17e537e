/** Prints: studies to the CD publisher. */
import fp from 'fastify-plugin'
import type { Log } from '../src/process.ts'
import { relay, type RelayOptions, type RelayResult } from '../src/relay/relay.ts'
import { SharedWork } from '../src/shared-work.ts'

declare module 'fastify' {
  interface FastifyInstance { relay: ReturnType<typeof createRelay> }
}

export function createRelay (options: RelayOptions) {
  const prints = new SharedWork<RelayResult>()
  return {
    /** A second click while the first is under way joins it: the robot makes one disc. */
    print: async (accessionNumbers: readonly string[], signal: AbortSignal, log: Log): Promise<RelayResult> =>
      await prints.join([...accessionNumbers].sort().join(','), async shared => await relay(options, accessionNumbers, shared, log), signal)
  }
}

export default fp(async app => {
  const { config, retrievals, workDir, dcmtk } = app
  app.decorate('relay', createRelay({ ...dcmtk, config, retrievals, workDir }))
}, { name: 'relay', dependencies: ['config', 'dcmtk', 'retrieval'] })
