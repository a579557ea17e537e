/**
 * The studies of the service: from accession numbers to complete studies. Requests for the same study share one holding of it, each leaving on its
 * own; a finished one is kept for a while.
 */
import { EventEmitter } from 'node:events'
import { abortable } from '../abort.ts'
import type { Asking } from '../archive/archive.ts'
import { mergedStudies } from '../dicom/merged-study.ts'
import { isEmptyStudy, type Manifest, type Study } from '../dicom/study.ts'
import { MkisoError } from '../errors.ts'
import type { Log } from '../process.ts'
import { DiskSpace, type EstimateOptions } from './disk-space.ts'
import { createHolding, followProgress, type Holding } from './holding.ts'
import { findPriors } from './priors.ts'
import { guardOnePatient } from './same-patient.ts'
import { SharedSession } from './shared-session.ts'
import { StoredStudy, type FetchedStudy, type StudyContext } from './stored-study.ts'
import type { Watch } from './watch.ts'

export interface StudyStoreOptions extends Omit<StudyContext, 'disk' | 'marksOf'> {
  /** How long a finished study is kept, and how much of them. */
  keepForMs: number
  keepMaxBytes: number
  /** Stays free on the disk. */
  diskReserveBytes: number
  /** What a study needs beside its files. */
  estimate: EstimateOptions
}

export interface HoldOptions extends Asking {
  /** So many earlier studies of the same patient come with a single accession number. */
  priors?: number | undefined
  /** Asked when the studies are known, before anything is fetched; what it throws ends the request. */
  check?: ((manifest: Manifest) => Promise<void>) | undefined
  /**
   * A download that goes on where it broke: what is kept is taken as it is, where the archive describes it as before. The rest of an image must be of
   * the very same.
   */
  resuming?: boolean | undefined
  /** Hears of the manifest, and of progress over all studies of the request. */
  watch?: Pick<Watch, 'onManifest' | 'onProgress'> | undefined
}

export interface StudyStoreEvents {
  /** The files of a study go. */
  removed: [studyId: string]
  fetched: [FetchedStudy]
  /** A study that somebody waits for does not come. */
  failed: [error: unknown]
}

/** @param listed false when the instances of the study are still to be asked for */
type Starter = (study: Study, listed: boolean) => StoredStudy

export class StudyStore extends EventEmitter<StudyStoreEvents> {
  readonly disk: DiskSpace
  readonly #options: StudyStoreOptions
  /** By the name of the archive. */
  readonly #marks = new Map<string | undefined, { known: boolean }>()
  /** By Study Instance UID. */
  readonly #current = new Map<string, StoredStudy>()
  /** Those that still work or are still held, also when a newer one has taken their place in the table. */
  readonly #all = new Set<StoredStudy>()

  constructor (options: StudyStoreOptions) {
    super()
    this.#options = options
    const { workDir: folder, log, diskReserveBytes: reserveBytes, estimate } = options
    this.disk = new DiskSpace({ folder, log, reserveBytes, estimate, makeRoom: async () => await this.#evictOldest() })
  }

  /** Studies that are being fetched now. */
  get running (): number { return [...this.#all].filter(stored => !stored.finished).length }

  /** Studies whose files are on disk though nobody uses them. */
  get kept (): number { return this.#idle.length }

  /** True for a study that is here as a whole. */
  has (studyInstanceUid: string): boolean { return this.#current.get(studyInstanceUid)?.whole === true }

  /** Bytes of the studies that are kept though nobody uses them. */
  get keptBytes (): number { return this.#idle.reduce((sum, { held }) => sum + held.progress.bytes, 0) }

  get #idle (): StoredStudy[] { return [...this.#all].filter(stored => stored.finished && stored.users === 0) }

  /**
   * Finds studies and their series, and guards; moves nothing.
   * @throws MkisoError as Archive.findStudies, DIFFERENT_PATIENTS
   * @throws the signal's reason
   */
  async find (accessionNumbers: readonly string[], asking: Asking): Promise<Manifest> {
    const { archives, rules } = this.#options
    const found = await archives.findStudies(accessionNumbers, asking)
    // before they are merged: one Study Instance UID may be answered for two patients
    if (!rules.allowMixedPatients) guardOnePatient(found)
    const studies = mergedStudies(found)
    const empty = studies.filter(isEmptyStudy)
    if (empty.length > 0) {
      throw new MkisoError('NO_DICOM_DATA', `the PACS holds no series of the study of ${empty.map(({ accessionNumber }) => accessionNumber).join(', ')}`)
    }
    return { studies }
  }

  /**
   * Finds, guards, holds, and begins to fetch what is not here.
   * @throws as {@link find}, and Archive.listInstances
   */
  async hold (accessionNumbers: readonly string[], options: HoldOptions): Promise<Holding> {
    const found = await this.#findWithPriors(accessionNumbers, options)
    const held: StoredStudy[] = []
    let stopFollowing = (): void => {}
    const release = (): void => {
      stopFollowing()
      for (const stored of held.splice(0)) this.#release(stored)
    }
    try {
      const { watch } = options
      watch?.onManifest(found)
      const follow = (): void => {
        stopFollowing()
        if (watch !== undefined) stopFollowing = followProgress([...held], progress => { watch.onProgress(progress) })
      }
      // an archive may list the instances only when it has sent them: dcmqrscp locks its index for as long as it moves
      const manifest = await this.#hold(found, held, options, follow)
      watch?.onManifest(manifest)
      follow()
      const all = [...held]
      return createHolding(manifest, all, options.log, () => this.#again(all), release)
    } catch (error) {
      release()
      throw error
    }
  }

  /**
   * As {@link hold} where every study is here already, as the archive describes it now; moves nothing, and so compares no image.
   * @returns undefined when something would have to be moved
   */
  async holdKept (accessionNumbers: readonly string[], options: HoldOptions): Promise<Holding | undefined> {
    const found = await this.#findWithPriors(accessionNumbers, options)
    const studies = await this.#list(found.studies, options)
    const kept = studies.flatMap(study => {
      const stored = this.#current.get(study.studyInstanceUid)
      return stored?.finished === true && stored.isSameWork(study) ? [stored] : []
    })
    if (kept.length < studies.length) return undefined
    for (const stored of kept) this.#use(stored)
    const held = [...kept]
    const manifest = { ...found, studies }
    options.watch?.onManifest(manifest)
    return createHolding(manifest, kept, options.log, () => this.#again(kept), () => { for (const stored of held.splice(0)) this.#release(stored) })
  }

  async #findWithPriors (accessionNumbers: readonly string[], options: HoldOptions): Promise<Manifest> {
    const { priors = 0 } = options
    const most = accessionNumbers.length > 1 ? 0 : priors
    const found = await this.find(accessionNumbers, { ...options, bodyParts: most > 0 })
    await options.check?.(found)
    if (most === 0) return found
    const { priors: earlier, leftOut } = await findPriors(found.studies, most, this.#options.archives, options)
    return { studies: [...found.studies, ...earlier], ...leftOut.length === 0 ? {} : { priorsLeftOut: leftOut } }
  }

  /** Ends what runs and removes what is kept. */
  async close (): Promise<void> {
    for (const stored of this.#all) stored.end(new MkisoError('SHUTTING_DOWN'))
    await Promise.allSettled([...this.#all].map(async ({ done }) => { await done }))
    await Promise.all([...this.#all].map(async stored => { await this.#evict(stored) }))
  }

  async #list (studies: readonly Study[], asking: Asking): Promise<Study[]> {
    return await Promise.all(studies.map(async study => await this.#options.archives.listInstances(study, asking)))
  }

  /**
   * A holding for each study: one that runs or is kept and is the same, else a new one. A study that nobody has is fetched at once; what it consists
   * of is asked for meanwhile, which a clerk need not wait for.
   * @returns what the studies consist of
   */
  async #hold ({ studies: found, priorsLeftOut }: Manifest, held: StoredStudy[], asking: HoldOptions, onFresh: () => void): Promise<Manifest> {
    const session = new SharedSession(asking.log)
    // until everything is joined or begun: a study that is kept may be compared through it
    session.join()
    try {
      const start = this.#starter(session, asking.log)
      const fresh = found.filter(({ studyInstanceUid }) => !this.#current.has(studyInstanceUid)).map(study => start(study, false))
      for (const stored of fresh) held.push(stored)
      if (fresh.length > 0) onFresh()
      const known = found.filter(study => fresh.every(({ studyInstanceUid }) => studyInstanceUid !== study.studyInstanceUid))
      // from now on nobody who leaves takes them away
      const joined = known.flatMap(({ studyInstanceUid }) => this.#current.get(studyInstanceUid) ?? [])
      // what is fetched after this request has begun needs no comparison
      const underWay = new Set(joined.filter(({ finished }) => !finished || asking.resuming === true))
      for (const stored of joined) {
        this.#use(stored)
        if (!stored.finished) asking.log.info({ study: stored.studyInstanceUid }, 'the study is being fetched already; this request joins')
      }
      let listed: readonly Study[] = []
      try {
        listed = await this.#list(known, asking)
        for (const study of listed) held.push(await this.#holdKnown(study, underWay, session, start, asking))
      } finally {
        for (const stored of joined) this.#release(stored)
      }
      await abortable(Promise.all(fresh.map(async ({ listed, held: { study } }) => { await (study.prior === true ? listed.catch(() => {}) : listed) })), asking.signal)
      const all = new Map([...listed, ...fresh.map(one => one.held.study)].map(study => [study.studyInstanceUid, study]))
      return { studies: found.map(study => all.get(study.studyInstanceUid) ?? study), ...priorsLeftOut === undefined ? {} : { priorsLeftOut } }
    } finally {
      await session.leave()
    }
  }

  /** A study that runs or is kept, as the archive describes it now. */
  async #holdKnown (study: Study, unchanged: Set<StoredStudy>, session: SharedSession, start: Starter, { signal, log }: Asking): Promise<StoredStudy> {
    const { studyInstanceUid } = study
    for (;;) {
      const stored = this.#current.get(studyInstanceUid)
      // one that fails before it is listed leaves the table
      if (stored !== undefined) await abortable(stored.listed.catch(() => {}), signal)
      if (this.#current.get(studyInstanceUid) !== stored) continue
      if (stored?.isSameWork(study) === true && (!stored.finished || unchanged.has(stored))) {
        if (stored.finished) log.info({ study: studyInstanceUid }, 'the study is here and unchanged')
        this.#use(stored)
        return stored
      }
      if (stored?.finished === false) {
        // the study has changed at the archive while it is fetched
        this.#use(stored)
        try { await abortable(stored.done.catch(() => {}), signal) } finally { this.#release(stored) }
        continue
      }
      if (stored?.isSameWork(study) === true) {
        this.#use(stored)
        try {
          if (await stored.isUnchanged(session, signal)) {
            unchanged.add(stored)
            continue
          }
        } finally { this.#release(stored) }
        if (this.#current.get(studyInstanceUid) !== stored) continue
      }
      // from here to the entry in the table nothing is awaited: a second request must find it
      const begun = start(study, true)
      if (stored?.users === 0) void this.#evict(stored)
      return begun
    }
  }

  /** Starts studies of one request, which holds them. */
  #starter (session: SharedSession, log: Log): Starter {
    return (study, listed) => {
      const stored = new StoredStudy(study, { ...this.#options, log, disk: this.disk, marksOf: archive => this.#marksOf(archive) }, {
        session,
        listed,
        onFetched: fetched => { this.emit('fetched', fetched) },
        onFailed: error => {
          if (stored.users > 0) this.emit('failed', error)
          this.#forget(stored)
        }
      })
      this.#current.set(study.studyInstanceUid, stored)
      this.#all.add(stored)
      this.#use(stored)
      return stored
    }
  }

  #marksOf (archive: string | undefined): { known: boolean } {
    const marks = this.#marks.get(archive) ?? { known: false }
    this.#marks.set(archive, marks)
    return marks
  }

  #again (held: readonly StoredStudy[]): (() => void) | undefined {
    if (!held.every(stored => stored.finished && this.#all.has(stored))) return undefined
    for (const stored of held) this.#use(stored)
    const open = [...held]
    return () => { for (const stored of open.splice(0)) this.#release(stored) }
  }

  #use (stored: StoredStudy): void {
    stored.users++
    stored.usedAtMs = performance.now()
    clearTimeout(stored.expiry)
  }

  #release (stored: StoredStudy): void {
    stored.users--
    stored.usedAtMs = performance.now()
    if (stored.users > 0) return
    const isCurrent = this.#current.get(stored.studyInstanceUid) === stored
    if (!stored.finished) {
      // the last one has left; the table forgets it at once, so that the next request starts anew
      if (isCurrent) this.#current.delete(stored.studyInstanceUid)
      stored.end(new MkisoError('INTERNAL', 'nobody waits for this study any more'))
      return
    }
    const { keepForMs } = this.#options
    if (keepForMs === 0 || !isCurrent || !stored.whole) {
      void this.#evict(stored)
      return
    }
    stored.expiry = setTimeout(() => { void this.#evict(stored) }, keepForMs)
    stored.expiry.unref()
    this.#makeRoom()
  }

  /** The least recently used go first. */
  #makeRoom (): void {
    let bytes = this.keptBytes
    for (const stored of this.#idle.sort((a, b) => a.usedAtMs - b.usedAtMs)) {
      if (bytes <= this.#options.keepMaxBytes) return
      bytes -= stored.held.progress.bytes
      void this.#evict(stored)
    }
  }

  /** For room on the disk; false when nothing is kept. */
  async #evictOldest (): Promise<boolean> {
    const [oldest] = this.#idle.sort((a, b) => a.usedAtMs - b.usedAtMs)
    if (oldest === undefined) return false
    this.#options.log.info({ study: oldest.studyInstanceUid }, 'a kept study goes, for room on the disk')
    await this.#evict(oldest)
    return true
  }

  async #evict (stored: StoredStudy): Promise<void> {
    this.#forget(stored)
    await stored.held.removeFiles()
  }

  #forget (stored: StoredStudy): void {
    clearTimeout(stored.expiry)
    if (this.#current.get(stored.studyInstanceUid) === stored) this.#current.delete(stored.studyInstanceUid)
    if (this.#all.delete(stored)) this.emit('removed', stored.id)
  }
}
