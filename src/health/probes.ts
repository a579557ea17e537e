/** Questions to the real things that a disc needs, each with what to do about a bad answer. The service's health and `mkiso doctor` share them. */
import { accessSync, constants } from 'node:fs'
import { dcmtkInUse, type ArchiveSettings, type Config } from '../config/schema.ts'
import { echoscu } from '../dcmtk/echoscu.ts'
import { addressOf, type Peer, type ToolContext } from '../dcmtk/peer.ts'
import { diskOf, writeFault } from '../disk.ts'
import { viewerFault } from '../disc/viewer.ts'
import type { PatientClient } from '../patient/patient-client.ts'
import { publisherOf } from '../print/relay.ts'
import { aeTitleAt } from '../dcmtk/ae-title.ts'
import { pacsOf } from '../archive/dimse/pacs.ts'
import { probeDicomweb } from '../archive/dicomweb/probe.ts'
import { dicomwebServerOf } from '../archive/dicomweb/server.ts'

export interface Check {
  status: 'ok' | 'warning' | 'down'
  /** What is wrong, and what to do. */
  detail?: string
  latency_ms?: number
}

export interface ProbeContext {
  config: Config
  dcmtk: ToolContext
  patientClient: Pick<PatientClient, 'probe'>
  workDir: string
}

const PROBE_TIMEOUT_MS = 4_000
/** For a study of some thousand images. */
const FEW_INODES = 10_000

const WHAT_TO_DO: Record<string, string> = {
  ENOENT: 'its folder was removed while the service runs (by a cleaner of temporary files?); start the service again, and choose an iso.temp_dir that nobody clears',
  EROFS: 'its file system is read-only, which a fault of the disk causes too; see to it, and mount it again',
  EACCES: 'give the service\'s user the right to write there',
  ENOSPC: 'make room',
  EDQUOT: 'the quota of the service\'s user is used up'
}

export function createProbes ({ config, dcmtk, patientClient, workDir }: ProbeContext) {
  const echo = async (peer: Peer & { name?: string }, whatToDo: string): Promise<Check> => {
    const name = peer.name ?? peer.aeTitle
    const startedAt = performance.now()
    const fault = await echoscu(dcmtk, { ...peer, connectTimeoutMs: Math.min(peer.connectTimeoutMs, PROBE_TIMEOUT_MS) }, aeTitleAt(config, 0))
    const latencyMs = Math.round(performance.now() - startedAt)
    if (fault?.kind === 'busy') {
      const detail = `${name} at ${addressOf(peer)} is busy and rejects associations for now (${fault.reason})`
      return { status: 'warning', detail, latency_ms: latencyMs }
    }
    return fault === undefined
      ? { status: 'ok', latency_ms: latencyMs }
      : { status: 'down', detail: `${name} at ${addressOf(peer)}: ${fault.reason}; ${whatToDo}`, latency_ms: latencyMs }
  }
  const web = async (settings: ArchiveSettings): Promise<Check> => {
    const server = dicomwebServerOf(settings)
    const startedAt = performance.now()
    const hurried = { ...server, connectTimeoutMs: Math.min(server.connectTimeoutMs, PROBE_TIMEOUT_MS), findTimeoutMs: PROBE_TIMEOUT_MS }
    const probed = await probeDicomweb(hurried, AbortSignal.timeout(2 * PROBE_TIMEOUT_MS))
    const latencyMs = Math.round(performance.now() - startedAt)
    if (probed.kind === 'ok') return { status: 'ok', latency_ms: latencyMs }
    if (probed.kind === 'busy') return { status: 'warning', detail: `${server.name} is busy (${probed.reason})`, latency_ms: latencyMs }
    return { status: 'down', detail: `${server.name} at ${server.url}: ${probed.reason}; check ${settings.section}.dicomweb.*`, latency_ms: latencyMs }
  }
  return {
    archive: async (settings: ArchiveSettings): Promise<Check> => settings.retrieve === 'wado'
      ? await web(settings)
      : await echo(pacsOf(settings), `check ${settings.section}.* and that the PACS knows the AE title ${aeTitleAt(config, 0)}`),
    cd_publisher: async (): Promise<Check> => await echo(publisherOf(config), 'check cd_publisher.* and that the robot is switched on'),
    tools: (): Check => {
      const missing = [...Object.values(dcmtkInUse(config)).filter(path => path.includes('/')), config.tools.genisoimage].filter(path => !runs(path))
      // with DICOMweb alone they make pictures and prints; a disc comes without them
      const isVital = missing.includes(config.tools.genisoimage) || config.archives.some(({ retrieve }) => retrieve !== 'wado')
      return missing.length === 0 ? { status: 'ok' } : { status: isVital ? 'down' : 'warning', detail: `cannot be run: ${missing.join(', ')}; apt-get install dcmtk genisoimage` }
    },
    disk: async (): Promise<Check> => {
      const fault = await writeFault(workDir)
      const { freeBytes, freeInodes } = await diskOf(workDir)
      if (freeInodes !== undefined && freeInodes < FEW_INODES) {
        return { status: 'down', detail: `${freeInodes} more files can be made in iso.temp_dir (df -i), and each image needs one or two; remove files, or give it a file system of its own` }
      }
      if (fault !== undefined) return { status: 'down', detail: `no file can be written in iso.temp_dir (${workDir}: ${fault}): ${WHAT_TO_DO[fault] ?? 'see to its file system'}` }
      return freeBytes >= config.iso.diskReserveBytes ? { status: 'ok' } : { status: 'down', detail: `${Math.floor(freeBytes / 1_024 ** 2)} MiB free in iso.temp_dir, less than iso.disk_reserve ${config.iso.disk_reserve}` }
    },
    patient_api: async (): Promise<Check> => {
      const startedAt = performance.now()
      const fault = await patientClient.probe(AbortSignal.timeout(PROBE_TIMEOUT_MS))
      const latencyMs = Math.round(performance.now() - startedAt)
      if (fault === undefined) return { status: 'ok', latency_ms: latencyMs }
      return { status: config.patient_api.required ? 'down' : 'warning', detail: `${fault}; check patient_api.*, or set patient_api.required: false`, latency_ms: latencyMs }
    },
    viewer: async (): Promise<Check> => {
      const fault = await viewerFault(config.iso.microdicom_path, config.disc.viewer_program)
      return fault === undefined ? { status: 'ok' } : { status: 'warning', detail: fault }
    }
  }
}

function runs (path: string): boolean {
  try { accessSync(path, constants.X_OK); return true } catch { return false }
}
