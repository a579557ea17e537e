/**
 * Files opened, written and closed at once, as long as the disk takes what it is given about as fast as memory does; by the thread pool as soon as it
 * did not once, so that a slow disk holds up the event loop for no longer than one write in ten seconds. A turn through the pool wakes two threads, and
 * an object takes three of them while its sender waits: a tenth of the time of a download (600 CT images on two cores, measured).
 */
import { close, closeSync, open, openSync, writev, writevSync } from 'node:fs'
import { promisify } from 'node:util'

/** What takes longer was no matter of memory. */
const SLOW_MS = 20
/** So long nothing is done at once. */
const DISTRUST_MS = 10_000

const openFile = promisify(open)
const writeBuffers = promisify(writev)
const closeFile = promisify(close)

export class PromptDisk {
  readonly #nowMs: () => number
  #distrustedUntilMs = -Infinity

  /** @param nowMs a clock that never goes back */
  constructor (nowMs = () => performance.now()) {
    this.#nowMs = nowMs
  }

  /**
   * On ext4 it takes most of an object's time where thousands of files have been removed within the last minute: each is looked at (0.6 ms, measured).
   * @returns the descriptor of a new file, for writing
   * @throws what the file system throws: a name that is taken, say
   */
  async create (path: string): Promise<number> {
    return await this.#do(() => openSync(path, 'wx', 0o600), async () => await openFile(path, 'wx', 0o600))
  }

  /** @returns the bytes that the disk took, which may be fewer: what is left is written again, and told why it cannot be */
  async write (descriptor: number, buffers: readonly Buffer[], position: number): Promise<number> {
    return await this.#do(() => writevSync(descriptor, buffers, position), async () => (await writeBuffers(descriptor, buffers, position)).bytesWritten)
  }

  /** @throws what the file system throws: one on the network tells only now that it is full */
  async close (descriptor: number): Promise<void> {
    await this.#do(() => { closeSync(descriptor) }, async () => { await closeFile(descriptor) })
  }

  async #do<T> (atOnce: () => T, byPool: () => Promise<T>): Promise<T> {
    const startedMs = this.#nowMs()
    try {
      return startedMs < this.#distrustedUntilMs ? await byPool() : atOnce()
    } finally {
      const endedMs = this.#nowMs()
      if (endedMs - startedMs > SLOW_MS) this.#distrustedUntilMs = endedMs + DISTRUST_MS
    }
  }
}
