/**
 * The service's folder for temporary files: one a process, `dicomdir_<uuid>`, readable by this user only. Whatever is in it goes when the
 * service stops; what a service that was killed has left is swept when the next one starts, and later where that cannot tell at once.
 */
import { randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { Log } from './process.ts'

const PREFIX = 'dicomdir_'
const OWNER_FILE = 'owner'
const BEAT_MS = 60_000
/** A service in another container whose mark is older than this has gone. */
const STALE_AFTER_MS = 10 * BEAT_MS

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

/**
 * Keeps the mark fresh, and sweeps what only its age betrays.
 * @returns the way to end it
 */
export function tendWorkDirs (tempDir: string, path: string, log: Log): () => void {
  const beat = async (): Promise<void> => {
    const now = new Date()
    await utimes(join(path, OWNER_FILE), now, now)
    await sweepStaleWorkDirs(tempDir, log)
  }
  const timer = setInterval(() => { beat().catch((error: unknown) => { log.warn({ err: error, dir: path }, 'the work folder cannot be tended') }) }, BEAT_MS).unref()
  return () => { clearInterval(timer) }
}

/** Removes the folders of services that no longer live; never one of a living service beside this one. */
export async function sweepStaleWorkDirs (tempDir: string, log: Log): Promise<number> {
  let removed = 0
  for (const name of await readdir(tempDir)) {
    if (!name.startsWith(PREFIX)) continue
    const path = join(tempDir, name)
    if (await lives(join(path, OWNER_FILE))) continue
    await rm(path, { recursive: true, force: true })
    removed++
    log.info({ dir: path }, 'the folder of a service that no longer runs was removed')
  }
  return removed
}

async function lives (ownerFile: string): Promise<boolean> {
  const owner = await readFile(ownerFile, 'utf8').catch(() => undefined)
  // a folder without a mark is not ours to judge
  if (owner === undefined) return true
  const [pid, , namespace] = owner.split(' ')
  // an earlier version's mark ends before the namespace
  if (namespace === undefined || namespace === pidNamespace()) return `${ownerMark(Number(pid)) ?? ''} `.startsWith(`${owner} `)
  // a process id of another container says nothing here
  const { mtimeMs } = await stat(ownerFile).catch(() => ({ mtimeMs: Date.now() }))
  return Date.now() - mtimeMs < STALE_AFTER_MS
}

/** Process id, its start time, so that an id that was given to another program is not taken for the owner, and where the id is valid. */
function ownerMark (pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // proc(5): starttime is field 22; the name in brackets may hold blanks
    return `${pid} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''} ${pidNamespace()}`
  } catch { return undefined }
}

/** pid_namespaces(7), and the boot, since a number may come again. */
function pidNamespace (): string {
  try {
    return `${readlinkSync('/proc/self/ns/pid')}@${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}`
  } catch { return 'unknown' }
}
