/**
 * The retrievals of the service: from accession numbers to complete studies. Requests for the same study share one retrieval, each leaving
 * on its own; a finished one is kept for a while. Sharing is more than speed: two moves of one image to one receiver would write one file.
 */
import { EventEmitter } from 'node:events'
import { abortable } from '../abort.ts'
import type { Manifest, Study } from '../dicom/study.ts'
import { MkisoError } from '../errors.ts'
import type { Log } from '../process.ts'
import { DiskSpace } from './disk-space.ts'
import { findInstances, findStudies } from '../archive/dimse/find.ts'
import { guardOnePatient } from './same-patient.ts'
import { RequestSession } from '../archive/dimse/request-session.ts'
import { asRetrieval, followProgress, type Retrieval } from './retrieval.ts'
import { StudyEntry, type Fetched, type StudyContext } from './held-study.ts'
import type { Watch } from './watch.ts'
import type { RetrievalWay } from '../archive/dimse/way.ts'

export interface RetrievalsOptions extends Omit<StudyContext, 'disk'> {
  way: RetrievalWay
}

export interface RetrieveOptions {
  signal: AbortSignal
  log: Log
  /** Asked when the studies are known, before anything is fetched; what it throws ends the request. */
  check?: ((manifest: Manifest) => Promise<void>) | undefined
  /** Hears of the manifest, and of progress over all studies of the request. */
  watch?: Pick<Watch, 'onManifest' | 'onProgress'> | undefined
}

export interface RetrievalEvents {
  /** The files of an entry go. */
  removed: [entryId: string]
  fetched: [Fetched]
  /** A study that somebody waits for does not come. */
  failed: [error: unknown]
}

/** @param isListed false when the instances of the study are still to be asked for */
type Starter = (study: Study, earlier: StudyEntry | undefined, isListed: boolean) => StudyEntry

export class Retrievals extends EventEmitter<RetrievalEvents> {
  readonly #options: RetrievalsOptions
  /** By Study Instance UID. */
  readonly #entries = new Map<string, StudyEntry>()
  /** Those that still work or are still held, also when a newer one has taken their place in the table. */
  readonly #all = new Set<StudyEntry>()
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
  get kept (): number { return this.#idle.length }

  /** Bytes of the studies that are kept though nobody uses them. */
  get keptBytes (): number { return this.#idle.reduce((sum, { retrieval }) => sum + retrieval.progress.bytes, 0) }

  get #idle (): StudyEntry[] { return [...this.#all].filter(entry => entry.finished && entry.users === 0) }

  /**
   * Finds, guards, and begins to fetch what is not here.
   * @throws MkisoError as {@link findStudies} and {@link guardOnePatient}
   * @throws the signal's reason
   */
  async begin (accessionNumbers: readonly string[], options: RetrieveOptions): Promise<Retrieval> {
    const found = await this.findStudies(accessionNumbers, options)
    const held: StudyEntry[] = []
    let stopFollowing = (): void => {}
    const release = (): void => {
      stopFollowing()
      for (const entry of held.splice(0)) this.#release(entry)
    }
    try {
      const { watch } = options
      watch?.onManifest(found)
      const follow = (): void => {
        stopFollowing()
        if (watch !== undefined) stopFollowing = followProgress([...held], progress => { watch.onProgress(progress) })
      }
      // a PACS may list the instances only when it has sent them: dcmqrscp locks its index for as long as it moves
      const manifest = await this.#hold(found, held, options, follow)
      watch?.onManifest(manifest)
      follow()
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
    const found = await this.findStudies(accessionNumbers, options)
    const manifest = await findInstances({ ...this.#options, log: options.log }, found, options.signal)
    const kept = manifest.studies.flatMap(study => {
      const entry = this.#entries.get(study.studyInstanceUid)
      return entry?.finished === true && entry.isSameWork(study) ? [entry] : []
    })
    if (kept.length < manifest.studies.length) return undefined
    for (const entry of kept) this.#use(entry)
    const held = [...kept]
    options.watch?.onManifest(manifest)
    return asRetrieval(manifest, kept, () => { for (const entry of held.splice(0)) this.#release(entry) })
  }

  /** Ends what runs and removes what is kept. */
  async close (): Promise<void> {
    for (const entry of this.#all) entry.end(new MkisoError('SHUTTING_DOWN'))
    await Promise.allSettled([...this.#all].map(async ({ done }) => { await done }))
    await Promise.all([...this.#all].map(async entry => { await this.#remove(entry) }))
  }

  /**
   * Finds studies and their series, and guards; moves nothing.
   * @throws as {@link begin}
   */
  async findStudies (accessionNumbers: readonly string[], { signal, log, check }: RetrieveOptions): Promise<Manifest> {
    const found = await findStudies({ ...this.#options, log }, accessionNumbers, signal)
    if (!this.#options.config.disc.allow_mixed_patients) guardOnePatient(found)
    await check?.(found)
    return found
  }

  /**
   * An entry for each study: one that runs or is kept with the same instances, else a new one. A study that nobody has is moved at once; what it
   * consists of is asked for meanwhile, which a clerk need not wait for.
   * @returns what the studies consist of
   */
  async #hold ({ studies: found }: Manifest, held: StudyEntry[], { signal, log }: RetrieveOptions, onFresh: () => void): Promise<Manifest> {
    const start = this.#starter(log)
    const fresh = found.filter(({ studyInstanceUid }) => !this.#entries.has(studyInstanceUid)).map(study => start(study, undefined, false))
    held.push(...fresh)
    if (fresh.length > 0) onFresh()
    const known = found.filter(study => fresh.every(({ studyInstanceUid }) => studyInstanceUid !== study.studyInstanceUid))
    // from now on nobody who leaves takes them away
    const joined = known.flatMap(({ studyInstanceUid }) => this.#entries.get(studyInstanceUid) ?? [])
    for (const entry of joined) {
      this.#use(entry)
      if (!entry.finished) log.info({ study: entry.studyInstanceUid }, 'the study is being fetched already; this request joins')
    }
    let listed: readonly Study[] = []
    try {
      listed = (await findInstances({ ...this.#options, log }, { studies: known }, signal)).studies
      await this.#holdKnown(listed, held, start, { signal, log })
    } finally {
      for (const entry of joined) this.#release(entry)
    }
    await abortable(Promise.all(fresh.map(async ({ listed }) => { await listed })), signal)
    const all = new Map([...listed, ...fresh.map(({ manifest }) => manifest)].map(study => [study.studyInstanceUid, study]))
    return { studies: found.map(study => all.get(study.studyInstanceUid) ?? study) }
  }

  /** Studies that run or are kept, as the PACS describes them now. */
  async #holdKnown (studies: readonly Study[], held: StudyEntry[], start: Starter, { signal, log }: RetrieveOptions): Promise<void> {
    for (const study of studies) {
      for (;;) {
        const entry = this.#entries.get(study.studyInstanceUid)
        // one that fails before it is listed leaves the table
        if (entry !== undefined) await abortable(entry.listed.catch(() => {}), signal)
        if (this.#entries.get(study.studyInstanceUid) !== entry) continue
        if (entry?.isSameWork(study) === true) {
          if (entry.finished) log.info({ study: study.studyInstanceUid }, 'the study is here and unchanged')
          this.#use(entry)
          held.push(entry)
          break
        }
        if (entry?.finished === false) {
          // the study has changed at the PACS while it is fetched: what comes now is taken over when it is through
          this.#use(entry)
          try { await abortable(entry.done.catch(() => {}), signal) } finally { this.#release(entry) }
          continue
        }
        // from here to the entry in the table nothing is awaited: a second request must find it
        // a patient that was corrected at the PACS is corrected in every image that it sends from now on
        held.push(start(study, entry?.isSamePerson(study) === true ? entry : undefined, true))
        if (entry?.users === 0) void this.#remove(entry)
        break
      }
    }
  }

  /** Starts studies of one request, which holds them. */
  #starter (log: Log): Starter {
    const session = new RequestSession(this.#options.way, log)
    return (study, earlier, isListed) => {
      const entry = new StudyEntry(study, { ...this.#options, log, disk: this.#disk }, {
        session,
        isListed,
        earlier,
        onFetched: fetched => { this.emit('fetched', fetched) },
        onFailed: error => {
          if (entry.users > 0) this.emit('failed', error)
          this.#forget(entry)
        }
      })
      this.#entries.set(study.studyInstanceUid, entry)
      this.#all.add(entry)
      this.#use(entry)
      return entry
    }
  }

  #use (entry: StudyEntry): void {
    entry.users++
    entry.usedAt = performance.now()
    clearTimeout(entry.expiry)
  }

  #release (entry: StudyEntry): void {
    entry.users--
    entry.usedAt = performance.now()
    if (entry.users > 0) return
    const isCurrent = this.#entries.get(entry.studyInstanceUid) === entry
    if (!entry.finished) {
      // the last one has left; the table forgets it at once, so that the next request starts anew
      if (isCurrent) this.#entries.delete(entry.studyInstanceUid)
      entry.end(new MkisoError('INTERNAL', 'nobody waits for this study any more'))
      return
    }
    const { keepForMs } = this.#options.config.iso
    if (keepForMs === 0 || !isCurrent || !entry.whole) {
      void this.#remove(entry)
      return
    }
    entry.expiry = setTimeout(() => { void this.#remove(entry) }, keepForMs)
    entry.expiry.unref()
    this.#makeRoom()
  }

  /** The least recently used go first. */
  #makeRoom (): void {
    let bytes = this.keptBytes
    for (const entry of this.#idle.sort((a, b) => a.usedAt - b.usedAt)) {
      if (bytes <= this.#options.config.iso.keepMaxBytes) return
      bytes -= entry.retrieval.progress.bytes
      void this.#remove(entry)
    }
  }

  /** For room on the disk; false when nothing is kept. */
  async #dropOldest (): Promise<boolean> {
    const [oldest] = this.#idle.sort((a, b) => a.usedAt - b.usedAt)
    if (oldest === undefined) return false
    this.#options.log.info({ study: oldest.studyInstanceUid }, 'a kept study goes, for room on the disk')
    await this.#remove(oldest)
    return true
  }

  async #remove (entry: StudyEntry): Promise<void> {
    this.#forget(entry)
    await entry.removeFiles()
  }

  #forget (entry: StudyEntry): void {
    clearTimeout(entry.expiry)
    if (this.#entries.get(entry.studyInstanceUid) === entry) this.#entries.delete(entry.studyInstanceUid)
    if (this.#all.delete(entry)) this.emit('removed', entry.id)
  }
}
