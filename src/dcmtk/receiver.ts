/**
 * A receiver, for everybody or for some addresses only. storescp cannot tell one peer from another, so with `our_ae.allow_from` we listen
 * ourselves, and hand each connection of an allowed address to a storescp of its own (`--inetd`); not one byte goes through node, and
 * 300 images take as long as with `--fork` (measured). Others are cut off before they have said anything.
 */
import { BlockList, createServer, isIP, type Server, type Socket } from 'node:net'
import { addressList } from '../addresses.ts'
import type { Child } from '../process.ts'
import type { ToolContext } from './peer.ts'
import { PortTakenError, storescp, storescpArguments, type ReceiverOptions } from './storescp.ts'

export interface Receiver {
  /** Process ids of the group leaders that may write into the folder now. */
  groups (): number[]
  /** Resolves when it does not receive any more. */
  readonly ended: Promise<{ exitCode: number, stderr: string }>
  stop (): Promise<unknown>
}

/**
 * Starts a receiver and waits until it listens.
 * @param allowFrom addresses and networks; empty for everybody
 * @throws PortTakenError
 * @throws ToolMissingError
 */
export async function startReceiver (context: ToolContext, options: ReceiverOptions, allowFrom: readonly string[]): Promise<Receiver> {
  if (allowFrom.length > 0) return await startGate(context, options, addressList(allowFrom))
  const child = await storescp(context, options)
  return { groups: () => [child.pid], ended: child.ended, stop: async () => await child.stop() }
}

/** `10.0.0.1`, `10.0.0.0/8`, `fe80::1`, `fd00::/8` */
async function startGate (context: ToolContext, options: ReceiverOptions, allowed: BlockList): Promise<Receiver> {
  const { port, folder, aeTitle } = options
  const { log } = context
  const children = new Set<Child>()
  let refused = 0
  // nothing of the stream may be read here
  const server = createServer({ pauseOnConnect: true, noDelay: true }, socket => {
    const address = plainAddress(socket)
    if (address === undefined || !allowed.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')) {
      socket.resetAndDestroy()
      log.warn({ address, refused: ++refused }, 'a connection to the receiver from an address that our_ae.allow_from does not name was cut off')
      return
    }
    const child = context.programs.start(context.dcmtk.storescp, ['--inetd', ...storescpArguments(options)], { cwd: folder, socket })
    children.add(child)
    // the program has a descriptor of its own
    socket.destroy()
    child.ended.catch((error: unknown) => { log.error({ port, err: error }, 'storescp does not start') }).finally(() => { children.delete(child) })
  })
  await listen(server, port)
  const ended = new Promise<{ exitCode: number, stderr: string }>(resolve => {
    let reason = ''
    server.once('error', error => {
      reason = error.message
      server.close()
    })
    server.once('close', () => { resolve({ exitCode: reason === '' ? 0 : 1, stderr: reason }) })
  })
  log.info({ port, dir: folder, pid: process.pid, ae_title: aeTitle }, 'starting storescp')
  return {
    groups: () => [...children].map(({ pid }) => pid),
    ended,
    stop: async () => {
      server.close()
      await Promise.allSettled([...children].map(async child => await child.stop()))
      await ended
    }
  }
}

async function listen (server: Server, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      reject(new PortTakenError(port, error.code === 'EADDRINUSE' ? 'another program listens there' : error.code ?? error.message))
    }
    server.once('error', failed)
    server.listen(port, () => {
      server.off('error', failed)
      resolve()
    })
  })
}

/** An IPv4 peer of an IPv6 socket is `::ffff:10.0.0.1`. */
function plainAddress ({ remoteAddress }: Socket): string | undefined {
  return remoteAddress?.replace(/^::ffff:(?=\d+\.)/i, '')
}
