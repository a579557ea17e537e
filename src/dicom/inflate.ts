/** Deflated data sets (PS3.5 A.5): inflated to the end, so that a truncated one is found; only their beginning is kept. */
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { createInflate, createInflateRaw } from 'node:zlib'

/** More than any header; the pixel data behind it are only counted. */
const KEPT_BYTES = 16 * 1024 ** 2
/** No data set is larger; a file of a few megabytes may inflate to as much as it likes. */
const MOST_BYTES = 4 * 1024 ** 3

export interface Inflated {
  /** The first 16 MiB. */
  beginning: Buffer
  sizeBytes: number
  /** `cut-off`: it ends early, or is corrupt. `too-large`: above 4 GiB, and not looked at any further. */
  end: 'whole' | 'cut-off' | 'too-large'
  reason: string
}

/** @param start where the deflated data begin, in bytes */
export async function inflate (path: string, start: number, zlibHeader: boolean): Promise<Inflated> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  const tooLarge = new Error('too large')
  const inflator = zlibHeader ? createInflate() : createInflateRaw()
  const answer = (end: Inflated['end'], reason = ''): Inflated => {
    const beginning = Buffer.concat(chunks)
    return { beginning: beginning.subarray(0, KEPT_BYTES), sizeBytes, end, reason }
  }
  try {
    await pipeline(createReadStream(path, { start }), inflator, async function (output: AsyncIterable<Buffer>) {
      for await (const chunk of output) {
        if (sizeBytes < KEPT_BYTES) chunks.push(chunk)
        sizeBytes += chunk.length
        if (sizeBytes > MOST_BYTES) throw tooLarge
      }
    })
    return answer('whole')
  } catch (error) {
    if (error === tooLarge) return answer('too-large', 'its deflated data set is larger than 4 GiB')
    if (isZlibError(error)) return answer('cut-off', `its deflated data set cannot be read to the end: ${error.message}`)
    throw error
  }
}

function isZlibError (error: unknown): error is Error {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code.startsWith('Z_')
}
