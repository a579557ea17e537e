/** findscu: C-FIND in the Study Root model (PS3.4 C.4.1), answers as plain values, and how the query ended. */
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { MkisoError } from '../errors.ts'
import { isDiskFull } from '../disk.ts'
import type { RunResult } from '../process.ts'
import { readObject } from '../dicom/part10.ts'
import { Distinct, NotWellFormedError, readAnswers, TooManyWantedError, trimmed, ValueTooLongError, type Answer } from './answers.ts'
import { endpointArguments, throughTunnel } from './tunnel.ts'
import {
  ASKING_ENVIRONMENT, associationFaultOf, isUnanswered, lastLines, networkArguments, type AssociationFault, type Peer, type ToolContext
} from './peer.ts'

export type { Answer } from './answers.ts'

export type QueryLevel = 'STUDY' | 'SERIES' | 'IMAGE'

export interface Query {
  level: QueryLevel
  callingAeTitle: string
  /**
   * Tag to the value that must match; an empty value asks for the attribute. (0008,0005) is always asked for: Sante answers it only then
   * (measured).
   */
  keys: Readonly<Record<string, string>>
  /** Longest wait for the answers, in milliseconds. */
  timeoutMs: number
  /** The query is cancelled after so many answers; undefined for all of them. */
  atMost?: number | undefined
  /** Answers that are read at all; more of them end the query. Default: {@link MOST_ANSWERS}. */
  mostAnswers?: number | undefined
  /** False for an answer that was not asked for: it is counted, and not kept. */
  wanted?: ((answer: Answer) => boolean) | undefined
  /** Answers that are wanted at all; more of them end the query. */
  mostWanted?: number | undefined
  /** A folder for the answers, which findscu can only give as a file. */
  tempDir: string
  signal?: AbortSignal | undefined
}

/** A list with more answers is not one of a study: the archive ignores the keys, or never ends. 200,000 once cost 1.2 GB of memory. */
export const MOST_ANSWERS = 100_000

/** Of all answers in one file: 2.5 KB for each of the most. A PACS that writes values of megabytes fills no disk. */
export const LARGEST_ANSWERS_BYTES = 256 * 1024 ** 2

/**
 * Where each answer is a file of its own: 640 MiB in all. Only answers with texts are read so, studies and series, of which no archive has so many for
 * one accession number.
 */
const MOST_ANSWER_FILES = 10_000
const LARGEST_ANSWER_FILE_BYTES = 64 * 1024

/** Answers that an archive gave. */
export interface Answers {
  kind: 'answers'
  /** Each once: those that are alike in every value count once. */
  answers: Answer[]
  /** Answers that were not {@link Query.wanted}. */
  unwanted: number
  /**
   * `success`: these are all. `limit`: the archive has more and says so, by its {@link Answers.status}: 0xFE00 (cancelled, though nobody
   * did; Orthanc's LimitFindResults and LimitFindInstances), 0xA700 (out of resources), or a warning (0xBxxx).
   */
  end: 'success' | 'limit'
  /** As `0xFE00`; `0x0000` for success. */
  status: string
}

export type FindResult =
  | Answers
  /** The archive refused the query: a level that it does not answer, say. `status` as `0xA900`; `0xCxxx` where findscu tells no more. */
  | { kind: 'refused', status: string, reason: string }
  /** It answered more than {@link Query.mostAnswers}, or, when all of them match, than {@link Query.mostWanted}. */
  | { kind: 'too-many', most: number, matching: boolean }
  /** They are longer than anybody reads, all together or one of them. */
  | { kind: 'too-long', reason: string }
  | { kind: 'no-association', fault: AssociationFault }
  | { kind: 'timeout' }

const SPECIFIC_CHARACTER_SET = '0008,0005'

/**
 * Asks a peer.
 * @throws ToolMissingError
 * @throws MkisoError PACS_REFUSED where an answer cannot be read, INSUFFICIENT_DISK_SPACE where answers cannot be written
 * @throws the signal's reason
 */
export async function findscu (context: ToolContext, peer: Peer, query: Query): Promise<FindResult> {
  const folder = await mkdtemp(join(query.tempDir, 'find_'))
  try {
    const file = join(folder, 'answers.xml')
    const asked = await ask(context, peer, query, folder, ['-Xs', file])
    if (!('pending' in asked)) return asked
    const tags = new Set(Object.keys(query.keys).map(tag => tag.toLowerCase()))
    const read = await readAnswers(file, tags, query.wanted, query.mostWanted).catch((error: unknown) => {
      if (error instanceof ValueTooLongError || error instanceof TooManyWantedError) return error
      if (!(error instanceof NotWellFormedError)) throw error
      context.log.warn({ err: error }, 'the answers to C-FIND are not well-formed XML; they are asked for as files')
      return undefined
    })
    if (read instanceof TooManyWantedError) return { kind: 'too-many', most: read.most, matching: true }
    if (read instanceof ValueTooLongError) return { kind: 'too-long', reason: read.message }
    const { pending, end, status } = asked
    if (read?.total === pending) return { kind: 'answers', answers: read.kept, unwanted: read.unwanted, end, status }
    // findscu loses an answer in ISO 2022 IR 87 (Japanese) with glibc's iconv, and ends with Success (measured): a study would be missing
    return await answersAsFiles(context, peer, query, folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** What was said beside the answers. */
interface Asked {
  /** Answers that came. */
  pending: number
  end: Answers['end']
  status: string
}

type AskedResult = Asked | Exclude<FindResult, Answers>

/** @param largestBytes of each file that is written */
async function ask (context: ToolContext, peer: Peer, query: Query, folder: string, output: readonly string[], largestBytes = LARGEST_ANSWERS_BYTES): Promise<AskedResult> {
  const { level, keys, atMost, mostAnswers = MOST_ANSWERS, signal, timeoutMs } = query
  // in which the values of the query itself are written (PS3.4 C.2.2.2); of ASCII nothing needs to be said
  const characterSet = Object.values(keys).some(value => /[^\p{ASCII}]/u.test(value)) ? 'ISO_IR 192' : ''
  const options = Object.entries({ [SPECIFIC_CHARACTER_SET]: characterSet, '0008,0052': level, ...keys })
    .flatMap(([tag, value]) => ['-k', value === '' ? tag : `${tag}=${value}`])
  // -v -sr: the final status is printed, the answers (a patient's data) are not
  // -xi: implicit VR only, which every archive takes (PS3.5 10.1): CTN accepts explicit VR for a query and reads it as implicit (measured)
  const args = ['-v', '-sr', '-S', '-xi', '-aet', query.callingAeTitle, '-aec', peer.aeTitle, ...networkArguments(peer, timeoutMs),
    ...(atMost === undefined ? [] : ['--cancel', String(atMost)]), ...options, ...output, ...await endpointArguments(context, peer)]
  const tooMany = new AbortController()
  let pending = 0
  let final: string | undefined
  // its output is only kept in part, and thousands of answers are thousands of lines
  const onLine = (line: string): void => {
    if (/^I: Received Find Response \d+ \(Pending/.test(line)) {
      if (++pending > mostAnswers) tooMany.abort()
      return
    }
    final ??= /^I: Received Final Find Response \((.+)\)/.exec(line)?.[1]
  }
  signal?.throwIfAborted()
  const startedAt = performance.now()
  const result = await context.programs.run(context.dcmtk.findscu, args, {
    signal: signal === undefined ? tooMany.signal : AbortSignal.any([signal, tooMany.signal]),
    timeoutMs: timeoutMs + peer.connectTimeoutMs,
    // findscu refuses to start where it may not write its working directory, whatever -od and -Xs say: the root of a container (measured)
    cwd: folder,
    env: ASKING_ENVIRONMENT,
    limits: { fileBytes: largestBytes },
    onLine
  }).catch((error: unknown) => {
    if (tooMany.signal.aborted && signal?.aborted !== true) return undefined
    throw error
  })
  if (result === undefined) {
    context.log.warn({ query_level: level, pacs: peer.aeTitle, answers: pending }, 'findscu ended: too many answers')
    context.onOperation?.({ name: 'C-FIND', peer: peer.aeTitle, durationMs: Math.round(performance.now() - startedAt), ok: false })
    return { kind: 'too-many', most: mostAnswers, matching: false }
  }
  const fields = { query_level: level, pacs: peer.aeTitle, answers: pending, duration_ms: result.durationMs, exit_code: result.exitCode }
  context.log.debug(fields, 'findscu ended')
  context.onOperation?.({ name: 'C-FIND', peer: peer.aeTitle, durationMs: result.durationMs, ok: final?.startsWith('Success') === true })
  // the kernel ends it at the limit (SIGXFSZ), in the middle of an answer
  if (await isCutOff(folder, largestBytes)) {
    context.log.warn(fields, 'findscu ended: its answers are too long')
    return { kind: 'too-long', reason: `${pending} answers have more than ${Math.floor(largestBytes / 1024)} KiB` }
  }
  if (result.stopCause === 'timeout') return { kind: 'timeout' }
  if (final === undefined) return withoutStatus(context, peer, result)
  const status = statusOf(final)
  if (status === '0x0000') return { pending, end: 'success', status }
  // 0xFE00 is the answer to our cancel
  if (status === '0xFE00' && atMost !== undefined && pending >= atMost) return { pending, end: 'success', status }
  if (status === '0xFE00' || status === '0xA700' || /^0x(?:B...|0001)$/.test(status)) return { pending, end: 'limit', status }
  return { kind: 'refused', status, reason: final }
}

async function isCutOff (folder: string, largestBytes: number): Promise<boolean> {
  for (const name of await readdir(folder)) if ((await stat(join(folder, name))).size >= largestBytes) return true
  return false
}

function withoutStatus (context: ToolContext, peer: Peer, result: RunResult): FindResult & { kind: 'timeout' | 'no-association' } {
  if (isUnanswered(result)) return { kind: 'timeout' }
  const fault = associationFaultOf(result)
  if (fault !== undefined) return { kind: 'no-association', fault: throughTunnel(context, peer, fault) }
  return { kind: 'no-association', fault: { kind: 'broken', reason: lastLines(result) || `findscu ended with ${result.exitCode}` } }
}

/** findscu prints a status of C-FIND (PS3.4 Table C.4-1) as text (DCMTK 3.6.7, measured); what it does not know as a number. */
const STATUS: ReadonlyArray<readonly [RegExp, string]> = [
  [/^Success/, '0x0000'], [/^Cancel/, '0xFE00'], [/^Refused: OutOfResources/, '0xA700'], [/^Refused: SOPClassNotSupported/, '0x0122'],
  [/DataSetDoesNotMatchSOPClass|IdentifierDoesNotMatchSOPClass/, '0xA900'], [/UnableToProcess/, '0xCxxx']
]

function statusOf (text: string): string {
  const number = /0x([0-9a-f]{1,4})/i.exec(text)?.[1]
  if (number !== undefined) return `0x${number.toUpperCase().padStart(4, '0')}`
  return STATUS.find(([pattern]) => pattern.test(text))?.[1] ?? text
}

/** The same query once more with each answer as a DICOM file, which we decode ourselves. */
async function answersAsFiles (context: ToolContext, peer: Peer, query: Query, folder: string): Promise<FindResult> {
  // what was no XML is still there
  await rm(join(folder, 'answers.xml'), { force: true })
  const mostAnswers = Math.min(query.mostAnswers ?? MOST_ANSWERS, MOST_ANSWER_FILES)
  const asked = await ask(context, peer, { ...query, mostAnswers }, folder, ['-X', '-od', folder], LARGEST_ANSWER_FILE_BYTES)
  if (!('pending' in asked)) return asked
  const names = (await readdir(folder)).filter(name => name.endsWith('.dcm')).sort()
  // images of other requests may have filled it, or of this one
  if (await isDiskFull(folder)) throw new MkisoError('INSUFFICIENT_DISK_SPACE', 'iso.temp_dir is full')
  if (names.length < asked.pending) {
    throw new MkisoError('PACS_REFUSED', `${asked.pending} answers to C-FIND, of which ${names.length} could be read`)
  }
  const tags = Object.keys(query.keys)
  const numbers = new Set(tags.map(tagNumber))
  const answers = new Distinct(query.wanted)
  for (const name of names) {
    const { attributes } = await readObject(join(folder, name), numbers)
    answers.add(new Map(tags.flatMap(tag => {
      const text = attributes.text(tagNumber(tag))
      return text === undefined ? [] : [[tag, trimmed(text)] as const]
    })))
  }
  return { kind: 'answers', answers: answers.kept, unwanted: answers.unwanted, end: asked.end, status: asked.status }
}

function tagNumber (tag: string): number {
  return Number.parseInt(tag.replace(',', ''), 16)
}
