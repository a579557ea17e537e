/** `mkiso doctor` from the operator's page: everything that a disc needs, asked of the real things, while the service runs. */
import fp from 'fastify-plugin'
import { examine } from '../src/doctor/doctor.ts'
import type { Finding } from '../src/doctor/finding.ts'
import type { Config } from '../src/config/schema.ts'
import { MkisoError } from '../src/errors.ts'

/** Nobody waits longer; each question has a limit of its own. */
const LONGEST_MS = 180_000

export interface SelfTestState {
  /** What was seen so far, each with what to change or to type where, line by line. */
  findings: Array<{ name: string, status: Finding['status'], detail: string, advice: string[] }>
  ended: boolean
  /** Why it ended before everything was asked. */
  fault?: string
}

export const SELF_TEST_EXAMPLE: SelfTestState = {
  findings: [{ name: 'patient API', status: 'down', detail: 'there is no host his-server', advice: ['check patient_api.base_url'] }],
  ended: true
}

declare module 'fastify' {
  interface FastifyInstance { selfTest: ReturnType<typeof createSelfTest> }
}

export interface SelfTest {
  state: () => SelfTestState
  listen: (changed: () => void) => () => void
}

export function createSelfTest (config: Config, file: string) {
  let runs = false
  return {
    /**
     * Begins one; the signal ends it.
     * @param accessionNumber one that the archives have, for the image that is asked for; undefined for one of the last days
     * @param serviceUrl where this service answers
     * @throws MkisoError TOO_MANY_CONCURRENT while one runs
     */
    begin ({ accessionNumber, serviceUrl, signal }: { accessionNumber: string | undefined, serviceUrl: string, signal: AbortSignal }): SelfTest {
      if (runs) throw new MkisoError('TOO_MANY_CONCURRENT', 'a test runs already', { retryAfterSeconds: 10 })
      runs = true
      const findings: Finding[] = []
      const listeners = new Set<() => void>()
      const limit = AbortSignal.timeout(LONGEST_MS)
      let ended = false
      let fault: string | undefined
      const tell = (): void => { for (const changed of listeners) changed() }
      const onFinding = (finding: Finding): void => { findings.push(finding); tell() }
      examine(config, { file, accessionNumber, serviceUrl, signal: AbortSignal.any([signal, limit]), onFinding }).catch((error: unknown) => {
        fault = limit.aborted ? `not everything was asked within ${LONGEST_MS / 1_000} s` : error instanceof Error ? error.message : String(error)
      }).finally(() => {
        runs = false
        ended = true
        tell()
      })
      return {
        state: () => ({
          findings: findings.map(({ name, status, detail, advice = [] }) => ({ name, status, detail, advice: [...advice] })),
          ended,
          ...(fault === undefined ? {} : { fault })
        }),
        listen: changed => {
          listeners.add(changed)
          return () => { listeners.delete(changed) }
        }
      }
    }
  }
}

export interface SelfTestOptions {
  /** Path of the configuration; empty where it came from elsewhere. */
  configFile?: string
}

export default fp<SelfTestOptions>(async (app, { configFile = '' }) => {
  app.decorate('selfTest', createSelfTest(app.config, configFile))
}, { name: 'self-test', dependencies: ['config'] })
