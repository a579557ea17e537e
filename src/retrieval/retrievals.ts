/**
 * The retrievals of the service: from accession numbers to complete studies. Requests for the same study share one retrieval, each leaving
 * on its own; a finished one is kept for a while. Sharing is more than speed: two moves of one image to one receiver would write one file.
 */
import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { mkdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { abortable } from '../abort.ts'
import type { Config } from '../config/schema.ts'
import { sameInstances, sopInstanceUidsOf, type Manifest, type Study } from '../dicom/manifest.ts'
import { MkisoError } from '../errors.ts'
import type { Log } from '../process.ts'
import { findManifest, type FindContext } from './find.ts'
import { guardOnePatient } from './patient-guard.ts'
import { StudyRetrieval, type Progress, type ReceivedFile } from './study-retrieval.ts'
import { Turns } from './turns.ts'
import type { ReceivingSession, RetrievalWay } from './way.ts'

export interface RetrievalsOptions extends FindContext {
  config: Config
  way: RetrievalWay
  turns: Turns
  workDir: string
}

/** What a request holds while it works with complete studies; it must be released. */
export interface Retrieval {
  readonly manifest: Manifest
  /** By SOP Instance UID. The files belong to the retrieval: link them, do not change or move them. */
  readonly files: ReadonlyMap<string, ReceivedFile>
  /** Images that are missing, which only disc.allow_incomplete lets through. */
  readonly missing: number
  release (): void
}

export interface RetrieveOptions {
  signal: AbortSignal
  log: Log
  onManifest?: ((manifest: Manifest) => void) | undefined
  /** Over all studies of the request. */
  onProgress?: ((progress: Progress) => void) | undefined
  /** For each file as it comes; those that were there already come first. */
  onFile?: ((file: ReceivedFile) => void) | undefined
}

interface Entry {
  manifest: Study
  retrieval: StudyRetrieval
  controller: AbortController
  /** Settles when the retrieval has; never rejects without somebody listening. */
  done: Promise<void>
  finished: boolean
  users: number
  expiry: NodeJS.Timeout | undefined
  /** performance.now() of the last use. */
  usedAt: number
}

export class Retrievals {
  readonly #options: RetrievalsOptions
  readonly #entries = new Map<string, Entry>()
  /** Those that still work or are still held, also when a newer one has taken their place in the table. */
  readonly #all = new Set<Entry>()

  constructor (options: RetrievalsOptions) {
    this.#options = options
  }

  /** Studies that are being fetched now. */
  get running (): number { return [...this.#all].filter(entry => !entry.finished).length }

  /** Studies whose files are on disk though nobody uses them. */
  get kept (): number { return [...this.#all].filter(entry => entry.finished && entry.users === 0).length }

  /**
   * Finds, guards, fetches.
   * @throws MkisoError as {@link findManifest}, {@link guardOnePatient} and {@link StudyRetrieval.run}
   * @throws the signal's reason
   */
  async retrieve (accessionNumbers: readonly string[], options: RetrieveOptions): Promise<Retrieval> {
    const { config } = this.#options
    const manifest = await findManifest({ ...this.#options, log: options.log }, accessionNumbers, options.signal)
    if (!config.disc.allow_mixed_patients) guardOnePatient(manifest)
    options.onManifest?.(manifest)
    const held: Entry[] = []
    const release = (): void => { for (const entry of held.splice(0)) this.#release(entry) }
    try {
      await this.#hold(manifest, held, options)
      const stopListening = held.map(entry => this.#listen(entry, held, options))
      try {
        await abortable(Promise.all(held.map(async entry => { await entry.done })), options.signal)
      } finally {
        for (const stop of stopListening) stop()
      }
    } catch (error) {
      release()
      throw error
    }
    const files = new Map(held.flatMap(({ retrieval }) => [...retrieval.files]))
    const studies = held.map(({ retrieval }) => retrieval.study)
    const missing = studies.flatMap(sopInstanceUidsOf).filter(uid => !files.has(uid)).length
    return { manifest: { studies }, files, missing, release }
  }

  /** Ends what runs and removes what is kept. */
  async close (): Promise<void> {
    for (const entry of this.#all) entry.controller.abort(new MkisoError('SHUTTING_DOWN'))
    await Promise.allSettled([...this.#all].map(async entry => { await entry.done }))
    await Promise.all([...this.#all].map(async entry => { await this.#remove(entry) }))
  }

  /** An entry for each study: one that runs or is kept with the same instances, else a new one. */
  async #hold (manifest: Manifest, held: Entry[], { signal, log }: RetrieveOptions): Promise<void> {
    const start = this.#starter(log)
    for (const study of manifest.studies) {
      for (;;) {
        const entry = this.#entries.get(study.studyInstanceUid)
        if (entry !== undefined && sameWork(entry, study)) {
          log.info({ study: study.studyInstanceUid }, entry.finished ? 'the study is still here and unchanged' : 'the study is being fetched already; this request joins')
          this.#use(entry)
          held.push(entry)
          break
        }
        if (entry !== undefined && !entry.finished) {
          // the study has changed at the PACS while it is fetched: what comes now is taken over when it is through
          this.#use(entry)
          try { await abortable(entry.done.catch(() => {}), signal) } finally { this.#release(entry) }
          continue
        }
        // from here to the entry in the table nothing is awaited: a second request must find it
        const fresh = start(study, entry)
        this.#use(fresh)
        held.push(fresh)
        break
      }
    }
  }

  /** Starts studies of one request through one session, which takes one slot. */
  #starter (log: Log): (study: Study, earlier: Entry | undefined) => Entry {
    const { config, pacs, turns, way, workDir } = this.#options
    let session: Promise<ReceivingSession> | undefined
    let working = 0
    const leave = async (): Promise<void> => {
      if (--working > 0 || session === undefined) return
      const ending = session
      session = undefined
      await ending.then(async opened => { await opened.close() }, () => {})
    }
    return (study, earlier) => {
      const folder = join(workDir, `study_${randomUUID()}`)
      mkdirSync(folder, { mode: 0o700 })
      const controller = new AbortController()
      setMaxListeners(0, controller.signal)
      const retrieval = new StudyRetrieval(study, { config, pacs, turns, log, folder })
      if (earlier !== undefined) retrieval.seed(earlier.retrieval.files.values())
      const startedAt = performance.now()
      const work = async (): Promise<void> => {
        working++
        try {
          if (!retrieval.complete) {
            // others of the request may still need the session when this study is given up
            session ??= way.open(new AbortController().signal)
            await retrieval.run(await abortable(session, controller.signal), controller.signal)
          }
          entry.finished = true
          const { received, bytes } = retrieval.progress
          log.info({ accession: study.accessionNumber, study: study.studyInstanceUid, instances: received, size_bytes: bytes, duration_ms: Math.round(performance.now() - startedAt) }, 'study complete')
        } finally {
          await leave()
        }
      }
      const entry: Entry = { manifest: study, retrieval, controller, done: Promise.resolve(), finished: false, users: 0, expiry: undefined, usedAt: startedAt }
      entry.done = work().catch(async (error: unknown) => {
        await this.#remove(entry)
        throw error
      })
      entry.done.catch(() => {})
      this.#entries.set(study.studyInstanceUid, entry)
      this.#all.add(entry)
      // it has been replaced: nobody can ask for it any more
      if (earlier !== undefined && earlier.users === 0) void this.#remove(earlier)
      return entry
    }
  }

  #use (entry: Entry): void {
    entry.users++
    entry.usedAt = performance.now()
    clearTimeout(entry.expiry)
  }

  #release (entry: Entry): void {
    entry.users--
    entry.usedAt = performance.now()
    if (entry.users > 0) return
    if (!entry.finished) {
      // the last one has left; the table forgets it at once, so that the next request starts anew
      if (this.#entries.get(entry.manifest.studyInstanceUid) === entry) this.#entries.delete(entry.manifest.studyInstanceUid)
      entry.controller.abort(new MkisoError('INTERNAL', 'nobody waits for this study any more'))
      return
    }
    const { keepForMs } = this.#options.config.iso
    if (keepForMs === 0 || this.#entries.get(entry.manifest.studyInstanceUid) !== entry || entry.retrieval.progress.received < sopInstanceUidsOf(entry.retrieval.study).length) {
      void this.#remove(entry)
      return
    }
    entry.expiry = setTimeout(() => { void this.#remove(entry) }, keepForMs)
    entry.expiry.unref()
    this.#makeRoom()
  }

  /** The least recently used go first. */
  #makeRoom (): void {
    const idle = [...this.#all].filter(entry => entry.finished && entry.users === 0).sort((a, b) => a.usedAt - b.usedAt)
    let bytes = idle.reduce((sum, entry) => sum + entry.retrieval.progress.bytes, 0)
    for (const entry of idle) {
      if (bytes <= this.#options.config.iso.keepMaxBytes) return
      bytes -= entry.retrieval.progress.bytes
      void this.#remove(entry)
    }
  }

  #listen (entry: Entry, held: readonly Entry[], { onProgress, onFile }: RetrieveOptions): () => void {
    const progress = (): void => {
      onProgress?.(held.map(({ retrieval }) => retrieval.progress).reduce((sum, one) => ({
        received: sum.received + one.received,
        expected: sum.expected === undefined || one.expected === undefined ? undefined : sum.expected + one.expected,
        bytes: sum.bytes + one.bytes
      })))
    }
    const file = (received: ReceivedFile): void => { onFile?.(received) }
    for (const received of entry.retrieval.files.values()) file(received)
    progress()
    entry.retrieval.on('progress', progress)
    entry.retrieval.on('file', file)
    return () => {
      entry.retrieval.off('progress', progress)
      entry.retrieval.off('file', file)
    }
  }

  async #remove (entry: Entry): Promise<void> {
    clearTimeout(entry.expiry)
    if (this.#entries.get(entry.manifest.studyInstanceUid) === entry) this.#entries.delete(entry.manifest.studyInstanceUid)
    this.#all.delete(entry)
    await rm(entry.retrieval.folder, { recursive: true, force: true })
  }
}

/** True when what the entry fetches is what the study consists of now. */
function sameWork (entry: Entry, study: Study): boolean {
  if (sameInstances(entry.manifest, study)) return true
  // without IMAGE level nobody can tell whether a finished study has changed; one that is under way is as fresh as it gets
  const series = (one: Study): string => one.series.map(({ seriesInstanceUid }) => seriesInstanceUid).sort().join()
  return !entry.finished && sopInstanceUidsOf(entry.manifest).length === 0 && sopInstanceUidsOf(study).length === 0 && series(entry.manifest) === series(study)
}
