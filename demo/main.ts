/**
 * `npm run demo`: a PACS with phantoms, an old one, one that speaks DICOMweb (where Orthanc and its plugin are installed), a HIS and a CD
 * publisher on this machine, the service in front of them, one disc downloaded and
 * shown. Stays up until Ctrl-C; with `--once` it ends after the download, with exit code 0 when the disc holds every image.
 */
import { createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { findProgram } from '../src/config/load.ts'
import { Programs, until } from '../src/process.ts'
import { dicomWebPlugin, startOrthanc } from './orthanc.ts'
import { startDcmqrscp } from './pacs.ts'
import { hisPatientsOf, startPatientApi } from './patient-api.ts'
import { writeStudy, type PhantomStudy } from './phantoms/catalogue.ts'
import { cloudStudy, demoStudies, oldStudy } from './phantoms/studies.ts'
import { freePort } from './ports.ts'
import { startPublisher } from './publisher.ts'

const ROOT = join(import.meta.dirname, '..')
const SHOWN = 'CT.2024.200'
const say = (text: string): void => { process.stdout.write(`${text}\n`) }

async function main (): Promise<number> {
  const once = process.argv.includes('--once')
  const folder = await mkdtemp(join(tmpdir(), 'mkiso-demo-'))
  const programs = new Programs()
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { stop.abort() })
  const studies = demoStudies()
  const cloud = hasDicomweb() ? [cloudStudy()] : []
  const api = await startPatientApi(hisPatientsOf([...studies, oldStudy(), ...cloud]))
  try {
    for (const name of ['phantoms', 'pacs', 'old', 'cloud', 'publisher', 'work', 'viewer']) await mkdir(join(folder, name))
    await writeFile(join(folder, 'viewer', 'Read me first.txt'), 'Here would be the DICOM viewer of your site (iso.microdicom_path).\r\n')
    say('making phantoms ...')
    stop.signal.throwIfAborted()
    const instances = (await Promise.all(studies.map(async study => await writeStudy(study, join(folder, 'phantoms'), programs)))).flat()
    stop.signal.throwIfAborted()
    const [receiverPort, port] = [await freePort(), await freePort()]
    const pacs = await startDcmqrscp({ programs, dir: join(folder, 'pacs'), destinations: [{ aeTitle: 'CDRECORD', host: '127.0.0.1', port: receiverPort }] })
    await pacs.store(instances.map(({ path }) => path))
    const write = async (study: PhantomStudy): Promise<string[]> => (await writeStudy(study, join(folder, 'phantoms'), programs)).map(({ path }) => path)
    const old = await startDcmqrscp({ programs, dir: join(folder, 'old'), aeTitle: 'OLDPACS', destinations: [{ aeTitle: 'CDRECORD', host: '127.0.0.1', port: receiverPort }] })
    await old.store(await write(oldStudy()))
    const web: object[] = []
    for (const study of cloud) {
      const orthanc = await startOrthanc({ programs, dir: join(folder, 'cloud'), destinations: [] }, { Plugins: [dicomWebPlugin()] })
      await orthanc.store(await write(study))
      web.push({ name: 'cloud', retrieve: 'wado', dicomweb: { url: `http://127.0.0.1:${orthanc.httpPort}/dicom-web` } })
    }
    const publisher = await startPublisher({ programs, dir: join(folder, 'publisher') })
    const configFile = join(folder, 'mkiso.yaml')
    await writeFile(configFile, JSON.stringify({
      server: { host: '127.0.0.1', port },
      archives: [
        { name: 'main', ae_title: pacs.aeTitle, host: pacs.host, port: pacs.port },
        { name: 'old', ae_title: old.aeTitle, host: old.host, port: old.port },
        ...web
      ],
      our_ae: { ae_title: 'CDRECORD', base_port: receiverPort },
      patient_api: { base_url: api.baseUrl },
      cd_publisher: { host: publisher.host, port: publisher.port, ae_title: publisher.aeTitle },
      iso: { temp_dir: join(folder, 'work'), microdicom_path: join(folder, 'viewer') },
      disc: { institution: 'Demo hospital', contact: 'Radiology, telephone 0' },
      log: { level: 'info', pretty: false }
    }, null, 2))
    const service = programs.start(process.execPath, ['--import', 'tsx', join(ROOT, 'src/main.ts'), '--config', configFile], { cwd: ROOT })
    const url = `http://127.0.0.1:${port}`
    let ended = ''
    void service.ended.then(result => { ended = `${result.stdout}\n${result.stderr}` || 'ended' })
    const up = await until(async () => ended !== '' || await healthy(url), 30_000, 50, stop.signal)
    if (!up || ended !== '') throw new Error(`the service does not come up: ${ended}`)

    const wanted = instances.filter(({ accessionNumber }) => accessionNumber === SHOWN).length
    const file = join(folder, `${SHOWN}.iso`)
    say(`downloading ${SHOWN}, ${wanted} images ...`)
    const startedAt = performance.now()
    const answer = await fetch(`${url}/api/iso/download?accession_number=${SHOWN}`, { signal: stop.signal })
    if (!answer.ok || answer.body === null) throw new Error(await answer.text())
    await pipeline(Readable.fromWeb(answer.body as Parameters<typeof Readable.fromWeb>[0]), createWriteStream(file))
    const seconds = (performance.now() - startedAt) / 1_000
    const listing = await programs.run('isoinfo', ['-f', '-R', '-i', file])
    const paths = listing.stdout.split('\n').filter(path => path !== '')
    const images = paths.filter(path => /\/IM\d{6}$/.test(path)).length
    const size = Number(answer.headers.get('content-length'))
    say(`\n  ${file}\n  ${images} of ${wanted} images, ${(size / 1e6).toFixed(1)} MB, ${seconds.toFixed(1)} s\n`)
    for (const path of paths.filter(path => path.split('/').length === 2)) say(`  ${path}`)
    if (images !== wanted) return 1
    if (once) return 0

    say(`\nThe service is up. Try:\n\n  ${url}/docs                health: ${url}/api/health`)
    for (const accessionNumber of new Set([...studies, oldStudy(), ...cloud].map(study => study.accessionNumber))) say(`  ${url}/api/iso/download?accession_number=${accessionNumber}`)
    say(`  ${url}/api/iso/download-multiple?accession_numbers=CT.2024.200,MR.2024.001`)
    say(`  ${url}/api/iso/print?accession_number=MR.2024.001    (the CD publisher writes to ${join(folder, 'publisher')})`)
    say('\nOLD.2019.001 is in the old archive only' + (cloud.length > 0 ? ', WEB.2024.001 in the one that speaks DICOMweb.' : '.'))
    say('DUP.2024.001 names two patients, on purpose. Ctrl-C ends everything.')
    await new Promise<void>(resolve => {
      // keeps the process up: the child's pipes alone would do, but not if it dies
      const timer = setInterval(() => {}, 60_000)
      const end = (): void => { clearInterval(timer); resolve() }
      stop.signal.addEventListener('abort', end, { once: true })
      void service.ended.then(end)
    })
    return stop.signal.aborted ? 0 : 1
  } catch (error) {
    // Ctrl-C while it starts is no fault to report, but there is no disc either
    if (!stop.signal.aborted) throw error
    say('stopped before the disc was complete')
    return 1
  } finally {
    await programs.stopAll()
    await api.close()
    await rm(folder, { recursive: true, force: true })
  }
}

/** The demo needs DCMTK only; Orthanc shows more where it is installed. */
function hasDicomweb (): boolean {
  try { dicomWebPlugin() } catch { return false }
  return findProgram('Orthanc') !== undefined
}

async function healthy (url: string): Promise<boolean> {
  return await fetch(`${url}/api/health/live`).then(answer => answer.ok, () => false)
}

main().then(code => { process.exitCode = code }, (error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
