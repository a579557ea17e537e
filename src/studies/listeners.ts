/** Who wants to hear of something. A listener's exception never crosses into whoever tells: it is logged, and the others hear of it too. */
import type { Log } from '../process.ts'

export class Listeners<T> {
  readonly #log: Log
  readonly #listeners = new Set<(event: T) => void>()

  constructor (log: Log) {
    this.#log = log
  }

  /** @returns the way to end it */
  add (listener: (event: T) => void): () => void {
    this.#listeners.add(listener)
    return () => { this.#listeners.delete(listener) }
  }

  tell (event: T): void {
    for (const listener of this.#listeners) {
      try { listener(event) } catch (error) { this.#log.error({ err: error }, 'a listener failed') }
    }
  }
}
