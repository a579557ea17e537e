/** The HIS: who is the patient of an accession number? The interface is docs/patient-api-spec.md. */
import { EventEmitter } from 'node:events'
import { Type, type Static } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { Agent, errors, interceptors, request, type Dispatcher } from 'undici'
import type { Config } from '../config/schema.ts'
import { MkisoError } from '../errors.ts'
import type { Log } from '../process.ts'

const PatientRecord = Type.Object({
  accession_number: Type.String(),
  medrec_id: Type.Optional(Type.String()),
  reg_id: Type.Optional(Type.String()),
  patient_name: Type.String(),
  modality: Type.Optional(Type.String()),
  study_description: Type.Optional(Type.String())
})

export type PatientRecord = Static<typeof PatientRecord>

const MAX_ANSWER_BYTES = 64 * 1024

export type PatientClient = ReturnType<typeof createPatientClient>

/** A client with a connection pool of its own; `close` ends it. */
export function createPatientClient (config: Config['patient_api']) {
  const agent = new Agent({ connect: { timeout: config.timeoutMs }, headersTimeout: config.timeoutMs, bodyTimeout: config.timeoutMs })
  const retrying: Dispatcher = agent.compose(interceptors.retry({
    maxRetries: config.retries,
    minTimeout: 100,
    maxTimeout: 1_000,
    methods: ['GET'],
    statusCodes: [500, 502, 503, 504],
    errorCodes: ['ECONNRESET', 'ECONNREFUSED', 'ENOTFOUND', 'ENETDOWN', 'ENETUNREACH', 'EHOSTDOWN', 'EHOSTUNREACH', 'EPIPE', 'UND_ERR_SOCKET']
  }))

  const get = async (accessionNumber: string, dispatcher: Dispatcher, signal: AbortSignal): Promise<{ status: number, text: string }> => {
    const url = new URL(`${config.base_url.replace(/\/+$/, '')}/patient/by-accession`)
    url.searchParams.set('accession_number', accessionNumber)
    const answer = await request(url, {
      dispatcher,
      // a proxy that trickles headers would outwit the timeouts of one phase
      signal: AbortSignal.any([signal, AbortSignal.timeout(config.timeoutMs * (config.retries + 1))]),
      headers: { accept: 'application/json', ...(config.token === '' ? {} : { authorization: `Bearer ${config.token}` }) }
    })
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of answer.body as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > MAX_ANSWER_BYTES) throw new Error(`the answer is longer than ${MAX_ANSWER_BYTES} bytes`)
      chunks.push(chunk)
    }
    return { status: answer.statusCode, text: Buffer.concat(chunks).toString('utf8') }
  }

  const client = {
    /** Tells of each accession number that the HIS was asked for: with all its tries, and whether it answered as it should. */
    answers: new EventEmitter<{ ended: [{ durationMs: number, ok: boolean }] }>(),

    /**
     * @throws MkisoError ACCESSION_UNKNOWN, PATIENT_API_UNAVAILABLE
     * @throws the signal's reason
     */
    async byAccession (accessionNumber: string, { signal, log }: { signal: AbortSignal, log: Log }): Promise<PatientRecord> {
      const startedAt = performance.now()
      let answer: { status: number, text: string }
      try {
        answer = await get(accessionNumber, retrying, signal)
      } catch (error) {
        signal.throwIfAborted()
        client.answers.emit('ended', { durationMs: performance.now() - startedAt, ok: false })
        log.error({ accession: accessionNumber, err: error, latency_ms: Math.round(performance.now() - startedAt) }, 'patient API failed')
        throw new MkisoError('PATIENT_API_UNAVAILABLE', reasonOf(error), { cause: error })
      }
      const latencyMs = Math.round(performance.now() - startedAt)
      client.answers.emit('ended', { durationMs: latencyMs, ok: answer.status === 200 || answer.status === 404 })
      if (latencyMs > config.slowAfterMs) log.warn({ accession: accessionNumber, latency_ms: latencyMs }, 'patient API slow')
      if (answer.status === 404) throw new MkisoError('ACCESSION_UNKNOWN', `the HIS does not know accession number ${accessionNumber}`)
      if (answer.status !== 200) throw new MkisoError('PATIENT_API_UNAVAILABLE', `it answered ${answer.status}`)
      const record = parseRecord(answer.text)
      if (record === undefined) throw new MkisoError('PATIENT_API_UNAVAILABLE', 'its answer is not what docs/patient-api-spec.md says')
      // a HIS that answers for another number must not name a disc
      if (record.accession_number !== accessionNumber) throw new MkisoError('PATIENT_API_UNAVAILABLE', `asked for ${accessionNumber}, it answered for another accession number`)
      return record
    },

    /** Any answer below 500 shows that somebody is there. */
    async probe (signal: AbortSignal): Promise<string | undefined> {
      try {
        const { status } = await get('health-check', agent, signal)
        return status >= 500 || status === 401 || status === 403 ? `it answered ${status}` : undefined
      } catch (error) { return reasonOf(error) }
    },

    /**
     * Checks a list of accession numbers and gives the patient's name; undefined where `patient_api.required` is false and the HIS fails or
     * does not know a number: the name then comes from the PACS.
     * @throws MkisoError as `byAccession`, where `patient_api.required` is true
     */
    async nameFor (accessionNumbers: readonly string[], signal: AbortSignal, log: Log): Promise<string | undefined> {
      try {
        const records = await Promise.all(accessionNumbers.map(async accessionNumber => await client.byAccession(accessionNumber, { signal, log })))
        return records[0]?.patient_name
      } catch (error) {
        if (config.required || !(error instanceof MkisoError)) throw error
        log.warn({ code: error.code, detail: error.detail }, 'the patient API is of no help; the name comes from the PACS')
        return undefined
      }
    },

    async close (): Promise<void> { await agent.destroy() }
  }
  return client
}

function parseRecord (text: string): PatientRecord | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return Value.Check(PatientRecord, value) ? value : undefined
  } catch { return undefined }
}

/** A sentence without addresses: those stand in the log. */
function reasonOf (error: unknown): string {
  if (error instanceof errors.HeadersTimeoutError || error instanceof errors.BodyTimeoutError || error instanceof errors.ConnectTimeoutError) return 'no answer in time'
  if (error instanceof errors.RequestRetryError) return `it answered ${error.statusCode}`
  if (error instanceof Error && error.name === 'TimeoutError') return 'no answer in time'
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return code === 'ECONNREFUSED' ? 'connection refused' : code !== '' ? code : 'it cannot be reached'
}
