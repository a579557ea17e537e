/** The receiving of one request: all its studies come through one session of each archive, which takes one slot. */
import { abortable } from '../abort.ts'
import type { Archive, FetchSession } from '../archive/archive.ts'
import type { Log } from '../process.ts'

export class SharedSession {
  readonly #log: Log
  readonly #sessions = new Map<Archive, Promise<FetchSession>>()
  #studies = 0

  constructor (log: Log) {
    this.#log = log
  }

  /** A study that will, or may, receive; it must {@link leave}. */
  join (): void { this.#studies++ }

  /**
   * Opened for the first study that asks.
   * @throws MkisoError as Archive.open
   * @throws the signal's reason
   */
  async open (archive: Archive, signal: AbortSignal): Promise<FetchSession> {
    // others of the request may still need it when this study is given up
    const opening = this.#sessions.get(archive) ?? archive.open({ signal: new AbortController().signal, log: this.#log })
    this.#sessions.set(archive, opening)
    return await abortable(opening, signal)
  }

  /** The last study closes them. */
  async leave (): Promise<void> {
    if (--this.#studies > 0) return
    const ending = [...this.#sessions.values()]
    this.#sessions.clear()
    await Promise.all(ending.map(async opening => { await opening.then(async opened => { await opened.close() }, () => {}) }))
  }
}
