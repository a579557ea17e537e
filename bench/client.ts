/** A client that costs next to nothing, as curl does: it shares the two cores with what is measured. */
import { connect } from 'node:net'

export interface Received {
  /** Of the body. */
  bytes: number
  /** On the disc, as the service says. */
  images: number
  seconds: number
}

/**
 * Reads an answer and throws its bytes away.
 * @param onFirstByte of the body
 * @throws when the answer is not 200, or is shorter than it says
 */
export async function drain (port: number, path: string, onFirstByte: () => void): Promise<Received> {
  const startedAt = performance.now()
  return await new Promise((resolve, reject) => {
    let head = ''
    let expected: number | undefined
    let bytes = 0
    const take = (length: number, buffer: Uint8Array): boolean => {
      let body = length
      if (expected === undefined) {
        const text = Buffer.from(buffer.buffer, buffer.byteOffset, length).toString('latin1')
        const end = (head + text).indexOf('\r\n\r\n')
        if (end < 0) { head += text; return true }
        body = head.length + length - end - 4
        head = (head + text).slice(0, end)
        expected = Number(/^content-length: (\d+)/im.exec(head)?.[1])
        if (!head.startsWith('HTTP/1.1 200 ') || Number.isNaN(expected)) { socket.destroy(new Error(head)); return false }
      }
      if (bytes === 0 && body > 0) onFirstByte()
      bytes += body
      if (bytes >= expected) socket.destroy()
      return true
    }
    const socket = connect({ host: '127.0.0.1', port, onread: { buffer: Buffer.allocUnsafe(1024 ** 2), callback: take } })
    socket.once('connect', () => { socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`) })
    socket.once('error', reject)
    socket.once('close', () => {
      if (bytes === expected) resolve({ bytes, images: Number(/^x-mkiso-images: (\d+)/im.exec(head)?.[1]), seconds: (performance.now() - startedAt) / 1_000 })
      else reject(new Error(`${bytes} of ${expected} bytes`))
    })
  })
}
