/**
 * The HTTP side of a DICOMweb server: its connections, who we are, redirects, and what can go wrong before there is an answer. It belongs to the archive,
 * which closes it.
 */
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { pipeline, type Readable } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { Agent, errors, request } from 'undici'
import { MkisoError } from '../../errors.ts'
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
  'ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENETDOWN', 'ETIMEDOUT', 'EADDRNOTAVAIL', 'UND_ERR_CONNECT_TIMEOUT'
])
const SILENT: ReadonlySet<string> = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT'])
/** What Node says of a certificate: names of X509_V_ERR_* (OpenSSL), of TLS alerts, and of a wrong host name. */
const TLS_FAULT = /^(?:CERT_|ERR_TLS_|ERR_SSL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|EPROTO$|HOSTNAME_MISMATCH$)/
/** What may stand in a header. */
const HEADER_TEXT = /^[\x21-\x7e]+$/

export class DicomwebConnection {
  readonly server: DicomwebServer
  readonly #agent: Agent
  readonly #base: string
  readonly #origin: string

  /** @throws what reading its key and certificates throws */
  constructor (server: DicomwebServer) {
    const { url, tls: { ca, cert, key, verify, serverName }, connectTimeoutMs, connections } = server
    this.server = server
    this.#base = url.replace(/\/+$/, '')
    this.#origin = new URL(url).origin
    this.#agent = new Agent({
      connections,
      pipelining: 1,
      connect: {
        timeout: connectTimeoutMs,
        rejectUnauthorized: verify,
        ...(ca === '' ? {} : { ca: readFileSync(ca) }),
        ...(cert === '' ? {} : { cert: readFileSync(cert), key: readFileSync(key) }),
        ...(serverName === '' ? {} : { servername: serverName })
      }
    })
  }

  /**
   * Redirects are followed within the same origin only: a token goes to nobody else.
   * @throws MkisoError PACS_REFUSED for a redirect to elsewhere, and for a secret that cannot be read
   * @throws the signal's reason
   */
  async get ({ path, accept, signal, silenceMs }: HttpRequest): Promise<HttpAnswer | NoAnswer> {
    let url = `${this.#base}${path}`
    const authorization = await this.#authorization()
    for (let redirects = 0; ; redirects++) {
      let answer: Awaited<ReturnType<typeof request>>
      try {
        answer = await request(url, {
          dispatcher: this.#agent,
          signal,
          headersTimeout: silenceMs,
          bodyTimeout: silenceMs,
          // what a cache on the way still has may be short of what has come since
          headers: { accept, 'accept-encoding': 'identity', 'cache-control': 'no-cache', ...(authorization === undefined ? {} : { authorization }) }
        })
      } catch (error) {
        signal.throwIfAborted()
        return noAnswerOf(error, silenceMs)
      }
      const header = (name: string): string => [answer.headers[name] ?? ''].flat().join(', ')
      if (!REDIRECTS.has(answer.statusCode)) return { kind: 'answered', status: answer.statusCode, header, body: decoded(answer.body, header('content-encoding')) }
      answer.body.on('error', () => {})
      answer.body.destroy()
      if (redirects === MOST_REDIRECTS) throw this.#refused(`it redirects in a circle; check ${this.server.section}.dicomweb.url`)
      url = this.#followed(url, header('location'))
    }
  }

  async close (): Promise<void> { await this.#agent.destroy() }

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

/** An error of a request, or of a body on its way, in words. */
export function noAnswerOf (error: unknown, silenceMs: number): NoAnswer {
  const code = codeOf(error)
  if (SILENT.has(code) || (error instanceof Error && error.name === 'TimeoutError')) return { kind: 'timeout', reason: `it says nothing for ${silenceMs / 1_000} s` }
  if (TLS_FAULT.test(code)) return { kind: 'unreachable', reason: `TLS: ${code}: ${TLS_ADVICE}` }
  if (UNREACHABLE.has(code)) return { kind: 'unreachable', reason: code === 'ECONNREFUSED' ? 'connection refused' : code }
  if (error instanceof errors.SocketError) return { kind: 'broken', reason: 'it closed the connection' }
  return { kind: 'broken', reason: code === '' ? error instanceof Error ? error.message : String(error) : code }
}

const TLS_ADVICE = 'check ca, cert, key and server_name of its section dicomweb, and that it speaks TLS there'

function codeOf (error: unknown): string {
  if (!(error instanceof Error)) return ''
  // several addresses were tried
  if (error instanceof AggregateError && !('code' in error)) return codeOf(error.errors[0])
  return 'code' in error && typeof error.code === 'string' ? error.code : codeOf(error.cause)
}

/** A proxy may compress what nobody asked it to. */
function decoded (body: Readable, encoding: string): Readable {
  const decoder = { gzip: createGunzip, 'x-gzip': createGunzip, deflate: createInflate, br: createBrotliDecompress }[encoding.trim().toLowerCase()]
  if (decoder === undefined) return body
  // an end that comes too early is an error of the decoder's
  return pipeline(body, decoder(), () => {})
}
