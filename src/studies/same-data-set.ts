/** Whether two files hold the same object, byte for byte. What the receiver writes before the data set (PS3.10 7.1) tells of the way, not of the object. */
import { open, type FileHandle } from 'node:fs/promises'
import type { HeldFile } from './complete-studies.ts'

const CHUNK_BYTES = 256 * 1_024
/** Preamble, prefix, and the element (0002,0000), whose value is the length of the rest of the group. */
const HEADER_BYTES = 144
const GROUP_LENGTH_OFFSET = 140

export async function sameDataSet (a: HeldFile, b: HeldFile): Promise<boolean> {
  if (a.object.transferSyntaxUid !== b.object.transferSyntaxUid) return false
  const [one, other] = await Promise.all([open(a.path), open(b.path)])
  try {
    const [start, otherStart] = await Promise.all([dataSetOffset(one), dataSetOffset(other)])
    const [size, otherSize] = await Promise.all([one, other].map(async file => (await file.stat()).size))
    if (size === undefined || otherSize === undefined || size - start !== otherSize - otherStart) return false
    const [left, right] = [Buffer.allocUnsafe(CHUNK_BYTES), Buffer.allocUnsafe(CHUNK_BYTES)]
    for (let offset = 0; offset < size - start;) {
      const [{ bytesRead }, other_] = await Promise.all([one.read(left, 0, CHUNK_BYTES, start + offset), other.read(right, 0, CHUNK_BYTES, otherStart + offset)])
      const bytes = Math.min(bytesRead, other_.bytesRead)
      if (bytes === 0 || left.compare(right, 0, bytes, 0, bytes) !== 0) return false
      offset += bytes
    }
    return true
  } finally {
    await Promise.all([one.close(), other.close()])
  }
}

/** Where the data set begins; the files are written by our receiver, always with (0002,0000). */
async function dataSetOffset (file: FileHandle): Promise<number> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0)
  return bytesRead < HEADER_BYTES ? bytesRead : HEADER_BYTES + buffer.readUInt32LE(GROUP_LENGTH_OFFSET)
}
