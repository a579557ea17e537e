/** The image as a stream that is either exact or an error: a short one would look whole to a client. */
import { once } from 'node:events'
import { Transform, type Readable, type TransformCallback } from 'node:stream'
import { MkisoError } from '../errors.ts'
import type { Child, Log } from '../process.ts'
import type { Image } from './image.ts'

export interface OpenImage {
  stream: Readable
  /** Ends the program that writes the image; for every way in which the request can end. */
  close (): Promise<void>
}

/**
 * Starts the image and waits for its first bytes, so that a program that fails at once becomes an answer and not a broken download.
 * @throws MkisoError ISO_CREATION_FAILED
 */
export async function openImage (image: Image, log: Log, signal: AbortSignal): Promise<OpenImage> {
  const { child, stream } = image.open(signal)
  const exact = new ExactLength(image.sizeBytes, child, log)
  stream.on('error', error => { exact.destroy(error) })
  stream.pipe(exact)
  const close = async (): Promise<void> => {
    exact.destroy()
    await child.stop('aborted').catch(() => {})
  }
  try {
    await once(exact, 'readable', { signal })
    return { stream: exact, close }
  } catch (error) {
    await close()
    throw error
  }
}

class ExactLength extends Transform {
  readonly #expected: number
  readonly #child: Child
  readonly #log: Log
  #seen = 0

  constructor (expected: number, child: Child, log: Log) {
    super({ highWaterMark: 1024 * 1024 })
    this.#expected = expected
    this.#child = child
    this.#log = log
  }

  override _transform (chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    this.#seen += chunk.length
    if (this.#seen > this.#expected) callback(new MkisoError('ISO_CREATION_FAILED', 'the image became longer than planned'))
    else callback(null, chunk)
  }

  override _flush (callback: TransformCallback): void {
    this.#child.ended.then(({ exitCode, stderr, stopCause }) => {
      if (exitCode === 0 && this.#seen === this.#expected) {
        callback()
        return
      }
      if (stopCause === undefined) this.#log.error({ exit_code: exitCode, stderr: stderr.slice(-1_000), size_bytes: this.#seen, expected_bytes: this.#expected }, 'genisoimage failed')
      callback(new MkisoError('ISO_CREATION_FAILED', 'the program that writes the image failed'))
    }, callback)
  }
}
