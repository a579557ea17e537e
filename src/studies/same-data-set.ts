/** Whether two files hold the same object, byte for byte. What stands before the data set (PS3.10 7.1) tells of the way, not of the object. */
import { open, type FileHandle } from 'node:fs/promises'
import type { HeldFile } from './complete-studies.ts'

const CHUNK_BYTES = 256 * 1_024
/** Preamble and prefix. */
const PREFIX_BYTES = 132
const META_GROUP = 0x0002
/** As much of a file as the meta information is looked for in. */
const META_BYTES = 16 * 1_024
/** VRs of group 0002 whose length has four bytes (PS3.5 7.1.2). */
const LONG_VRS: ReadonlySet<string> = new Set(['OB', 'UN', 'UT'])

export async function sameDataSet (a: HeldFile, b: HeldFile): Promise<boolean> {
  if (a.object.transferSyntaxUid !== b.object.transferSyntaxUid) return false
  const one = await open(a.path)
  const other = await open(b.path).catch(async (error: unknown) => {
    await one.close()
    throw error
  })
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

/**
 * Where the data set begins. A file that came over HTTP has the meta information of whoever wrote it, which may lack its length (0002,0000): so it is
 * followed element by element. 0, so that everything is compared, where that leads nowhere.
 */
async function dataSetOffset (file: FileHandle): Promise<number> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(META_BYTES), 0, META_BYTES, 0)
  const bytes = buffer.subarray(0, bytesRead)
  let at = PREFIX_BYTES
  while (at + 12 <= bytes.length && bytes.readUInt16LE(at) === META_GROUP) {
    const isLong = LONG_VRS.has(bytes.toString('latin1', at + 4, at + 6))
    at += isLong ? 12 + bytes.readUInt32LE(at + 8) : 8 + bytes.readUInt16LE(at + 6)
  }
  return at + 12 <= bytes.length ? at : 0
}
