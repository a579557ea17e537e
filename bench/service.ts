/** The service as users have it: built, a process of its own, over HTTP. */
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Pacs } from '../demo/pacs.ts'
import type { PhantomInstance } from '../demo/phantoms/catalogue.ts'
import { freePort } from '../demo/ports.ts'
import { until, type Programs } from '../src/process.ts'
import { drain } from './client.ts'
import type { Measured } from './contenders.ts'
import { watchProcess, type Peaks } from './watch.ts'

interface Options {
  programs: Programs
  root: string
  folder: string
  pacs: Pacs
  receiverPort: number
  aeTitle: string
  /** Where the PACS speaks DICOMweb, and images come that way; undefined for C-MOVE. */
  dicomWebUrl?: string
  webContent: 'thumbnails' | 'none' | 'all'
  /** The page's own viewer; true where nothing is said. */
  viewer?: boolean
  logLevel: 'info' | 'debug'
}

/** A line of the service's log. */
export interface LogLine { time: number, msg: string, query_level?: string, route?: string }

export interface Service {
  /** It listens on. */
  port: number
  download (instances: readonly PhantomInstance[]): Promise<Measured>
  /** A download, or several, watched for memory and disk; the watching takes time of its own, so it is not for measuring time. */
  watched (work: () => Promise<unknown>): Promise<Peaks>
  /** What it has logged since this was last asked. */
  takeLog (): LogLine[]
  stop (): Promise<void>
}

export async function startService ({ programs, root, folder, pacs, receiverPort, aeTitle, dicomWebUrl, webContent, viewer, logLevel }: Options): Promise<Service> {
  const work = join(folder, 'work')
  mkdirSync(work, { recursive: true })
  const port = await freePort()
  const configFile = join(folder, 'mkiso.yaml')
  writeFileSync(configFile, JSON.stringify({
    server: { host: '127.0.0.1', port, rate_limit: 0 },
    pacs: dicomWebUrl === undefined ? { ae_title: pacs.aeTitle, host: pacs.host, port: pacs.port } : { retrieve: 'wado', dicomweb: { url: dicomWebUrl } },
    our_ae: { ae_title: aeTitle, base_port: receiverPort },
    patient_api: { required: false },
    // each round fetches anew
    iso: { temp_dir: work, microdicom_path: '', keep_for: '0' },
    // an earlier release does not know the key
    disc: { web_content: webContent, ...(viewer === undefined ? {} : { viewer }) },
    log: { level: logLevel, pretty: false }
  }))
  const log: LogLine[] = []
  const child = programs.start(process.execPath, [join(root, 'dist/src/main.js'), '--config', configFile], {
    onLine: line => { if (line.startsWith('{')) log.push(JSON.parse(line) as LogLine) }
  })
  const url = `http://127.0.0.1:${port}`
  const up = await until(async () => await fetch(`${url}/api/health`).then(async answer => (await answer.json() as { checks?: { receiver?: { status: string } } }).checks?.receiver?.status === 'ok', () => false), 30_000, 100)
  if (!up) throw new Error('the service does not come up')
  const settled = (): boolean => readdirSync(work).every(name => readdirSync(join(work, name)).every(one => one === 'owner' || one === 'alive' || one.startsWith('receive_')))
  return {
    port,
    download: async instances => {
      let firstByteMs = NaN
      // the receiver's own time of its last write, whatever the service thinks of it
      const link = `/api/iso/download?accession_number=${instances[0]?.accessionNumber ?? ''}`
      const { seconds, bytes, images } = await drain(port, link, () => { firstByteMs = Date.now() - newestImageMs(work) })
      if (images !== instances.length) throw new Error(`${images} of ${instances.length} images: the PACS does not hold them all`)
      return { seconds, firstByteMs, bytes }
    },
    watched: async task => {
      const peaks = await watchProcess(child.pid, work, task)
      await until(settled, 10_000)
      return peaks
    },
    takeLog: () => log.splice(0),
    stop: async () => { await child.stop('stopped', 10_000) }
  }
}

/** Latest modification among the images of the studies that are here, epoch milliseconds. */
function newestImageMs (work: string): number {
  let newest = 0
  for (const owner of readdirSync(work)) {
    for (const name of readdirSync(join(work, owner)).filter(name => name.startsWith('study_'))) newest = Math.max(newest, newestFileMs(join(work, owner, name)))
  }
  return newest
}

/** 0 for a folder that goes just now: with several downloads at once the study of another one. */
function newestFileMs (folder: string): number {
  try {
    return readdirSync(folder).reduce((newest, file) => Math.max(newest, statSync(join(folder, file)).mtimeMs), 0)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 0
    throw error
  }
}
