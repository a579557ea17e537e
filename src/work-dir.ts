/**
 * The service's folder for temporary files: one a process, `dicomdir_<uuid>`, readable by this user only. Whatever is in it goes when the
 * service stops; what a service that was killed has left is swept when the next one starts.
 */
import { randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Log } from './process.ts'

const PREFIX = 'dicomdir_'
const OWNER_FILE = 'owner'

/** @returns the folder's path */
export async function createWorkDir (tempDir: string): Promise<string> {
  const path = join(tempDir, PREFIX + randomUUID())
  await mkdir(path, { mode: 0o700 })
  await writeFile(join(path, OWNER_FILE), ownerMark(process.pid) ?? String(process.pid), { mode: 0o600 })
  return path
}

export async function removeWorkDir (path: string): Promise<void> {
  await rm(path, { recursive: true, force: true })
}

/** Removes the folders of services that no longer live; never one of a living service beside this one. */
export async function sweepStaleWorkDirs (tempDir: string, log: Log): Promise<number> {
  let removed = 0
  for (const name of await readdir(tempDir)) {
    if (!name.startsWith(PREFIX)) continue
    const path = join(tempDir, name)
    const owner = await readFile(join(path, OWNER_FILE), 'utf8').catch(() => undefined)
    // a folder without a mark is not ours to judge
    if (owner === undefined || ownerMark(Number(owner.split(' ')[0])) === owner) continue
    await rm(path, { recursive: true, force: true })
    removed++
    log.info({ dir: path }, 'the folder of a service that no longer runs was removed')
  }
  return removed
}

/** Process id and its start time, so that a process id that was given to another program is not taken for the owner. */
function ownerMark (pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // proc(5): starttime is field 22; the name in brackets may hold blanks
    return `${pid} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''}`
  } catch { return undefined }
}
