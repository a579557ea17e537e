/**
 * WADO-RS (PS3.18 10.4): a series, a study or an instance as it is stored, each object of the answer into a file while it comes, read back, and handed to
 * who wants its study. What a closed answer holds is no witness of how much there is: a server that cannot read an image leaves it out and closes all the
 * same, so no number of it goes into `total` of an outcome.
 */
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { DicomObject } from '../../dicom/part10.ts'
import { MkisoError } from '../../errors.ts'
import type { Log } from '../../process.ts'
import type { StudySink } from '../archive.ts'
import { diskFaultOf, ObjectFile, removeFile } from '../dimse/association/object-file.ts'
import type { WantedStudies } from '../wanted-studies.ts'
import { noAnswerOf, type DicomwebConnection, type HttpAnswer, type NoAnswer } from './connection.ts'
import { boundaryOf, readMultipart, type MultipartEnd, type PartFlow, type PartReceiver } from './multipart.ts'
import { refusalOf, type Busy, type Refused } from './refusal.ts'
import { discard } from './search.ts'

/** As stored (PS3.18 8.7.3.3.2): without it a server transcodes, to Explicit VR Little Endian as a rule. */
const AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
/** Objects that are being written to their ends while others come already. */
const MOST_ENDING = 4
/** A sink is told so often that bytes arrive. */
const ACTIVITY_MS = 200

export interface RetrieveOptions {
  connection: DicomwebConnection
  /** `/studies/1.2/series/1.3` */
  path: string
  /** Of the study that was asked for. */
  studyInstanceUid: string
  /** Where a single one was asked for, for the message. */
  sopInstanceUid?: string | undefined
  wanted: WantedStudies
  /** For the files; nobody else writes there. */
  folder: string
  /** Most bytes of what nobody asked for in one answer. */
  maxUnwantedBytes: number
  onActivity: () => void
  log: Log
}

/** An answer with objects. `sent`: those that came whole and were wanted; `failed`: parts that are no object, or not a whole one. */
export interface Retrieved {
  kind: 'retrieved'
  sent: number
  failed: number
  /** `closed`: to its end. `partial`: it says, or shows, that this is not all. `cut`: it ended before its end. */
  end: 'closed' | 'partial' | 'cut'
  reason: string
}

/** No answer, or one that stopped, after so many objects. */
export type Stopped = NoAnswer & { sent: number, failed: number }

/** @throws MkisoError PACS_REFUSED @throws the signal's reason */
export async function retrieve (options: RetrieveOptions, signal: AbortSignal): Promise<Retrieved | Refused | Busy | Stopped> {
  const { connection, path } = options
  const { server } = connection
  const timeout = AbortSignal.timeout(server.moveTimeoutMs)
  const objects = new ArrivingObjects(options)
  try {
    const answer = await connection.get({ path, accept: AS_STORED, signal: AbortSignal.any([signal, timeout]), silenceMs: server.idleTimeoutMs })
    if (answer.kind !== 'answered') return { ...answer, sent: 0, failed: 0 }
    return await objects.take(answer)
  } catch (error) {
    signal.throwIfAborted()
    const { sent, failed } = objects
    if (timeout.aborted) return { kind: 'timeout', reason: `no end within ${server.moveTimeoutMs / 1_000} s (${server.section}.move_timeout)`, sent, failed }
    if (error instanceof MkisoError) throw error
    return { ...noAnswerOf(error, server.idleTimeoutMs), sent, failed }
  } finally {
    await objects.ended()
  }
}

/** The objects of one answer. */
class ArrivingObjects {
  readonly #options: RetrieveOptions
  readonly #ending = new Set<Promise<void>>()
  sent = 0
  failed = 0
  #unwantedBytes = 0
  #lastActivityMs = 0

  constructor (options: RetrieveOptions) {
    this.#options = options
  }

  /** @throws what the body throws when it breaks */
  async take (answer: HttpAnswer): Promise<Retrieved | Refused | Busy> {
    const { connection: { server } } = this.#options
    const { name } = server
    const { status, body } = answer
    const warning = answer.header('warning')
    if (warning !== '') this.#options.log.warn({ pacs: name, warning: warning.slice(0, 200) }, 'the PACS sends images with a warning')
    if (status !== 200 && status !== 206) {
      discard(body)
      if (status === 204) return await this.#outcome({ kind: 'closed' }, status)
      return refusalOf(answer, 'WADO-RS', server)
    }
    const type = answer.header('content-type')
    const media = (type.split(';')[0] ?? '').trim().toLowerCase()
    // PS3.18 8.7.4: a server may send a single object as it is
    if (media === 'application/dicom') return await this.#outcome(await this.#single(answer), status)
    const boundary = media === 'multipart/related' ? boundaryOf(type) : undefined
    if (boundary === undefined) {
      discard(body)
      const what = /html/.test(media) ? 'a page for people' : media === '' ? 'something without a type' : media.slice(0, 60)
      const fault = new MkisoError('PACS_REFUSED_MOVE', `${name}: WADO-RS: it sends ${what} where images were expected (multipart/related): check ${server.section}.dicomweb.url`)
      return { kind: 'refused', status, fault, reason: `it sends ${what}`, hopeless: true }
    }
    const end = await readMultipart(body, { boundary, receive: (partType, flow) => this.#receive(partType, flow), ready: async () => { await this.#ready() } })
    return await this.#outcome(end, status)
  }

  /** Nothing of them is under way any more. */
  async ended (): Promise<void> { await Promise.all(this.#ending) }

  async #outcome (end: MultipartEnd, status: number): Promise<Retrieved> {
    await this.ended()
    const { sent, failed } = this
    const outcome = (kind: Retrieved['end'], reason: string): Retrieved => ({ kind: 'retrieved', sent, failed, end: kind, reason })
    if (end.kind === 'cut') return outcome('cut', end.reason)
    if (end.kind === 'odd') return outcome('partial', end.reason)
    if (status === 206) return outcome('partial', 'HTTP 206: it does not send all of them')
    if (failed > 0) return outcome('partial', `${failed} parts of its answer are no whole images`)
    return sent === 0 ? outcome('partial', 'its answer holds no image') : outcome('closed', '')
  }

  async #single ({ body, header }: HttpAnswer): Promise<MultipartEnd> {
    const object = this.#receive('application/dicom', { pause: () => { body.pause() }, resume: () => { body.resume() } })
    await new Promise<void>((resolve, reject) => {
      body.on('data', (bytes: Buffer) => { object.data(bytes) })
      body.once('end', resolve)
      body.once('error', error => {
        object.cut(error.message)
        reject(error)
      })
    })
    // where the connection's end is the body's, a body that was cut off looks like a whole one (RFC 9112 6.3)
    object.end(header('content-length') === '' && header('transfer-encoding') === '' ? 'nobody says how long it is' : undefined)
    return { kind: 'closed' }
  }

  /**
   * A disk that is slower than the network is not outrun by small objects either.
   * @throws MkisoError PACS_REFUSED when too much comes that nobody asked for
   */
  async #ready (): Promise<void> {
    while (this.#ending.size > MOST_ENDING) await Promise.race(this.#ending)
    if (this.#unwantedBytes > this.#options.maxUnwantedBytes) {
      throw new MkisoError('PACS_REFUSED', `${this.#options.connection.server.name}: it sends more of what nobody asked for than our_ae.max_unwanted allows`)
    }
  }

  #receive (type: string, flow: PartFlow): PartReceiver {
    const { folder } = this.#options
    // what calls itself something else may still be an object: the file tells
    const file = new ObjectFile(join(folder, `object_${randomUUID()}`), Buffer.alloc(0), flow)
    let sizeBytes = 0
    return {
      data: bytes => {
        sizeBytes += bytes.length
        file.add(bytes)
        this.#activity()
      },
      end: lengthFault => { this.#track(lengthFault === undefined ? this.#take(file, sizeBytes, type) : this.#refuse(file, lengthFault)) },
      cut: reason => { this.#track(this.#refuse(file, reason)) }
    }
  }

  /** @throws never */
  async #take (file: ObjectFile, sizeBytes: number, type: string): Promise<void> {
    const { wanted, log, connection: { server } } = this.#options
    let object: DicomObject
    try {
      object = await file.finish()
    } catch (error) {
      const disk = diskFaultOf(error)
      if (disk !== undefined) log.error({ pacs: server.name, err: error }, 'a received image cannot be written')
      else log.warn({ pacs: server.name, type: type.slice(0, 60), err: error }, 'a part of the answer is no whole image')
      await this.#refuse(file, disk?.reason ?? (error instanceof Error ? error.message : String(error)), uidOf(error))
      return
    }
    const sink = wanted.sinkOf(object.studyInstanceUid)
    if (sink === undefined) {
      this.#unwanted(sizeBytes)
      await removeFile(file.path)
      return
    }
    try {
      // it came as the answer to what was asked
      await sink.offer({ path: file.path, object, provenance: 'ours', sender: 'asked', from: server.name })
      this.sent++
    } catch (error) {
      this.failed++
      log.error({ err: error }, 'a received image was not taken')
    }
    if (existsSync(file.path)) await removeFile(file.path)
  }

  /** It is left out, and who wants the study is told. @throws never */
  async #refuse (file: ObjectFile, reason: string, sopInstanceUid = this.#options.sopInstanceUid ?? ''): Promise<void> {
    this.failed++
    await file.remove()
    this.#sink()?.cutOff(sopInstanceUid, reason)
  }

  #unwanted (sizeBytes: number): void {
    const { log, connection: { server } } = this.#options
    this.#unwantedBytes += sizeBytes
    log.warn({ pacs: server.name }, 'an image that nobody asked for was received and removed')
  }

  #activity (): void {
    const now = performance.now()
    if (now - this.#lastActivityMs < ACTIVITY_MS) return
    this.#lastActivityMs = now
    this.#options.onActivity()
    this.#sink()?.activity()
  }

  #sink (): StudySink | undefined { return this.#options.wanted.sinkOf(this.#options.studyInstanceUid) }

  #track (work: Promise<void>): void {
    const tracked = work.finally(() => { this.#ending.delete(tracked) })
    this.#ending.add(tracked)
  }
}

/** As far as the file told. */
function uidOf (error: unknown): string | undefined {
  const uid = error instanceof Error && 'sopInstanceUid' in error ? error.sopInstanceUid : undefined
  return typeof uid === 'string' && uid !== '' ? uid : undefined
}
