/** A gate between the PACS and the receiver: what a page shows in the middle of a retrieval can be looked at for as long as a test wants. */
import { connect, createServer, type Socket } from 'node:net'
import type { Test } from 'tap'

/** Settings of an Orthanc that is held up: by default it gives a C-STORE up after 10 s, and an association with it after 30 s. */
export const PATIENT_ORTHANC = { DicomScuTimeout: 600, DicomScpTimeout: 600 } as const

export interface Gate {
  /** Lets so many bytes through, to the byte: an image that is larger stands half way. Then nothing until it is opened again. */
  allow (bytes: number): void
  /** Lets everything through. */
  open (): void
}

/** Listens on `port`, and passes on to `target`. */
export async function startGate (t: Pick<Test, 'teardown'>, port: number, target: number): Promise<Gate> {
  let budget = Infinity
  const sockets = new Set<Socket>()
  const paused = new Set<Socket>()
  const server = createServer(from => {
    const to = connect(target, '127.0.0.1')
    for (const socket of [from, to]) {
      sockets.add(socket)
      socket.once('close', () => { sockets.delete(socket) })
    }
    from.on('data', (chunk: Buffer) => {
      const passed = Math.min(chunk.length, budget)
      budget -= passed
      to.write(chunk.subarray(0, passed))
      if (budget > 0) return
      from.pause()
      if (passed < chunk.length) from.unshift(chunk.subarray(passed))
      paused.add(from)
    })
    to.on('data', chunk => { from.write(chunk) })
    from.on('error', () => { to.destroy() }).on('close', () => { to.destroy(); paused.delete(from) })
    to.on('error', () => { from.destroy() }).on('close', () => { from.destroy() })
  })
  await new Promise<void>(resolve => { server.listen(port, '127.0.0.1', resolve) })
  const allow = (bytes: number): void => {
    budget = bytes
    for (const socket of paused) socket.resume()
    paused.clear()
  }
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise(resolve => { server.close(resolve) })
  })
  return { allow, open: () => { allow(Infinity) } }
}

/** A way on which each connection carries so many bytes of answers and then stands still, until it is opened: the middle of a download, for as long as a test wants. */
export async function startNarrowWay (t: Pick<Test, 'teardown'>, port: number, target: number, bytesPerConnection: number): Promise<Pick<Gate, 'open'>> {
  let most = bytesPerConnection
  const sockets = new Set<Socket>()
  const server = createServer(from => {
    const to = connect(target, '127.0.0.1')
    for (const socket of [from, to]) {
      sockets.add(socket)
      socket.once('close', () => { sockets.delete(socket) })
    }
    let carried = 0
    from.pipe(to)
    to.on('data', chunk => {
      carried += chunk.length
      from.write(chunk)
      if (carried > most) to.pause()
    })
    from.on('error', () => { to.destroy() }).on('close', () => { to.destroy() })
    // a connection that stands still is cut all the same
    to.on('error', () => { from.destroy() }).on('end', () => { from.end() }).on('close', () => { from.destroy() })
  })
  await new Promise<void>(resolve => { server.listen(port, '127.0.0.1', resolve) })
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise(resolve => { server.close(resolve) })
  })
  return {
    open: () => {
      most = Infinity
      for (const socket of sockets) socket.resume()
    }
  }
}
