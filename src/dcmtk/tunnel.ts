/**
 * DICOM over TLS for what DCMTK cannot do itself: movescu and dcmsend (3.6.7) speak plain TCP only, so all our outgoing associations
 * to a peer with TLS go through a stunnel on this machine. There is one for each peer, it starts when it is first needed, again when it has
 * ended, and goes with the service. A peer with TLS is reached through it or not at all.
 */
import { writeFile } from 'node:fs/promises'
import { createServer, isIP } from 'node:net'
import { join } from 'node:path'
import { MkisoError } from '../errors.ts'
import { listensOn, until, type Child, type Log, type Programs } from '../process.ts'
import { addressOf, type AssociationFault, type Peer, type PeerTls, type PeerTunnels, type ToolContext } from './peer.ts'

export interface TunnelsOptions {
  programs: Programs
  stunnel: string
  /** For the configuration of stunnel, readable by this user only. */
  folder: string
  log: Log
}

const READY_TIMEOUT_MS = 5_000
const TRIES = 5

interface Tunnel {
  child: Child
  port: number
  ended: boolean
}

export class Tunnels implements PeerTunnels {
  readonly #options: TunnelsOptions
  readonly #running = new Map<string, Promise<Tunnel>>()
  readonly #lastErrors = new Map<string, string>()

  constructor (options: TunnelsOptions) {
    this.#options = options
  }

  /**
   * Where a tool connects to instead of the peer.
   * @throws MkisoError as the peer's `unreachable`
   */
  async endpoint (peer: Peer, tls: PeerTls): Promise<{ host: string, port: number }> {
    const address = addressOf(peer)
    let starting = this.#running.get(address)
    if (starting !== undefined && (await starting.catch(() => undefined))?.ended !== false) {
      // another caller may have started it meanwhile
      if (this.#running.get(address) === starting) this.#running.delete(address)
      starting = this.#running.get(address)
    }
    if (starting === undefined) {
      starting = this.#start(peer, tls)
      this.#running.set(address, starting)
    }
    try {
      return { host: '127.0.0.1', port: (await starting).port }
    } catch (cause) {
      throw new MkisoError(tls.unreachable, `${peer.aeTitle} at ${address}: the TLS tunnel does not start: ${cause instanceof Error ? cause.message : String(cause)}`, { destination: address, cause })
    }
  }

  /** What stunnel has last said of a peer: the tools only see a connection that closes. */
  lastError (peer: Peer): string | undefined { return this.#lastErrors.get(addressOf(peer)) }

  async #start (peer: Peer, tls: PeerTls): Promise<Tunnel> {
    const { programs, stunnel, folder, log } = this.#options
    const address = addressOf(peer)
    let reason = 'it does not listen'
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const port = await freePort()
      const file = join(folder, `stunnel_${port}.conf`)
      await writeFile(file, stunnelConfiguration(peer, tls, port), { mode: 0o600 })
      let output = ''
      const child = programs.start(stunnel, [file], {
        cwd: folder,
        onLine: line => {
          const text = /LOG[0-4]\[[^\]]*\]: (.+)/.exec(line)?.[1]
          if (text === undefined) return
          output = text
          // the reason comes first, then what follows from it
          if (/verif|certificate|SSL_|connect|handshake|alert/i.test(text)) this.#lastErrors.set(address, text)
          log.warn({ peer: address, stunnel: text }, 'stunnel')
        }
      })
      const tunnel: Tunnel = { child, port, ended: false }
      const ended = child.ended.then(({ exitCode, stderr }) => {
        tunnel.ended = true
        reason = output || stderr.trim().split('\n').at(-1) || `stunnel ended with ${exitCode}`
        log.error({ peer: address, exit_code: exitCode, stderr: reason }, 'stunnel ended')
      })
      // a program that is missing
      ended.catch(() => { tunnel.ended = true })
      const ready = await Promise.race([until(() => tunnel.ended || listensOn(child.pid, port), READY_TIMEOUT_MS, 5), ended.then(() => false)])
      if (ready && !tunnel.ended) {
        log.info({ peer: address, port, pid: child.pid }, 'stunnel started')
        return tunnel
      }
      await child.stop().catch(() => {})
      // only a port that somebody was faster to take is worth another try
      if (!/in use|bind/i.test(reason)) break
    }
    throw new Error(reason)
  }
}

/**
 * Host and port for a tool's command line.
 * @throws MkisoError when the peer wants TLS and there is no tunnel: never the plain way
 */
export async function endpointArguments (context: Pick<ToolContext, 'tunnels'>, peer: Peer): Promise<[string, string]> {
  if (peer.tls === undefined) return [peer.host, String(peer.port)]
  if (context.tunnels === undefined) throw new MkisoError(peer.tls.unreachable, `${addressOf(peer)} is to be reached over TLS, and there is no tunnel`)
  const { host, port } = await context.tunnels.endpoint(peer, peer.tls)
  return [host, String(port)]
}

/** The fault as a tool saw it, with what stunnel knows. */
export function throughTunnel (context: Pick<ToolContext, 'tunnels'>, peer: Peer, fault: AssociationFault): AssociationFault {
  const known = peer.tls === undefined ? undefined : context.tunnels?.lastError(peer)
  return known === undefined || (fault.kind !== 'unreachable' && fault.kind !== 'broken') ? fault : { ...fault, reason: `${fault.reason}; TLS: ${known}` }
}

function stunnelConfiguration ({ host, port }: Peer, tls: PeerTls, localPort: number): string {
  const name = tls.server_name === '' ? host : tls.server_name
  return [
    'foreground = yes', 'pid =', 'syslog = no', 'debug = warning',
    '[dicom]', 'client = yes', `accept = 127.0.0.1:${localPort}`, `connect = ${host.includes(':') ? `[${host}]` : host}:${port}`,
    'sslVersionMin = TLSv1.2', 'TIMEOUTclose = 1', 'socket = l:TCP_NODELAY=1', 'socket = r:TCP_NODELAY=1', 'socket = r:SO_KEEPALIVE=1',
    ...(tls.cert === '' ? [] : [`cert = ${tls.cert}`, `key = ${tls.key}`]),
    ...(tls.verify ? [`CAfile = ${tls.ca}`, 'verifyChain = yes', isIP(name) === 0 ? `checkHost = ${name}` : `checkIP = ${name}`] : ['verifyChain = no']),
    ...(isIP(name) === 0 ? [`sni = ${name}`] : []), ''
  ].join('\n')
}

async function freePort (): Promise<number> {
  return await new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => { resolve(typeof address === 'object' && address !== null ? address.port : 0) })
    })
  })
}
