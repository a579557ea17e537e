/**
 * Discs that are made for a page: begun by it, followed by it, fetched by the download that it starts. A page that is loaded again, or whose
 * connection broke, finds its own again; one that is closed is given up after a moment.
 */
import { LRUCache } from 'lru-cache'
import type { Caller } from './caller.ts'
import { choiceKey, type Choice } from '../disc/choice.ts'
import type { DiscFormat, Discs, OpenDisc } from '../disc/discs.ts'
import type { Manifest } from '../dicom/study.ts'
import { MkisoError } from '../errors.ts'
import type { Log } from '../process.ts'
import type { Activities } from './activities.ts'
import type { Activity } from './activity.ts'

export interface PreparationsOptions {
  discs: Pick<Discs, 'open'>
  activities: Activities
  /** Errors in the terms of the table. */
  toMkisoError: (error: Error) => MkisoError
  /** What must be so before anything is fetched: before the studies are asked for, and, by the function that it gives, once they are known. */
  check: (accessionNumbers: readonly string[], signal: AbortSignal, log: Log) => Promise<(manifest: Manifest) => Promise<void>>
  /** How long a page may be away: long enough for a reload. */
  lingerMs?: number
  /** How long a disc waits for its download. */
  waitMs?: number
}

export interface PreparationRequest {
  format: DiscFormat
  /** As DiscRequest.whole: the way to the page is the way of its download. */
  whole?: boolean | undefined
  requestId: string
  caller: Caller
  accessionNumbers: readonly string[]
  disc: number | undefined
  /** A part of the studies; undefined for all. */
  choice?: Choice | undefined
  /** The set that the disc belongs to, as a link names it. */
  set: string | undefined
  linkOf: (disc: number, set: string) => string
  log: Log
}

/** By what a download finds its preparation beside its id. */
export type Asked = Pick<PreparationRequest, 'accessionNumbers' | 'disc' | 'choice' | 'format'>

export interface Preparation {
  readonly activity: Activity
  readonly disc: number | undefined
  /** Number of discs of the set, once it is known. */
  readonly discs: number | undefined
  readonly error: MkisoError | undefined
  /** A page follows it. @returns the way to stop */
  follow (): () => void
}

/** So many that were cancelled are remembered, and so long, in milliseconds: a browser may try to go on after a night. */
const REMEMBERED = 10_000
const REMEMBERED_MS = 7 * 24 * 3_600_000
/** So many that have ended are remembered (as many activities as are anyway), and so long, in milliseconds. */
const ENDED = 50
const ENDED_MS = 600_000

interface Entry {
  activity: Activity
  format: DiscFormat
  disc: number | undefined
  choice: Choice | undefined
  discs: number | undefined
  error: MkisoError | undefined
  followers: number
  taken: boolean
  opened: OpenDisc | undefined
  timer: NodeJS.Timeout | undefined
  follow: () => () => void
}

export class Preparations {
  readonly #options: PreparationsOptions
  readonly #entries = new Map<string, Entry>()
  /** Ids of those that somebody has cancelled. */
  readonly #cancelled = new LRUCache<string, true>({ max: REMEMBERED, ttl: REMEMBERED_MS })
  /** A page whose connection broke before it was told that its disc has gone out is told so: it had a second one made, and said that it waits (seen). */
  readonly #goneOut = new LRUCache<string, Entry>({ max: ENDED, ttl: ENDED_MS })
  /** Those that were cancelled, or failed for good: a page asks for another one, where its link is not too old for that. */
  readonly #failed = new LRUCache<string, Entry>({ max: ENDED, ttl: ENDED_MS })

  constructor (options: PreparationsOptions) {
    this.#options = options
    options.activities.on('ended', activity => { this.#onEnded(activity) })
  }

  /** The page's own, by the id that it was given, which may have gone out meanwhile; or a new one. */
  join (id: string | undefined, request: PreparationRequest): Preparation {
    return this.#find(id, request) ?? this.#find(id, request, this.#goneOut) ?? this.#begin(request)
  }

  /** The page's own, running or ended, and never a new one: for who may begin nothing any more. */
  comeBack (id: string | undefined, asked: Asked): Preparation | undefined {
    return this.#find(id, asked) ?? this.#find(id, asked, this.#goneOut) ?? this.#find(id, asked, this.#failed)
  }

  /** Ends it, as far as nobody else waits for the studies. @returns false when there is nothing to end */
  cancel (id: string, accessionNumbers: readonly string[]): boolean {
    const entry = this.#entries.get(id)
    return entry !== undefined && same(entry.activity.accessionNumbers, accessionNumbers) && entry.activity.cancel('client')
  }

  /**
   * The activity of a preparation goes on with its download; undefined when another download has it already.
   * @throws MkisoError DOWNLOAD_CANCELLED: Chromium goes on by itself with what was cut off on purpose, and would have all of it (measured)
   */
  take (id: string | undefined, asked: Asked): Activity | undefined {
    if (id !== undefined && this.#cancelled.has(id)) throw new MkisoError('DOWNLOAD_CANCELLED')
    const entry = this.#find(id, asked)
    if (entry === undefined || entry.taken) return undefined
    entry.taken = true
    clearTimeout(entry.timer)
    return entry.activity
  }

  /** True while it runs, and is what is asked for. */
  isMaking (id: string | undefined, asked: Asked): boolean { return this.#find(id, asked) !== undefined }

  /** What the archive has told of these studies while their disc is made: dcmqrscp answers no query while it sends (measured). */
  manifestOf (id: string | undefined, accessionNumbers: readonly string[]): Manifest | undefined {
    const activity = id === undefined ? undefined : this.#entries.get(id)?.activity
    return activity !== undefined && same(activity.accessionNumbers, accessionNumbers) ? activity.manifest : undefined
  }

  /** @returns true once a download has it */
  taken (id: string): boolean { return this.#entries.get(id)?.taken === true }

  /** The service ends. */
  close (): void {
    for (const { activity } of this.#entries.values()) activity.abort(new MkisoError('SHUTTING_DOWN'))
  }

  #find (id: string | undefined, { accessionNumbers, disc, choice, format }: Asked, among: Pick<Map<string, Entry>, 'get'> = this.#entries): Entry | undefined {
    const entry = id === undefined ? undefined : among.get(id)
    const isAsked = entry !== undefined && entry.disc === disc && entry.format === format && choiceKey(entry.choice) === choiceKey(choice) &&
      same(entry.activity.accessionNumbers, accessionNumbers)
    return isAsked ? entry : undefined
  }

  #begin (request: PreparationRequest): Entry {
    const { format, requestId, caller, accessionNumbers, disc, choice } = request
    const activity = this.#options.activities.begin({ requestId, kind: 'download', accessionNumbers, caller })
    const entry: Entry = {
      activity, format, disc, choice, discs: undefined, error: undefined, followers: 0, taken: false, opened: undefined, timer: undefined,
      follow: () => {
        entry.followers++
        this.#schedule(entry)
        return () => {
          entry.followers--
          this.#schedule(entry)
        }
      }
    }
    this.#entries.set(activity.id, entry)
    void this.#make(entry, request)
    return entry
  }

  async #make (entry: Entry, { whole, set, linkOf, log }: PreparationRequest): Promise<void> {
    const { discs, check, toMkisoError } = this.#options
    const { activity, format, disc, choice } = entry
    const { accessionNumbers, signal } = activity
    try {
      const checkStudies = await check(accessionNumbers, signal, log)
      const opened = await discs.open({ format, whole, accessionNumbers, disc, choice, set, linkOf, signal, log, check: checkStudies, watch: activity })
      if (activity.outcome !== undefined) { opened.close(); return }
      entry.opened = opened
      entry.discs = opened.discs
      activity.ready(opened.image.sizeBytes)
      this.#schedule(entry)
      // a ZIP waits for its download while it grows, and may fail meanwhile
      if ('whole' in opened.image) {
        const sizeBytes = await opened.image.whole
        if (!entry.taken) activity.ready(sizeBytes)
      }
    } catch (error) {
      const failure = toMkisoError(error as Error)
      entry.error = failure
      if (failure.statusCode >= 500 && !signal.aborted) log.error({ err: failure.cause ?? failure, code: failure.code, detail: failure.detail }, 'a disc for a page failed')
      activity.fail(failure)
    }
  }

  /** When it is given up, unless something happens before. */
  #schedule (entry: Entry): void {
    const { lingerMs = 10_000, waitMs = 600_000 } = this.#options
    clearTimeout(entry.timer)
    if (entry.taken || entry.activity.outcome !== undefined || (entry.followers > 0 && entry.activity.phase !== 'ready')) return
    // nobody may hold the disk for ever with a page that is left open
    entry.timer = setTimeout(() => { entry.activity.leave() }, entry.followers > 0 ? waitMs : lingerMs)
    entry.timer.unref()
  }

  #onEnded (activity: Activity): void {
    const entry = this.#entries.get(activity.id)
    if (entry === undefined) return
    clearTimeout(entry.timer)
    entry.opened?.close()
    entry.opened = undefined
    this.#entries.delete(activity.id)
    if (activity.outcome?.kind === 'success') this.#goneOut.set(activity.id, entry)
    // what was to be tried again had not begun; one that was given up since its page was away has no end to be told of
    else if (activity.stopped || (entry.error !== undefined && entry.error.fields.retryAfterSeconds === undefined)) this.#failed.set(activity.id, entry)
    if (activity.stopped) this.#cancelled.set(activity.id, true)
  }
}

function same (a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index])
}
