/** The service as users have it: built, a process of its own, over HTTP; watched for memory and disk. */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { request } from 'undici'
import type { Pacs } from '../demo/pacs.ts'
import type { PhantomInstance } from '../demo/phantoms/catalogue.ts'
import { freePort } from '../demo/ports.ts'
import { until, type Programs } from '../src/process.ts'
import type { Measured } from './contenders.ts'

interface Options {
  programs: Programs
  root: string
  folder: string
  pacs: Pacs
  receiverPort: number
  aeTitle: string
  webContent: 'thumbnails' | 'none' | 'all'
}

export async function startService ({ programs, root, folder, pacs, receiverPort, aeTitle, webContent }: Options) {
  const work = join(folder, 'work')
  mkdirSync(work, { recursive: true })
  const port = await freePort()
  const configFile = join(folder, 'mkiso.yaml')
  writeFileSync(configFile, JSON.stringify({
    server: { host: '127.0.0.1', port },
    pacs: { ae_title: pacs.aeTitle, host: pacs.host, port: pacs.port },
    our_ae: { ae_title: aeTitle, base_port: receiverPort },
    patient_api: { required: false },
    // each round fetches anew
    iso: { temp_dir: work, microdicom_path: '', keep_for: '0' },
    disc: { web_content: webContent },
    log: { level: process.env['BENCH_LOG'] ?? 'info', pretty: false }
  }))
  let lastImageAt = 0
  const child = programs.start(process.execPath, [join(root, 'dist/src/main.js'), '--config', configFile], {
    onLine: line => {
      // BENCH_LOG=debug shows where the time goes
      if (process.env['BENCH_LOG'] !== undefined) process.stderr.write(`${line}\n`)
      if (line.includes('"msg":"study complete"')) lastImageAt = (JSON.parse(line) as { time: number }).time
    }
  })
  const url = `http://127.0.0.1:${port}`
  const up = await until(async () => await fetch(`${url}/api/health`).then(async answer => (await answer.json() as { checks?: { receiver?: { status: string } } }).checks?.receiver?.status === 'ok', () => false), 30_000, 100)
  if (!up) throw new Error('the service does not come up')
  let childrenKiB = 0
  let disk = 1
  const watch = setInterval(() => {
    let sum = 0
    for (const pid of descendants(child.pid)) sum += status(pid, 'VmRSS')
    childrenKiB = Math.max(childrenKiB, sum)
    disk = Math.max(disk, beyond(work))
  }, 100)
  return {
    download: async (instances: readonly PhantomInstance[]): Promise<Measured> => {
      const startedAt = performance.now()
      const answer = await request(`${url}/api/iso/download?accession_number=${instances[0]?.accessionNumber ?? ''}`, { headersTimeout: 600_000, bodyTimeout: 600_000 })
      if (answer.statusCode !== 200) throw new Error(await answer.body.text())
      let bytes = 0
      let firstByteAt = 0
      for await (const chunk of answer.body as AsyncIterable<Buffer>) {
        if (bytes === 0) firstByteAt = Date.now()
        bytes += chunk.length
      }
      const seconds = (performance.now() - startedAt) / 1_000
      return { seconds, bytes, firstByteMs: Math.max(0, firstByteAt - lastImageAt) }
    },
    settled: (): boolean => readdirSync(work).every(name => readdirSync(join(work, name)).every(one => one === 'owner' || one.startsWith('receive_'))),
    memory: () => ({ nodeMiB: Math.round(status(child.pid, 'VmHWM') / 1_024), childrenMiB: Math.round(childrenKiB / 1_024) }),
    diskRatio: () => disk,
    stop: async () => {
      clearInterval(watch)
      await child.stop('stopped', 10_000)
    }
  }
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
  const found: number[] = []
  for (const one of parents.keys()) {
    for (let up = parents.get(one); up !== undefined && up > 1; up = parents.get(up)) {
      if (up === pid) { found.push(one); break }
    }
  }
  return found
}

/** All bytes below a folder against those of the images, each inode once; 1 while there are none. */
function beyond (folder: string): number {
  const seen = new Set<number>()
  let all = 0
  let images = 0
  const walk = (path: string): void => {
    let names: string[]
    try { names = readdirSync(path) } catch { return }
    for (const name of names) {
      const one = join(path, name)
      try {
        const entry = statSync(one)
        if (entry.isDirectory()) walk(one)
        else if (!seen.has(entry.ino)) {
          seen.add(entry.ino)
          all += entry.size
          if (/(?:^|[./])\d[\d.]{20,}$|IM\d{6}$/.test(name)) images += entry.size
        }
      } catch { /* gone meanwhile */ }
    }
  }
  walk(folder)
  return images < 1_000_000 ? 1 : all / images
}
