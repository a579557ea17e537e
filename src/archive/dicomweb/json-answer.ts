/** One answer of QIDO-RS in the DICOM JSON model (PS3.18 Annex F), and the reading of a body that holds many, within a bound. */
import type { Readable } from 'node:stream'
import { withoutBothEnds, withoutEnd } from '../../dicom/padding.ts'
import { MkisoError } from '../../errors.ts'

/** What is wrong with a body: no JSON, a page for people, too long. */
export class NoJsonError extends Error {}

/** One data set. Servers that are careful write tags in upper case and values as the model says; others are understood too. */
export class JsonAnswer {
  readonly #elements: Record<string, unknown>

  /** @param value of a list; @throws NoJsonError when it is no object */
  constructor (value: unknown) {
    if (!isRecord(value)) throw new NoJsonError('an answer in its list is no object')
    this.#elements = value
  }

  /** The first value as text, without padding; empty where there is none. Numbers are texts, a name is in DICOM's form: `Yamada^Tarou=山田^太郎`. */
  text (tag: string): string { return this.texts(tag)[0] ?? '' }

  texts (tag: string): string[] {
    const element = this.#elements[tag] ?? this.#elements[tag.toLowerCase()]
    if (!isRecord(element)) return []
    const { Value: value } = element
    if (!Array.isArray(value)) return []
    return value.map(textOf)
  }
}

function isRecord (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function textOf (value: unknown): string {
  if (typeof value === 'string') return unpadded(value)
  if (typeof value === 'number' && Number.isFinite(value)) return String(value)
  return isRecord(value) ? nameOf(value) : ''
}

/** The groups of a person name (PS3.18 F.2.2, PS3.5 6.2.1). One of delimiters only is empty: Orthanc writes `^` for characters that it cannot. */
function nameOf (value: Record<string, unknown>): string {
  const groups = ['Alphabetic', 'Ideographic', 'Phonetic'].map(key => {
    const group = value[key]
    const text = typeof group === 'string' ? unpadded(group) : ''
    return /^[\^\s]*$/.test(text) ? '' : text
  })
  return withoutEnd(groups.join('='), /=/)
}

/** Values are padded to even lengths (PS3.5 6.2), and some servers give the padding away. */
function unpadded (text: string): string {
  return withoutBothEnds(text, /[\s\0]/)
}

/** Objects and lists of one body: 32 MiB of `{}` are eleven million objects, 600 MB of memory. An element of the model has two of them in 46 bytes. */
const MOST_BRACKETS = 2_000_000
const [OBJECT, LIST] = [0x7B, 0x5B]

/**
 * Reads a list of answers; nothing is read beyond the bound.
 * @throws NoJsonError
 * @throws what the body throws when it breaks
 */
export async function readAnswers (body: Readable, contentType: string, mostBytes: number): Promise<{ values: unknown[], bytes: number }> {
  const chunks: Buffer[] = []
  let bytes = 0
  let brackets = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length
    // leaving the loop destroys the body
    if (bytes > mostBytes) throw new NoJsonError(`its answer is longer than ${Math.floor(mostBytes / 1024 ** 2)} MiB`)
    for (const byte of chunk) if (byte === OBJECT || byte === LIST) brackets++
    if (brackets > MOST_BRACKETS) throw new NoJsonError(`its answer has more than ${MOST_BRACKETS} parts`)
    chunks.push(chunk)
  }
  const text = utf8(Buffer.concat(chunks))
  if (/^\s*(?:<!doctype|<html|<\?xml)/i.test(text) || /\bhtml\b/i.test(contentType)) throw new NoJsonError('it answers with a page for people (or XML) where JSON was expected')
  if (text.trim() === '') return { values: [], bytes }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new NoJsonError('its answer is no JSON')
  }
  if (!Array.isArray(value)) throw new NoJsonError('its answer is no list of data sets')
  return { values: value, bytes }
}

/** JSON is UTF-8 (RFC 8259 8.1): whatever is not could be anybody's name. */
function utf8 (bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new NoJsonError('its answer is not in UTF-8')
  }
}

export function noJson ({ name, section }: { name: string, section: string }, { message }: NoJsonError): MkisoError {
  return new MkisoError('PACS_REFUSED', `${name}: QIDO-RS: ${message}; check ${section}.dicomweb.url`)
}
