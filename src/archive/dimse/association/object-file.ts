/**
 * The file that an object is written into while it arrives: a DICOM file (PS3.10 7) whose data set is, byte for byte, what came. Writes are
 * gathered and done by the thread pool, so that a slow disk never stops the event loop, and the sender is not read while too much waits, so that
 * memory does not grow with the object.
 */
import { close, open, unlink, writev } from 'node:fs'
import { promisify } from 'node:util'
import { IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME } from './pdu.ts'

/** The socket that the bytes come from. */
export interface Flow {
  pause (): void
  resume (): void
}

/** Less is not worth a write of its own while more comes. */
const GATHERED_BYTES = 256 * 1024
/** Most bytes in one write. */
const WRITE_BYTES = 1024 ** 2
/** From here on the sender waits for the disk. */
const MOST_PENDING_BYTES = 4 * 1024 ** 2

const FULL: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT'])

const openFile = promisify(open)
const closeFile = promisify(close)
const unlinkFile = promisify(unlink)

export class ObjectFile {
  readonly path: string
  readonly #flow: Flow
  #gathered: Buffer[]
  #gatheredBytes: number
  #writtenBytes = 0
  #pendingBytes = 0
  #closing = false
  #paused = false
  #failure: unknown
  #descriptor: number | undefined
  #work: Promise<void> | undefined

  /** @param path of a file that does not exist yet */
  constructor (path: string, header: Buffer, flow: Flow) {
    this.path = path
    this.#flow = flow
    this.#gathered = [header]
    this.#gatheredBytes = this.#pendingBytes = header.length
  }

  /** The first thing that went wrong; what comes after it is thrown away. */
  get failed (): boolean { return this.#failure !== undefined }

  add (bytes: Buffer): void {
    if (this.#failure !== undefined) return
    this.#gathered.push(bytes)
    this.#gatheredBytes += bytes.length
    this.#pendingBytes += bytes.length
    if (this.#gatheredBytes >= GATHERED_BYTES) this.#start()
    if (this.#pendingBytes > MOST_PENDING_BYTES && !this.#paused) {
      this.#paused = true
      this.#flow.pause()
    }
  }

  /**
   * Everything is written, and can be read by its path; {@link close} is still to come.
   * @throws what the file system threw: the disk is full, say
   */
  async finish (): Promise<void> {
    this.#closing = true
    this.#start()
    await this.#work
    if (this.#failure !== undefined) throw this.#failure
  }

  /** @throws what the file system threw, which a network file system does only here when its disk is full */
  async close (): Promise<void> {
    const descriptor = this.#descriptor
    this.#descriptor = undefined
    if (descriptor !== undefined) await closeFile(descriptor)
  }

  /** Nothing of it is left. @throws never */
  async remove (): Promise<void> {
    this.#gathered = []
    this.#gatheredBytes = 0
    await this.finish().catch(() => {})
    await this.close().catch(() => {})
    await removeFile(this.path)
  }

  #start (): void {
    this.#work ??= this.#write().catch((error: unknown) => {
      this.#failure ??= error
      this.#gathered = []
      this.#gatheredBytes = this.#pendingBytes = 0
    }).finally(() => {
      this.#work = undefined
      if (this.#paused) {
        this.#paused = false
        this.#flow.resume()
      }
    })
  }

  async #write (): Promise<void> {
    // a name that is taken is a fault of ours: nothing that arrived is ever written over
    this.#descriptor ??= await openFile(this.path, 'wx', 0o600)
    while (this.#gatheredBytes >= GATHERED_BYTES || (this.#closing && this.#gatheredBytes > 0)) {
      const batch = this.#takeBatch()
      await this.#writeAll(this.#descriptor, batch.buffers, batch.bytes)
      this.#pendingBytes -= batch.bytes
      if (this.#paused && this.#pendingBytes < MOST_PENDING_BYTES / 2) {
        this.#paused = false
        this.#flow.resume()
      }
    }
  }

  #takeBatch (): { buffers: Buffer[], bytes: number } {
    let bytes = 0
    let count = 0
    for (const buffer of this.#gathered) {
      if (bytes >= WRITE_BYTES) break
      bytes += buffer.length
      count++
    }
    this.#gatheredBytes -= bytes
    return { buffers: this.#gathered.splice(0, count), bytes }
  }

  async #writeAll (descriptor: number, buffers: Buffer[], bytes: number): Promise<void> {
    let left = buffers
    for (let written = 0; written < bytes;) {
      const now = await writeSome(descriptor, left, this.#writtenBytes)
      // a disk that is nearly full takes a part, and says why with the next write
      written += now
      this.#writtenBytes += now
      if (written < bytes) left = without(left, now)
    }
  }
}

async function writeSome (descriptor: number, buffers: readonly Buffer[], position: number): Promise<number> {
  return await new Promise((resolve, reject) => {
    writev(descriptor, buffers, position, (error, written) => {
      if (error === null) resolve(written)
      else reject(error)
    })
  })
}

function without (buffers: readonly Buffer[], bytes: number): Buffer[] {
  let skip = bytes
  return buffers.flatMap(buffer => {
    const skipped = Math.min(skip, buffer.length)
    skip -= skipped
    return skipped === buffer.length ? [] : [buffer.subarray(skipped)]
  })
}

/** What keeps our disk from taking an object, for a person; undefined where the error is none of the file system, whose errors have the names of errno(3). */
export function diskFaultOf (error: unknown): { isFull: boolean, reason: string } | undefined {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (FULL.has(code)) return { isFull: true, reason: 'the disk for temporary files is full' }
  return /^E[A-Z0-9]+$/.test(code) ? { isFull: false, reason: `it cannot be written: ${code}` } : undefined
}

/** @throws never: a file that is not there needs no removing, and the folder goes in the end */
export async function removeFile (path: string): Promise<void> {
  await unlinkFile(path).catch(() => {})
}

/** What stands before the data set: preamble, prefix and file meta information (PS3.10 7.1). */
export function fileHeader (meta: { sopClassUid: string, sopInstanceUid: string, transferSyntax: string, sourceAeTitle: string }): Buffer {
  const elements = Buffer.concat([
    element(0x0001, 'OB', Buffer.from([0, 1])),
    element(0x0002, 'UI', padded(meta.sopClassUid, '\0')),
    element(0x0003, 'UI', padded(meta.sopInstanceUid, '\0')),
    element(0x0010, 'UI', padded(meta.transferSyntax, '\0')),
    element(0x0012, 'UI', padded(IMPLEMENTATION_CLASS_UID, '\0')),
    element(0x0013, 'SH', padded(IMPLEMENTATION_VERSION_NAME, ' ')),
    ...meta.sourceAeTitle === '' ? [] : [element(0x0016, 'AE', padded(meta.sourceAeTitle, ' '))]
  ])
  const length = Buffer.alloc(4)
  length.writeUInt32LE(elements.length)
  return Buffer.concat([Buffer.alloc(128), Buffer.from('DICM', 'latin1'), element(0x0000, 'UL', length), elements])
}

function element (number: number, vr: string, value: Buffer): Buffer {
  const long = vr === 'OB'
  const head = Buffer.alloc(long ? 12 : 8)
  head.writeUInt16LE(0x0002)
  head.writeUInt16LE(number, 2)
  head.write(vr, 4, 'latin1')
  if (long) head.writeUInt32LE(value.length, 8)
  else head.writeUInt16LE(value.length, 6)
  return Buffer.concat([head, value])
}

function padded (text: string, padding: string): Buffer {
  return Buffer.from(text.length % 2 === 0 ? text : text + padding, 'latin1')
}
