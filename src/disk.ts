/** Room on the disk that a folder is on. */
import { statfs } from 'node:fs/promises'

/** Less free space than this is none: a program that stopped at a full disk has often removed what it had written. */
const FULL_DISK_BYTES = 8 * 1024 ** 2

export interface Disk {
  /** For this user: what is kept back for root does not count. */
  freeBytes: number
  sizeBytes: number
  /** The magic number of its file system, statfs(2). */
  type: number
}

export async function diskOf (folder: string): Promise<Disk> {
  const { bavail, blocks, bsize, type } = await statfs(folder)
  return { freeBytes: bavail * bsize, sizeBytes: blocks * bsize, type }
}

/** Whether a failure is to be put down to a full disk: programs do not say so, they write short files. */
export async function isDiskFull (folder: string): Promise<boolean> {
  return (await diskOf(folder)).freeBytes < FULL_DISK_BYTES
}
