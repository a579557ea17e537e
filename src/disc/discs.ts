/**
 * The discs of the service: made on request, shared by requests for the same studies, kept as long as their studies are kept, so that a
 * download that broke goes on where it was.
 */
import { createHash, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { abortable } from '../abort.ts'
import type { Watch } from '../studies/watch.ts'
import type { Config } from '../config/schema.ts'
import { identityKey, type Manifest, type Patient } from '../dicom/study.ts'
import type { ToolContext } from '../dcmtk/peer.ts'
import { MkisoError } from '../errors.ts'
import type { Log } from '../process.ts'
import type { Holding } from '../studies/holding.ts'
import type { StudyStore } from '../studies/study-store.ts'
import { choiceKey, guardChoice, knowsEverySeries, type Choice } from './choice.ts'
import { filesOf, type DiscContents, type Part } from './contents.ts'
import type { NotListed } from './dicomdir/dicomdir.ts'
import type { GrowingImage, Image } from './image/image.ts'
import type { ShownDisc } from './look/shown-disc.ts'
import { Material } from './material.ts'
import { discOfSet } from './set-summary.ts'

export interface DiscsOptions extends ToolContext {
  config: Config
  studies: StudyStore
  workDir: string
}

/** An image to be burnt, or the same file-set as an archive for stick, mail and telephone. */
export const DISC_FORMATS = ['iso', 'zip'] as const
export type DiscFormat = typeof DISC_FORMATS[number]

export interface DiscRequest {
  format: DiscFormat
  /** Of a ZIP that is to be encrypted. */
  password?: string | undefined
  /** A ZIP is of no use before it is whole: for a part of it, or where its end could not be told from its breaking off. */
  whole?: boolean | undefined
  accessionNumbers: readonly string[]
  /** As HoldOptions.resuming. */
  resuming?: boolean | undefined
  /** Which disc of a set, from 1; undefined when none was asked for. */
  disc: number | undefined
  /** The set of which a disc is asked for, as its links name it; undefined when none was named. */
  set: string | undefined
  /** Which part of the studies; undefined for all. They are fetched and judged as a whole in any case. */
  choice?: Choice | undefined
  /** The link to a disc of a set. */
  linkOf: (disc: number, set: string) => string
  signal: AbortSignal
  log: Log
  /** Asked when the studies are known, before anything is fetched; what it throws ends the request. */
  check?: ((manifest: Manifest) => Promise<void>) | undefined
  watch?: Pick<Watch, 'onManifest' | 'onProgress' | 'onComplete'> | undefined
}

/** A disc that can be sent; it must be closed. A ZIP may still grow: then nobody knows yet what it will hold. */
export interface OpenDisc {
  format: DiscFormat
  /** Encrypted with a password. */
  encrypted: boolean
  /** What is on this disc of the set; undefined while it grows. */
  readonly contents: DiscContents | undefined
  image: Image | GrowingImage
  /** A strong validator: the same for the same bytes (RFC 9110 8.8.3). */
  etag: string
  manifest: Manifest
  patient: Patient
  /** This disc's number, from 1, and how many the set has. */
  disc: number
  discs: number
  /** undefined while it grows. */
  readonly instances: number | undefined
  readonly notListed: readonly NotListed[]
  /** The set that it belongs to, the same for the same discs of the same studies. */
  set: string
  /** Images that are missing, with disc.allow_incomplete: 0 for none, undefined where nobody can tell. */
  readonly missing: number | undefined
  /** How much of the studies is on the set; undefined for all, and while it grows. */
  readonly part: Part | undefined
  /** Was made before this request, which may go on with bytes that an earlier one got. */
  kept: boolean
  close (): void
  /** What a browser may be shown of it; undefined where the disc has no viewer. */
  shown: ShownDisc | undefined
  /**
   * Holds it once more, also when it was closed.
   * @returns the way to let go; undefined where it is not kept any more
   */
  again (): (() => void) | undefined
  /** Aborts when it is not kept any more. */
  gone: AbortSignal
}

interface Shared {
  material: Material
  studyIds: readonly string[]
  users: number
  /** The studies' files have gone, or one has failed: nobody may join. */
  closed: boolean
  gone: AbortController
}

const SET_NAME_LENGTH = 16
const NOBODY: Patient = { patientId: '', issuerOfPatientId: '', patientName: '', birthDate: '', sex: '' }

export class Discs {
  readonly #options: DiscsOptions
  readonly #shared = new Map<string, Shared>()
  readonly #ending = new Set<Promise<void>>()

  constructor (options: DiscsOptions) {
    this.#options = options
    options.studies.on('removed', studyId => { this.#forget(studyId) })
  }

  /**
   * Fetches, makes, and holds a disc.
   * @throws MkisoError as StudyStore.hold, NO_SUCH_SERIES, DISC_TOO_SMALL, SET_CHANGED, ISO_CREATION_FAILED
   * @throws the signal's reason
   */
  async open (request: DiscRequest): Promise<OpenDisc> {
    return await this.#open(request, await this.#options.studies.hold(request.accessionNumbers, { ...withChoice(request), priors: this.#priors(request) }))
  }

  /** As {@link open} where nothing must be moved for it; @returns undefined where something must. */
  async openKept (request: DiscRequest): Promise<OpenDisc | undefined> {
    const holding = await this.#options.studies.holdKept(request.accessionNumbers, { ...withChoice(request), priors: this.#priors(request) })
    return holding === undefined ? undefined : await this.#open({ ...request, whole: true }, holding)
  }

  /** Waits until everything that was made has been removed. */
  async close (): Promise<void> {
    for (const [identity, shared] of this.#shared) this.#end(identity, shared)
    await Promise.all(this.#ending)
  }

  /** Who asks for some series of a study asks for nothing else. */
  #priors ({ choice }: DiscRequest): number { return choice === undefined ? this.#options.config.disc.priors : 0 }

  async #open (request: DiscRequest, holding: Holding): Promise<OpenDisc> {
    const startedAt = performance.now()
    const { signal, log, choice } = request
    // a part is a disc of its own, whoever else has the whole
    const identity = `${holding.identity} ${choiceKey(choice)}`
    const shared = this.#join(identity, holding, choice, log)
    let closed = false
    const close = (): void => {
      if (closed) return
      closed = true
      // first the files' owner: with nothing kept it tells us that they go
      holding.release()
      this.#leave(identity, shared)
    }
    const again = (): (() => void) | undefined => {
      const letGo = shared.closed ? undefined : holding.again()
      if (letGo === undefined) return undefined
      shared.users++
      return () => {
        letGo()
        this.#leave(identity, shared)
      }
    }
    try {
      if (request.format === 'zip') return await this.#openZip(request, holding, shared, { close, again })
      shared.material.expectImage()
      const { contents: set, missing } = await abortable(shared.material.ready, signal)
      const name = nameOfSet(set)
      const contents = choose(set, name, request)
      request.watch?.onComplete()
      const kept = shared.material.has(contents.disc)
      const { image, notListed, etag, root, shown } = await abortable(shared.material.disc(contents.disc), signal)
      const instances = filesOf(contents).length
      log.info({
        path: root, size_bytes: image.sizeBytes, instances, disc: contents.disc, discs: contents.discs, kept, duration_ms: Math.round(performance.now() - startedAt)
      }, 'iso created')
      const { disc, discs, part, patients: [first] } = contents
      return {
        format: 'iso', encrypted: false, contents, image, etag, manifest: holding.manifest, patient: first?.patient ?? NOBODY, disc, discs, instances, notListed, set: name, part, missing, kept, shown,
        close, again, gone: shared.gone.signal
      }
    } catch (error) {
      close()
      throw error
    }
  }

  /** Resolves with the first image; with the last byte where it must be whole. */
  async #openZip (request: DiscRequest, { manifest }: Holding, { material, gone }: Shared, holds: Pick<OpenDisc, 'close' | 'again'>): Promise<OpenDisc> {
    const { disc = 1, password, whole = false, signal, log } = request
    if (disc !== 1) throw new MkisoError('INVALID_REQUEST', 'a ZIP is not split into a set: leave the number of the disc out')
    const made = material.zip()
    const kept = made.facts !== undefined
    // a part says of how much it is a part, which is known in the end
    await abortable(whole || request.choice !== undefined ? made.zip.done : made.zip.begun, signal)
    if (material.planned) request.watch?.onComplete()
    log.info({ kept, whole: made.facts !== undefined, encrypted: password !== undefined }, 'zip begun')
    const patient = (): Patient => made.facts?.contents.patients[0]?.patient ?? manifest.studies[0]?.patient ?? NOBODY
    return {
      format: 'zip',
      encrypted: password !== undefined,
      get contents () { return made.facts?.contents },
      image: made.zip.image(password),
      etag: made.zip.etag(password),
      manifest,
      get patient () { return patient() },
      disc: 1,
      discs: 1,
      get instances () { return made.facts === undefined ? undefined : filesOf(made.facts.contents).length },
      get notListed () { return made.facts?.notListed ?? [] },
      set: '',
      // while it grows nobody can tell; its pages do
      get missing () { return made.facts === undefined ? 0 : made.facts.missing },
      get part () { return made.facts?.contents.part },
      kept,
      shown: undefined,
      ...holds,
      gone: gone.signal
    }
  }

  #join (identity: string, holding: Holding, choice: Choice | undefined, log: Log): Shared {
    let shared = this.#shared.get(identity)
    if (shared === undefined || shared.closed) {
      const { config, workDir, studies } = this.#options
      const created: Shared = {
        material: new Material({ ...this.#options, log }, config, holding, choice, join(workDir, `disc_${randomUUID()}`), studies.disk),
        studyIds: holding.studyIds,
        users: 0,
        closed: false,
        gone: new AbortController()
      }
      created.material.ready.catch(() => { close(created) })
      this.#shared.set(identity, shared = created)
    }
    shared.users++
    return shared
  }

  #leave (identity: string, shared: Shared): void {
    if (--shared.users > 0) return
    const { keepForMs } = this.#options.config.iso
    // when the last one leaves before it is ready, what works for it ends
    if (shared.closed || keepForMs === 0 || !shared.material.planned) this.#end(identity, shared)
  }

  /** The files of a study go. */
  #forget (studyId: string): void {
    for (const [identity, shared] of this.#shared) {
      if (!shared.studyIds.includes(studyId)) continue
      close(shared)
      if (shared.users === 0) this.#end(identity, shared)
    }
  }

  #end (identity: string, shared: Shared): void {
    close(shared)
    if (this.#shared.get(identity) === shared) this.#shared.delete(identity)
    const ending = shared.material.end()
      .catch((error: unknown) => { this.#options.log.error({ err: error }, 'a disc could not be cleaned up') })
      .finally(() => { this.#ending.delete(ending) })
    this.#ending.add(ending)
  }
}

/** What was chosen is looked for as soon as the archive has named its series, before anything is fetched, and again when all is here. */
function withChoice (request: DiscRequest): DiscRequest {
  const { choice, check } = request
  if (choice === undefined) return request
  return {
    ...request,
    check: async manifest => {
      await check?.(manifest)
      if (knowsEverySeries(manifest)) guardChoice(choice, manifest)
    }
  }
}

/** From now on nobody joins, or comes back. */
function close (shared: Shared): void {
  shared.closed = true
  shared.gone.abort()
}

/** What is on each disc of a set, in few characters: a study that has changed at the archive makes another set. */
function nameOfSet (set: readonly DiscContents[]): string {
  const content = set.map(contents => [
    contents.patients.map(({ patient, studies }) => [
      patient, studies.map(({ study: { studyInstanceUid, studyDate, studyDescription } }) => [studyInstanceUid, studyDate, studyDescription])
    ]),
    filesOf(contents).map(({ fileId, object, sizeBytes }) => [fileId, identityKey(object), sizeBytes])
  ])
  return createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, SET_NAME_LENGTH)
}

function choose (set: readonly DiscContents[], name: string, { disc, set: wanted, linkOf }: DiscRequest): DiscContents {
  const links = set.map((_, index) => linkOf(index + 1, name))
  if (wanted !== undefined && wanted !== name) {
    throw new MkisoError('SET_CHANGED', 'the studies have changed at the PACS since the set was begun: its other discs belong together no more; begin with the first', { discs: links })
  }
  if (disc === undefined && set.length > 1) {
    const described = set.map((contents, index) => discOfSet(contents, links[index] ?? ''))
    throw new MkisoError('DISC_TOO_SMALL', `${set.length} discs are needed (disc.capacity); download each by its link`, { discs: links, set: described })
  }
  const contents = set[(disc ?? 1) - 1]
  if (contents === undefined) throw new MkisoError('INVALID_REQUEST', `there is no disc ${disc ?? 1}: the set has ${set.length}`, { discs: links })
  return contents
}
