/** Memory of a process and of its children, and the disk that it takes, while something runs. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Peaks {
  nodeMiB: number
  /** Resident sets together; pages that they share count more than once. */
  programsMiB: number
  /** All bytes below the work folder over those of the DICOM files. */
  diskRatio: number
}

const EVERY_MS = 50

export async function watchProcess (pid: number, folder: string, task: () => Promise<unknown>): Promise<Peaks> {
  let programsKiB = 0
  // both at their highest: a hard link costs nothing, a copy shows
  let allBytes = 0
  let imageBytes = 0
  // proc(5): 5 resets the peak of the resident set
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
  const timer = setInterval(() => {
    programsKiB = Math.max(programsKiB, descendants(pid).reduce((sum, one) => sum + status(one, 'VmRSS'), 0))
    const disk = sizeOf(folder)
    allBytes = Math.max(allBytes, disk.all)
    imageBytes = Math.max(imageBytes, disk.images)
  }, EVERY_MS)
  try {
    await task()
  } finally {
    clearInterval(timer)
  }
  return { nodeMiB: Math.round(status(pid, 'VmHWM') / 1_024), programsMiB: Math.round(programsKiB / 1_024), diskRatio: allBytes / Math.max(1, imageBytes) }
}

/** KiB of proc(5) `status`. */
function status (pid: number, field: 'VmRSS' | 'VmHWM'): number {
  try { return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) } catch { return 0 }
}

function descendants (pid: number): number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]))
    } catch { /* ended meanwhile */ }
  }
  const below = (one: number): number[] => [...parents].filter(([, parent]) => parent === one).flatMap(([child]) => [child, ...below(child)])
  return below(pid)
}

/** Bytes below a folder, each inode once, and those of DICOM files among them. */
function sizeOf (folder: string): { all: number, images: number } {
  const seen = new Set<number>()
  const sum = { all: 0, images: 0 }
  const walk = (path: string): void => {
    let names: string[]
    try { names = readdirSync(path) } catch { return }
    for (const name of names) {
      const one = join(path, name)
      try {
        const entry = statSync(one)
        if (entry.isDirectory()) { walk(one); continue }
        if (seen.has(entry.ino)) continue
        seen.add(entry.ino)
        sum.all += entry.size
        // as storescp names it, as a retrieval does, as it stands on the disc
        if (/(?:^|\.)\d[\d.]{20,}$|^IM\d{6}$/.test(name)) sum.images += entry.size
      } catch { /* gone meanwhile */ }
    }
  }
  walk(folder)
  return sum
}
