/** A client without manners: bytes onto the socket as they are, and the answer as bytes. */
import { connect } from 'node:net'

export interface RawAnswer {
  /** 0 when the connection was closed without an answer. */
  status: number
  /** The head, byte for byte (latin1), without the empty line. */
  head: string
  headers: Map<string, string>
  body: string
}

const LONGEST_MS = 30_000

/** Sends, and reads to the end. With `thatIsAll` it says that nothing more will come, which for Node is a client that leaves. */
export async function raw (port: number, bytes: Buffer, thatIsAll = false): Promise<RawAnswer> {
  return await new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = connect(port, '127.0.0.1', () => { if (thatIsAll) socket.end(bytes); else socket.write(bytes) })
    socket.setTimeout(LONGEST_MS, () => { socket.destroy(new Error('the service neither answers nor closes')) })
    socket.on('data', chunk => { chunks.push(chunk) })
    // a server that has read enough may reset the rest
    socket.on('error', (error: NodeJS.ErrnoException) => { if (!['ECONNRESET', 'EPIPE'].includes(error.code ?? '')) reject(error) })
    socket.on('close', () => { resolve(parse(Buffer.concat(chunks).toString('latin1'))) })
  })
}

function parse (text: string): RawAnswer {
  const end = text.indexOf('\r\n\r\n')
  const head = end < 0 ? text : text.slice(0, end)
  const lines = head.split('\r\n').slice(1)
  return {
    status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0),
    head,
    headers: new Map(lines.map(line => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()])),
    body: end < 0 ? '' : text.slice(end + 4)
  }
}

/** What is wrong with the head of an answer, undefined for nothing: a control character, or a line that is no header. */
export function headFault ({ head }: RawAnswer): string | undefined {
  return head.split('\r\n').slice(1).find(line => !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+: ?[\x20-\x7e\x80-\xff]*$/.test(line))
}
