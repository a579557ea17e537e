/**
 * Free ports for programs that are started in a moment. Tests run side by side in processes of their own, so that a port that nobody listens on yet must be
 * kept for who asked first; and it must be none of those that the system gives to connections that go out, which are as good as taken.
 */
import { randomInt } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'

const FIRST = 10_240
/** Linux: where the ports of outgoing connections begin, when it cannot be read. */
const USUAL_EPHEMERAL = 32_768

const handedOut = new Set<number>()

/** A port that nobody listens on now, and that no process has been given before that is still there. */
export async function freePort (): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST, firstEphemeral())
    if (await take(port)) return port
  }
}

/** The first of `count` free ports in a row. */
export async function freePortRange (count: number): Promise<number> {
  for (;;) {
    const first = randomInt(FIRST, firstEphemeral() - count)
    let taken = 0
    while (taken < count && await take(first + taken)) taken++
    if (taken === count) return first
  }
}

/** The first port from `wanted` on that nobody listens on and that no process has been given: the same each time, unless it is taken. */
export async function portFrom (wanted: number): Promise<number> {
  for (let port = wanted; port < 65_536; port++) if (await take(port)) return port
  throw new Error(`no port from ${wanted} on is free`)
}

/** @returns true when it is ours now, for as long as this process lives */
async function take (port: number): Promise<boolean> {
  if (handedOut.has(port) || !await canListen(port)) return false
  // an abstract socket (unix(7)) is a lock without a file: it goes with its process, however that ends
  if (process.platform === 'linux' && !await canListen(`\0mkiso-port-${port}`, true)) return false
  if (handedOut.has(port)) return false
  handedOut.add(port)
  return true
}

/** Nobody listens there. With `stays` we do, from now on. */
async function canListen (where: number | string, stays = false): Promise<boolean> {
  return await new Promise(resolve => {
    const server = createServer()
    server.once('error', () => { resolve(false) })
    const done = (): void => {
      if (stays) {
        server.unref()
        resolve(true)
      } else server.close(() => { resolve(true) })
    }
    server.listen(where, done)
  })
}

/** Where the ports of outgoing connections begin (ip(7)). */
function firstEphemeral (): number {
  try {
    const first = Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/)[0])
    // a machine may give nearly all of them to connections
    return first > 2 * FIRST ? first : USUAL_EPHEMERAL
  } catch { return USUAL_EPHEMERAL }
}
