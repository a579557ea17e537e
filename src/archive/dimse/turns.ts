/** Turns at the PACS: so many moves at a time over all requests, first come first served. */
import pLimit from 'p-limit'
import { MkisoError } from '../../errors.ts'

export class Turns {
  readonly #limit: ReturnType<typeof pLimit>

  constructor (atOnce: number) {
    this.#limit = pLimit(atOnce)
  }

  get active (): number { return this.#limit.activeCount }
  get waiting (): number { return this.#limit.pendingCount }

  /**
   * Waits for a turn and does the task in it. One who leaves the queue costs the others nothing.
   * @param queueTimeoutMs longest wait; undefined for no end
   * @throws MkisoError TOO_MANY_CONCURRENT after `queueTimeoutMs`
   * @throws the signal's reason
   */
  async take<T> (task: () => Promise<T>, signal: AbortSignal, queueTimeoutMs?: number): Promise<T> {
    signal.throwIfAborted()
    return await new Promise<T>((resolve, reject) => {
      let left = false
      const leave = (reason: unknown): void => {
        left = true
        clearTimeout(timer)
        signal.removeEventListener('abort', onAbort)
        reject(reason)
      }
      const onAbort = (): void => { leave(signal.reason) }
      const timer = queueTimeoutMs === undefined
        ? undefined
        : setTimeout(() => {
          leave(new MkisoError('TOO_MANY_CONCURRENT', `no turn at the PACS within ${queueTimeoutMs / 1_000} s (pacs.max_moves)`, { retryAfterSeconds: 30 }))
        }, queueTimeoutMs)
      signal.addEventListener('abort', onAbort, { once: true })
      void this.#limit(async () => {
        signal.removeEventListener('abort', onAbort)
        clearTimeout(timer)
        if (left) return
        try { resolve(await task()) } catch (error) { reject(error) }
      })
    })
  }
}
