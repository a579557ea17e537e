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

export interface Source {
  /** Of the whole, though only a part of it may be held. */
  readonly sizeBytes: number
  /**
   * A view that is valid until the next call.
   * @throws LostError when the bytes are not held
   */
  bytes (at: number, length: number): Buffer
  /** As {@link bytes}, into `target`; for lengths above a window. @throws LostError */
  copy (at: number, length: number, target: Buffer, targetAt: number): void
}

/** Most bytes of one view. The header of an image fits, so that most files cost one read. */
export const WINDOW_BYTES = 16 * 1024

export class FileSource implements Source {
  readonly sizeBytes: number
  readonly #fd: number
  readonly #window = Buffer.allocUnsafe(WINDOW_BYTES)
  #start = 0
  #length = 0

  /** @param fd stays the caller's */
  constructor (fd: number) {
    this.#fd = fd
    this.sizeBytes = fstatSync(fd).size
  }

  bytes (at: number, length: number): Buffer {
    if (at < this.#start || at + length > this.#start + this.#length) {
      if (at + length > this.sizeBytes || length > WINDOW_BYTES) throw new LostError('there are no such bytes', true)
      this.#start = at
      this.#length = readSync(this.#fd, this.#window, 0, WINDOW_BYTES, at)
      if (this.#length < length) throw new LostError('it became shorter while it was read', true)
    }
    return this.#window.subarray(at - this.#start, at - this.#start + length)
  }

  copy (at: number, length: number, target: Buffer, targetAt: number): void {
    if (length <= WINDOW_BYTES) this.bytes(at, length).copy(target, targetAt)
    else if (at + length > this.sizeBytes || readSync(this.#fd, target, targetAt, length, at) < length) throw new LostError('there are no such bytes', true)
  }
}

export class MemorySource implements Source {
  readonly sizeBytes: number
  readonly #held: Buffer

  /** @param sizeBytes of the whole, of which `held` is the beginning */
  constructor (held: Buffer, sizeBytes = held.length) {
    this.#held = held
    this.sizeBytes = sizeBytes
  }

  bytes (at: number, length: number): Buffer {
    if (at + length > this.#held.length) throw new LostError('it is beyond what is kept of a deflated data set', at + length > this.sizeBytes)
    return this.#held.subarray(at, at + length)
  }

  copy (at: number, length: number, target: Buffer, targetAt: number): void {
    this.bytes(at, length).copy(target, targetAt)
  }
}
