/**
 * What the HIS has answered, read as people write such interfaces: compressed without being asked, with a byte order mark, in Latin 1,
 * numbers where texts are due, null for what is not there, CHAR columns filled up with blanks. The interface is docs/patient-api-spec.md.
 * Pure.
 */
import { brotliDecompressSync, gunzipSync, inflateRawSync, inflateSync } from 'node:zlib'
import { Type, type Static } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'

export interface PatientRecord {
  accession_number: string
  medrec_id?: string
  reg_id?: string
  patient_name: string
  modality?: string
  study_description?: string
}

export interface RawAnswer {
  status: number
  contentType: string
  contentEncoding: string
  body: Buffer
}

/** `unknown`: the HIS says, in the interface's words, that it has no such accession number. */
export type Understood = { kind: 'record', record: PatientRecord } | { kind: 'unknown' } | { kind: 'fault', reason: string }

/** The most that an answer may hold, as it comes and decompressed. */
export const MAX_ANSWER_BYTES = 64 * 1024

export const TOO_LONG = `its answer is longer than ${MAX_ANSWER_BYTES / 1024} KiB; is patient_api.base_url right?`

const Text = Type.Union([Type.String(), Type.Number()])
const Optional = Type.Optional(Type.Union([Text, Type.Null()]))
const Record = Type.Object({
  accession_number: Text, patient_name: Text, medrec_id: Optional, reg_id: Optional, modality: Optional, study_description: Optional
})
const NotFound = Type.Object({ error: Type.String() })

/** @param accessionNumber that was asked for */
export function understand (answer: RawAnswer, accessionNumber: string): Understood {
  const fault = (reason: string): Understood => ({ kind: 'fault', reason })
  const { status } = answer
  if (status === 401 || status === 403) return fault(`it answered ${status}; is patient_api.token right?`)
  if (status !== 200 && status !== 404) return fault(`it answered ${status}`)
  let value: unknown
  try {
    value = JSON.parse(textOf(answer))
  } catch (error) {
    if (error instanceof RangeError) return fault(TOO_LONG)
    return fault(`it answered ${status} with something that is no JSON; is patient_api.base_url right?`)
  }
  if (status === 404) {
    // a server that does not know the path answers in its framework's words, which hold an `error` too (Spring, Fastify)
    const ofServer = typeof value === 'object' && value !== null && ['path', 'statusCode', 'timestamp'].some(key => key in value)
    if (Value.Check(NotFound, value) && !ofServer) return { kind: 'unknown' }
    return fault('it answered 404, and not in the words of the interface; is patient_api.base_url right?')
  }
  if (!Value.Check(Record, value)) return fault(`its answer is not what docs/patient-api-spec.md says: ${whatIsWrong(value)}`)
  const record = recordOf(value)
  // a HIS that answers for another number must not name a disc
  if (record.accession_number !== accessionNumber) return fault(`asked for ${accessionNumber}, it answered for another accession number`)
  if (record.patient_name === '') return fault('its answer is not what docs/patient-api-spec.md says: patient_name is empty')
  return { kind: 'record', record }
}

/** Names fields, never what they hold. */
function whatIsWrong (value: unknown): string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'it is no object'
  const [first] = Value.Errors(Record, value)
  return first === undefined ? 'it is another object' : `${first.path.slice(1)} is missing or no text`
}

function recordOf (value: Static<typeof Record>): PatientRecord {
  const text = (field: string | number | null | undefined): string | undefined => {
    const trimmed = field === null || field === undefined ? '' : String(field).trim()
    return trimmed === '' ? undefined : trimmed
  }
  const [medrecId, regId, modality, description] = [value.medrec_id, value.reg_id, value.modality, value.study_description].map(text)
  return {
    accession_number: text(value.accession_number) ?? '',
    patient_name: text(value.patient_name) ?? '',
    ...(medrecId === undefined ? {} : { medrec_id: medrecId }),
    ...(regId === undefined ? {} : { reg_id: regId }),
    ...(modality === undefined ? {} : { modality }),
    ...(description === undefined ? {} : { study_description: description })
  }
}

/** @throws RangeError when it is longer than {@link MAX_ANSWER_BYTES} */
function textOf ({ contentType, contentEncoding, body }: RawAnswer): string {
  const bytes = contentEncoding.toLowerCase().split(',').map(name => name.trim()).reverse().reduce(decompress, body)
  const mark = [['fffe', 'utf-16le'], ['feff', 'utf-16be']].find(([start]) => bytes.subarray(0, 2).toString('hex') === start)
  const charset = mark?.[1] ?? /charset\s*=\s*"?([\w.:-]+)/i.exec(contentType)?.[1]
  if (charset !== undefined && !/^utf-?8$/i.test(charset)) {
    try { return new TextDecoder(charset).decode(bytes) } catch { /* a charset that nobody knows: as if none were named */ }
  }
  // JSON is UTF-8 (RFC 8259 8.1); what is not can only be what Windows writes. Either way without the byte order mark
  try { return new TextDecoder('utf-8', { fatal: true }).decode(bytes) } catch { return new TextDecoder('windows-1252').decode(bytes) }
}

/** @throws RangeError when it becomes too long; anything else when it is damaged */
function decompress (body: Buffer, encoding: string): Buffer {
  const options = { maxOutputLength: MAX_ANSWER_BYTES }
  // some compress and do not say so; nothing else of use begins with these two bytes
  const unsaid = encoding === '' && body[0] === 0x1f && body[1] === 0x8b
  if (unsaid || encoding === 'gzip' || encoding === 'x-gzip') return gunzipSync(body, options)
  if (encoding === 'br') return brotliDecompressSync(body, options)
  if (encoding !== 'deflate') return body
  // with the zlib header that RFC 9110 8.4.1.2 asks for, or without, as some send it; CM is 8 in the first four bits
  return ((body[0] ?? 0) & 0x0f) === 8 ? inflateSync(body, options) : inflateRawSync(body, options)
}
