/** The receiving of one request: all its studies come through one session, which takes one slot. */
import { abortable } from '../../abort.ts'
import type { Log } from '../../process.ts'
import type { ReceivingSession, RetrievalWay } from './way.ts'

export class RequestSession {
  readonly #way: RetrievalWay
  readonly #log: Log
  #session: Promise<ReceivingSession> | undefined
  #studies = 0

  constructor (way: RetrievalWay, log: Log) {
    this.#way = way
    this.#log = log
  }

  /** A study that will, or may, receive; it must {@link leave}. */
  join (): void { this.#studies++ }

  /**
   * Opened for the first study that asks.
   * @throws MkisoError as {@link RetrievalWay.open}
   * @throws the signal's reason
   */
  async open (signal: AbortSignal): Promise<ReceivingSession> {
    // others of the request may still need it when this study is given up
    this.#session ??= this.#way.open(new AbortController().signal, this.#log)
    return await abortable(this.#session, signal)
  }

  /** The last study closes it. */
  async leave (): Promise<void> {
    if (--this.#studies > 0 || this.#session === undefined) return
    const ending = this.#session
    this.#session = undefined
    await ending.then(async opened => { await opened.close() }, () => {})
  }
}
