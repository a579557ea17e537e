/** A network that fails: a TCP proxy that refuses, slows down, stalls or cuts what goes through it. */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from '../../demo/ports.ts'

export interface NetworkFault {
  /**
   * `refuse`: a connection that ends at once. `cut`: one that ends after `afterBytes`. `stall`: one on which nothing moves any more after them, ever. `hold`: one
   * that stands still after them until there is another fault or none: the middle, for as long as a test wants. `slow`: only slow.
   */
  kind: 'refuse' | 'cut' | 'stall' | 'hold' | 'slow'
  /** Bytes towards the target. */
  afterBytes?: number
  /** Before each chunk, in milliseconds. */
  delayMs?: number
  /** Only so many connections; then the network is well again. */
  times?: number
  /** Only connections whose first bytes hold this text: a SOP class UID, say. */
  only?: string
}

export class Proxy {
  readonly port: number
  /** Connections that a fault has hit. */
  hits = 0
  /** Bytes that went towards the target. */
  bytes = 0
  #fault: NetworkFault | undefined
  readonly #sockets = new Set<Socket>()
  #letGo: () => void = () => {}
  #held: Promise<void> = Promise.resolve()
  readonly #server: Server

  private constructor (port: number, targetPort: number) {
    this.port = port
    this.#server = createServer({ noDelay: true }, client => {
      client.on('error', () => {})
      void this.#serve(client, targetPort).catch(() => { client.destroy() })
    })
  }

  static async start (targetPort: number): Promise<Proxy> {
    const proxy = new Proxy(await freePort(), targetPort)
    proxy.#server.listen(proxy.port, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  /** Connections that are open. */
  get open (): number { return this.#sockets.size / 2 }

  get fault (): NetworkFault | undefined { return this.#fault }

  /** For connections from now on; undefined for a network that is well. */
  set fault (fault: NetworkFault | undefined) {
    this.#letGo()
    this.#held = new Promise(resolve => { this.#letGo = resolve })
    this.#fault = fault
    this.hits = 0
    this.bytes = 0
  }

  async close (): Promise<void> {
    this.#letGo()
    for (const socket of this.#sockets) socket.destroy()
    await new Promise(resolve => { this.#server.close(resolve) })
  }

  async #serve (client: Socket, targetPort: number): Promise<void> {
    // the fault of this moment: one that is over must not hit who was there before
    const [now, held] = [this.#fault, this.#held]
    const first = now?.only === undefined ? undefined : await firstChunk(client)
    const fault = this.#hit(now, first)
    if (fault?.kind === 'refuse') { client.resetAndDestroy(); return }
    // dcmqrscp serves nobody while somebody who says nothing is connected (measured)
    if (fault?.kind === 'stall' && fault.afterBytes === 0) { client.resume(); return }
    const target = connect({ port: targetPort, host: '127.0.0.1', noDelay: true })
    for (const [one, other] of [[client, target], [target, client]] as const) {
      this.#sockets.add(one)
      one.on('error', () => {})
      one.once('close', () => {
        this.#sockets.delete(one)
        other.destroy()
      })
    }
    await Promise.all([this.#up(client, target, fault, held, first), down(target, client, fault)])
  }

  #hit (fault: NetworkFault | undefined, first: Buffer | undefined): NetworkFault | undefined {
    if (fault === undefined || this.hits >= (fault.times ?? Infinity)) return undefined
    if (fault.only !== undefined && first?.includes(fault.only) !== true) return undefined
    this.hits++
    return fault
  }

  async #up (client: Socket, target: Socket, fault: NetworkFault | undefined, held: Promise<void>, first: Buffer | undefined): Promise<void> {
    let left = fault?.afterBytes ?? Infinity
    const send = async (chunk: Buffer): Promise<void> => {
      if (fault?.delayMs !== undefined) await delay(fault.delayMs)
      const part = chunk.subarray(0, Math.min(left, chunk.length))
      left -= part.length
      this.bytes += part.length
      if (part.length > 0 && target.writable && !target.write(part)) await writable(target)
      // with a stall the rest is swallowed: so the end of the connection is noticed
      if (left === 0 && fault?.kind === 'cut') client.resetAndDestroy()
      if (left > 0 || fault?.kind !== 'hold') return
      await held
      left = Infinity
      const rest = chunk.subarray(part.length)
      if (rest.length > 0 && target.writable && !target.write(rest)) await writable(target)
    }
    if (left === 0 && fault?.kind !== 'hold') client.resetAndDestroy()
    if (first !== undefined) await send(first)
    await pump(client, target, send)
  }
}

async function down (target: Socket, client: Socket, fault: NetworkFault | undefined): Promise<void> {
  await pump(target, client, async chunk => {
    if (fault?.delayMs !== undefined) await delay(fault.delayMs)
    if (client.writable && !client.write(chunk)) await writable(client)
  })
}

/** Waits until it can take more, or nothing any more. */
async function writable (socket: Socket): Promise<void> {
  await new Promise<void>(resolve => { socket.once('drain', resolve).once('close', resolve) })
}

/** Hands on chunk by chunk, the end too. */
async function pump (from: Socket, to: Socket, send: (chunk: Buffer) => Promise<void>): Promise<void> {
  await new Promise<void>(resolve => {
    from.on('data', (chunk: Buffer) => {
      from.pause()
      void send(chunk).then(() => { from.resume() })
    })
    from.resume()
    from.once('end', () => { to.end() })
    from.once('close', () => { resolve() })
  })
}

async function firstChunk (socket: Socket): Promise<Buffer | undefined> {
  return await new Promise(resolve => {
    socket.once('data', (chunk: Buffer) => {
      socket.pause()
      resolve(chunk)
    })
    socket.once('close', () => { resolve(undefined) })
  })
}
