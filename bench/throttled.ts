/**
 * A PACS and a client that are as slow as a hospital's: an image waits for the last of its files before it begins, a ZIP goes out while they come. So the wait
 * becomes the longer of the two ways instead of their sum.
 */
import { get } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { table } from './figures.ts'

/** Bytes a second each way lets through, in MB. */
export const THROTTLED_MB_PER_SECOND = 20
const TICK_MS = 10

/** Listens, and passes on to `target` no more than so many bytes a second, over all connections. */
export async function throttle (port: number, target: number, which: 'to target' | 'from target', bytesPerSecond = THROTTLED_MB_PER_SECOND * 1e6): Promise<() => Promise<void>> {
  const sockets = new Set<Socket>()
  const waiting = new Set<Socket>()
  let budget = 0
  const timer = setInterval(() => {
    budget = Math.min(budget + bytesPerSecond * TICK_MS / 1_000, bytesPerSecond / 10)
    if (budget <= 0) return
    for (const socket of waiting) socket.resume()
    waiting.clear()
  }, TICK_MS)
  const server = createServer({ noDelay: true }, client => {
    const other = connect({ host: '127.0.0.1', port: target, noDelay: true })
    for (const [from, to, slow] of [[client, other, which === 'to target'], [other, client, which === 'from target']] as const) {
      sockets.add(from)
      from.on('data', piece => {
        // who sends waits for who takes, as on a network
        if (!to.write(piece)) { from.pause(); to.once('drain', () => { if (!waiting.has(from)) from.resume() }) }
        if (!slow) return
        budget -= piece.length
        if (budget <= 0) { from.pause(); waiting.add(from) }
      })
      from.on('error', () => { to.destroy() }).on('close', () => { to.destroy(); sockets.delete(from); waiting.delete(from) }).on('end', () => { to.end() })
    }
  })
  await new Promise<void>(resolve => { server.listen(port, '127.0.0.1', resolve) })
  return async () => {
    clearInterval(timer)
    for (const socket of sockets) socket.destroy()
    await new Promise(resolve => { server.close(resolve) })
  }
}

export interface Timed { bytes: number, firstByteSeconds: number, lastByteSeconds: number }

/** @throws Error when the answer is not 200, or breaks off */
export async function timed (port: number, path: string): Promise<Timed> {
  const startedAt = performance.now()
  const seconds = (): number => (performance.now() - startedAt) / 1_000
  return await new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, agent: false }, answer => {
      if (answer.statusCode !== 200) { reject(new Error(`the service answered ${answer.statusCode ?? ''}`)); answer.destroy(); return }
      let bytes = 0
      let firstByteSeconds = 0
      answer.on('data', (piece: Buffer) => {
        if (bytes === 0) firstByteSeconds = seconds()
        bytes += piece.length
      })
      answer.once('end', () => { if (answer.complete) resolve({ bytes, firstByteSeconds, lastByteSeconds: seconds() }); else reject(new Error('broken off')) })
      answer.once('error', reject)
    }).once('error', reject)
  })
}

/** @param images the study's, and `bytes` of them */
export function throttledTable (images: number, bytes: number, rows: ReadonlyArray<readonly [string, Timed]>): string[] {
  const oneWay = bytes / (THROTTLED_MB_PER_SECOND * 1e6)
  return [
    `${images} CT images (${(bytes / 1e6).toFixed(0)} MB), ${THROTTLED_MB_PER_SECOND} MB/s from the PACS and ${THROTTLED_MB_PER_SECOND} MB/s to the client: one way alone takes ${oneWay.toFixed(1)} s.`, '',
    ...table(['', 'first byte, s', 'last byte, s', 'times one way'], rows.map(([name, { firstByteSeconds, lastByteSeconds }]) =>
      [name, firstByteSeconds.toFixed(2), lastByteSeconds.toFixed(1), (lastByteSeconds / oneWay).toFixed(2)]))
  ]
}
