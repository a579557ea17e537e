/** storescp: the C-STORE receiver that a PACS moves images to. */
import { createServer } from 'node:net'
import { listensOn, until, type Child } from '../process.ts'
import { receiverTlsArguments } from './tunnel.ts'
import { seconds, type ReceiverTls, type ToolContext } from './peer.ts'

export interface ReceiverOptions {
  aeTitle: string
  port: number
  /** Folder for the files, named `<MOD>.<SOPInstanceUID>`. */
  folder: string
  /** A request is given up after so long a silence. An association ends somewhat earlier, so that the PACS tells of its failure in time to be asked again. */
  idleTimeoutMs: number
  /** undefined for plain TCP. */
  tls: ReceiverTls | undefined
}

/** Another program listens on the port, or this user may not. */
export class PortTakenError extends Error {
  readonly port: number
  constructor (port: number, reason: string) {
    super(`port ${port} cannot be listened on: ${reason}`)
    this.name = 'PortTakenError'
    this.port = port
  }
}

const READY_TIMEOUT_MS = 10_000

/**
 * Starts a receiver and waits until it listens.
 *
 * `--fork` serves the associations of several series at once; `+B` writes what comes as it comes, so the object stays as the PACS sent
 * it (with `-pdu` and TCP_NODELAY: 600 images in 0.7 s instead of 28 s, measured). `+xa` accepts every transfer syntax that storescp
 * knows, `-pm` SOP classes that it does not know. `-dhl`: no name lookup of the peer, which can hang for seconds.
 * @throws PortTakenError
 * @throws ToolMissingError
 */
export async function storescp (context: ToolContext, options: ReceiverOptions): Promise<Child> {
  const { aeTitle, port, folder } = options
  const taken = await portTaken(port)
  if (taken !== undefined) throw new PortTakenError(port, taken)
  const child = context.programs.start(context.dcmtk.storescp, ['--fork', ...storescpArguments(options), String(port)], { cwd: folder, guard: true })
  let failure: string | undefined
  const ended = child.ended.then(result => { failure = result.stderr.trim() || `storescp ended with ${result.exitCode}` })
  const ready = until(() => failure !== undefined || listensOn(child.pid, port), READY_TIMEOUT_MS, 5)
  await Promise.race([ready, ended])
  if (failure !== undefined || !await ready) {
    await child.stop().catch(() => {})
    throw new PortTakenError(port, failure ?? 'storescp does not listen')
  }
  context.log.info({ port, dir: folder, pid: child.pid, ae_title: aeTitle }, 'starting storescp')
  return child
}

/** Those that do not depend on how it is started. */
export function storescpArguments ({ aeTitle, folder, idleTimeoutMs, tls }: ReceiverOptions): string[] {
  return ['+B', '+xa', '-pm', '-dhl', '-pdu', '131072', '-ta', '30', '-td', seconds(0.8 * idleTimeoutMs), '-ts', seconds(0.8 * idleTimeoutMs),
    ...receiverTlsArguments(tls), '-aet', aeTitle, '-od', folder]
}

async function portTaken (port: number): Promise<string | undefined> {
  return await new Promise(resolve => {
    const probe = createServer()
    probe.once('error', (error: NodeJS.ErrnoException) => { resolve(error.code === 'EADDRINUSE' ? 'another program listens there' : error.code ?? 'error') })
    probe.listen(port, () => { probe.close(() => { resolve(undefined) }) })
  })
}
