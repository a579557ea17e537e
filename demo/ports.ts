import { createServer } from 'node:net'

const handedOut = new Set<number>()

/** A port that nobody listens on now, and that this process has not given away before. */
export async function freePort (): Promise<number> {
  for (;;) {
    const port = await new Promise<number>((resolve, reject) => {
      const server = createServer()
      server.once('error', reject)
      server.listen(0, () => {
        const address = server.address()
        server.close(() => { resolve(typeof address === 'object' && address !== null ? address.port : 0) })
      })
    })
    if (handedOut.has(port)) continue
    handedOut.add(port)
    return port
  }
}

/** The first of `count` free ports in a row. */
export async function freePortRange (count: number): Promise<number> {
  for (;;) {
    const first = await freePort()
    const free = await Promise.all(Array.from({ length: count - 1 }, async (_, index) => await isFree(first + 1 + index)))
    if (first + count < 65_536 && free.every(Boolean)) {
      for (let port = first; port < first + count; port++) handedOut.add(port)
      return first
    }
  }
}

async function isFree (port: number): Promise<boolean> {
  return await new Promise(resolve => {
    const server = createServer()
    server.once('error', () => { resolve(false) })
    server.listen(port, () => { server.close(() => { resolve(true) }) })
  })
}

/** The first port from `wanted` on that nobody listens on and that this process has not given away: the same each time, unless it is taken. */
export async function portFrom (wanted: number): Promise<number> {
  for (let port = wanted; port < 65_536; port++) {
    if (handedOut.has(port) || !await isFree(port)) continue
    handedOut.add(port)
    return port
  }
  throw new Error(`no port from ${wanted} on is free`)
}
