/** Room on the disk that a folder is on. */
import { randomUUID } from 'node:crypto'
import { statfs, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Less free space than this is none: a program that stopped at a full disk has often removed what it had written. */
const FULL_DISK_BYTES = 8 * 1024 ** 2

export interface Disk {
  /** For this user: what is kept back for root does not count. */
  freeBytes: number
  sizeBytes: number
  /** Files that can still be made; undefined where the file system has no such limit. */
  freeInodes: number | undefined
  /** The magic number of its file system, statfs(2). */
  type: number
}

export async function diskOf (folder: string): Promise<Disk> {
  const { bavail, blocks, bsize, type, files, ffree } = await statfs(folder)
  return { freeBytes: bavail * bsize, sizeBytes: blocks * bsize, freeInodes: files === 0 ? undefined : ffree, type }
}

/** No block or inode, or the quota is used up. */
export function isNoSpace (error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT')
}

/** Whether a failure is to be put down to a full disk: programs do not say so, they write short files. */
export async function isDiskFull (folder: string): Promise<boolean> {
  return (await diskOf(folder)).freeBytes < FULL_DISK_BYTES
}

/**
 * Whether a folder takes a file: there, writable, with an inode and a block for it.
 * @returns why it does not, with the name of the error (errno(3)); undefined when it does
 */
export async function writeFault (folder: string): Promise<string | undefined> {
  const path = join(folder, `health_${randomUUID()}`)
  try {
    await writeFile(path, Buffer.alloc(4_096), { flag: 'wx', mode: 0o600 })
    return undefined
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error)
  } finally {
    await unlink(path).catch(() => { /* it could not be made */ })
  }
}
