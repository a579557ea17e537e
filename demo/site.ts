/** A hospital on this machine: the PACS, an old one, one that speaks DICOMweb, a HIS, a CD publisher, and the service in front of them. */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { findProgram } from '../src/config/load.ts'
import { until, type Child, type Programs } from '../src/process.ts'
import { dicomWebPlugin, startOrthanc } from './orthanc.ts'
import { startDcmqrscp, type Pacs } from './pacs.ts'
import { hisPatientsOf, startPatientApi, type PatientApi } from './patient-api.ts'
import { writeStudy, type PhantomStudy } from './phantoms/catalogue.ts'
import { breakableStudies, cloudStudy, demoStudies, oldStudy } from './phantoms/studies.ts'
import { portFrom } from './ports.ts'
import { startPublisher, type Publisher } from './publisher.ts'

const ROOT = join(import.meta.dirname, '..')
/** As they stand in the documentation; the next free one where one is taken. */
const FIRST_PORTS = { front: 8000, service: 8080, his: 8090, receiver: 10_104, pacs: 11_112, publisher: 11_113, old: 11_114 }
/** Two demos on one machine, as tests run them, must not take a port of each other's while it is free for a moment. */
const OFFSET = Number(process.env['MKISO_DEMO_PORT_OFFSET'] ?? 0)
export const PORTS = {
  front: FIRST_PORTS.front + OFFSET,
  service: FIRST_PORTS.service + OFFSET,
  his: FIRST_PORTS.his + OFFSET,
  receiver: FIRST_PORTS.receiver + OFFSET,
  pacs: FIRST_PORTS.pacs + OFFSET,
  publisher: FIRST_PORTS.publisher + OFFSET,
  old: FIRST_PORTS.old + OFFSET
}
const START_TIMEOUT_MS = 60_000
/** Long enough to look at a disc, short enough to see what a fault does afterwards. */
const KEEP_FOR = '2m'

type Instances = Awaited<ReturnType<typeof writeStudy>>

export interface SiteOptions {
  programs: Programs
  /** An empty folder for all of it. */
  folder: string
  signal: AbortSignal
  say: (text: string) => void
}

/** @throws the signal's reason; Error when something does not come up */
export async function startSite (options: SiteOptions) {
  const { programs, folder, signal, say } = options
  const port = async (name: keyof typeof PORTS): Promise<number> => {
    const wanted = PORTS[name]
    const port = await portFrom(wanted)
    if (port !== wanted) say(`port ${wanted} (${name}) is taken: ${port} instead`)
    return port
  }
  const { lost, shared, intruder } = breakableStudies()
  const main = [...demoStudies(), lost, shared]
  const cloud = hasDicomweb() ? [cloudStudy()] : []
  const api = await startPatientApi(hisPatientsOf([...main, oldStudy(), ...cloud]), await port('his'))
  try {
    return await start()
  } catch (error) {
    await api.close()
    throw error
  }

  async function start () {
    for (const name of ['phantoms', 'pacs', 'old', 'cloud', 'publisher', 'work', 'state', 'viewer', 'lost']) await mkdir(join(folder, name))
    await writeFile(join(folder, 'viewer', 'Read me first.txt'), 'Here would be the DICOM viewer of your site (iso.microdicom_path).\r\n')
    say('making phantoms ...')
    signal.throwIfAborted()
    const write = async (study: PhantomStudy): Promise<Instances> => await writeStudy(study, join(folder, 'phantoms'), programs)
    const instances = (await Promise.all(main.map(write))).flat()
    const intruding = await write(intruder)
    signal.throwIfAborted()
    const receiverPort = await port('receiver')
    const destinations = [{ aeTitle: 'CDRECORD', host: '127.0.0.1', port: receiverPort }]
    const pacs = await BreakablePacs.start({ programs, dir: join(folder, 'pacs'), port: await port('pacs'), destinations }, instances.map(({ path }) => path))
    const old = await startDcmqrscp({ programs, dir: join(folder, 'old'), aeTitle: 'OLDPACS', port: await port('old'), destinations })
    await old.store((await write(oldStudy())).map(({ path }) => path))
    const web: object[] = []
    for (const study of cloud) {
      const orthanc = await startOrthanc({ programs, dir: join(folder, 'cloud'), destinations: [] }, { Plugins: [dicomWebPlugin()] })
      await orthanc.store((await write(study)).map(({ path }) => path))
      web.push({ name: 'cloud', retrieve: 'wado', dicomweb: { url: `http://127.0.0.1:${orthanc.httpPort}/dicom-web` } })
    }
    const robot = { programs, dir: join(folder, 'publisher'), port: await port('publisher') }
    let publisher: Publisher | undefined = await startPublisher(robot)
    const { aeTitle } = publisher
    const servicePort = await port('service')
    const settings = {
      server: { host: '127.0.0.1', port: servicePort },
      archives: [{ name: 'main', ae_title: pacs.aeTitle, host: '127.0.0.1', port: pacs.port }, { name: 'old', ae_title: old.aeTitle, host: old.host, port: old.port }, ...web],
      our_ae: { ae_title: 'CDRECORD', base_port: receiverPort },
      patient_api: { base_url: api.baseUrl },
      cd_publisher: { host: '127.0.0.1', port: robot.port, ae_title: aeTitle, name: 'in the radiology office' },
      relay: { state_dir: join(folder, 'state') },
      iso: { temp_dir: join(folder, 'work'), microdicom_path: join(folder, 'viewer'), keep_for: KEEP_FOR },
      disc: { institution: 'Demo hospital', contact: 'Radiology, telephone 0' },
      log: { level: 'info', pretty: false }
    }
    const service = new DemoService({ ...options, settings, url: `http://127.0.0.1:${servicePort}` })
    await service.start({})
    const [lostInstance] = instances.filter(({ accessionNumber }) => accessionNumber === lost.accessionNumber)
    if (lostInstance === undefined) throw new Error('the phantoms lack the study that loses an image')
    return {
      url: service.url,
      service,
      api,
      pacs,
      instances,
      intruding,
      lostInstance,
      lostFolder: join(folder, 'lost'),
      /** As the HIS would list them: those that every button works with. */
      studies: [...demoStudies(), oldStudy(), ...cloud],
      archives: [pacs.aeTitle, old.aeTitle, ...(cloud.length > 0 ? ['cloud'] : [])],
      robot: {
        folder: robot.dir,
        received: async (): Promise<string[]> => await publisher?.received() ?? [],
        get isOn (): boolean { return publisher !== undefined },
        off: async (): Promise<void> => { await publisher?.stop(); publisher = undefined },
        on: async (): Promise<void> => { publisher ??= await startPublisher(robot) }
      },
      close: async (): Promise<void> => {
        await programs.stopAll()
        await api.close()
      }
    }
  }
}

export type Site = Awaited<ReturnType<typeof startSite>>

/** A PACS that can be switched off, can lose a file, and can get one that does not belong there. */
export class BreakablePacs {
  readonly #options: Parameters<typeof startDcmqrscp>[0]
  readonly #files: readonly string[]
  readonly #lost = new Set<string>()
  #pacs: Pacs | undefined
  readonly aeTitle: string
  readonly port: number

  private constructor (options: Parameters<typeof startDcmqrscp>[0], files: readonly string[], pacs: Pacs) {
    this.#options = options
    this.#files = files
    this.#pacs = pacs
    this.aeTitle = pacs.aeTitle
    this.port = pacs.port
  }

  static async start (options: Parameters<typeof startDcmqrscp>[0], files: readonly string[]): Promise<BreakablePacs> {
    const pacs = await startDcmqrscp(options)
    await pacs.store(files)
    return new BreakablePacs(options, files, pacs)
  }

  get isOn (): boolean { return this.#pacs !== undefined }

  async off (): Promise<void> {
    await this.#pacs?.stop()
    this.#pacs = undefined
  }

  async on (): Promise<void> { this.#pacs ??= await startDcmqrscp(this.#options) }

  /** Its index still names the image. */
  async lose (file: string, folder: string): Promise<void> {
    await rename(this.#kept(file), join(folder, basename(file)))
    this.#lost.add(file)
  }

  async find (file: string, folder: string): Promise<void> {
    await rename(join(folder, basename(file)), this.#kept(file))
    this.#lost.delete(file)
  }

  /** Takes in what somebody has sent under a wrong number. */
  async take (files: readonly string[]): Promise<void> {
    await this.on()
    await this.#pacs?.store(files)
  }

  /** dcmqrscp cannot delete: the index is written anew, without these files. */
  async remove (files: readonly string[]): Promise<void> {
    const wasOn = this.isOn
    await this.off()
    for (const file of files) await rm(this.#kept(file), { force: true })
    await rm(join(this.#options.dir, 'storage', 'index.dat'), { force: true })
    await this.on()
    await this.#pacs?.store(this.#files)
    for (const file of this.#lost) await rm(this.#kept(file), { force: true })
    if (!wasOn) await this.off()
  }

  #kept (file: string): string { return join(this.#options.dir, 'storage', basename(file)) }
}

interface DemoServiceOptions extends SiteOptions {
  settings: { iso: object }
  url: string
}

/** The service itself, in a process of its own, as a site runs it. */
export class DemoService {
  readonly #options: DemoServiceOptions
  #child: Child | undefined
  #ended: () => void = () => {}
  /** Resolves when it has ended by itself. */
  readonly ended = new Promise<void>(resolve => { this.#ended = resolve })

  constructor (options: DemoServiceOptions) { this.#options = options }

  get url (): string { return this.#options.url }

  /** @param iso keys of that section, over those of the demo */
  async start (iso: object): Promise<void> {
    const { programs, folder, settings, signal } = this.#options
    const file = join(folder, 'mkiso.yaml')
    // JSON is YAML
    await writeFile(file, JSON.stringify({ ...settings, iso: { ...settings.iso, ...iso } }, null, 2))
    const child = programs.start(process.execPath, ['--import', 'tsx', join(ROOT, 'src/main.ts'), '--config', file], { cwd: ROOT })
    this.#child = child
    let output: string | undefined
    void child.ended.then(({ stdout, stderr }) => {
      output = `${stdout}\n${stderr}`
      if (this.#child === child) this.#ended()
    })
    const up = await until(async () => output !== undefined || await isHealthy(this.url), START_TIMEOUT_MS, 50, signal)
    if (!up || output !== undefined) throw new Error(`the service does not come up: ${output ?? 'no answer'}`)
  }

  async restart (iso: object): Promise<void> {
    const child = this.#child
    this.#child = undefined
    await child?.stop('stopped', 20_000)
    await this.start(iso)
  }
}

async function isHealthy (url: string): Promise<boolean> {
  return await fetch(`${url}/api/health/live`).then(answer => answer.ok, () => false)
}

/** The demo needs DCMTK only; Orthanc shows more where it is installed. */
function hasDicomweb (): boolean {
  try { dicomWebPlugin() } catch { return false }
  return findProgram('Orthanc') !== undefined
}

export type { PatientApi }
