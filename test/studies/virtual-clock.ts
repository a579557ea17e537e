/** A clock that jumps to the next thing that somebody waits for, as soon as nothing else is left to do: hours pass in no time, and always alike. */
import type { Clock } from '../../src/studies/clock.ts'

interface Timer { atMs: number, order: number, fire: () => void }

export class VirtualClock implements Clock {
  #nowMs = 0
  #order = 0
  readonly #timers = new Set<Timer>()

  nowMs (): number { return this.#nowMs }

  async wait (ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        this.#timers.delete(timer)
        reject(signal?.reason)
      }
      const timer = this.#add(ms, () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      })
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  every (ms: number, tick: () => void): () => void {
    let timer: Timer | undefined
    const again = (): void => {
      timer = this.#add(ms, () => {
        again()
        tick()
      })
    }
    again()
    return () => { if (timer !== undefined) this.#timers.delete(timer) }
  }

  /** Lets time pass until the work has come to an end. @throws Error when it never does */
  async run<T> (work: Promise<T>, mostMs = 3_600_000): Promise<T> {
    let settled = false
    work.then(() => { settled = true }, () => { settled = true })
    for (;;) {
      // whatever needs no time happens first
      await new Promise(resolve => { setImmediate(resolve) })
      if (settled) return await work
      const next = [...this.#timers].reduce<Timer | undefined>((first, one) =>
        first === undefined || one.atMs < first.atMs || (one.atMs === first.atMs && one.order < first.order) ? one : first, undefined)
      if (next === undefined) throw new Error('it waits for something that never happens')
      if (next.atMs > mostMs) throw new Error('it does not come to an end')
      this.#timers.delete(next)
      this.#nowMs = next.atMs
      next.fire()
    }
  }

  /** Lets time pass, and what happens in it. */
  async pass (ms: number): Promise<void> { await this.run(this.wait(ms), this.#nowMs + ms) }

  #add (ms: number, fire: () => void): Timer {
    const timer = { atMs: this.#nowMs + ms, order: this.#order++, fire }
    this.#timers.add(timer)
    return timer
  }
}
