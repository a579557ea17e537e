/** The audit file read from its end, and after it those that logrotate has put away, the newest first. */
import { createReadStream } from 'node:fs'
import { open, readdir, stat, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join, parse } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'

/** The end of one file, or all of it. */
export interface Part {
  text: string
  /** Nothing stands before it in this file, as far as anybody can read. */
  isWhole: boolean
}

/** Of one file, unpacked: its end is behind all the rest. A megabyte packed can be a gigabyte. */
const MOST_UNPACKED_BYTES = 1_024 ** 3

const NOTHING: Part = { text: '', isWhole: true }

/**
 * Reads until who asks has enough.
 * @param file one that is not there holds nothing
 * @param mostBytes of all files together, unpacked
 * @param mostUnpackedBytes of one packed file: of a longer one nothing is read, since its end is what counts
 * @throws Error of the file system
 */
export async function * readBack (file: string, mostBytes: number, mostUnpackedBytes = MOST_UNPACKED_BYTES): AsyncGenerator<Part> {
  const current = await open(file).catch(orNothing)
  let left = mostBytes
  // opened before the folder is looked at: what is put away meanwhile is read once
  const seen = new Set<number>()
  if (current !== undefined) {
    try {
      seen.add((await current.stat()).ino)
      const part = await endOf(current, left)
      left -= Buffer.byteLength(part.text)
      yield part
    } finally { await current.close() }
  }
  for (const { path, ino } of await putAway(file)) {
    if (seen.has(ino)) continue
    // there is more, and nobody reads it
    const part = left <= 0 || isForeign(path) ? { ...NOTHING, isWhole: false } : await (path.endsWith('.gz') ? endOfPacked(path, left, mostUnpackedBytes) : endAt(path, left))
    left -= Buffer.byteLength(part.text)
    yield part
    if (left <= 0) return
  }
}

function orNothing (error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
  return undefined
}

/** Packed by something that Node.js does not unpack. */
function isForeign (path: string): boolean { return /\.(?:xz|bz2|zst)$/.test(path) }

/** `audit.jsonl.1`, `audit.jsonl-20240501`, `audit-20240501.jsonl` (logrotate: dateext, extension), packed or not; the newest first. */
async function putAway (file: string): Promise<Array<{ path: string, ino: number }>> {
  const { name, ext } = parse(file)
  const escaped = [basename(file), name, ext].map(text => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  const isPutAway = new RegExp(`^(?:${escaped[0]}[.-]\\d[\\d.-]*|${escaped[1]}[.-]\\d[\\d-]*${escaped[2]})(?:\\.(?:gz|xz|bz2|zst))?$`)
  const names = (await readdir(dirname(file)).catch(orNothing) ?? []).filter(one => isPutAway.test(one))
  const found = await Promise.all(names.map(async one => {
    const path = join(dirname(file), one)
    const stats = await stat(path).catch(orNothing)
    return stats === undefined ? [] : [{ path, ino: stats.ino, mtimeMs: stats.mtimeMs }]
  }))
  // gzip keeps the time of what it packs
  return found.flat().sort((a, b) => b.mtimeMs - a.mtimeMs)
}

async function endAt (path: string, mostBytes: number): Promise<Part> {
  const handle = await open(path).catch(orNothing)
  // packed a moment ago
  if (handle === undefined) return { ...NOTHING, isWhole: false }
  try { return await endOf(handle, mostBytes) } finally { await handle.close() }
}

async function endOf (handle: FileHandle, mostBytes: number): Promise<Part> {
  const { size } = await handle.stat()
  const start = Math.max(0, size - mostBytes)
  const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(size - start), position: start })
  return partOf(buffer.subarray(0, bytesRead), start === 0)
}

async function endOfPacked (path: string, mostBytes: number, mostUnpackedBytes: number): Promise<Part> {
  let chunks: Buffer[] = []
  let length = 0
  let unpackedBytes = 0
  // pipeline tells of an abort, and not of what was thrown (Node 20, measured)
  let isTooLong = false
  let isWhole = true
  try {
    await pipeline(createReadStream(path), createGunzip(), async (unpacked: AsyncIterable<Buffer>) => {
      for await (const chunk of unpacked) {
        unpackedBytes += chunk.length
        isTooLong = unpackedBytes > mostUnpackedBytes
        if (isTooLong) throw new Error('too long')
        chunks.push(chunk)
        length += chunk.length
        if (length <= 2 * mostBytes) continue
        isWhole = false
        chunks = [Buffer.concat(chunks).subarray(-mostBytes)]
        length = mostBytes
      }
    })
  } catch (error) {
    // what stands before its end would be taken for it
    if (isTooLong) return { ...NOTHING, isWhole: false }
    // being packed, packed anew, or broken: what can be read of it counts
    if (!isOfFile(error)) throw error
    isWhole = false
  }
  const all = Buffer.concat(chunks)
  return partOf(all.subarray(-mostBytes), isWhole && all.length <= mostBytes)
}

function isOfFile (error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || String(error.code).startsWith('Z_'))
}

function partOf (bytes: Buffer, isWhole: boolean): Part {
  const text = bytes.toString('utf8')
  // the first line may have been cut
  return { text: isWhole ? text : text.slice(text.indexOf('\n') + 1), isWhole }
}
