/** A PACS for demo and tests: dcmqrscp, as strict about queries and moves as a real one. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { listensOn, Programs, until, type Child } from '../src/process.ts'
import { freePort } from './ports.ts'

/** A DICOM node that the PACS may send to. */
export interface Destination {
  aeTitle: string
  host: string
  port: number
  /** Reached over TLS; Orthanc only. */
  tls?: boolean
}

export interface Pacs {
  readonly name: string
  readonly aeTitle: string
  readonly host: string
  readonly port: number
  readonly pid: number
  /** Takes files in; they can be queried and moved when it resolves. */
  store (files: readonly string[]): Promise<void>
  /** The file that the PACS keeps for an instance, so that a test can take it away behind its back; dcmqrscp's only for what came through `store`. */
  pathOf (sopInstanceUid: string): Promise<string | undefined>
  /** What it has written to its log so far. */
  log (): string
  /** Number of C-MOVE requests that it has received. */
  moves (): number
  stop (): Promise<void>
}

export interface PacsOptions {
  programs: Programs
  /** An empty folder for its configuration and its files. */
  dir: string
  aeTitle?: string
  port?: number
  /** Move destinations that it knows. */
  destinations: readonly Destination[]
  /** Associations that it bears; it rejects more of them for now. dcmqrscp only. */
  maxAssociations?: number
}

const READY_TIMEOUT_MS = 20_000

/** Starts dcmqrscp with `--check-find --check-move`: without them it accepts a C-MOVE by accession number, which is not DICOM. */
export async function startDcmqrscp ({ programs, dir, aeTitle = 'ABPACS', port, destinations, maxAssociations = 64 }: PacsOptions): Promise<Pacs> {
  const listenPort = port ?? await freePort()
  const storage = join(dir, 'storage')
  await mkdir(storage, { recursive: true })
  const configFile = join(dir, 'dcmqrscp.cfg')
  await writeFile(configFile, [
    `NetworkTCPPort = ${listenPort}`, 'MaxPDUSize = 131072', `MaxAssociations = ${maxAssociations}`, '',
    'HostTable BEGIN', ...destinations.map((node, index) => `node${index} = (${node.aeTitle}, ${node.host}, ${node.port})`), 'HostTable END', '',
    'VendorTable BEGIN', 'VendorTable END', '',
    // quota: studies, bytes a study; dcmqrscp refuses what does not fit
    'AETable BEGIN', `${aeTitle} ${storage} RW (500, 8192mb) ANY`, 'AETable END', ''
  ].join('\n'))
  const logFile = join(dir, 'dcmqrscp.log')
  await writeFile(logFile, '')
  const child = programs.start('dcmqrscp', ['-v', '--check-find', '--check-move', '-dhl', '-c', configFile], {
    cwd: dir,
    onLine: line => { appendFileSync(logFile, `${line}\n`) }
  })
  await listening(child, listenPort, 'dcmqrscp')
  const log = (): string => readFileSync(logFile, 'utf8')
  return {
    name: 'dcmqrscp',
    aeTitle,
    host: '127.0.0.1',
    port: listenPort,
    pid: child.pid,
    async store (files) {
      const kept: string[] = []
      for (const file of files) {
        const path = join(storage, basename(file))
        await copyFile(file, path)
        kept.push(path)
      }
      // arguments have a limit
      for (let start = 0; start < kept.length; start += 500) {
        const result = await programs.run('dcmqridx', [storage, ...kept.slice(start, start + 500)])
        if (result.exitCode !== 0) throw new Error(`dcmqridx: ${result.stderr}`)
      }
    },
    async pathOf (sopInstanceUid) {
      const path = join(storage, `${sopInstanceUid}.dcm`)
      return existsSync(path) ? path : undefined
    },
    log,
    moves: () => log().match(/Received Move SCP/gi)?.length ?? 0,
    stop: async () => { await child.stop() }
  }
}

/** Waits until the program itself listens; a stranger on its port does not count. */
export async function listening (child: Child, port: number, name: string): Promise<void> {
  let output: string | undefined
  void child.ended.then(result => { output = result.stderr + result.stdout }, (error: unknown) => { output = String(error) })
  const ready = await until(() => output !== undefined || listensOn(child.pid, port), READY_TIMEOUT_MS, 20)
  if (output !== undefined) throw new Error(`${name} ended at once: ${output}`)
  if (!ready) {
    await child.stop()
    throw new Error(`${name} does not listen on port ${port}`)
  }
}
