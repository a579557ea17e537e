/** Audit repositories of a few lines, and the judge of what they get. */
import { createSocket } from 'node:dgram'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import type { Programs } from '../../src/process.ts'

export interface Repository {
  port: number
  messages: string[]
  close (): Promise<void>
}

export async function udpRepository (): Promise<Repository> {
  const socket = createSocket('udp4')
  const messages: string[] = []
  socket.on('message', bytes => { messages.push(bytes.toString('utf8')) })
  await new Promise<void>(resolve => { socket.bind(0, '127.0.0.1', resolve) })
  return { port: socket.address().port, messages, close: async () => { await new Promise<void>(resolve => { socket.close(resolve) }) } }
}

/** Octet counting (RFC 6587 3.4.1): anything else is thrown. */
export async function streamRepository (tls?: TlsOptions, port = 0): Promise<Repository> {
  const messages: string[] = []
  const sockets = new Set<Socket>()
  const take = (socket: Socket): void => {
    sockets.add(socket)
    socket.on('close', () => { sockets.delete(socket) }).on('error', () => {})
    let rest = Buffer.alloc(0)
    socket.on('data', chunk => {
      rest = Buffer.concat([rest, chunk])
      for (;;) {
        const blank = rest.indexOf(' ')
        if (blank < 0) return
        const head = rest.subarray(0, blank).toString()
        if (!/^[1-9]\d*$/.test(head)) throw new Error(`no octet count: ${head}`)
        const end = blank + 1 + Number(head)
        if (rest.length < end) return
        messages.push(rest.subarray(blank + 1, end).toString('utf8'))
        rest = rest.subarray(end)
      }
    })
  }
  const server: Server = tls === undefined ? createServer(take) : createTlsServer(tls, take)
  await new Promise<void>(resolve => { server.listen(port, '127.0.0.1', resolve) })
  return {
    port: (server.address() as AddressInfo).port,
    messages,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise(resolve => { server.close(resolve) })
    }
  }
}

/** The XML of a message of syslog, after its head was checked. */
export function xmlOf (message: string): string {
  const match = /^<85>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [\x21-\x7e]+ mkiso-server \d+ DICOM\+RFC3881 - \uFEFF(<\?xml [^]*)$/.exec(message)
  if (match?.[1] === undefined) throw new Error(`not as RFC 5424 has it: ${message.slice(0, 200)}`)
  return match[1]
}

/** What xmllint has to say against the schema of PS3.15 A.5.1; empty is right. */
export async function schemaFaults (programs: Programs, messages: readonly string[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'mkiso-audit-'))
  const files = messages.map((xml, index) => {
    const file = join(folder, `${index}.xml`)
    writeFileSync(file, xml)
    return file
  })
  const result = await programs.run('xmllint', ['--noout', '--relaxng', join(import.meta.dirname, 'audit-message.rng'), ...files])
  await programs.run('rm', ['-r', folder])
  return result.exitCode === 0 ? '' : result.stderr.split('\n').filter(line => !line.endsWith(' validates')).join('\n')
}
