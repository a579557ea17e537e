/** The HIS: who is the patient of an accession number? The interface is docs/patient-api-spec.md. */
import { EventEmitter } from 'node:events'
import pLimit from 'p-limit'
import { Agent, errors, interceptors, request, type Dispatcher } from 'undici'
import { withoutEnd } from '../dicom/padding.ts'
import type { Config } from '../config/schema.ts'
import { MkisoError } from '../errors.ts'
import { codeOf, noAnswerSentence, noAnswerShort } from '../no-answer.ts'
import type { Log } from '../process.ts'
import { MAX_ANSWER_BYTES, TOO_LONG, understand, type PatientRecord, type RawAnswer, type Understood } from './answer.ts'

export type { PatientRecord } from './answer.ts'

/** An accession number that no HIS has: the right answer is "not known". */
export const NOBODYS_NUMBER = 'health-check'

/** A list may hold many numbers, and a HIS is a small server. */
const QUESTIONS_AT_ONCE = 8

const MAX_REDIRECTS = 5

/** How long a HIS that did not answer is left alone by requests that do without. */
const REST_MS = 60_000

interface Way {
  dispatcher: Dispatcher
  /** The longest for an answer, with all tries. */
  timeoutMs: number
}

export type PatientClient = ReturnType<typeof createPatientClient>

export interface Asking {
  signal: AbortSignal
  log: Log
}

/** A client with a connection pool of its own; `close` ends it. */
export function createPatientClient (config: Config['patient_api'], restMs = REST_MS) {
  const agent = new Agent({ connect: { timeout: config.timeoutMs }, headersTimeout: config.timeoutMs, bodyTimeout: config.timeoutMs })
  const retrying: Dispatcher = agent.compose(interceptors.retry({
    maxRetries: config.retries,
    minTimeout: 100,
    maxTimeout: 1_000,
    methods: ['GET'],
    statusCodes: [500, 502, 503, 504],
    errorCodes: [
      'ECONNRESET', 'ECONNREFUSED', 'ENOTFOUND', 'ENETDOWN', 'ENETUNREACH', 'EHOSTDOWN', 'EHOSTUNREACH', 'EPIPE', 'UND_ERR_SOCKET'
    ]
  }))
  const limit = pLimit(QUESTIONS_AT_ONCE)
  let restsUntilMs = 0

  const get = async (accessionNumber: string, dispatcher: Dispatcher, signal: AbortSignal): Promise<RawAnswer> => {
    let url = new URL(`${withoutEnd(config.base_url, /\//)}/patient/by-accession`)
    url.searchParams.set('accession_number', accessionNumber)
    for (let redirects = 0; ; redirects++) {
      const answer = await request(url, {
        dispatcher,
        signal,
        headers: {
          accept: 'application/json',
          'accept-encoding': 'gzip, deflate',
          ...(config.token === '' ? {} : { authorization: `Bearer ${config.token}` })
        }
      })
      const { statusCode: status, headers } = answer
      const location = [301, 302, 303, 307, 308].includes(status) ? textOf(headers.location) : ''
      if (location === '') {
        const [contentType, contentEncoding] = [textOf(headers['content-type']), textOf(headers['content-encoding'])]
        return { status, contentType, contentEncoding, body: await bodyOf(answer.body) }
      }
      await answer.body.dump()
      if (redirects === MAX_REDIRECTS) throw new AnswerFault('it redirects in a circle; is patient_api.base_url right?')
      url = followed(url, location)
    }
  }

  /** @throws MkisoError PATIENT_API_UNAVAILABLE, the signal's reason */
  const ask = async (accessionNumber: string, { dispatcher, timeoutMs, signal, log }: Asking & Way): Promise<Understood> => {
    const startedAt = performance.now()
    const ended = (ok: boolean): number => {
      const durationMs = performance.now() - startedAt
      client.answers.emit('ended', { durationMs, ok })
      return Math.round(durationMs)
    }
    let answer: RawAnswer
    try {
      // a proxy that trickles headers would outwit the timeouts of one phase
      answer = await get(accessionNumber, dispatcher, AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]))
    } catch (error) {
      signal.throwIfAborted()
      const fields = { accession: accessionNumber, err: error, latency_ms: ended(false) }
      if (dispatcher === retrying) log.error(fields, 'patient API failed')
      else log.debug(fields, 'patient API failed')
      // where the HIS is, is nothing for whoever clicks: that stands in the log
      throw new MkisoError('PATIENT_API_UNAVAILABLE', reasonOf(error, config.base_url).short, { cause: error })
    }
    const understood = understand(answer, accessionNumber)
    const latencyMs = ended(understood.kind !== 'fault')
    if (latencyMs > config.slowAfterMs) log.warn({ accession: accessionNumber, latency_ms: latencyMs }, 'patient API slow')
    if (understood.kind === 'fault') throw new MkisoError('PATIENT_API_UNAVAILABLE', understood.reason)
    return understood
  }

  const record = async (accessionNumber: string, asking: Asking & Way): Promise<PatientRecord> => {
    const understood = await ask(accessionNumber, asking)
    if (understood.kind === 'record') return understood.record
    throw new MkisoError('ACCESSION_UNKNOWN', `the HIS does not know accession number ${accessionNumber}`)
  }

  const client = {
    /** Tells of each accession number that the HIS was asked for: with all its tries, and whether it answered as it should. */
    answers: new EventEmitter<{ ended: [{ durationMs: number, ok: boolean }] }>(),

    /**
     * @throws MkisoError ACCESSION_UNKNOWN, PATIENT_API_UNAVAILABLE
     * @throws the signal's reason
     */
    async byAccession (accessionNumber: string, asking: Asking): Promise<PatientRecord> {
      return await record(accessionNumber, { ...asking, dispatcher: retrying, timeoutMs: config.timeoutMs * (config.retries + 1) })
    },

    /**
     * The record of each of a list of accession numbers. Where `patient_api.required` is false, only of those that the HIS answers for and
     * knows.
     * @throws MkisoError as `byAccession`, where `patient_api.required` is true
     */
    async byAccessions (accessionNumbers: readonly string[], asking: Asking): Promise<PatientRecord[]> {
      const failed = new AbortController()
      const signal = AbortSignal.any([asking.signal, failed.signal])
      const records = await Promise.all(accessionNumbers.map(async accessionNumber => await limit(async () => {
        try {
          signal.throwIfAborted()
          return await client.byAccession(accessionNumber, { ...asking, signal })
        } catch (error) {
          if (config.required || !(error instanceof MkisoError)) {
            // a HIS that is down is not asked for the rest of a long list
            failed.abort(error)
            throw error
          }
          asking.log.warn({ code: error.code, detail: error.detail }, 'the patient API is of no help; the name comes from the PACS')
          return undefined
        }
      })))
      return records.filter(record => record !== undefined)
    },

    /**
     * The record of one accession number for a request that goes on without: one try, no longer than `timeoutMs`, and none for a minute
     * after one that had no answer, so that a hospital without a HIS does not wait with every download.
     * @returns undefined where the HIS does not answer or does not know it
     * @throws the signal's reason
     */
    async ifAnswered (accessionNumber: string, timeoutMs: number, asking: Asking): Promise<PatientRecord | undefined> {
      if (performance.now() < restsUntilMs) return undefined
      try {
        return await record(accessionNumber, { ...asking, dispatcher: agent, timeoutMs: Math.min(timeoutMs, config.timeoutMs) })
      } catch (error) {
        if (!(error instanceof MkisoError)) throw error
        if (error.code === 'PATIENT_API_UNAVAILABLE') restsUntilMs = performance.now() + restMs
        const { code, detail } = error
        asking.log.warn({ code, detail }, 'the patient API is of no help; whose study it is was not compared with the HIS')
        return undefined
      }
    },

    /** Asks for a number that no HIS has. @returns what is wrong with the answer */
    async probe (signal: AbortSignal): Promise<string | undefined> {
      try {
        const answer = await get(NOBODYS_NUMBER, agent, signal)
        // one that checks the form of a number may refuse this one
        if (answer.status === 400 || answer.status === 422) return undefined
        const understood = understand(answer, NOBODYS_NUMBER)
        return understood.kind === 'fault' ? understood.reason : undefined
      } catch (error) { return reasonOf(error, config.base_url).sentence }
    },

    async close (): Promise<void> { await agent.destroy() }
  }
  return client
}

/** What is wrong with an answer, in a sentence for the client. */
class AnswerFault extends Error {}

/** Another path, port or https of the same host; the token goes to nobody else, and never from https to http. */
function followed (from: URL, location: string): URL {
  const to = URL.canParse(location, from) ? new URL(location, from) : undefined
  if (to === undefined || to.hostname !== from.hostname || !(to.protocol === 'https:' || to.protocol === from.protocol)) {
    throw new AnswerFault('it redirects to another address; is patient_api.base_url right?')
  }
  return to
}

async function bodyOf (body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > MAX_ANSWER_BYTES) throw new AnswerFault(TOO_LONG)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function textOf (header: string | string[] | undefined): string { return [header ?? ''].flat().join(',') }

const TIMEOUTS = [errors.HeadersTimeoutError, errors.BodyTimeoutError, errors.ConnectTimeoutError]

interface Reason {
  /** Without any address. */
  short: string
  /** For the administrator: what was seen and, after a semicolon, what to check. */
  sentence: string
}

function reasonOf (error: unknown, baseUrl: string): Reason {
  const words = (text: string): Reason => ({ short: text, sentence: text })
  if (error instanceof AnswerFault) return words(error.message)
  if (TIMEOUTS.some(kind => error instanceof kind)) return words('no answer in time')
  if (error instanceof errors.RequestRetryError) return words(`it answered ${error.statusCode}`)
  if (error instanceof Error && error.name === 'TimeoutError') return words('no answer in time')
  const code = codeOf(error)
  const short = noAnswerShort(code)
  const sentence = noAnswerSentence(code, baseUrl, 'patient_api.base_url')
  if (short === undefined || sentence === undefined) return words(code === '' ? 'it cannot be reached' : `it cannot be reached (${code})`)
  return { short, sentence }
}
