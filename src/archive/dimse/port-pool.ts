/** The slots for requests that receive at the same time. A slot is a number; with receiver per-request it is also a port and an AE title. */
import { MkisoError } from '../../errors.ts'

export interface Slot {
  /** 0 to size - 1. */
  readonly index: number
  /** Gives the slot back; more than once does no harm. */
  release (): void
}

export class PortPool {
  readonly size: number
  readonly #taken = new Set<number>()
  #next = 0

  constructor (size: number) {
    this.size = size
  }

  get inUse (): number { return this.#taken.size }

  /**
   * Leases a slot, not one of `except` (whose port another program holds). Slots go round, so that a port rests before it is used again.
   * @throws MkisoError TOO_MANY_CONCURRENT when none is free
   */
  lease (except: ReadonlySet<number> = new Set()): Slot {
    for (let step = 0; step < this.size; step++) {
      const index = (this.#next + step) % this.size
      if (this.#taken.has(index) || except.has(index)) continue
      this.#taken.add(index)
      this.#next = (index + 1) % this.size
      return { index, release: () => { this.#taken.delete(index) } }
    }
    throw new MkisoError('TOO_MANY_CONCURRENT', `all ${this.size} receive slots are in use`, { retryAfterSeconds: 30 })
  }
}
