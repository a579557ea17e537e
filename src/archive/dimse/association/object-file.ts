/**
 * The file that an object is written into while it arrives: a DICOM file (PS3.10 7) whose data set is, byte for byte, what came. Writes are gathered,
 * and the sender is not read while too much waits, so that memory does not grow with the object. Most senders wait for our answer before they send the
 * next object; so what can be done before the last byte has come, or beside its writing, is: the file is created, full pieces are written, headers are
 * read from memory.
 */
import { unlink } from 'node:fs'
import { promisify } from 'node:util'
import { fileBeginning } from '../../../dicom/file-meta.ts'
import { readBeginning, readObject, type DicomObject } from '../../../dicom/part10.ts'
import { isNoSpace } from '../../../disk.ts'
import { IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME } from './pdu.ts'
import { PromptDisk } from './prompt-disk.ts'

/** The socket that the bytes come from. */
export interface Flow {
  pause (): void
  resume (): void
}

/** What comes is gathered in pieces of so much; less is not worth a write of its own while more comes. */
const PIECE_BYTES = 256 * 1024
/** Most pieces in one write. */
const MOST_WRITTEN_PIECES = 4
/** Pieces that have been written are used again, by whatever file comes next. */
const MOST_SPARE_PIECES = 32
const sparePieces: Buffer[] = []
/** From here on the sender waits for the disk. */
const MOST_PENDING_BYTES = 4 * 1024 ** 2

const ourDisk = new PromptDisk()
const unlinkFile = promisify(unlink)

export class ObjectFile {
  readonly path: string
  readonly #flow: Flow
  readonly #disk: PromptDisk
  /** Full, and to be written. */
  readonly #full: Buffer[] = []
  /** Kept until the headers have been read. */
  readonly #first: Buffer
  #filling: Buffer
  #filledBytes: number
  #sizeBytes: number
  #writtenBytes = 0
  #writing = 0
  #closing = false
  #paused = false
  #failure: unknown
  #descriptor: number | undefined
  #work: Promise<void> | undefined

  /** @param path of a file that does not exist yet */
  constructor (path: string, header: Buffer, flow: Flow, disk = ourDisk) {
    this.path = path
    this.#disk = disk
    this.#flow = flow
    this.#first = this.#filling = takePiece()
    this.#sizeBytes = this.#filledBytes = header.copy(this.#filling)
    this.#start()
  }

  /** The first thing that went wrong; what comes after it is thrown away. */
  get failed (): boolean { return this.#failure !== undefined }

  /** @param bytes are copied */
  add (bytes: Buffer): void {
    if (this.#failure !== undefined) return
    this.#sizeBytes += bytes.length
    for (let at = 0; at < bytes.length;) {
      const copied = bytes.copy(this.#filling, this.#filledBytes, at)
      at += copied
      this.#filledBytes += copied
      if (this.#filledBytes < this.#filling.length) break
      this.#full.push(this.#filling)
      this.#filling = takePiece()
      this.#filledBytes = 0
    }
    if (this.#full.length > 0) this.#start()
    if (this.#pendingBytes > MOST_PENDING_BYTES && !this.#paused) {
      this.#paused = true
      this.#flow.pause()
    }
  }

  /**
   * Everything is written, and the file is closed.
   * @returns what stands in it
   * @throws CutOffError, NotDicomError
   * @throws what the file system threw: the disk is full, say, which a network file system tells only when a file is closed
   */
  async finish (): Promise<DicomObject> {
    this.#closing = true
    this.#start()
    const object = this.#failure === undefined ? readBeginning(this.#first.subarray(0, Math.min(this.#sizeBytes, PIECE_BYTES)), this.#sizeBytes) : undefined
    await this.#work
    while (this.#failure === undefined && this.#full.length + this.#filledBytes > 0) {
      this.#start()
      await this.#work
    }
    if (this.#failure !== undefined) throw this.#failure
    try {
      return object ?? await readObject(this.path)
    } finally {
      await this.#close()
    }
  }

  /** Nothing of it is left. @throws never */
  async remove (): Promise<void> {
    this.#failure ??= new Error('the object was cut off')
    this.#drop()
    await this.#work
    await this.#close().catch(() => {})
    await removeFile(this.path)
  }

  async #close (): Promise<void> {
    const descriptor = this.#descriptor
    this.#descriptor = undefined
    if (descriptor === undefined) return
    givePieceBack(this.#first)
    await this.#disk.close(descriptor)
  }

  get #pendingBytes (): number { return (this.#full.length + this.#writing) * PIECE_BYTES + this.#filledBytes }

  #start (): void {
    this.#work ??= this.#write().catch((error: unknown) => {
      this.#failure ??= error
      this.#drop()
    }).finally(() => {
      this.#work = undefined
      if (this.#paused) {
        this.#paused = false
        this.#flow.resume()
      }
    })
  }

  #drop (): void {
    this.#full.length = this.#filledBytes = 0
  }

  async #write (): Promise<void> {
    // a name that is taken is a fault of ours: nothing that arrived is ever written over
    this.#descriptor ??= await this.#disk.create(this.path)
    while (this.#full.length > 0 || (this.#closing && this.#filledBytes > 0)) {
      const pieces = this.#full.splice(0, MOST_WRITTEN_PIECES)
      this.#writing = pieces.length
      const withRest = this.#closing && this.#full.length === 0
      await this.#writeAll(this.#descriptor, withRest ? [...pieces, this.#filling.subarray(0, this.#filledBytes)] : pieces)
      this.#writing = 0
      for (const piece of pieces) this.#written(piece)
      if (withRest) {
        this.#filledBytes = 0
        this.#written(this.#filling)
        return
      }
      if (this.#paused && this.#pendingBytes < MOST_PENDING_BYTES / 2) {
        this.#paused = false
        this.#flow.resume()
      }
    }
  }

  #written (piece: Buffer): void {
    if (piece !== this.#first) givePieceBack(piece)
  }

  async #writeAll (descriptor: number, buffers: Buffer[]): Promise<void> {
    for (let left = buffers; left.length > 0;) {
      const written = await this.#disk.write(descriptor, left, this.#writtenBytes)
      this.#writtenBytes += written
      // a disk that is nearly full takes a part, and says why with the next write
      left = without(left, written)
    }
  }
}

function takePiece (): Buffer {
  return sparePieces.pop() ?? Buffer.allocUnsafeSlow(PIECE_BYTES)
}

function givePieceBack (piece: Buffer): void {
  if (sparePieces.length < MOST_SPARE_PIECES) sparePieces.push(piece)
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
  if (isNoSpace(error)) return { isFull: true, reason: 'the disk for temporary files is full' }
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return /^E[A-Z0-9]+$/.test(code) ? { isFull: false, reason: `it cannot be written: ${code}` } : undefined
}

/** @throws never: a file that is not there needs no removing, and the folder goes in the end */
export async function removeFile (path: string): Promise<void> {
  await unlinkFile(path).catch(() => {})
}

/** What stands before the data set of an object that we receive. */
export function fileHeader (meta: { sopClassUid: string, sopInstanceUid: string, transferSyntaxUid: string, sourceAeTitle: string }): Buffer {
  return fileBeginning({ ...meta, implementationClassUid: IMPLEMENTATION_CLASS_UID, implementationVersionName: IMPLEMENTATION_VERSION_NAME })
}
