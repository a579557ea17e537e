/**
 * One list of QIDO-RS (PS3.18 10.6), in pages, with how far it can be believed. A page that is short is not the end: servers have limits of their own, and
 * Orthanc cuts an answer off without a word (LimitFindInstances, measured). So the next question begins one answer back: its first answer has to be the
 * last one that is known. A server that ignores the offset, skips, or whose list changed meanwhile, does not pass that; the list ends where the answer
 * that is known comes alone.
 */
import type { Asking } from '../archive.ts'
import type { ToolContext } from '../../dcmtk/peer.ts'
import { MkisoError } from '../../errors.ts'
import type { AssociationLimit } from '../dimse/association-limit.ts'
import { noAnswerOf, type DicomwebConnection, type HttpAnswer, type NoAnswer } from './connection.ts'
import { JsonAnswer, noJson, NoJsonError, readAnswers } from './json-answer.ts'
import { faultOf, refusalOf, type Asked, type Busy, type Refused } from './refusal.ts'
import { inTurn } from './turn.ts'

export interface SearchContext {
  connection: DicomwebConnection
  limit: AssociationLimit
  onOperation?: ToolContext['onOperation']
}

/**
 * How a list ended. `whole`: nothing speaks against it. `told`: the server says that there is more (206, `Warning: 299`, PS3.18 8.3.4.4), and does not give
 * it. `unsteady`: its pages do not fit together, or an answer cannot be understood. `repeats`: it answers the same whatever the offset.
 */
export type ListEnd = 'whole' | 'told' | 'unsteady' | 'repeats'

export interface List {
  kind: 'list'
  /** Each once, in the order in which they came. */
  answers: JsonAnswer[]
  end: ListEnd
}

export interface Search {
  /** `/studies/1.2/series` */
  path: string
  /** Beside paging, as `name=value`, encoded. */
  query: readonly string[]
  /** The same text for the same thing, undefined where it cannot be told what it is. */
  keyOf: (answer: JsonAnswer) => string | undefined
  /** So many there are, by another witness: a list of so many needs no further question. */
  expected?: number | undefined
  /** So many are enough: no further page is asked for. */
  atMost?: number | undefined
  /** As {@link inTurn}. */
  queueTimeoutMs: number | undefined
}

/** As C-FIND: more answers are no answer. */
export const MOST_ANSWERS = 100_000
/** Of one page. */
const MOST_PAGE_BYTES = 32 * 1024 ** 2
/** Of all pages of a list: a server that gives one answer of megabytes at a time would be read without end. */
export const MOST_LIST_BYTES = 128 * 1024 ** 2
/** A list that changes while it is read is read again. */
const TRIES = 2
const JSON_TYPES = 'application/dicom+json, application/json;q=0.5'

/**
 * @throws MkisoError PACS_UNREACHABLE, PACS_TIMEOUT, TOO_MANY_CONCURRENT; PACS_REFUSED for what is no list, for one without end, and for 401 and 403
 * @throws the signal's reason
 */
export async function search (context: SearchContext, question: Search, asking: Asking): Promise<List | Refused> {
  let all: List | undefined
  for (let tries = 0; tries < TRIES; tries++) {
    const list = await new Pages(context, question, asking).read()
    if (list.kind === 'refused') return list
    // what any of them names was there
    const answers = all === undefined ? list.answers : union(all.answers, list.answers, question.keyOf)
    if (list.end !== 'unsteady') return { ...list, answers, end: list.end === 'whole' && answers.length !== list.answers.length ? 'unsteady' : list.end }
    all = { ...list, answers }
  }
  if (all === undefined) throw new Error('nothing was asked')
  return all
}

function union (first: readonly JsonAnswer[], later: readonly JsonAnswer[], keyOf: Search['keyOf']): JsonAnswer[] {
  const known = new Map<string | undefined, JsonAnswer>()
  for (const answer of [...later, ...first]) if (!known.has(keyOf(answer))) known.set(keyOf(answer), answer)
  return [...known.values()]
}

interface Page { kind: 'page', answers: JsonAnswer[], isMoreTold: boolean, isDoubtful: boolean }

/** One reading of a list. */
class Pages {
  readonly #context: SearchContext
  readonly #question: Search
  readonly #asking: Asking
  readonly #known = new Map<string, JsonAnswer>()
  readonly #nameless: JsonAnswer[] = []
  /** The keys of the page before. */
  #before: Array<string | undefined> = []
  #largest = 0
  #count = 0
  #bytes = 0

  constructor (context: SearchContext, question: Search, asking: Asking) {
    this.#context = context
    this.#question = question
    this.#asking = asking
  }

  async read (): Promise<List | Refused> {
    const first = await this.#page(0)
    if (first.kind === 'refused') return first
    let isDoubtful = !this.#take(first.answers) || first.isDoubtful
    let { isMoreTold } = first
    while (this.#count > 0) {
      // everybody agrees: the usual case costs one question
      if (!isMoreTold && !isDoubtful && this.#count === this.#question.expected) break
      if (this.#count >= (this.#question.atMost ?? Infinity)) return this.#list('told')
      // one that gives one answer at a time would give the known one for ever
      const back = this.#largest > 1 ? 1 : 0
      const page = await this.#page(this.#count - back)
      if (page.kind === 'refused') {
        // beyond the end there is nothing; where there was an answer a moment ago, there should be one
        if (back === 0 && page.status === 404) break
        return this.#list(isMoreTold ? 'told' : 'unsteady')
      }
      isDoubtful ||= page.isDoubtful
      const keys = page.answers.map(this.#question.keyOf)
      if (keys.length > 0 && this.#repeats(keys)) return this.#list(isMoreTold || page.isMoreTold ? 'told' : 'repeats')
      const [last] = this.#before.slice(-1)
      const fits = back === 0 || (keys.length > 0 && keys[0] === last)
      const more = page.answers.slice(fits ? back : 0)
      const grew = this.#take(more, keys)
      if (!fits || !grew) return this.#list(isMoreTold ? 'told' : 'unsteady')
      if (more.length === 0) break
      isMoreTold = page.isMoreTold
    }
    return this.#list(isMoreTold ? 'told' : isDoubtful ? 'unsteady' : 'whole')
  }

  #list (end: ListEnd): List { return { kind: 'list', answers: [...this.#known.values(), ...this.#nameless], end } }

  /** It has answered with the page before, though other answers were asked for. */
  #repeats (keys: ReadonlyArray<string | undefined>): boolean {
    return keys.length === this.#before.length && keys.every((key, index) => key !== undefined && key === this.#before[index]) &&
      (keys.length > 1 || this.#largest === 1)
  }

  /** @returns false when one of them was known, or cannot be told from others */
  #take (answers: readonly JsonAnswer[], page: Array<string | undefined> = answers.map(this.#question.keyOf)): boolean {
    let isNew = true
    for (const answer of answers) {
      const key = this.#question.keyOf(answer)
      if (key === undefined) this.#nameless.push(answer)
      if (key === undefined || this.#known.has(key)) isNew = false
      else this.#known.set(key, answer)
    }
    this.#count += answers.length
    this.#largest = Math.max(this.#largest, page.length)
    if (page.length > 0) this.#before = page
    if (this.#count > MOST_ANSWERS) {
      const { name } = this.#context.connection.server
      throw new MkisoError('PACS_REFUSED', `${name} gives more than ${MOST_ANSWERS} answers to QIDO-RS: it seems to ignore what is asked for`)
    }
    return isNew
  }

  async #page (offset: number): Promise<Page | Refused> {
    const { path, query, queueTimeoutMs } = this.#question
    const { connection: { server } } = this.#context
    const paging = [`limit=${server.pageSize}`, ...(offset === 0 ? [] : [`offset=${offset}`])]
    const result = await askServer(this.#context, `${path}?${[...query, ...paging].join('&')}`, this.#asking, queueTimeoutMs)
    if (result.kind === 'refused') return result
    this.#bytes += result.bytes
    if (this.#bytes > MOST_LIST_BYTES) throw new MkisoError('PACS_REFUSED', `${server.name} gives answers to QIDO-RS of more than ${MOST_LIST_BYTES / 1024 ** 2} MiB for one list`)
    try {
      return { ...result, answers: result.values.map(value => new JsonAnswer(value)) }
    } catch (error) {
      throw error instanceof NoJsonError ? noJson(server, error) : error
    }
  }
}

interface Values { kind: 'page', values: unknown[], bytes: number, isMoreTold: boolean, isDoubtful: boolean }

/**
 * One request for JSON, in its turn.
 * @throws as {@link search}
 */
export async function askServer (context: SearchContext, path: string, { signal, log }: Asking, queueTimeoutMs: number | undefined): Promise<Values | Refused> {
  const { connection, limit, onOperation } = context
  const { server } = connection
  const result = await inTurn('query', async () => {
    const startedAt = performance.now()
    let ok = false
    try {
      const answered = await onceMore(async () => await askOnce(connection, path, signal))
      ok = answered.kind === 'page'
      return answered
    } finally {
      onOperation?.({ name: 'QIDO-RS', peer: server.name, durationMs: Math.round(performance.now() - startedAt), ok })
    }
  }, { limit, server, signal, log, queueTimeoutMs })
  if (result.kind === 'page' || (result.kind === 'refused' && !result.hopeless)) return result
  throw result.kind === 'refused' ? result.fault : faultOf(result, 'QIDO-RS', server.name)
}

export type Once = Values | Refused | Busy | NoAnswer

/** A connection that is kept open may be closed by the server in the moment in which it is used again. */
async function onceMore (ask: () => Promise<Once>): Promise<Once> {
  const first = await ask()
  return first.kind === 'broken' ? await ask() : first
}

/**
 * One request for JSON, whatever comes of it.
 * @throws MkisoError PACS_REFUSED for what is no list
 * @throws the signal's reason
 */
export async function askOnce (connection: DicomwebConnection, path: string, signal: AbortSignal): Promise<Once> {
  const { server } = connection
  const timeout = AbortSignal.timeout(server.findTimeoutMs)
  try {
    const both = AbortSignal.any([signal, timeout])
    const answer = await connection.get({ path, accept: JSON_TYPES, signal: both, silenceMs: server.findTimeoutMs })
    if (answer.kind !== 'answered') return answer
    return await read(answer, server)
  } catch (error) {
    signal.throwIfAborted()
    if (timeout.aborted) return { kind: 'timeout', reason: `no end of the answer within ${server.findTimeoutMs / 1_000} s (${server.section}.find_timeout)` }
    if (error instanceof MkisoError) throw error
    if (error instanceof NoJsonError) throw noJson(server, error)
    return noAnswerOf(error, server.findTimeoutMs)
  }
}

async function read (answer: HttpAnswer, server: Asked): Promise<Values | Refused | Busy> {
  const { status, body } = answer
  if (status !== 200 && status !== 206 && status !== 204) {
    discard(body)
    return refusalOf(answer, 'QIDO-RS', server)
  }
  const { values, bytes } = await readAnswers(body, answer.header('content-type'), MOST_PAGE_BYTES)
  const { isMoreTold, isDoubtful } = warningsOf(answer.header('warning'))
  return { kind: 'page', values, bytes, isMoreTold: isMoreTold || status === 206, isDoubtful }
}

/** Nobody reads it. */
export function discard (body: HttpAnswer['body']): void {
  body.on('error', () => {})
  body.destroy()
}

/**
 * What warnings (RFC 7234 5.5) say of a list. That fuzzy matching is not done (PS3.18 8.3.4.2) says nothing; that there are more, or that there were too many
 * (8.3.4.4), says that this page is not all; whatever else is said makes it doubtful, as does a cache that answers with what is old (110 to 113).
 */
export function warningsOf (header: string): { isMoreTold: boolean, isDoubtful: boolean } {
  const warnings = [...header.matchAll(/\b(\d{3})\s+\S+\s+"((?:[^"\\]|\\.)*)"/g)].map(([, code = '', text = '']) => ({ code, text }))
  // one that is not written as it should be is still a warning
  if (warnings.length === 0 && header.trim() !== '') warnings.push({ code: '299', text: header })
  const serious = warnings.filter(({ code, text }) => code !== '214' && code !== '199' && !/fuzzy/i.test(text))
  const tellsMore = ({ text }: { text: string }): boolean => /additional|more|exceed|limit|truncat|partial/i.test(text)
  return { isMoreTold: serious.some(tellsMore), isDoubtful: serious.some(one => !tellsMore(one)) }
}
