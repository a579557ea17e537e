/** What end-to-end tests stand on: real PACS, the real service over HTTP, and the question whether anything is left behind. */
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { request } from 'undici'
import { buildApp } from '../src/app.ts'
import { run } from '../src/cli/run.ts'
import { parseConfig } from '../src/config/load.ts'
import { readObject, type DicomObject } from '../src/dicom/part10.ts'
import { Programs } from '../src/process.ts'
import { eventually } from './eventually.ts'
import { startDcmqrscp, type Destination, type Pacs } from '../demo/pacs.ts'
import { startOrthanc } from '../demo/orthanc.ts'
import { startPatientApi, type HisPatient, type PatientApi } from '../demo/patient-api.ts'
import { freePort } from '../demo/ports.ts'
import { writeStudy, type PhantomInstance, type PhantomStudy } from '../demo/phantoms/catalogue.ts'

type T = Pick<Test, 'teardown'>

/** The configuration of one who changes nothing. */
export const DEFAULTS = parseConfig('iso: {temp_dir: /tmp}', 'test', { env: {} })

/** A folder that goes with the test. */
export function temporaryFolder (t: T, name = 'test'): string {
  const folder = mkdtempSync(join(tmpdir(), `mkiso-${name}-`))
  t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })
  return folder
}

/** Programs that go with the test. Teardowns run last in, first out: programs end before their folder goes. */
export function programsOf (t: T): Programs {
  const programs = new Programs()
  t.teardown(async () => { await programs.stopAll() })
  return programs
}

export type PacsKind = 'dcmqrscp' | 'orthanc'

export interface World {
  folder: string
  programs: Programs
  pacs: Pacs
  /** The port that the PACS sends CDRECORD's images to. */
  receiverPort: number
  instances: PhantomInstance[]
  /** Instances of an accession number. */
  of (accessionNumber: string): PhantomInstance[]
}

export interface WorldOptions {
  studies: readonly PhantomStudy[]
  /** Destinations beside CDRECORD at the receiver port. */
  destinations?: readonly Destination[]
  receiverPort?: number
  /** Settings of orthanc.json, over ours. */
  orthanc?: Record<string, unknown>
  /** Associations that dcmqrscp bears. */
  maxAssociations?: number
}

/** A PACS of a kind with studies in it. */
export async function world (t: T, kind: PacsKind, { studies, destinations = [], receiverPort, orthanc = {}, maxAssociations }: WorldOptions): Promise<World> {
  const folder = temporaryFolder(t, kind)
  const programs = programsOf(t)
  const port = receiverPort ?? await freePort()
  const phantoms = join(folder, 'phantoms')
  mkdirSync(phantoms)
  const instances = (await Promise.all(studies.map(async study => await writeStudy(study, phantoms, programs)))).flat()
  const dir = join(folder, 'pacs')
  mkdirSync(dir)
  const options = { programs, dir, destinations: [{ aeTitle: 'CDRECORD', host: '127.0.0.1', port }, ...destinations], ...(maxAssociations === undefined ? {} : { maxAssociations }) }
  const pacs = kind === 'orthanc' ? await startOrthanc(options, orthanc) : await startDcmqrscp(options)
  await pacs.store(instances.map(({ path }) => path))
  return { folder, programs, pacs, receiverPort: port, instances, of: accessionNumber => instances.filter(instance => instance.accessionNumber === accessionNumber) }
}

export type Overrides = Record<string, Record<string, unknown>>

export interface Service {
  app: FastifyInstance
  url: string
  tempDir: string
  /** Lines of the log, parsed. */
  log: Array<Record<string, unknown>>
  get (path: string): Promise<Answer>
  post (path: string): Promise<Answer>
  /** What of a request is still there: processes beside the shared receiver, folders, slots, studies under way. Empty is right. */
  leftovers (): string[]
}

export interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: Buffer
  json (): Record<string, unknown>
}

/** The real service on a free port. Keys of `overrides` go over a configuration for the PACS. */
export async function service (t: T, pacs: Pick<Pacs, 'aeTitle' | 'host' | 'port'>, receiverPort: number, overrides: Overrides = {}): Promise<Service> {
  // a test that holds the archive up while it looks around takes longer than a minute on a machine that does ten other things too
  const patience = { settle_timeout: '500ms', idle_timeout: '10m' }
  return await serviceOf(t, { pacs: { ae_title: pacs.aeTitle, host: pacs.host, port: pacs.port, ...patience, ...overrides['pacs'] } }, receiverPort, overrides)
}

/** As {@link service}, with `pacs` or `archives` as they are given. */
export async function serviceOf (t: T, archives: { pacs: object } | { archives: readonly object[] }, receiverPort: number, overrides: Overrides = {}): Promise<Service> {
  const tempDir = temporaryFolder(t, 'work')
  const settings: Overrides = {
    server: { host: '127.0.0.1', shutdown_grace: '2s', rate_limit: 0 },
    our_ae: { ae_title: 'CDRECORD', base_port: receiverPort, port_range: 20 },
    patient_api: { required: false, base_url: 'http://127.0.0.1:9/api', retries: 0 },
    cd_publisher: { host: '127.0.0.1', port: 9 },
    relay: { state_dir: temporaryFolder(t, 'state') },
    // a test that looks for leftovers would take a kept study for one
    iso: { temp_dir: tempDir, microdicom_path: '', keep_for: '0' }
  }
  for (const [section, keys] of Object.entries(overrides)) settings[section] = { ...settings[section], ...keys }
  // JSON is YAML
  const config = parseConfig(JSON.stringify({ ...settings, ...archives }), 'test.yaml', { env: {} })
  const log: Array<Record<string, unknown>> = []
  const app = await buildApp(config, { level: 'debug', stream: { write: line => { log.push(JSON.parse(line) as Record<string, unknown>) } } })
  t.teardown(async () => { await app.close() })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  // a test may hold its port
  if (app.sharedReceiver !== undefined) await eventually(() => app.receiverFault() === undefined || log.some(({ msg }) => String(msg).startsWith('the receiver does not start')))
  const send = async (method: 'GET' | 'POST', path: string): Promise<Answer> => {
    const answer = await request(url + path, { method, headersTimeout: 120_000, bodyTimeout: 120_000 })
    const body = Buffer.from(await answer.body.arrayBuffer())
    return { status: answer.statusCode, headers: answer.headers, body, json: () => JSON.parse(body.toString('utf8')) as Record<string, unknown> }
  }
  return {
    app,
    url,
    tempDir,
    log,
    get: async path => await send('GET', path),
    post: async path => await send('POST', path),
    leftovers: () => [
      ...app.dcmtk.programs.pids.filter(pid => !commandOf(pid).includes('stunnel')).map(pid => `process ${commandOf(pid)}`),
      ...readdirSync(app.workDir).filter(name => name !== 'owner' && name !== 'alive' && !name.startsWith('stunnel_') && !(name.startsWith('receive_') && app.sharedReceiver !== undefined)).map(name => `folder ${name}`),
      ...(app.portPool.inUse > 0 ? [`${app.portPool.inUse} slots`] : []),
      ...(app.studyStore.running > 0 ? [`${app.studyStore.running} retrievals`] : [])
    ]
  }
}

function commandOf (pid: number): string {
  try { return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ') } catch { return '' }
}

/** Waits until a request has left nothing but what is meant to stay; answers what never goes. */
export async function nothingLeft (service: Service, stays?: RegExp): Promise<string[]> {
  const left = (): string[] => service.leftovers().filter(one => stays?.test(one) !== true)
  await eventually(() => left().length === 0)
  return left()
}

export interface Disc {
  /** Folder with everything that is on the disc. */
  root: string
  /** Path to file, relative to the root. */
  files: string[]
  /** SOP Instance UID to path, of the file-set; one UID may stand in two series. */
  instances: Map<string, string>
  /** Every file of the file-set. */
  objects: Array<{ path: string, object: DicomObject }>
}

/** Takes an image apart with xorriso, a reader that has nothing to do with what wrote it. */
export async function readDisc (t: T, image: Buffer, programs: Programs): Promise<Disc> {
  const folder = temporaryFolder(t, 'disc')
  const file = join(folder, 'disc.iso')
  writeFileSync(file, image)
  const root = join(folder, 'root')
  await extract(file, root, programs)
  return await discIn(root)
}

/** Takes an archive apart with unzip, or 7z where it has a password. @throws Error when they find anything wrong with it */
export async function readZip (t: T, archive: Buffer, programs: Programs, password?: string): Promise<Disc> {
  const folder = temporaryFolder(t, 'zip')
  const file = join(folder, 'disc.zip')
  writeFileSync(file, archive)
  const root = join(folder, 'root')
  const result = password === undefined ? await programs.run('unzip', ['-q', file, '-d', root]) : await programs.run('7z', ['x', `-p${password}`, `-o${root}`, file])
  if (result.exitCode !== 0) throw new Error(`the archive cannot be read: ${result.stdout} ${result.stderr}`)
  return await discIn(root)
}

async function discIn (root: string): Promise<Disc> {
  const files = walk(root)
  const objects = await Promise.all(files.filter(path => path.startsWith('DICOM/')).map(async path => ({ path, object: await readObject(join(root, path)) })))
  return { root, files, objects, instances: new Map(objects.map(({ path, object }) => [object.sopInstanceUid, path])) }
}

/** SOP Instance UIDs of the file-set of an image, in no order. */
export async function sopInstanceUidsOnDisc (file: string, root: string, programs: Programs): Promise<string[]> {
  await extract(file, root, programs)
  return await Promise.all(walk(root).filter(path => path.startsWith('DICOM/')).map(async path => (await readObject(join(root, path))).sopInstanceUid))
}

async function extract (file: string, root: string, programs: Programs): Promise<void> {
  const result = await programs.run('xorriso', ['-osirrox', 'on', '-indev', file, '-extract', '/', root])
  if (result.exitCode !== 0) throw new Error(`xorriso: ${result.stderr}`)
  await programs.run('chmod', ['-R', 'u+rwX', root])
}

function walk (folder: string, prefix = ''): string[] {
  return readdirSync(folder).sort().flatMap(name => statSync(join(folder, name)).isDirectory() ? walk(join(folder, name), `${prefix}${name}/`) : [prefix + name])
}

/** SHA-256 of the value of (7FE0,0010), which is the last element of our phantoms; undefined where there is none. */
export function pixelDataSha256 (path: string): string | undefined {
  const bytes = readFileSync(path)
  const start = bytes.lastIndexOf(Buffer.from([0xe0, 0x7f, 0x10, 0x00, 0x4f]))
  if (start < 0) return undefined
  const length = bytes.readUInt32LE(start + 8)
  return createHash('sha256').update(bytes.subarray(start + 12, length === 0xFFFFFFFF ? bytes.length : start + 12 + length)).digest('hex')
}

/** A patient API that goes with the test. */
export async function patientApi (t: T, patients: Record<string, HisPatient>): Promise<PatientApi> {
  const api = await startPatientApi(new Map(Object.entries(patients)))
  t.teardown(async () => { await api.close() })
  return api
}

export interface CommandRun { code: number, out: string, err: string }

/** `mkiso` with arguments in this process, and what it prints. */
export async function command (t: Pick<Test, 'intercept'>, args: string[], onError: (text: string) => void = () => {}): Promise<CommandRun> {
  const umask = process.umask()
  let out = ''
  let err = ''
  const stdout = t.intercept(process.stdout, 'write', { value: (text: string) => { out += text; return true } })
  const stderr = t.intercept(process.stderr, 'write', { value: (text: string) => { err += text; onError(err); return true } })
  try {
    return { code: await run(args), out, err }
  } finally {
    stdout.restore()
    stderr.restore()
    process.umask(umask)
  }
}
