/** A line of the log that may come a thousand times a second: the first at once, then one a second at most, with what was last. */
export class Throttle {
  readonly #write: (fields: object) => void
  #last = Number.NEGATIVE_INFINITY
  #waiting: object | undefined
  #timer: NodeJS.Timeout | undefined

  constructor (write: (fields: object) => void) {
    this.#write = write
  }

  tell (fields: object): void {
    this.#waiting = fields
    const waitMs = 1_000 - (performance.now() - this.#last)
    if (waitMs <= 0) this.flush()
    else this.#timer ??= setTimeout(() => { this.flush() }, waitMs).unref()
  }

  /** What waits is written now. */
  flush (): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#waiting === undefined) return
    this.#last = performance.now()
    this.#write(this.#waiting)
    this.#waiting = undefined
  }
}
