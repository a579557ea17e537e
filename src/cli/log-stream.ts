/**
 * Where the lines of the log go: a descriptor that may take nothing for a while. A disk for the log that is full stopped the service from starting, and
 * from ending at SIGTERM (seen): discs do not depend on whether somebody can read of them.
 */
import { writeSync } from 'node:fs'

/** A reader that is slow (a pipe) has so much of the log waiting for it; beyond, lines are lost. */
const MOST_WAITING_BYTES = 1024 ** 2
const RETRY_MS = 50

export type WriteSome = (bytes: Buffer) => number

export class LogStream {
  readonly #writeSome: WriteSome
  /** What the descriptor could not take yet, from the middle of a line perhaps. */
  #waiting = Buffer.alloc(0)
  #lost = 0
  /** Of them: those of which a line that waits tells. */
  #told = 0
  #reason = ''
  #timer: NodeJS.Timeout | undefined

  /** @param writeSome as writeSync: gives the number of bytes that were taken, and throws the errors of write(2) */
  constructor (writeSome: WriteSome) {
    this.#writeSome = writeSome
  }

  static to (descriptor: number): LogStream {
    const stream = new LogStream(bytes => writeSync(descriptor, bytes))
    process.once('exit', () => { stream.flush() })
    return stream
  }

  /** @param line with its newline @throws never */
  write (line: string): void {
    const bytes = Buffer.from(line)
    if (this.#waiting.length + bytes.length > MOST_WAITING_BYTES) {
      this.#lost++
      this.#reason = 'EAGAIN'
      return
    }
    const lines = this.#lost === 0 || this.#told > 0 ? bytes : Buffer.concat([this.#lostLine(), bytes])
    this.#waiting = this.#waiting.length === 0 ? lines : Buffer.concat([this.#waiting, lines])
    this.flush()
  }

  /** What waits is written as far as it is taken now. */
  flush (): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    try {
      while (this.#waiting.length > 0) this.#waiting = this.#waiting.subarray(this.#writeSome(this.#waiting))
      this.#lost -= this.#told
      this.#told = 0
    } catch (error) {
      this.#failed(error instanceof Error && 'code' in error ? String(error.code) : String(error))
    }
  }

  #failed (code: string): void {
    if (code === 'EAGAIN') {
      this.#timer = setTimeout(() => { this.flush() }, RETRY_MS).unref()
      return
    }
    // a disk that is full, a reader that has gone
    this.#lost++
    this.#told = 0
    this.#reason = code
    this.#waiting = Buffer.alloc(0)
  }

  /** On a line of its own: of the one before, a part may stand there. */
  #lostLine (): Buffer {
    this.#told = this.#lost
    const fields = { level: 50, time: Date.now(), lost: this.#lost, reason: this.#reason, msg: 'lines of the log were lost: its disk was full, or nobody read it' }
    return Buffer.from(`\n${JSON.stringify(fields)}\n`)
  }
}
