/** Clients of every kind: patient ones, ones that leave, ones that read slowly; and the check that no disc is wrong. */
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { request } from 'undici'
import { ERRORS, type ErrorCode } from '../../src/errors.ts'
import type { Programs } from '../../src/process.ts'
import { digestsOfFolder, pictureFaults } from './judge.ts'

export interface Outcomes {
  discs: number
  bytes: number
  /** Of what kind the discs were: ISO or ZIP, of one number or several, read slowly, of which archive. */
  kinds: Map<string, number>
  left: number
  /** Errors of the table, by code. */
  errors: Map<string, number>
  prints: number
  /** What must not be: each a sentence. */
  wrong: string[]
}

export interface ClientOptions {
  url: () => string
  programs: Programs
  folder: string
  /** Of an accession number: SOP Instance UID to the SHA-256 of its pixel data. */
  expected: ReadonlyMap<string, ReadonlyMap<string, string>>
  outcomes: Outcomes
  random: () => number
  /** No connection is what a client may meet while the service is restarted. */
  restarting: () => boolean
}

/** Errors that a fault of the surroundings never explains. */
const INEXCUSABLE = new Set<string>(['INTERNAL', 'INVALID_REQUEST', 'UNAUTHORIZED', 'DIFFERENT_PATIENTS', 'TOO_MANY_REQUESTS', 'NO_DICOM_DATA'])
/** Images that were taken apart and found right, by their SHA-256. */
const known = new Map<string, string>()

export async function act (options: ClientOptions): Promise<void> {
  const { random, expected } = options
  const numbers = [...expected.keys()]
  const any = (): string => numbers[Math.floor(random() * numbers.length)] ?? ''
  const dice = random()
  if (dice < 0.4) await download(options, [any()])
  else if (dice < 0.55) await download(options, [any()], { format: 'zip' })
  else if (dice < 0.65) await download(options, [...new Set([any(), any()])])
  else if (dice < 0.85) await download(options, [any()], { leaveAfterMs: random() * 2_500 })
  else if (dice < 0.9) await download(options, [any()], { slowMs: 20 })
  else if (dice < 0.95) await print(options, any())
  else await nonsense(options)
}

interface Manner { leaveAfterMs?: number, slowMs?: number, format?: 'iso' | 'zip' }

/** @returns true for a right disc */
export async function download (options: ClientOptions, accessionNumbers: readonly string[], { leaveAfterMs, slowMs, format = 'iso' }: Manner = {}): Promise<boolean> {
  const { outcomes, expected } = options
  const query = accessionNumbers.length > 1 ? `download-multiple?accession_numbers=${accessionNumbers.join(',')}` : `download?accession_number=${accessionNumbers[0] ?? ''}`
  const path = `${query}&format=${format}`
  const leaving = new AbortController()
  const timer = leaveAfterMs === undefined ? undefined : setTimeout(() => { leaving.abort() }, leaveAfterMs)
  try {
    const answer = await request(`${options.url()}/api/iso/${path}`, { signal: leaving.signal, headersTimeout: 180_000, bodyTimeout: 60_000 })
    const chunks: Buffer[] = []
    for await (const chunk of answer.body) {
      chunks.push(chunk as Buffer)
      if (slowMs !== undefined) await delay(slowMs)
    }
    const body = Buffer.concat(chunks)
    if (answer.statusCode !== 200) { tell(outcomes, answer.statusCode, body, path); return false }
    // a ZIP begins before anybody knows how long it will be
    if (format === 'iso' && body.length !== Number(answer.headers['content-length'])) outcomes.wrong.push(`${path}: ${body.length} bytes instead of ${String(answer.headers['content-length'])}`)
    const truth = new Map(accessionNumbers.flatMap(one => [...expected.get(one) ?? []]))
    const fault = await judge(options, body, truth, format)
    if (fault !== undefined) outcomes.wrong.push(`${path}: ${fault}`)
    outcomes.discs++
    for (const kind of [format, ...accessionNumbers.length > 1 ? ['of several numbers'] : [], ...slowMs === undefined ? [] : ['read slowly'],
      ...new Set(accessionNumbers.map(one => `with ${one.replace(/\.\d+$/, '')}`))]) outcomes.kinds.set(kind, (outcomes.kinds.get(kind) ?? 0) + 1)
    outcomes.bytes += body.length
    return fault === undefined
  } catch (error) {
    // a stream that ends early is an error to a client, never a whole file
    if (leaving.signal.aborted) outcomes.left++
    else if (!options.restarting()) count(outcomes, `connection: ${(error as NodeJS.ErrnoException).code ?? String(error)}`)
    return false
  } finally { clearTimeout(timer) }
}

async function judge ({ programs, folder }: ClientOptions, body: Buffer, truth: ReadonlyMap<string, string>, format: 'iso' | 'zip'): Promise<string | undefined> {
  const digest = createHash('sha256').update(body).digest('hex')
  const wanted = [...truth].map(([uid, sha]) => `${uid} ${sha}`).sort().join()
  if (known.get(digest) === wanted) return undefined
  const work = mkdtempSync(join(folder, 'judge_'))
  try {
    const file = join(work, `disc.${format}`)
    writeFileSync(file, body)
    const root = join(work, 'root')
    const found = (await digestsOfFolder(file, root, format, programs)).sort().join()
    if (found !== wanted) return `${found.split(',').length} images instead of ${truth.size}, or other ones`
    const pictures = pictureFaults(root, format, new Set(truth.values()))
    if (pictures !== undefined) return pictures
    known.set(digest, wanted)
    if (known.size > 1_000) known.clear()
    return undefined
  } catch (error) {
    return `it cannot be read: ${String(error)}`
  } finally { rmSync(work, { recursive: true, force: true }) }
}

async function print (options: ClientOptions, accessionNumber: string): Promise<void> {
  const { outcomes, expected } = options
  const path = `print?accession_number=${accessionNumber}`
  try {
    const answer = await request(`${options.url()}/api/iso/${path}`, { method: 'POST', headersTimeout: 180_000 })
    const body = Buffer.from(await answer.body.arrayBuffer())
    if (answer.statusCode !== 200) { tell(outcomes, answer.statusCode, body, path); return }
    const { files_sent: sent } = JSON.parse(body.toString()) as { files_sent: number }
    outcomes.prints++
    if (sent !== expected.get(accessionNumber)?.size) outcomes.wrong.push(`${path}: ${sent} images sent instead of ${expected.get(accessionNumber)?.size ?? 0}`)
  } catch (error) {
    if (!options.restarting()) count(outcomes, `connection: ${(error as NodeJS.ErrnoException).code ?? String(error)}`)
  }
}

async function nonsense (options: ClientOptions): Promise<void> {
  const { outcomes } = options
  try {
    const answer = await request(`${options.url()}/api/iso/download?accession_number=${encodeURIComponent(['*', 'NONE', '', 'A\\B'][Math.floor(options.random() * 4)] ?? '')}`)
    await answer.body.dump()
    // with a PACS that cannot be reached nobody knows whether it holds NONE
    if (answer.statusCode === 200 || answer.statusCode === 500) outcomes.wrong.push(`nonsense was answered with ${answer.statusCode}`)
  } catch (error) {
    if (!options.restarting()) count(outcomes, `connection: ${(error as NodeJS.ErrnoException).code ?? String(error)}`)
  }
}

function tell (outcomes: Outcomes, status: number, body: Buffer, path: string): void {
  let code = ''
  try { code = String((JSON.parse(body.toString()) as { code?: string }).code) } catch { /* told below */ }
  count(outcomes, code)
  if (!(code in ERRORS) || ERRORS[code as ErrorCode].status !== status || INEXCUSABLE.has(code)) outcomes.wrong.push(`${path}: ${status} ${body.toString('utf8', 0, 300)}`)
}

function count (outcomes: Outcomes, key: string): void {
  outcomes.errors.set(key, (outcomes.errors.get(key) ?? 0) + 1)
}
