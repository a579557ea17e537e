/** Orthanc as a second PACS: another implementation, with other habits. */
import { appendFileSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { request } from 'undici'
import { listening, type Pacs, type PacsOptions } from './pacs.ts'
import { freePort } from './ports.ts'

export interface Orthanc extends Pacs {
  readonly httpPort: number
  /** Where it speaks DICOMweb; only with {@link dicomWebPlugin} among its plugins. */
  readonly dicomWebUrl: string
  /** GET of its REST interface. */
  get (path: string): Promise<unknown>
}

/** Where packages put plugins of Orthanc. */
const PLUGIN_FOLDERS = ['/usr/lib/orthanc', '/usr/share/orthanc/plugins']

/**
 * The path of the plugin that speaks DICOMweb (Debian: orthanc-dicomweb), for the setting `Plugins`.
 * @throws Error when it is not installed
 */
export function dicomWebPlugin (): string {
  const [path] = PLUGIN_FOLDERS.filter(existsSync).flatMap(folder => readdirSync(folder).filter(name => name.startsWith('libOrthancDicomWeb.so')).map(name => join(folder, name)))
  if (path === undefined) throw new Error('Orthanc\'s plugin for DICOMweb is not here: apt-get install orthanc-dicomweb')
  return path
}

/**
 * Starts Orthanc on free ports with everything in `dir`.
 * @param settings of orthanc.json, over ours
 */
export async function startOrthanc ({ programs, dir, aeTitle = 'ORTHANC', port, destinations }: PacsOptions, settings: Record<string, unknown> = {}): Promise<Orthanc> {
  const dicomPort = port ?? await freePort()
  const httpPort = await freePort()
  const storage = join(dir, 'storage')
  await mkdir(storage, { recursive: true })
  const configFile = join(dir, 'orthanc.json')
  await writeFile(configFile, JSON.stringify({
    Name: 'mkiso demo',
    StorageDirectory: storage,
    IndexDirectory: storage,
    Plugins: [],
    HttpPort: httpPort,
    RemoteAccessAllowed: false,
    AuthenticationEnabled: false,
    DicomAet: aeTitle,
    DicomPort: dicomPort,
    DicomCheckCalledAet: true,
    DicomAlwaysAllowGet: true,
    DicomAlwaysAllowFind: true,
    DicomAlwaysAllowMove: true,
    StorageCompression: false,
    // a test takes a file away behind its back
    MaximumStorageCacheSize: 0,
    DicomModalities: Object.fromEntries(destinations.map((node, index) => [`node${index}`, { AET: node.aeTitle, Host: node.host, Port: node.port, AllowMove: true, AllowFind: true, AllowGet: true, UseDicomTls: node.tls === true }])),
    UnknownSopClassAccepted: true,
    OverwriteInstances: true,
    DicomThreadsCount: 8,
    HttpsVerifyPeers: false,
    ...settings
  }, null, 2))
  const logFile = join(dir, 'orthanc.log')
  await writeFile(logFile, '')
  const child = programs.start('Orthanc', ['--verbose', configFile], { cwd: dir, onLine: line => { appendFileSync(logFile, `${line}\n`) } })
  await listening(child, httpPort, 'Orthanc')
  await listening(child, dicomPort, 'Orthanc')
  const url = (path: string): string => `http://127.0.0.1:${httpPort}${path}`
  const get = async (path: string): Promise<unknown> => await (await request(url(path))).body.json()
  const log = (): string => readFileSync(logFile, 'utf8')
  return {
    name: 'Orthanc',
    aeTitle,
    host: '127.0.0.1',
    port: dicomPort,
    httpPort,
    dicomWebUrl: url('/dicom-web'),
    pid: child.pid,
    get,
    async store (files) {
      for (const file of files) {
        const answer = await request(url('/instances'), { method: 'POST', body: await readFile(file), headers: { 'content-type': 'application/dicom' } })
        const text = await answer.body.text()
        if (answer.statusCode !== 200) throw new Error(`Orthanc did not take ${file}: ${text}`)
      }
    },
    async pathOf (sopInstanceUid) {
      const answer = await request(url('/tools/lookup'), { method: 'POST', body: sopInstanceUid })
      const found = await answer.body.json() as Array<{ Type: string, ID: string }>
      const id = found.find(({ Type }) => Type === 'Instance')?.ID
      if (id === undefined) return undefined
      const info = await get(`/instances/${id}/attachments/dicom/info`).catch(() => undefined) as { Uuid?: string } | undefined
      const uuid = info?.Uuid
      return uuid === undefined ? undefined : join(storage, uuid.slice(0, 2), uuid.slice(2, 4), uuid)
    },
    log,
    moves: () => log().match(/Move-SCU request received/g)?.length ?? 0,
    stop: async () => { await child.stop() }
  }
}
