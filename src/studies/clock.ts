/** Time, as the fetching of a study sees it: the machine's, or that of a test which makes hours pass in no time. */
import { setTimeout as delay } from 'node:timers/promises'

export interface Clock {
  /** Milliseconds from some moment on; never goes back. */
  nowMs (): number
  /** @throws the signal's reason */
  wait (ms: number, signal: AbortSignal): Promise<void>
  /** Calls back again and again. @returns the way to end it */
  every (ms: number, tick: () => void): () => void
}

export const machineClock: Clock = {
  nowMs: () => performance.now(),
  wait: async (ms, signal) => {
    try { await delay(ms, undefined, { signal }) } catch (error) {
      signal.throwIfAborted()
      throw error
    }
  },
  every: (ms, tick) => {
    const timer = setInterval(tick, ms).unref()
    return () => { clearInterval(timer) }
  }
}
