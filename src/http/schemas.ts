/** Schema atoms, composed per route: one schema gives validation, types, the error map and OpenAPI. */
import { Type, type TObject } from '@sinclair/typebox'
import { ACCESSION_NUMBER_MAX_LENGTH, ACCESSION_NUMBER_PATTERN } from '../dicom/accession-number.ts'
import { MODALITY_PATTERN, SERIES_MAX_LENGTH, SERIES_PATTERN } from '../disc/choice.ts'
import { errorExample } from './error-examples.ts'
import { PRINT_EXAMPLE, PrintState } from './print-state.ts'
import { ERRORS, type ErrorCode, type MkisoError } from '../errors.ts'

/** The body of an error, in the original's shape. */
export interface ErrorBody {
  error: string
  code: ErrorCode
  detail?: string
  destination?: string
  retry_after?: number
  discs?: string[]
  set?: object[]
  job?: object
  request_id: string
}

export function errorBody (error: MkisoError, requestId: string): ErrorBody {
  return {
    error: ERRORS[error.code].error,
    code: error.code,
    ...(error.detail === undefined ? {} : { detail: error.detail }),
    ...(error.fields.destination === undefined ? {} : { destination: error.fields.destination }),
    ...(error.fields.retryAfterSeconds === undefined ? {} : { retry_after: error.fields.retryAfterSeconds }),
    ...(error.fields.discs === undefined ? {} : { discs: error.fields.discs }),
    ...(error.fields.set === undefined ? {} : { set: error.fields.set }),
    ...(error.fields.job === undefined ? {} : { job: error.fields.job }),
    request_id: requestId
  }
}

/** What any route can answer. */
const ALWAYS: ErrorCode[] = ['INVALID_REQUEST', 'INTERNAL', 'SHUTTING_DOWN', 'OVERLOADED']

/** What every route that a signed link opens can answer. */
export const SIGNED_LINK_ERRORS: ErrorCode[] = ['UNAUTHORIZED', 'LINK_EXPIRED', 'LINK_USED']

/** What every route that retrieves can answer. */
export const RETRIEVAL_ERRORS: ErrorCode[] = [
  'INVALID_ACCESSION_NUMBER', ...SIGNED_LINK_ERRORS, 'TOO_MANY_REQUESTS', 'NO_DICOM_DATA', 'DIFFERENT_PATIENTS', 'PATIENT_MISMATCH', 'PACS_UNREACHABLE', 'PACS_REFUSED', 'PACS_REFUSED_MOVE',
  'INCOMPLETE_RETRIEVAL', 'TOO_MANY_CONCURRENT', 'RECEIVER_DOWN', 'CANCELLED', 'PACS_TIMEOUT', 'INSUFFICIENT_DISK_SPACE', 'AUDIT_FAILED'
]

const DiscOfSet = Type.Object({
  disc: Type.Integer(),
  link: Type.String(),
  size_bytes: Type.Integer({ description: 'Of its images.' }),
  images: Type.Integer(),
  studies: Type.Array(Type.Object({
    accession_number: Type.String(),
    date: Type.String(),
    description: Type.String(),
    series: Type.Array(Type.Object({ modality: Type.String(), description: Type.String(), images: Type.Integer() }))
  }))
}, { title: 'DiscOfSet', description: 'What is on a disc of the set.' })

/** The response map for a list of codes: one schema a status, with the sentences and codes that can stand in it. */
export function errorResponses (...codes: ErrorCode[]): Record<number, TObject> {
  const byStatus = new Map<number, ErrorCode[]>()
  const more = codes.includes('INVALID_ACCESSION_NUMBER') ? ['TOO_MANY_ACCESSION_NUMBERS'] as const : []
  for (const code of new Set([...codes, ...more, ...ALWAYS])) byStatus.set(ERRORS[code].status, [...byStatus.get(ERRORS[code].status) ?? [], code])
  return Object.fromEntries([...byStatus].sort(([a], [b]) => a - b).map(([status, codes]) => [status, Type.Object({
    error: Type.String({ description: 'What happened.', enum: [...new Set(codes.map(code => ERRORS[code].error))] }),
    code: Type.String({ description: 'The same for a program; never changes.', enum: codes }),
    detail: Type.Optional(Type.String({ description: 'What exactly, and what to change.' })),
    destination: Type.Optional(Type.String({ description: 'The CD publisher, host:port.' })),
    retry_after: Type.Optional(Type.Integer({ description: 'Seconds until another try makes sense, as the header Retry-After.' })),
    discs: Type.Optional(Type.Array(Type.String(), { description: 'Links to the discs of a set.' })),
    ...(codes.includes('DISC_TOO_SMALL') ? { set: Type.Optional(Type.Array(DiscOfSet)) } : {}),
    ...(codes.includes('PRINTED_ALREADY') ? { job: Type.Optional(PrintState) } : {}),
    request_id: Type.String({ description: 'Stands in the log, and in the header X-Request-Id.' })
  }, { description: codes.map(code => ERRORS[code].error).filter((text, index, all) => all.indexOf(text) === index).join(' · '), examples: codes.map(code => errorExample(code, code === 'PRINTED_ALREADY' ? { job: { ...PRINT_EXAMPLE, state: 'sent', sent_images: 240 } } : {})) })]))
}

const BLANKS = ' *'

export const AccessionNumber = Type.String({
  minLength: 1,
  maxLength: ACCESSION_NUMBER_MAX_LENGTH,
  pattern: `^${BLANKS}${ACCESSION_NUMBER_PATTERN.slice(1, -1)}${BLANKS}$`,
  description: 'Accession number of the study. Wildcards are refused.',
  examples: ['MR.2024.001']
})

export const AccessionNumberList = Type.String({
  minLength: 1,
  maxLength: 500 * (ACCESSION_NUMBER_MAX_LENGTH + 1),
  // no control character reaches the parser; what each item may hold is checked one by one
  pattern: '^[\\x20-\\x7e]+$',
  description: 'Accession numbers of one patient, separated by commas.',
  examples: ['MR.2024.001,CT.2024.200']
})

/** What a link that the HIS has signed holds beside (auth.signed_links). */
export const SIGNED_LINK_QUERY = {
  expires: Type.Optional(Type.String({ pattern: '^[0-9]{1,12}$', description: 'Signed link: end of its validity, seconds since 1970.' })),
  signature: Type.Optional(Type.String({ pattern: '^[0-9a-fA-F]{64}$', description: 'Signed link: HMAC-SHA256 in hexadecimal; see docs/security.md.' })),
  once: Type.Optional(Type.String({ pattern: '^[0-9a-f]{32}$', description: 'Signed link that is good for one whole download: a number that nobody can guess.' }))
}

/** A part of the studies; a disc of it says so. */
export const CHOICE_QUERY = {
  series: Type.Optional(Type.String({ maxLength: SERIES_MAX_LENGTH, pattern: SERIES_PATTERN, description: 'A part of the studies: Series Instance UIDs, separated by commas.', examples: ['1.2.840.113619.2.5.1'] })),
  modality: Type.Optional(Type.String({ maxLength: 256, pattern: MODALITY_PATTERN, description: 'A part of the studies: series of these modalities, separated by commas. With series, what both let through.', examples: ['CT,SR'] }))
}

/** A query is text, and nothing is coerced. */
export const DiscNumber = Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,2}$', description: 'Which disc of a set, from 1 (disc.capacity).', examples: ['1'] }))

export const DiscSet = Type.Optional(Type.String({ pattern: '^[0-9a-f]{16}$', description: 'The set that the disc belongs to, as the links of a set name it: 409 when the studies have changed since.' }))

export const PreparationId = Type.Optional(Type.String({ format: 'uuid', description: 'Of the disc that a page has had made (/api/iso/progress).' }))

/** The number that {@link DiscNumber} has let through. */
export function discNumber (text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text)
}

/** An answer that goes on: Server-Sent Events. @param example one event's data */
export function eventStream (description: string, example: object) {
  return { description, content: { 'text/event-stream': { schema: Type.String({ description: 'Lines "data: {...}", each a whole state.', examples: [`data: ${JSON.stringify(example)}\n\n`] }) } } }
}

/** An answer for people. */
export function page (description: string) {
  return { description, content: { 'text/html': { schema: Type.String({ examples: ['<!DOCTYPE html> ...'] }) } } }
}

export const LanguageCode = Type.Optional(Type.String({ pattern: '^[a-z]{2}$', description: 'Language of the page; else the browser\'s, else the site\'s (disc.language).', examples: ['id'] }))
