/**
 * Syslog to the audit repository: RFC 5424 over UDP (RFC 5426), TCP (octet counting, RFC 6587) or TLS (RFC 5425). What cannot be sent
 * waits, up to a limit; syslog has no acknowledgement, so a connection that breaks can lose what was on its way.
 */
import { createSocket } from 'node:dgram'
import { readFileSync } from 'node:fs'
import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Log } from '../process.ts'

export interface SyslogTarget {
  protocol: 'udp' | 'tcp' | 'tls'
  host: string
  port: number
  /** Files, for TLS; without `ca` the certificates of Node count. */
  ca?: string | undefined
  cert?: string | undefined
  key?: string | undefined
}

/** IANA: 514 is syslog over UDP, 601 over TCP, 6514 over TLS. */
const PORTS = { udp: 514, tcp: 601, tls: 6514 }

/** `tls://repository.example:6514`; undefined when it is no such address. */
export function parseSyslogTarget (text: string): SyslogTarget | undefined {
  const match = /^(udp|tcp|tls):\/\/(\[[0-9a-fA-F:.]+\]|[^/:@[\]]+)(?::(\d{1,5}))?$/.exec(text)
  if (match === null) return undefined
  const [, protocol, host = '', port] = match
  if (protocol !== 'udp' && protocol !== 'tcp' && protocol !== 'tls') return undefined
  const number = port === undefined ? PORTS[protocol] : Number(port)
  return number >= 1 && number <= 65_535 ? { protocol, host: host.replace(/^\[|\]$/g, ''), port: number } : undefined
}

/** Facility 10 (security), severity 5 (PS3.15 A.6: normal but significant). */
const PRIORITY = 10 * 8 + 5

/** The message is UTF-8, which RFC 5424 6.4 marks with a byte order mark. */
export function syslogMessage (xml: string, { hostName, appName, at }: { hostName: string, appName: string, at: Date }): string {
  return `<${PRIORITY}>1 ${at.toISOString()} ${hostName} ${appName} ${process.pid} DICOM+RFC3881 - \uFEFF${xml}`
}

const MAX_WAITING = 10_000
const FIRST_BACKOFF_MS = 500
const LONGEST_BACKOFF_MS = 30_000
const LAST_CHANCE_MS = 2_000

export class SyslogSender {
  readonly #target: SyslogTarget
  readonly #log: Log
  readonly #waiting: Buffer[] = []
  #socket: Socket | undefined
  #connected = false
  #writing = false
  #backoffMs = FIRST_BACKOFF_MS
  #retry: NodeJS.Timeout | undefined
  #drained: (() => void) | undefined
  #closed = false
  /** Messages that were given up because too many waited. */
  lost = 0

  constructor (target: SyslogTarget, log: Log) {
    this.#target = target
    this.#log = log
  }

  send (message: string): void {
    const bytes = Buffer.from(message)
    if (this.#target.protocol === 'udp') {
      this.#sendDatagram(bytes)
      return
    }
    if (this.#waiting.length >= MAX_WAITING) {
      this.#waiting.splice(this.#writing ? 1 : 0, 1)
      this.lost++
      this.#log.error({ lost: this.lost }, 'an audit message was given up: the audit repository has been away for too long')
    }
    this.#waiting.push(Buffer.concat([Buffer.from(`${bytes.length} `), bytes]))
    this.#pump()
  }

  /** Gives what waits a last chance. */
  async close (): Promise<void> {
    if (this.#waiting.length > 0) {
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, LAST_CHANCE_MS)
        this.#drained = () => { clearTimeout(timer); resolve() }
        // at once, however long the next try was to wait
        clearTimeout(this.#retry)
        this.#retry = undefined
        this.#pump()
      })
    }
    this.#closed = true
    clearTimeout(this.#retry)
    if (this.#waiting.length > 0) this.#log.error({ lost: this.#waiting.length }, 'audit messages could not be sent before the end')
    this.#socket?.end()
    this.#socket?.unref()
  }

  #sendDatagram (bytes: Buffer): void {
    const { host, port } = this.#target
    const socket = createSocket(isIP(host) === 6 ? 'udp6' : 'udp4')
    const done = (error: Error | null): void => {
      if (error !== null) this.#log.error({ err: error, host, port }, 'an audit message could not be sent')
      socket.close()
    }
    socket.once('error', done)
    socket.send(bytes, port, host, error => { socket.off('error', done); done(error) })
  }

  #pump (): void {
    const [next] = this.#waiting
    if (next === undefined) this.#drained?.()
    if (next === undefined || this.#writing || this.#closed) return
    if (this.#socket === undefined) this.#connect()
    if (!this.#connected) return
    this.#writing = true
    this.#socket?.write(next, error => {
      this.#writing = false
      // what was not written goes over the next connection
      if (error !== null && error !== undefined) return
      this.#waiting.shift()
      this.#backoffMs = FIRST_BACKOFF_MS
      this.#pump()
    })
  }

  #connect (): void {
    if (this.#retry !== undefined) return
    const { protocol, host, port, ca, cert, key } = this.#target
    const read = (file: string | undefined): Buffer | undefined => file === undefined ? undefined : readFileSync(file)
    let socket: Socket
    try {
      socket = protocol === 'tls'
        ? connectTls({ host, port, minVersion: 'TLSv1.2', ...(isIP(host) === 0 ? { servername: host } : {}), ca: read(ca), cert: read(cert), key: read(key) })
        : connect(port, host)
    } catch (error) {
      this.#later(error)
      return
    }
    this.#socket = socket
    socket.setKeepAlive(true, 60_000)
    socket.unref()
    // a repository that closes is noticed by reading
    socket.resume()
    let reason: unknown = new Error('the audit repository has closed the connection')
    socket.once(protocol === 'tls' ? 'secureConnect' : 'connect', () => { this.#connected = true; this.#pump() })
    socket.on('error', error => { reason = error })
    socket.once('close', () => {
      this.#socket = undefined
      this.#connected = false
      this.#writing = false
      if (!this.#closed && this.#waiting.length > 0) this.#later(reason)
    })
  }

  #later (reason: unknown): void {
    const { host, port } = this.#target
    this.#log.error({ err: reason, host, port, waiting: this.#waiting.length }, 'the audit repository cannot be reached; it is tried again')
    this.#retry = setTimeout(() => { this.#retry = undefined; this.#pump() }, this.#backoffMs)
    this.#retry.unref()
    this.#backoffMs = Math.min(2 * this.#backoffMs, LONGEST_BACKOFF_MS)
  }
}
