/** Work that several callers may want at the same time: done once, each caller leaves on its own, and when all have left it is given up. */
import { setMaxListeners } from 'node:events'
import { abortable } from './abort.ts'

interface Running<T> {
  result: Promise<T>
  controller: AbortController
  waiting: number
}

export class SharedWork<T> {
  readonly #running = new Map<string, Running<T>>()

  get size (): number { return this.#running.size }

  /**
   * Joins the work under a key, or begins it.
   * @throws the caller's signal's reason, or what the work throws
   */
  async join (key: string, begin: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted()
    let work = this.#running.get(key)
    if (work === undefined) {
      const controller = new AbortController()
      setMaxListeners(0, controller.signal)
      const started: Running<T> = { controller, waiting: 0, result: begin(controller.signal).finally(() => { if (this.#running.get(key) === started) this.#running.delete(key) }) }
      this.#running.set(key, work = started)
    }
    const joined = work
    joined.waiting++
    try {
      return await abortable(joined.result, signal)
    } finally {
      if (--joined.waiting === 0) {
        if (this.#running.get(key) === joined) this.#running.delete(key)
        joined.controller.abort(signal.reason)
      }
    }
  }
}
