/** The receiving of one request: all its studies come through one session, which takes one slot. */
import { abortable } from '../abort.ts'
import type { Archive, FetchSession } from '../archive/archive.ts'
import type { Log } from '../process.ts'

export class SharedSession {
  readonly #archive: Archive
  readonly #log: Log
  #session: Promise<FetchSession> | undefined
  #studies = 0

  constructor (archive: Archive, log: Log) {
    this.#archive = archive
    this.#log = log
  }

  /** A study that will, or may, receive; it must {@link leave}. */
  join (): void { this.#studies++ }

  /**
   * Opened for the first study that asks.
   * @throws MkisoError as Archive.open
   * @throws the signal's reason
   */
  async open (signal: AbortSignal): Promise<FetchSession> {
    // others of the request may still need it when this study is given up
    this.#session ??= this.#archive.open({ signal: new AbortController().signal, log: this.#log })
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
