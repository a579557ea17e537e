/** A disc from the service, as a page gets it: made ready while it tells how far it is, then fetched. */
import type { Readable } from 'node:stream'
import { request } from 'undici'
import type { ActivityState } from '../http/activity-state.ts'
import { ERRORS, type ErrorCode } from '../errors.ts'
import type { DiscFormat } from '../disc/discs.ts'
import { PASSWORD_HEADER } from '../http/disc-format.ts'
import type { ErrorBody } from '../http/schemas.ts'
import { EXIT } from './exit-codes.ts'
import type { Source } from './source.ts'

/** No disc, with the sentences to print. */
export class RefusedError extends Error {
  readonly exitCode: number
  constructor (message: string, exitCode: number) {
    super(message)
    this.exitCode = exitCode
  }
}

export interface Download {
  body: Readable
  sizeBytes: number
  /** DICOM files that are on the disc. */
  images: number
  warnings: string[]
}

export interface DownloadOptions {
  accessionNumbers: readonly string[]
  /** Of a set. */
  disc: string | undefined
  format: DiscFormat
  /** Of a ZIP. */
  password: string | undefined
  signal: AbortSignal
  onState: (state: ActivityState) => void
}

type State = ActivityState & { link?: string }

const PROGRESS = '/api/iso/progress'
/** The service says something every ten seconds. */
const SILENCE_MS = 60_000
const GOODBYE_MS = 2_000

/**
 * @throws RefusedError
 * @throws the signal's reason
 */
export async function download (source: Source, options: DownloadOptions): Promise<Download> {
  const { accessionNumbers, disc, format, password, signal } = options
  const url = new URL(PROGRESS, source.url)
  url.searchParams.set('accession_number', accessionNumbers.join(','))
  if (disc !== undefined) url.searchParams.set('disc', disc)
  if (format === 'zip') url.searchParams.set('format', format)
  const link = await prepare(source, url, options)
  const { statusCode, headers, body } = await ask(source, new URL(link, source.url), signal, password === undefined ? {} : { [PASSWORD_HEADER]: password })
  if (statusCode !== 200) throw refused(statusCode, await body.text(), source)
  const count = (name: string): number => Number(headers[name] ?? 0)
  return {
    body,
    sizeBytes: count('content-length'),
    images: count('x-mkiso-images'),
    warnings: [
      ...missing(headers['x-mkiso-missing']),
      ...(headers['x-mkiso-archive-silent'] === undefined ? [] : [`warning: ${String(headers['x-mkiso-archive-silent'])} did not answer; images that only it holds cannot be ruled out`]),
      ...(count('x-mkiso-not-listed') > 0 ? [`warning: the DICOMDIR does not list ${count('x-mkiso-not-listed')} files; README.TXT names them`] : []),
      ...(count('x-mkiso-discs') > 1 ? [`this is disc ${disc ?? '1'} of ${count('x-mkiso-discs')}`] : [])
    ]
  }
}

/** @param header how many, or `unknown` where nothing that the PACS says could tell */
function missing (header: string | string[] | undefined): string[] {
  if (header === undefined) return []
  const what = header === 'unknown' ? 'nobody can tell whether images are missing' : `${String(header)} images are missing`
  return [`warning: ${what}, which disc.allow_incomplete lets through`]
}

/** Follows the disc until it is ready. @returns the link to it */
async function prepare (source: Source, url: URL, { format, signal, onState }: DownloadOptions): Promise<string> {
  const { statusCode, body } = await ask(source, url, signal)
  if (statusCode !== 200) throw refused(statusCode, await body.text(), source)
  let id: string | undefined
  try {
    for await (const state of events(body)) {
      id = state.id
      onState(state)
      if (state.error !== undefined) throw refused(ERRORS[state.error.code].status, JSON.stringify(state.error), source)
      // a ZIP could be fetched before; whoever verifies it wants to know its size, and on this machine nothing is gained
      if (state.link !== undefined && (format !== 'zip' || state.size_bytes !== undefined)) return state.link
      if (state.outcome !== undefined) throw new RefusedError(`the disc was given up (${state.outcome}${state.cancelled_by === undefined ? '' : ` by the ${state.cancelled_by}`})`, EXIT.failed)
    }
  } catch (error) {
    if (signal.aborted && id !== undefined) await giveUp(source, url, id)
    signal.throwIfAborted()
    throw error instanceof RefusedError ? error : silent(source, error)
  }
  throw silent(source, new Error('it has closed the connection'))
}

/** Server-Sent Events, of which only the data counts. */
async function * events (body: Readable): AsyncGenerator<State> {
  let rest = ''
  body.setEncoding('utf8')
  for await (const text of body as AsyncIterable<string>) {
    const blocks = (rest + text).split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) if (block.startsWith('data: ')) yield JSON.parse(block.slice('data: '.length)) as State
  }
}

async function ask (source: Source, url: URL, signal: AbortSignal, headers: Record<string, string> = {}): ReturnType<typeof request> {
  try {
    return await request(url, { headers: { ...source.headers, ...headers }, headersTimeout: SILENCE_MS, bodyTimeout: SILENCE_MS, signal })
  } catch (error) {
    signal.throwIfAborted()
    throw silent(source, error)
  }
}

/** The service would wait for us for a while. */
async function giveUp (source: Source, progress: URL, id: string): Promise<void> {
  const url = new URL(progress)
  url.searchParams.set('id', id)
  try {
    const { body } = await request(url, { method: 'DELETE', headers: source.headers, signal: AbortSignal.timeout(GOODBYE_MS) })
    await body.dump()
  } catch { /* it finds out by itself */ }
}

function silent (source: Source, error: unknown): RefusedError {
  return new RefusedError(`the service at ${source.url} does not answer any more (${error instanceof Error ? error.message : String(error)})`, EXIT.failed)
}

function refused (status: number, text: string, source: Source): RefusedError {
  let body: Partial<ErrorBody> = {}
  try { body = JSON.parse(text) as typeof body } catch { /* something between us and the service */ }
  const code = Object.keys(ERRORS).find((known): known is ErrorCode => known === body.code)
  const what = [body.error ?? `the service answered ${status}`, body.detail].filter(part => part !== undefined && part !== '').join(': ')
  const lines = [what, adviceFor(code, status, body, source), body.request_id === undefined ? '' : `request id ${body.request_id}`]
  return new RefusedError(lines.filter(line => line !== '').join('\n       '), status >= 500 ? EXIT.failed : EXIT.refused)
}

function adviceFor (code: ErrorCode | undefined, status: number, body: Partial<ErrorBody>, source: Source): string {
  if (code === 'UNAUTHORIZED') return `the service at ${source.url} needs a key that the configuration does not hold in the clear: give it with --key-file FILE`
  if (code === 'DISC_TOO_SMALL') return `make each of the ${body.discs?.length ?? ''} discs: --disc 1, --disc 2 ...`
  if (status >= 500) return 'mkiso doctor tells what is wrong'
  return code === undefined ? '' : ERRORS[code].advice
}
