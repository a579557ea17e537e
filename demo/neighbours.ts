/**
 * What the service talks to, in one container for trying it (docker compose --profile demo): Orthanc with sample studies, a HIS and a CD
 * publisher, on fixed ports. `config/mkiso.demo.yaml` is the service's side.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Programs } from '../src/process.ts'
import { startOrthanc } from './orthanc.ts'
import { hisPatientsOf, startPatientApi } from './patient-api.ts'
import { writeStudy } from './phantoms/catalogue.ts'
import { demoStudies } from './phantoms/studies.ts'
import { startPublisher } from './publisher.ts'

const PORTS = { pacs: 11112, publisher: 11113, patientApi: 8090 }
const say = (text: string): void => { process.stdout.write(`${text}\n`) }

/** @param receiver host and port to which the PACS sends images for CDRECORD, `host:port` */
async function main ([receiver = 'mkiso:10104']: string[]): Promise<void> {
  const [host = '', port = ''] = receiver.split(':')
  const folder = await mkdtemp(join(tmpdir(), 'mkiso-neighbours-'))
  const programs = new Programs()
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { stop.abort() })
  const studies = demoStudies()
  const api = await startPatientApi(hisPatientsOf(studies), PORTS.patientApi, '0.0.0.0')
  try {
    for (const name of ['phantoms', 'pacs', 'publisher']) await mkdir(join(folder, name))
    const instances = (await Promise.all(studies.map(async study => await writeStudy(study, join(folder, 'phantoms'), programs)))).flat()
    const pacs = await startOrthanc({ programs, dir: join(folder, 'pacs'), port: PORTS.pacs, destinations: [{ aeTitle: 'CDRECORD', host, port: Number(port) }] })
    await pacs.store(instances.map(({ path }) => path))
    const publisher = await startPublisher({ programs, dir: join(folder, 'publisher'), port: PORTS.publisher })
    say(`ready: PACS ${pacs.aeTitle} on ${pacs.port}, CD publisher ${publisher.aeTitle} on ${publisher.port}, patient API on ${api.port}; ${instances.length} images`)
    await new Promise<void>(resolve => {
      const timer = setInterval(() => {}, 60_000)
      stop.signal.addEventListener('abort', () => { clearInterval(timer); resolve() }, { once: true })
    })
  } finally {
    await programs.stopAll()
    await api.close()
    await rm(folder, { recursive: true, force: true })
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
