/** `mkiso doctor`: everything that a disc needs, asked of the real things, and for each fault what to change. */
import { sendsToSharedReceiver } from '../archive/create-archive.ts'
import { silentLog, Programs } from '../process.ts'
import type { Config } from '../config/schema.ts'
import { publisherOf } from '../print/relay.ts'
import { addressOf } from '../dcmtk/peer.ts'
import { Tunnels } from '../dcmtk/tunnel.ts'
import { createPatientClient } from '../patient/patient-client.ts'
import { createProbes, type Check } from '../health/probes.ts'
import { createWorkDir } from '../work-dir.ts'
import { ok, type Finding } from './finding.ts'
import { checkConfiguration, checkDisk, checkPorts, checkPrograms } from './machine.ts'
import { checkDicomweb } from './dicomweb.ts'
import { checkPacs } from './pacs.ts'
import { checkPatientRecord } from './patient-record.ts'

export interface DoctorOptions {
  /** Path of the configuration, for the messages. */
  file: string
  /** An accession number that the PACS has. */
  accessionNumber?: string | undefined
  /** Where the service answers; undefined when it does not run. */
  serviceUrl: string | undefined
  signal: AbortSignal
  /** Called with each line as it is known. */
  onFinding: (finding: Finding) => void
}

/** @throws the signal's reason */
export async function examine (config: Config, { file, accessionNumber, serviceUrl, signal, onFinding }: DoctorOptions): Promise<Finding[]> {
  const programs = new Programs()
  const ownDir = await createWorkDir(config.iso.temp_dir, silentLog)
  const workDir = ownDir.path
  const patientClient = createPatientClient(config.patient_api)
  const findings: Finding[] = []
  const add = (...lines: Finding[]): void => {
    signal.throwIfAborted()
    for (const line of lines) { findings.push(line); onFinding(line) }
  }
  const endAll = (): void => { void programs.stopAll() }
  signal.addEventListener('abort', endAll, { once: true })
  const context = { programs, dcmtk: config.dcmtk, log: silentLog, tunnels: new Tunnels({ programs, stunnel: config.tools.stunnel, folder: workDir, log: silentLog }) }
  const probes = createProbes({ config, dcmtk: context, patientClient, workDir })
  try {
    add(...await checkConfiguration(config, file))
    add(...await checkPrograms(config, programs))
    add(...await checkPorts(config, serviceUrl !== undefined))
    add(await checkDisk(config))
    add(fromCheck('viewer', await probes.viewer(), config.iso.microdicom_path === '' ? 'none is configured' : config.iso.microdicom_path))
    const hisIsRight = `${config.patient_api.base_url}: an accession number that it cannot have is not known to it, and it`
    const patientApi = fromCheck('patient API', await probes.patient_api(), hisIsRight)
    add(patientApi)
    if (accessionNumber !== undefined && patientApi.status === 'ok') add(await checkPatientRecord(patientClient, accessionNumber, signal))
    const publisher = publisherOf(config)
    add(...await settled('CD publisher', async () => [fromCheck('CD publisher', await probes.cd_publisher(), `${publisher.aeTitle} at ${addressOf(publisher)}`)]))
    for (const archive of config.archives) {
      const receivingService = sendsToSharedReceiver(config.our_ae)(archive) ? serviceUrl : undefined
      const name = config.archives.length > 1 ? archive.name : 'PACS'
      add(...await settled(name, async () => archive.retrieve === 'wado'
        ? await checkDicomweb({ config, archive, name, workDir, accessionNumber, signal })
        : await checkPacs({ ...context, config, archive, name, workDir, accessionNumber, receivingService, signal })))
    }
    return findings
  } finally {
    signal.removeEventListener('abort', endAll)
    await programs.stopAll()
    await patientClient.close()
    await ownDir.remove()
  }
}

/** A program that is missing or a tunnel that does not start is a finding, and the rest is still asked. */
async function settled (name: string, check: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await check()
  } catch (error) {
    return [{ name, status: 'down', detail: error instanceof Error ? error.message : String(error), advice: [] }]
  }
}

/** Health says in one sentence what is wrong and, after a semicolon, what to do. */
function fromCheck (name: string, { status, detail = '', latency_ms: latencyMs }: Check, whenOk: string): Finding {
  if (status === 'ok') return ok(name, latencyMs === undefined ? whenOk : `${whenOk} answers in ${latencyMs} ms`)
  const [wrong = '', ...advice] = detail.split('; ')
  return { name, status, detail: wrong, advice }
}
