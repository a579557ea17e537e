/** Deflated data sets (PS3.5 A.5): inflated to the end, so that a truncated one is found; only their beginning is kept. */
import { createReadStream } from 'node:fs'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createInflate, createInflateRaw } from 'node:zlib'
import pLimit from 'p-limit'

/** More than any header; the pixel data behind it are only counted. */
const KEPT_BYTES = 16 * 1024 ** 2
/** No data set is larger; a file of a megabyte may inflate to as much as it likes, which takes seconds of a processor. */
const MOST_BYTES = 1024 ** 3
/** Each keeps a beginning in memory and a processor busy: 200 associations may bring such files at once. */
const AT_ONCE = 2

const limit = pLimit(AT_ONCE)

export interface Inflated {
  /** The first 16 MiB. */
  beginning: Buffer
  sizeBytes: number
  /** `cut-off`: it ends early, or is corrupt. `too-large`: above 1 GiB, and not looked at any further. */
  end: 'whole' | 'cut-off' | 'too-large'
  reason: string
}

/** @param start where the deflated data begin, in bytes */
export async function inflate (path: string, start: number, zlibHeader: boolean, mostBytes = MOST_BYTES): Promise<Inflated> {
  return await limit(async () => await inflateNow(path, start, zlibHeader, mostBytes))
}

async function inflateNow (path: string, start: number, zlibHeader: boolean, mostBytes: number): Promise<Inflated> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  const tooLarge = new Error('too large')
  const inflator = zlibHeader ? createInflate() : createInflateRaw()
  const answer = (end: Inflated['end'], reason = ''): Inflated => {
    const beginning = Buffer.concat(chunks)
    return { beginning: beginning.subarray(0, KEPT_BYTES), sizeBytes, end, reason }
  }
  const count = new Writable({
    // not an async function that throws: pipeline then told of an abort, and not of what was thrown (Node 20, measured)
    write (chunk: Buffer, _encoding, callback) {
      if (sizeBytes < KEPT_BYTES) chunks.push(chunk)
      sizeBytes += chunk.length
      callback(sizeBytes > mostBytes ? tooLarge : null)
    }
  })
  try {
    await pipeline(createReadStream(path, { start }), inflator, count)
    return answer('whole')
  } catch (error) {
    if (error === tooLarge) return answer('too-large', 'its deflated data set is larger than 1 GiB')
    if (isZlibError(error)) return answer('cut-off', `its deflated data set cannot be read to the end: ${error.message}`)
    throw error
  }
}

function isZlibError (error: unknown): error is Error {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code.startsWith('Z_')
}
