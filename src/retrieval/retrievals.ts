/**
 * The retrievals of the service: from accession numbers to complete studies. Requests for the same study share one retrieval, each leaving
 * on its own; a finished one is kept for a while. Sharing is more than speed: two moves of one image to one receiver would write one file.
 */
import { createHash, randomUUID } from 'node:crypto'
import { EventEmitter, setMaxListeners } from 'node:events'
import { mkdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { abortable } from '../abort.ts'
import type { Watch } from '../activity/watch.ts'
import type { Config } from '../config/schema.ts'
import { sameInstances, sopInstanceUidsOf, type Manifest, type Study } from '../dicom/manifest.ts'
import { MkisoError } from '../errors.ts'
import type { Log } from '../process.ts'
import { DiskSpace, type Claim } from './disk-space.ts'
import { findInstances, findStudies, type FindContext } from './find.ts'
import { guardOnePatient } from './patient-guard.ts'
import { StudyRetrieval, type ReceivedFile } from './study-retrieval.ts'
import { Turns } from './turns.ts'
import type { ReceivingSession, RetrievalWay } from './way.ts'

export interface RetrievalsOptions extends FindContext {
  config: Config
  way: RetrievalWay
  turns: Turns
  workDir: string
}

/** What a request holds from the moment in which its studies are known; it must be released, which ends what nobody else waits for. */
export interface Retrieval {
  /** What the PACS says that the studies consist of. */
  readonly manifest: Manifest
  /** The same for two requests whose discs are the same, byte for byte. */
  readonly identity: string
  /** One a study; {@link Retrievals} emits `removed` with it when the files go. */
  readonly entryIds: readonly string[]
  /**
   * Waits for the last image.
   * @throws MkisoError as {@link StudyRetrieval.run}
   * @throws the signal's reason
   */
  complete (signal: AbortSignal): Promise<CompleteStudies>
  /** Calls back for each file as it comes; those that are there already come first. @returns the way to end it */
  onFile (listener: (file: ReceivedFile) => void): () => void
  release (): void
}

export interface CompleteStudies {
  readonly manifest: Manifest
  /** By SOP Instance UID. The files belong to the retrieval: link them, do not change or move them. */
  readonly files: ReadonlyMap<string, ReceivedFile>
  /** Images that are missing, which only disc.allow_incomplete lets through. */
  readonly missing: number
}

export interface RetrieveOptions {
  signal: AbortSignal
  log: Log
  /** Hears of the manifest, and of progress over all studies of the request. */
  watch?: Pick<Watch, 'onManifest' | 'onProgress'> | undefined
}

interface Entry {
  id: string
  /** Ends with the series until {@link Entry.listed} resolves. */
  manifest: Study
  /** Settles when the manifest names every instance; rejects as {@link findInstances}. */
  listed: Promise<void>
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

/** A study that has come, and what it took. */
export interface Fetched {
  /** Without what an earlier retrieval of the study already had. */
  instances: number
  bytes: number
  durationMs: number
}

export interface RetrievalEvents {
  /** The files of an entry go. */
  removed: [entryId: string]
  fetched: [Fetched]
  /** A study that somebody waits for does not come. */
  failed: [error: unknown]
}

export class Retrievals extends EventEmitter<RetrievalEvents> {
  readonly #options: RetrievalsOptions
  readonly #entries = new Map<string, Entry>()
  /** Those that still work or are still held, also when a newer one has taken their place in the table. */
  readonly #all = new Set<Entry>()
  readonly #disk: DiskSpace

  constructor (options: RetrievalsOptions) {
    super()
    this.#options = options
    const { workDir: folder, log, config } = options
    this.#disk = new DiskSpace({ folder, log, reserveBytes: config.iso.diskReserveBytes, makeRoom: async () => await this.#dropOldest() })
  }

  /** Studies that are being fetched now. */
  get running (): number { return [...this.#all].filter(entry => !entry.finished).length }

  /** Studies whose files are on disk though nobody uses them. */
  get kept (): number { return [...this.#all].filter(entry => entry.finished && entry.users === 0).length }

  /** Bytes of the studies that are kept though nobody uses them. */
  get keptBytes (): number {
    return [...this.#all].filter(entry => entry.finished && entry.users === 0).reduce((sum, entry) => sum + entry.retrieval.progress.bytes, 0)
  }

  /**
   * Finds, guards, and begins to fetch what is not here.
   * @throws MkisoError as {@link findStudies} and {@link guardOnePatient}
   * @throws the signal's reason
   */
  async begin (accessionNumbers: readonly string[], options: RetrieveOptions): Promise<Retrieval> {
    const found = await this.#findStudies(accessionNumbers, options)
    const held: Entry[] = []
    const stops: Array<() => void> = []
    const release = (): void => {
      for (const stop of stops.splice(0)) stop()
      for (const entry of held.splice(0)) this.#release(entry)
    }
    try {
      const manifest = await this.#hold(found, held, options)
      options.watch?.onManifest(manifest)
      stops.push(...held.map(entry => listen(entry, held, options)))
      return asRetrieval(manifest, [...held], release)
    } catch (error) {
      release()
      throw error
    }
  }

  /**
   * As {@link begin} where every study is here already and unchanged at the PACS; moves nothing.
   * @returns undefined when something would have to be moved
   */
  async beginKept (accessionNumbers: readonly string[], options: RetrieveOptions): Promise<Retrieval | undefined> {
    const found = await this.#findStudies(accessionNumbers, options)
    const manifest = await findInstances({ ...this.#options, log: options.log }, found, options.signal)
    const kept = manifest.studies.flatMap(study => {
      const entry = this.#entries.get(study.studyInstanceUid)
      return entry?.finished === true && sameWork(entry, study) ? [entry] : []
    })
    if (kept.length < manifest.studies.length) return undefined
    for (const entry of kept) this.#use(entry)
    const held = [...kept]
    options.watch?.onManifest(manifest)
    return asRetrieval(manifest, kept, () => { for (const entry of held.splice(0)) this.#release(entry) })
  }

  async #findStudies (accessionNumbers: readonly string[], { signal, log }: RetrieveOptions): Promise<Manifest> {
    const found = await findStudies({ ...this.#options, log }, accessionNumbers, signal)
    if (!this.#options.config.disc.allow_mixed_patients) guardOnePatient(found)
    return found
  }

  /** Ends what runs and removes what is kept. */
  async close (): Promise<void> {
    for (const entry of this.#all) entry.controller.abort(new MkisoError('SHUTTING_DOWN'))
    await Promise.allSettled([...this.#all].map(async entry => { await entry.done }))
    await Promise.all([...this.#all].map(async entry => { await this.#remove(entry) }))
  }

  /**
   * An entry for each study: one that runs or is kept with the same instances, else a new one. A study that nobody has is moved at once; what it
   * consists of is asked for meanwhile, which a clerk need not wait for.
   * @returns what the studies consist of
   */
  async #hold ({ studies: found }: Manifest, held: Entry[], { signal, log }: RetrieveOptions): Promise<Manifest> {
    const start = this.#starter(log)
    const fresh = found.filter(({ studyInstanceUid }) => !this.#entries.has(studyInstanceUid)).map(study => start(study, undefined, false))
    for (const entry of fresh) this.#use(entry)
    held.push(...fresh)
    const known = found.filter(({ studyInstanceUid }) => fresh.every(({ manifest }) => manifest.studyInstanceUid !== studyInstanceUid))
    // from now on nobody who leaves takes them away
    const joined = known.flatMap(({ studyInstanceUid }) => this.#entries.get(studyInstanceUid) ?? [])
    for (const entry of joined) {
      this.#use(entry)
      if (!entry.finished) log.info({ study: entry.manifest.studyInstanceUid }, 'the study is being fetched already; this request joins')
    }
    const { studies } = await findInstances({ ...this.#options, log }, { studies: known }, signal)
      .then(async listed => { await this.#holdKnown(listed.studies, held, start, { signal, log }); return listed })
      .finally(() => { for (const entry of joined) this.#release(entry) })
    await abortable(Promise.all(fresh.map(async ({ listed }) => { await listed })), signal)
    return { studies: found.map(study => [...studies, ...fresh.map(({ manifest }) => manifest)].find(one => one.studyInstanceUid === study.studyInstanceUid) ?? study) }
  }

  /** Studies that run or are kept, as the PACS describes them now. */
  async #holdKnown (studies: readonly Study[], held: Entry[], start: Starter, { signal, log }: RetrieveOptions): Promise<void> {
    for (const study of studies) {
      for (;;) {
        const entry = this.#entries.get(study.studyInstanceUid)
        // one that fails before it is listed leaves the table
        if (entry !== undefined) await abortable(entry.listed.catch(() => {}), signal)
        if (this.#entries.get(study.studyInstanceUid) !== entry) continue
        if (entry !== undefined && sameWork(entry, study)) {
          if (entry.finished) log.info({ study: study.studyInstanceUid }, 'the study is here and unchanged')
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
        // a patient that was corrected at the PACS is corrected in every image that it sends from now on
        const fresh = start(study, entry !== undefined && samePerson(entry.manifest, study) ? entry : undefined, true)
        if (entry !== undefined && entry.users === 0) void this.#remove(entry)
        this.#use(fresh)
        held.push(fresh)
        break
      }
    }
  }

  /** Starts studies of one request through one session, which takes one slot. */
  #starter (log: Log): Starter {
    const { config, pacs, turns, way, workDir } = this.#options
    let session: Promise<ReceivingSession> | undefined
    let working = 0
    const leave = async (): Promise<void> => {
      if (--working > 0 || session === undefined) return
      const ending = session
      session = undefined
      await ending.then(async opened => { await opened.close() }, () => {})
    }
    return (study, earlier, isListed) => {
      const folder = join(workDir, `study_${randomUUID()}`)
      mkdirSync(folder, { mode: 0o700 })
      const controller = new AbortController()
      setMaxListeners(0, controller.signal)
      const retrieval = new StudyRetrieval(study, { config, pacs, turns, log, folder }, isListed)
      if (earlier !== undefined) retrieval.seed(earlier.retrieval.files.values())
      const { received: before, bytes: bytesBefore } = retrieval.progress
      const startedAt = performance.now()
      const list = async (): Promise<void> => {
        const { studies: [listed = study] } = await findInstances({ ...this.#options, log }, { studies: [study] }, controller.signal)
        entry.manifest = listed
        retrieval.list(listed)
      }
      const onDisk = retrieval.complete ? undefined : this.#disk.claim(() => retrieval.progress.bytes - bytesBefore, error => { controller.abort(error) })
      let claim: Claim | undefined
      const work = async (): Promise<void> => {
        working++
        try {
          claim = await onDisk
          if (!retrieval.complete) {
            // others of the request may still need the session when this study is given up
            session ??= way.open(new AbortController().signal, log)
            await retrieval.run(await abortable(session, controller.signal), controller.signal, entry.listed)
          }
          // the last one may have left when the last image had come: whoever left has forgotten it, and only a failure removes it now
          controller.signal.throwIfAborted()
          entry.finished = true
          const { received, bytes } = retrieval.progress
          log.info({ accession: study.accessionNumber, study: study.studyInstanceUid, instances: received, size_bytes: bytes, duration_ms: Math.round(performance.now() - startedAt) }, 'study complete')
          this.emit('fetched', { instances: Math.max(0, received - before), bytes: Math.max(0, bytes - bytesBefore), durationMs: performance.now() - startedAt })
        } catch (error) {
          controller.abort(error)
          await entry.listed.catch(() => {})
          throw error
        } finally {
          claim?.release(entry.manifest, retrieval.files.values())
          await leave()
        }
      }
      const entry: Entry = {
        id: randomUUID(),
        manifest: study,
        listed: Promise.resolve(),
        retrieval,
        controller,
        done: Promise.resolve(),
        finished: false,
        users: 0,
        expiry: undefined,
        usedAt: startedAt
      }
      if (!isListed) entry.listed = list()
      if (onDisk !== undefined) entry.listed = Promise.all([onDisk, entry.listed]).then(async ([claim]) => { await claim.expect(entry.manifest) })
      // images of a study that cannot be checked are of no use
      entry.listed.catch((error: unknown) => { controller.abort(error) })
      entry.done = work().catch(async (error: unknown) => {
        if (entry.users > 0) this.emit('failed', error)
        await this.#remove(entry)
        throw error
      })
      entry.done.catch(() => {})
      this.#entries.set(study.studyInstanceUid, entry)
      this.#all.add(entry)
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

  /** For room on the disk; false when nothing is kept. */
  async #dropOldest (): Promise<boolean> {
    const [oldest] = [...this.#all].filter(entry => entry.finished && entry.users === 0).sort((a, b) => a.usedAt - b.usedAt)
    if (oldest === undefined) return false
    this.#options.log.info({ study: oldest.manifest.studyInstanceUid }, 'a kept study goes, for room on the disk')
    await this.#remove(oldest)
    return true
  }

  async #remove (entry: Entry): Promise<void> {
    clearTimeout(entry.expiry)
    if (this.#entries.get(entry.manifest.studyInstanceUid) === entry) this.#entries.delete(entry.manifest.studyInstanceUid)
    if (this.#all.delete(entry)) this.emit('removed', entry.id)
    await rm(entry.retrieval.folder, { recursive: true, force: true })
  }
}

/** @param isListed false when the instances of the study are still to be asked for */
type Starter = (study: Study, earlier: Entry | undefined, isListed: boolean) => Entry

function samePerson (a: Study, b: Study): boolean {
  return isDeepStrictEqual(a.patient, b.patient)
}

function asRetrieval (manifest: Manifest, held: readonly Entry[], release: () => void): Retrieval {
  const entryIds = held.map(({ id }) => id).sort()
  return {
    manifest,
    entryIds,
    // a description that was corrected at the PACS makes another disc of the same files
    identity: createHash('sha256').update(JSON.stringify([entryIds, manifest])).digest('hex'),
    complete: async signal => {
      await abortable(Promise.all(held.map(async ({ done }) => { await done })), signal)
      const files = new Map(held.flatMap(({ retrieval }) => [...retrieval.files]))
      const studies = manifest.studies.map(study => {
        const { study: received } = held.find(({ retrieval }) => retrieval.study.studyInstanceUid === study.studyInstanceUid)?.retrieval ?? { study }
        return sopInstanceUidsOf(study).length > 0 ? study : { ...study, series: received.series }
      })
      return { manifest: { studies }, files, missing: studies.flatMap(sopInstanceUidsOf).filter(uid => !files.has(uid)).length }
    },
    onFile: listener => {
      for (const { retrieval } of held) {
        for (const file of retrieval.files.values()) listener(file)
        retrieval.on('file', listener)
      }
      return () => { for (const { retrieval } of held) retrieval.off('file', listener) }
    },
    release
  }
}

/** Progress over all studies of a request. */
function listen (entry: Entry, held: readonly Entry[], { watch }: RetrieveOptions): () => void {
  if (watch === undefined) return () => {}
  const progress = (): void => {
    watch.onProgress(held.map(({ retrieval }) => retrieval.progress).reduce((sum, one) => ({
      received: sum.received + one.received,
      expected: sum.expected === undefined || one.expected === undefined ? undefined : sum.expected + one.expected,
      bytes: sum.bytes + one.bytes,
      // a study of the request that is being fetched is what a person sees
      waiting: sum.waiting && one.waiting
    })))
  }
  progress()
  entry.retrieval.on('progress', progress)
  return () => { entry.retrieval.off('progress', progress) }
}

/** True when what the entry fetches is what the study consists of now. */
function sameWork (entry: Entry, study: Study): boolean {
  if (!samePerson(entry.manifest, study)) return false
  if (sameInstances(entry.manifest, study)) return true
  // without IMAGE level nobody can tell whether a finished study has changed; one that is under way is as fresh as it gets
  const series = (one: Study): string => one.series.map(({ seriesInstanceUid }) => seriesInstanceUid).sort().join()
  return !entry.finished && sopInstanceUidsOf(entry.manifest).length === 0 && sopInstanceUidsOf(study).length === 0 && series(entry.manifest) === series(study)
}
