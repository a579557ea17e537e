/** Bytes at any place of a file, or of what a deflated one holds, a window at a time: values that nobody asked for are never read. */
import { fstatSync, readSync } from 'node:fs'

/** Something stands there that cannot be followed. */
export class LostError extends Error {
  /** True when more bytes would be needed than there are. */
  readonly ended: boolean

  constructor (reason: string, ended = false) {
    super(reason)
    this.name = 'LostError'
    this.ended = ended
  }
}

/** Most bytes of one view. The header of an image fits, so that most files cost one read. */
export const WINDOW_BYTES = 16 * 1024

/** What cannot be read throws LostError. */
export abstract class Source {
  /** Of the whole, though only a part of it may be held. */
  readonly sizeBytes: number

  constructor (sizeBytes: number) {
    this.sizeBytes = sizeBytes
  }

  /** Into `target`; for lengths above a window. */
  abstract copy (at: number, length: number, target: Buffer, targetAt: number): void
  /** Makes bytes available in {@link held}. @returns where in it they begin */
  protected abstract locate (at: number, length: number): number
  protected abstract readonly held: Buffer

  /** A view that is valid until the next call. */
  bytes (at: number, length: number): Buffer {
    const start = this.locate(at, length)
    return this.held.subarray(start, start + length)
  }

  uint16 (at: number, littleEndian: boolean): number {
    const start = this.locate(at, 2)
    return littleEndian ? this.held.readUInt16LE(start) : this.held.readUInt16BE(start)
  }

  uint32 (at: number, littleEndian: boolean): number {
    const start = this.locate(at, 4)
    return littleEndian ? this.held.readUInt32LE(start) : this.held.readUInt32BE(start)
  }
}

/** Windows of files that have been closed. */
const windows: Buffer[] = []

export class FileSource extends Source {
  readonly #fd: number
  protected readonly held = windows.pop() ?? Buffer.allocUnsafeSlow(WINDOW_BYTES)
  #start = 0
  #length = 0

  /** @param fd stays the caller's */
  constructor (fd: number) {
    super(fstatSync(fd).size)
    this.#fd = fd
  }

  /** Nothing is read any more. */
  release (): void {
    if (windows.length === 0) windows.push(this.held)
  }

  protected locate (at: number, length: number): number {
    if (at < this.#start || at + length > this.#start + this.#length) {
      if (at + length > this.sizeBytes || length > WINDOW_BYTES) throw new LostError('there are no such bytes', true)
      this.#start = at
      this.#length = readSync(this.#fd, this.held, 0, WINDOW_BYTES, at)
      if (this.#length < length) throw new LostError('it became shorter while it was read', true)
    }
    return at - this.#start
  }

  copy (at: number, length: number, target: Buffer, targetAt: number): void {
    if (length <= WINDOW_BYTES) this.bytes(at, length).copy(target, targetAt)
    else if (at + length > this.sizeBytes || readSync(this.#fd, target, targetAt, length, at) < length) {
      throw new LostError('there are no such bytes', true)
    }
  }
}

export class MemorySource extends Source {
  protected readonly held: Buffer

  /** @param sizeBytes of the whole, of which `held` is the beginning */
  constructor (held: Buffer, sizeBytes = held.length) {
    super(sizeBytes)
    this.held = held
  }

  protected locate (at: number, length: number): number {
    if (at + length <= this.held.length) return at
    throw new LostError('it is beyond what is kept of a deflated data set', at + length > this.sizeBytes)
  }

  copy (at: number, length: number, target: Buffer, targetAt: number): void {
    this.bytes(at, length).copy(target, targetAt)
  }
}

/**
 * The beginning of a file, of which no more is in memory. It behaves as a {@link FileSource} does, up to the first question for what stands behind it:
 * what was made of the answer then is of no worth.
 */
export class BeginningSource extends MemorySource {
  /** Something was asked for that is not here. */
  wentBeyond = false

  protected override locate (at: number, length: number): number {
    if (at + length > this.sizeBytes || length > WINDOW_BYTES) throw new LostError('there are no such bytes', true)
    if (at + length > this.held.length) this.wentBeyond = true
    return super.locate(at, length)
  }

  override copy (at: number, length: number, target: Buffer, targetAt: number): void {
    if (at + length <= this.held.length) this.held.copy(target, targetAt, at, at + length)
    else {
      this.wentBeyond = true
      throw new LostError('it is beyond the beginning')
    }
  }
}
