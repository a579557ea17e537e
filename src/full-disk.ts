/** Whether a failure is to be put down to a full disk: programs do not say so, they write short files. */
import { statfs } from 'node:fs/promises'

/** Less free space than this is none: a program that stopped at a full disk has often removed what it had written. */
const FULL_DISK_BYTES = 8 * 1024 ** 2

/** @param folder one on the disk in question */
export async function isDiskFull (folder: string): Promise<boolean> {
  const { bavail, bsize } = await statfs(folder)
  return bavail * bsize < FULL_DISK_BYTES
}
