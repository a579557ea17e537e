/**
 * The C-STOREs of one association, from the command to the response: each object goes into a file with a name of ours, is read back, and is handed
 * to who wants its study. Success is answered when it has been taken, and at no other time.
 */
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { DicomObject } from '../../../dicom/part10.ts'
import type { Log } from '../../../process.ts'
import type { Provenance, Sender, StudySink } from '../../archive.ts'
import type { WantedStudies } from '../../wanted-studies.ts'
import { STATUS, type CommandSet } from './command-set.ts'
import { diskFaultOf, fileHeader, ObjectFile, removeFile, type Flow } from './object-file.ts'
import { PREFIX_BYTES, studyOfPrefix } from './study-of-prefix.ts'

export interface IncomingObjectsOptions {
  wanted: WantedStudies
  /** For the files; nobody else writes there. */
  folder: string
  /** Most bytes of what nobody asked for on one association. */
  maxUnwantedBytes: number
  /** The sender says that it sends for a question of ours. */
  isForUs: (command: CommandSet) => boolean
  provenanceOf: (command: CommandSet, studyInstanceUid: string) => Provenance
  /** Who sends, beside the archive that was asked for the study. */
  senderOf?: ((studyInstanceUid: string) => Sender | undefined) | undefined
  callingAeTitle: string
  /** `10.0.0.5 as ABPACS` */
  from: string
  flow: Flow
  /** More has come of what nobody asked for than may. */
  tooMuchUnwanted: () => void
  /** An object was removed because nobody asked for it. */
  onDropped: () => void
  log: Log
}

/** A sink is told so often that bytes arrive. */
const ACTIVITY_MS = 200
/** VR UI (PS3.5 6.2). */
const LONGEST_UID = 64
const NOTHING = Buffer.alloc(0)

interface Incoming {
  command: CommandSet
  transferSyntax: string
  bytes: number
  /** Bytes of it that are counted as unwanted. */
  unwantedBytes: number
  /** undefined until enough has come. `unknown`: only the whole file can tell. */
  study: { kind: 'known', studyInstanceUid: string } | { kind: 'unknown' } | undefined
  /** While `study` is undefined. */
  prefix: Buffer
  /** undefined until the study has been looked for, and for what is not kept. */
  file: ObjectFile | undefined
  /** It is not kept, whoever may want it. */
  refusal: number | undefined
}

export class IncomingObjects {
  readonly #options: IncomingObjectsOptions
  /** Study to the series of what has been brought of it. */
  readonly #delivered = new Map<string, Set<string>>()
  /** Objects that came for a question of ours. */
  #cameForUs = 0
  readonly #ending = new Set<Promise<unknown>>()
  #current: Incoming | undefined
  #unwantedBytes = 0
  #lastActivity = 0

  constructor (options: IncomingObjectsOptions) {
    this.#options = options
  }

  /** The association has brought objects of the study. */
  hasDelivered (studyInstanceUid: string): boolean { return this.#delivered.has(studyInstanceUid) }

  /** The association has brought what somebody wanted, or is about to. */
  get bringsWanted (): boolean { return this.#delivered.size > 0 || (this.#current?.study?.kind === 'known' && this.#current.file !== undefined) }

  /** A C-STORE-RQ has come; its data set follows. */
  begin (command: CommandSet, transferSyntax: string): void {
    const { sopInstanceUid, sopClassUid, hasDataSet } = command
    const isNamed = [sopInstanceUid, sopClassUid].every(uid => uid !== '' && uid.length <= LONGEST_UID)
    const refusal = !hasDataSet ? STATUS.cannotUnderstand : isNamed ? undefined : STATUS.invalidInstance
    this.#current = { command, transferSyntax, bytes: 0, unwantedBytes: 0, study: undefined, prefix: NOTHING, file: undefined, refusal }
  }

  data (bytes: Buffer): void {
    const incoming = this.#current
    if (incoming === undefined) return
    incoming.bytes += bytes.length
    if (incoming.refusal === undefined) {
      if (incoming.study === undefined) {
        this.#decide(incoming, incoming.prefix.length === 0 ? bytes : Buffer.concat([incoming.prefix, bytes]), incoming.bytes >= PREFIX_BYTES)
      } else {
        incoming.file?.add(bytes)
      }
    }
    this.#countUnwanted(incoming)
    this.#activity(incoming)
  }

  /**
   * The data set is whole.
   * @returns the status of the C-STORE-RSP
   * @throws never
   */
  async end (): Promise<number> {
    const incoming = this.#current
    this.#current = undefined
    if (incoming === undefined) return STATUS.cannotUnderstand
    if (incoming.refusal !== undefined) return incoming.refusal
    if (incoming.study === undefined) this.#decide(incoming, incoming.prefix, true)
    this.#countUnwanted(incoming)
    const { file } = incoming
    if (file === undefined) return this.#drop(incoming)
    const taking = this.#take(incoming, file)
    // what the sink has taken is not there any more: to look costs less than to remove; the sender need not wait for it
    this.#track(taking.then(async () => { if (existsSync(file.path)) await removeFile(file.path) }))
    return await taking
  }

  /** The association is over: what has not come whole is no object. Resolves when nothing of it is left. */
  async broken (reason: string): Promise<void> {
    const incoming = this.#current
    this.#current = undefined
    if (incoming !== undefined && incoming.refusal === undefined) {
      this.#tellCutOff(incoming, reason)
      if (incoming.file !== undefined) this.#track(incoming.file.remove())
    }
    await Promise.all(this.#ending)
  }

  /** @throws never */
  async #take (incoming: Incoming, file: ObjectFile): Promise<number> {
    const { wanted, from, isForUs, provenanceOf, senderOf, log } = this.#options
    let object: DicomObject
    try {
      object = await file.finish()
    } catch (error) {
      return this.#refuse(incoming, error)
    }
    incoming.study = { kind: 'known', studyInstanceUid: object.studyInstanceUid }
    const sink = wanted.sinkOf(object.studyInstanceUid)
    this.#countUnwanted(incoming, sink === undefined)
    if (sink === undefined) return this.#drop(incoming)
    this.#deliver(object, isForUs(incoming.command))
    try {
      await sink.offer({ path: file.path, object, provenance: provenanceOf(incoming.command, object.studyInstanceUid), from, sender: senderOf?.(object.studyInstanceUid) })
      return STATUS.success
    } catch (error) {
      log.error({ err: error }, 'a received image was not taken')
      return STATUS.processingFailure
    }
  }

  /**
   * Nobody wants it. A stranger's is refused. What an archive sends for a question of ours is thrown away with a warning: Orthanc, asked for a series of a
   * study, sends the series of the same UID in every copy of the study, and gives the whole move up with 0xC000 at the first that is refused (measured).
   */
  #drop ({ command, study }: Incoming): number {
    const { onDropped, isForUs } = this.#options
    onDropped()
    if (!isForUs(command)) return STATUS.notAuthorised
    this.#passed(study?.kind === 'known' ? study.studyInstanceUid : undefined)
    return STATUS.elementsDiscarded
  }

  #deliver ({ studyInstanceUid, seriesInstanceUid }: DicomObject, isForUs: boolean): void {
    const series = this.#delivered.get(studyInstanceUid)
    series?.add(seriesInstanceUid)
    if (series === undefined) {
      this.#delivered.set(studyInstanceUid, new Set([seriesInstanceUid]))
      // what has come before its first is of others
      const sink = this.#options.wanted.sinkOf(studyInstanceUid)
      for (let n = 0; n < this.#cameForUs; n++) sink?.passed?.(seriesInstanceUid)
    }
    if (isForUs) this.#passed(studyInstanceUid)
  }

  /** An object of the study, of nobody or of somebody else, came for a question of ours: the others on this association hear of it. */
  #passed (studyInstanceUid: string | undefined): void {
    this.#cameForUs++
    for (const [study, series] of this.#delivered) {
      if (study === studyInstanceUid) continue
      const [first, ...more] = series
      this.#options.wanted.sinkOf(study)?.passed?.(more.length === 0 ? first : undefined)
    }
  }

  /** It cannot be kept: our disk does not take it, or it is not whole. */
  #refuse (incoming: Incoming, error: unknown): number {
    const { from, log } = this.#options
    const fields = { from, sop_instance_uid: incoming.command.sopInstanceUid, err: error }
    const disk = diskFaultOf(error)
    if (disk !== undefined) {
      log.error(fields, disk.isFull ? 'a received image cannot be written: the disk for temporary files is full' : 'a received image cannot be written')
      this.#tellCutOff(incoming, disk.reason)
      return disk.isFull ? STATUS.outOfResources : STATUS.processingFailure
    }
    log.warn(fields, 'an image was refused: it is not whole')
    this.#tellCutOff(incoming, error instanceof Error ? error.message : String(error))
    return STATUS.cannotUnderstand
  }

  /**
   * Whose it is, as soon as that can be known.
   * @param beginning what has come of it
   * @param isEnough no more is waited for
   */
  #decide (incoming: Incoming, beginning: Buffer, isEnough: boolean): void {
    const { wanted } = this.#options
    const found = studyOfPrefix(beginning, incoming.transferSyntax)
    if (found.kind === 'more' && !isEnough) {
      incoming.prefix = Buffer.from(beginning)
      return
    }
    incoming.study = found.kind === 'found' ? { kind: 'known', studyInstanceUid: found.studyInstanceUid } : { kind: 'unknown' }
    if (found.kind === 'found' ? wanted.sinkOf(found.studyInstanceUid) !== undefined : wanted.size > 0) {
      incoming.file = this.#newFile(incoming)
      incoming.file.add(beginning)
    }
    incoming.prefix = NOTHING
  }

  #newFile ({ command: { sopClassUid, sopInstanceUid }, transferSyntax }: Incoming): ObjectFile {
    const { folder, callingAeTitle, flow } = this.#options
    return new ObjectFile(join(folder, `object_${randomUUID()}`), fileHeader({ sopClassUid, sopInstanceUid, transferSyntaxUid: transferSyntax, sourceAeTitle: callingAeTitle }), flow)
  }

  /** Holds the object against the limit of what nobody asked for. */
  #countUnwanted (incoming: Incoming, isUnwanted = this.#looksUnwanted(incoming)): void {
    const due = isUnwanted ? incoming.bytes : 0
    this.#unwantedBytes += due - incoming.unwantedBytes
    incoming.unwantedBytes = due
    if (this.#unwantedBytes > this.#options.maxUnwantedBytes) this.#options.tooMuchUnwanted()
  }

  /**
   * What cannot be known yet counts too, unless the association has brought something that somebody wanted: a stranger is not to fill the disk with
   * what cannot be looked into.
   */
  #looksUnwanted ({ study, file, refusal }: Incoming): boolean {
    if (refusal !== undefined) return true
    return study !== undefined && (file === undefined || (study.kind === 'unknown' && this.#delivered.size === 0))
  }

  #activity (incoming: Incoming): void {
    const now = performance.now()
    if (now - this.#lastActivity < ACTIVITY_MS) return
    this.#lastActivity = now
    for (const sink of this.#sinksOf(incoming)) sink.activity()
  }

  /** Who an object may belong to: everybody as long as its study is not known. */
  #sinksOf ({ study }: Incoming): StudySink[] {
    const { wanted } = this.#options
    if (study?.kind !== 'known') return wanted.all()
    const sink = wanted.sinkOf(study.studyInstanceUid)
    return sink === undefined ? [] : [sink]
  }

  #tellCutOff (incoming: Incoming, reason: string): void {
    for (const sink of this.#sinksOf(incoming)) sink.cutOff(incoming.command.sopInstanceUid, reason)
  }

  #track (work: Promise<void>): void {
    const tracked = work.finally(() => { this.#ending.delete(tracked) })
    this.#ending.add(tracked)
  }
}
