/**
 * The HTTP side of a DICOMweb server: its connections, who we are, redirects, and what can go wrong before there is an answer. It belongs to the archive,
 * which closes it.
 *
 * Node's own client, and not undici: undici 7 throws an assertion that nobody can catch where a server closes its connection while we wait for the disk
 * (nodejs/undici#5360, mended in undici 8, which needs Node 22). Orthanc closes after each multipart answer, and the service died of it (measured).
 */
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { Agent, request, type ClientRequest, type IncomingMessage } from 'node:http'
import { Agent as TlsAgent, request as tlsRequest } from 'node:https'
import { pipeline, type Readable } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { withoutEnd } from '../../dicom/padding.ts'
import { MkisoError } from '../../errors.ts'
import { codeOf, noAnswerShort } from '../../no-answer.ts'
import type { DicomwebServer } from './server.ts'

export interface HttpRequest {
  /** Below the base URL, with its query: `/studies?limit=1`. */
  path: string
  accept: string
  signal: AbortSignal
  /** Longest wait for the status line, and for the next bytes, milliseconds. */
  silenceMs: number
}

/** What came back. Whoever has it reads the body to its end or destroys it. */
export interface HttpAnswer {
  kind: 'answered'
  status: number
  /** Empty where it is not there; several are joined. */
  header (name: string): string
  /** Decoded. */
  body: Readable
}

/** No answer, or none to its end. */
export interface NoAnswer {
  /** `unreachable`: no connection. `broken`: it ended. */
  kind: 'unreachable' | 'broken' | 'timeout'
  /** For a person. */
  reason: string
}

const MOST_REDIRECTS = 5
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])
const UNREACHABLE: ReadonlySet<string> = new Set([
  'ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENETDOWN', 'ETIMEDOUT', 'EADDRNOTAVAIL'
])
const CLOSED: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED'])
/** What Node says of a certificate: names of X509_V_ERR_* (OpenSSL), of TLS alerts, and of a wrong host name. */
const TLS_FAULT = /^(?:CERT_|ERR_TLS_|ERR_SSL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|EPROTO$|HOSTNAME_MISMATCH$)/
/** What may stand in a header. */
const HEADER_TEXT = /^[\x21-\x7e]+$/

export class DicomwebConnection {
  readonly server: DicomwebServer
  readonly #agent: Agent | TlsAgent
  readonly #connectTimeoutMs: number
  readonly #open = new Set<ClientRequest>()
  readonly #base: string
  readonly #origin: string

  /** @throws what reading its key and certificates throws */
  constructor (server: DicomwebServer) {
    const { url, tls: { ca, cert, key, verify, serverName }, connectTimeoutMs, connections } = server
    this.server = server
    this.#base = withoutEnd(url, /\//)
    this.#origin = new URL(url).origin
    const options = { keepAlive: true, maxSockets: connections }
    this.#connectTimeoutMs = connectTimeoutMs
    this.#agent = this.#base.startsWith('https:')
      ? new TlsAgent({
        ...options,
        rejectUnauthorized: verify,
        ...(ca === '' ? {} : { ca: readFileSync(ca) }),
        ...(cert === '' ? {} : { cert: readFileSync(cert), key: readFileSync(key) }),
        ...(serverName === '' ? {} : { servername: serverName })
      })
      : new Agent(options)
  }

  /**
   * Redirects are followed within the same origin only: a token goes to nobody else.
   * @throws MkisoError PACS_REFUSED for a redirect to elsewhere, and for a secret that cannot be read
   * @throws the signal's reason
   */
  async get ({ path, accept, signal, silenceMs }: HttpRequest): Promise<HttpAnswer | NoAnswer> {
    let url = `${this.#base}${path}`
    const authorization = await this.#authorization()
    // what a cache on the way still has may be short of what has come since
    const headers = { accept, 'accept-encoding': 'identity', 'cache-control': 'no-cache', ...(authorization === undefined ? {} : { authorization }) }
    for (let redirects = 0; ; redirects++) {
      let answer: IncomingMessage
      try {
        answer = await this.#request(url, { headers, signal, silenceMs })
      } catch (error) {
        signal.throwIfAborted()
        return noAnswerOf(error, silenceMs)
      }
      const header = (name: string): string => [answer.headers[name] ?? ''].flat().join(', ')
      const status = answer.statusCode ?? 0
      if (!REDIRECTS.has(status)) return { kind: 'answered', status, header, body: decoded(answer, header('content-encoding')) }
      answer.destroy()
      if (redirects === MOST_REDIRECTS) throw this.#refused(`it redirects in a circle; check ${this.server.section}.dicomweb.url`)
      url = this.#followed(url, header('location'))
    }
  }

  async close (): Promise<void> {
    for (const one of this.#open) one.destroy(new Error('the connection is not needed any more'))
    this.#agent.destroy()
  }

  /** A connection that was kept open may be closed by the server in the moment in which it is used again: then another is taken. */
  async #request (url: string, options: RequestOptions): Promise<IncomingMessage> {
    for (;;) {
      const sent = this.#send(url, options)
      try {
        return await sent.answer
      } catch (error) {
        if (!sent.request.reusedSocket || !CLOSED.has(codeOf(error)) || options.signal.aborted) throw error
      }
    }
  }

  #send (url: string, { headers, signal, silenceMs }: RequestOptions): { request: ClientRequest, answer: Promise<IncomingMessage> } {
    const client = (url.startsWith('https:') ? tlsRequest : request)(url, { agent: this.#agent, headers, signal })
    this.#open.add(client)
    const silence = new Silence(silenceMs, client)
    client.once('close', () => {
      silence.end()
      this.#open.delete(client)
    })
    client.once('socket', socket => {
      if (!socket.connecting) return
      const timer = setTimeout(() => { client.destroy(new NoConnectionError(this.#connectTimeoutMs)) }, this.#connectTimeoutMs)
      const end = (): void => { clearTimeout(timer) }
      socket.once('encrypted' in socket ? 'secureConnect' : 'connect', end)
      socket.once('close', end)
    })
    const answer = new Promise<IncomingMessage>((resolve, reject) => {
      client.on('error', reject)
      client.once('response', message => {
        silence.watch(message)
        // whoever reads it is told by the reading
        message.on('error', () => {})
        resolve(message)
      })
    })
    client.end()
    return { request: client, answer }
  }

  #followed (from: string, location: string): string {
    const to = URL.canParse(location, from) ? new URL(location, from) : undefined
    if (to?.origin === this.#origin) return to.href
    throw this.#refused(`it redirects to ${to === undefined ? 'nowhere' : to.origin}, where our credentials do not go: set ${this.server.section}.dicomweb.url to where it really is`)
  }

  async #authorization (): Promise<string | undefined> {
    const { token, tokenFile, username, password, passwordFile } = this.server.credentials
    if (token !== '' || tokenFile !== '') {
      const bearer = tokenFile === '' ? token : await this.#secret(tokenFile, 'token_file')
      if (!HEADER_TEXT.test(bearer)) throw this.#refused(`the bearer token is empty or holds what a header cannot: check ${this.server.section}.dicomweb.token or token_file`)
      return `Bearer ${bearer}`
    }
    if (username === '') return undefined
    const secret = passwordFile === '' ? password : await this.#secret(passwordFile, 'password_file')
    // RFC 7617 2.1: UTF-8 is what servers that say anything ask for
    return `Basic ${Buffer.from(`${username}:${secret}`, 'utf8').toString('base64')}`
  }

  async #secret (path: string, key: string): Promise<string> {
    try {
      return (await readFile(path, 'utf8')).replace(/\r?\n$/, '')
    } catch {
      throw this.#refused(`${this.server.section}.dicomweb.${key} ${path} cannot be read`)
    }
  }

  #refused (what: string): MkisoError { return new MkisoError('PACS_REFUSED', `${this.server.name}: ${what}`) }
}

interface RequestOptions {
  headers: Record<string, string>
  signal: AbortSignal
  silenceMs: number
}

class SilenceError extends Error {}

class NoConnectionError extends Error {
  constructor (ms: number) { super(`no connection within ${ms / 1_000} s`) }
}

/** Nothing comes for so long. While it is we who do not read, since the disk is slow, nothing can. */
class Silence {
  readonly #timer: NodeJS.Timeout
  #lastMs = performance.now()
  #bytesRead = 0
  #message: IncomingMessage | undefined

  constructor (ms: number, client: ClientRequest) {
    this.#timer = setInterval(() => {
      const message = this.#message
      const { bytesRead = 0 } = client.socket ?? {}
      if (bytesRead !== this.#bytesRead || (message?.readableLength ?? 0) > 0) this.#lastMs = performance.now()
      this.#bytesRead = bytesRead
      if (performance.now() - this.#lastMs > ms) (message ?? client).destroy(new SilenceError('it says nothing'))
    }, Math.max(10, Math.min(ms / 4, 1_000))).unref()
  }

  watch (message: IncomingMessage): void { this.#message = message }

  end (): void { clearInterval(this.#timer) }
}

/** An error of a request, or of a body on its way, in words. */
export function noAnswerOf (error: unknown, silenceMs: number): NoAnswer {
  const code = codeOf(error)
  if (error instanceof SilenceError) return { kind: 'timeout', reason: `it says nothing for ${silenceMs / 1_000} s` }
  if (error instanceof NoConnectionError) return { kind: 'unreachable', reason: error.message }
  if (TLS_FAULT.test(code)) return { kind: 'unreachable', reason: `TLS: ${code}: ${TLS_ADVICE}` }
  if (UNREACHABLE.has(code)) return { kind: 'unreachable', reason: noAnswerShort(code) ?? code }
  if (CLOSED.has(code)) return { kind: 'broken', reason: 'it closed the connection' }
  return { kind: 'broken', reason: code === '' ? error instanceof Error ? error.message : String(error) : code }
}

const TLS_ADVICE = 'check ca, cert, key and server_name of its section dicomweb, and that it speaks TLS there'

/** A proxy may compress what nobody asked it to. */
function decoded (body: Readable, encoding: string): Readable {
  const decoder = { gzip: createGunzip, 'x-gzip': createGunzip, deflate: createInflate, br: createBrotliDecompress }[encoding.trim().toLowerCase()]
  if (decoder === undefined) return body
  // an end that comes too early is an error of the decoder's
  return pipeline(body, decoder(), () => {})
}
