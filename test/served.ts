/** The service as a process of its own, as a site runs it: for tests that kill it, or count what it holds. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Pacs } from '../demo/pacs.ts'
import { freePort } from '../demo/ports.ts'
import { until, type Child, type Programs } from '../src/process.ts'
import type { Overrides } from './world.ts'

const ROOT = join(import.meta.dirname, '..')
const KEPT_LINES = 5_000
const START_TIMEOUT_MS = 60_000

export interface Served {
  child: Child
  pid: number
  url: string
  /** The last lines of its log. */
  lines: string[]
}

/**
 * @param folder for its configuration and its temporary files
 * @param built what `npm run build` has made, instead of the sources
 * @param archives instead of the PACS
 */
export async function serve (
  programs: Programs, folder: string, pacs: Pick<Pacs, 'aeTitle' | 'host' | 'port'>, receiverPort: number, overrides: Overrides = {}, built = false, archives?: readonly object[]
): Promise<Served> {
  const port = await freePort()
  const settings: Overrides = {
    server: { host: '127.0.0.1', port, shutdown_grace: '10s', rate_limit: 0 },
    pacs: { ae_title: pacs.aeTitle, host: pacs.host, port: pacs.port, settle_timeout: '500ms' },
    our_ae: { ae_title: 'CDRECORD', base_port: receiverPort, port_range: 20 },
    patient_api: { required: false, base_url: 'http://127.0.0.1:9/api', retries: 0 },
    relay: { state_dir: folder },
    iso: { temp_dir: folder, microdicom_path: '', keep_for: '0' }
  }
  for (const [section, keys] of Object.entries(overrides)) settings[section] = { ...settings[section], ...keys }
  const file = join(folder, `mkiso-${port}.yaml`)
  // JSON is YAML
  writeFileSync(file, JSON.stringify(archives === undefined ? settings : { ...settings, pacs: undefined, archives }))
  const lines: string[] = []
  // tsx starts a second process: node itself, so that a signal reaches the service
  const program = built ? [join(ROOT, 'dist/src/main.js')] : ['--import', 'tsx', join(ROOT, 'src/main.ts')]
  const child = programs.start(process.execPath, [...program, '--config', file], { cwd: ROOT, onLine: line => { if (lines.push(line) > KEPT_LINES) lines.splice(0, KEPT_LINES / 2) } })
  const url = `http://127.0.0.1:${port}`
  const answers = async (path: string): Promise<boolean> => await fetch(url + path).then(answer => answer.ok, () => false)
  const up = await until(async () => await answers('/api/health/live') && lines.some(line => line.includes('starting storescp')), START_TIMEOUT_MS, 50)
  if (!up) throw new Error(`the service does not come up: ${lines.join('\n')}`)
  return { child, pid: child.pid, url, lines }
}
