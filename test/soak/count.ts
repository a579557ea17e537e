/** What the service holds, seen from outside. */
import { readdirSync, readFileSync, type Dirent } from 'node:fs'
import { join } from 'node:path'
import { descendants, nameOf } from './troubles.ts'

export interface Count {
  descriptors: number
  /** MiB of resident memory of node. */
  memoryMib: number
  processes: string[]
  /** Folders and files in its work folder, beside the receiver's empty one. */
  entries: string[]
  /** Work folders of services in iso.temp_dir. */
  workFolders: number
  slots: number
  turns: number
  retrievals: number
  requests: number
}

export async function countOf (pid: number, url: string, tempDir: string): Promise<Count> {
  const metrics = await (await fetch(`${url}/metrics`)).text()
  const gauge = (name: string): number => [...metrics.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].reduce((sum, [, value]) => sum + Number(value), 0)
  const folders = readdirSync(tempDir).filter(name => name.startsWith('dicomdir_'))
  return {
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    memoryMib: memoryOf(pid),
    processes: descendants(pid).map(nameOf).filter(name => name !== '').sort(),
    entries: folders.flatMap(folder => walk(join(tempDir, folder))).filter(path => !/^(?:owner|alive|receive_\w+)$/.test(path)),
    workFolders: folders.length,
    slots: gauge('mkiso_receive_slots_used'),
    turns: gauge('mkiso_pacs_turns_used') + gauge('mkiso_pacs_turns_waiting'),
    retrievals: gauge('mkiso_retrievals_active') + gauge('mkiso_retrievals_kept'),
    // this very request for the metrics does not count as one
    requests: gauge('mkiso_requests_active')
  }
}

export function memoryOf (pid: number): number {
  return Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1_024)
}

function walk (folder: string, prefix = ''): string[] {
  let entries: Dirent[]
  try {
    entries = readdirSync(folder, { withFileTypes: true })
  } catch (error) {
    // it has gone meanwhile, which is what it shall do
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
  return entries.flatMap(entry => [prefix + entry.name, ...entry.isDirectory() ? walk(join(folder, entry.name), `${prefix}${entry.name}/`) : []])
}
