/**
 * Turns at the PACS, over all requests: so many associations at a time, and so many of them moves. First come first served among queries
 * and among moves; a query goes before the moves that wait, since it takes a moment and a move takes minutes, but only so often that no
 * move waits for ever.
 */
import { MkisoError } from '../../errors.ts'

export interface Limits {
  /** Where its keys stand in the configuration: `pacs`, or `archives.0`. */
  section?: string
  /** Queries and moves together. */
  associations: number
  /** Moves; more than `associations` means as many as those. */
  moves: number
}

export type TurnKind = 'query' | 'move'

/** So many queries in a row go before a move that could have gone. */
export const QUERIES_BEFORE_A_MOVE = 16

/** A PACS counts an association for a moment after it was released: dcmqrscp until its process has ended. */
const AFTER_AN_ENDING_MS = 50

const KEYS: Record<TurnKind, readonly string[]> = { query: ['max_associations'], move: ['max_moves', 'max_associations'] }

interface Queue {
  active: number
  /** In the order in which they came. Each begins its turn. */
  readonly waiting: Set<() => void>
}

export class AssociationLimit {
  readonly #limits: Limits
  readonly #queues: Record<TurnKind, Queue> = { query: { active: 0, waiting: new Set() }, move: { active: 0, waiting: new Set() } }
  readonly #endings = new Set<() => void>()
  #queriesInARow = 0
  #pausing = 0

  constructor (limits: Limits) {
    this.#limits = limits
  }

  get moves (): { active: number, waiting: number } { return stateOf(this.#queues.move) }
  get queries (): { active: number, waiting: number } { return stateOf(this.#queues.query) }

  /** Turns whose association may be open: those that pause because the PACS was busy are not among them. */
  get underWay (): number { return this.#queues.query.active + this.#queues.move.active - this.#pausing }

  /**
   * Waits for a turn and does the task in it. One who leaves the queue costs the others nothing. A task must not take a second turn while
   * it has one: it would wait for itself.
   * @param queueTimeoutMs longest wait; undefined for no end
   * @throws MkisoError TOO_MANY_CONCURRENT after `queueTimeoutMs`
   * @throws the signal's reason
   */
  async take<T> (kind: TurnKind, task: () => Promise<T>, signal: AbortSignal, queueTimeoutMs?: number): Promise<T> {
    signal.throwIfAborted()
    await this.#turn(kind, signal, queueTimeoutMs)
    try {
      return await task()
    } finally {
      this.#queues[kind].active--
      for (const ended of this.#endings) ended()
      this.#next()
    }
  }

  /**
   * In a turn: waits so long, or until just after another turn has ended, which may be what the PACS was busy with.
   * @throws the signal's reason
   */
  async pause (pauseMs: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    this.#pausing++
    await new Promise<void>(resolve => {
      const end = (): void => {
        clearTimeout(timer)
        this.#endings.delete(soon)
        signal.removeEventListener('abort', end)
        resolve()
      }
      let timer = setTimeout(end, pauseMs)
      const soon = (): void => {
        this.#endings.delete(soon)
        clearTimeout(timer)
        timer = setTimeout(end, Math.min(pauseMs, AFTER_AN_ENDING_MS))
      }
      this.#endings.add(soon)
      signal.addEventListener('abort', end, { once: true })
    })
    this.#pausing--
    signal.throwIfAborted()
  }

  async #turn (kind: TurnKind, signal: AbortSignal, queueTimeoutMs: number | undefined): Promise<void> {
    const { waiting } = this.#queues[kind]
    await new Promise<void>((resolve, reject) => {
      const settle = (): void => {
        waiting.delete(begin)
        clearTimeout(timer)
        signal.removeEventListener('abort', onAbort)
      }
      const begin = (): void => { settle(); resolve() }
      const onAbort = (): void => { settle(); reject(signal.reason) }
      const timer = queueTimeoutMs === undefined
        ? undefined
        : setTimeout(() => {
          settle()
          const { section = 'pacs' } = this.#limits
          const detail = `no turn at the PACS within ${queueTimeoutMs / 1_000} s (${KEYS[kind].map(key => `${section}.${key}`).join(', ')})`
          reject(new MkisoError('TOO_MANY_CONCURRENT', detail, { retryAfterSeconds: 30 }))
        }, queueTimeoutMs)
      signal.addEventListener('abort', onAbort, { once: true })
      waiting.add(begin)
      this.#next()
    })
  }

  /** Begins whatever has a turn now. */
  #next (): void {
    const { query, move } = this.#queues
    for (;;) {
      const isFree = query.active + move.active < this.#limits.associations
      const [nextQuery] = query.waiting
      const [nextMove] = move.active < this.#limits.moves ? move.waiting : []
      if (!isFree || (nextQuery === undefined && nextMove === undefined)) return
      if (nextQuery === undefined || (nextMove !== undefined && this.#queriesInARow >= QUERIES_BEFORE_A_MOVE)) {
        this.#queriesInARow = 0
        move.active++
        nextMove?.()
      } else {
        // only those count that a move had to let pass
        this.#queriesInARow = nextMove === undefined ? 0 : this.#queriesInARow + 1
        query.active++
        nextQuery()
      }
    }
  }
}

function stateOf ({ active, waiting }: Queue): { active: number, waiting: number } {
  return { active, waiting: waiting.size }
}
