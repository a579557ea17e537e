/** The answers of findscu in DCMTK's XML (`-Xs`), read as a stream: thousands of them hold up nothing else. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { SaxesParser } from 'saxes'
import { decodeText } from '../dicom/character-set.ts'
import { withoutPadding } from '../dicom/padding.ts'

/** One answer: tag (`0020,000d`) to value; a value of several parts keeps its backslashes. What the archive left out is not there. */
export type Answer = ReadonlyMap<string, string>

/** findscu writes a control character of a value as a reference that XML forbids (XML 1.0 2.2). */
export class NotWellFormedError extends Error {
  constructor (cause: unknown) {
    super('not well-formed XML', { cause })
    this.name = 'NotWellFormedError'
  }
}

/** A value so long is none that we ask for: a description has 64 characters (PS3.5 6.2). */
const LONGEST_VALUE_BYTES = 1024 ** 2

export class ValueTooLongError extends Error {
  constructor () {
    super('an answer has a value of more than a megabyte')
    this.name = 'ValueTooLongError'
  }
}

/** More answers are wanted than anything is made of. */
export class TooManyWantedError extends Error {
  readonly most: number
  constructor (most: number) {
    super(`more than ${most} answers`)
    this.name = 'TooManyWantedError'
    this.most = most
  }
}

/** Answers that are wanted, each once: archives answer twice (measured), and an answer that is alike in every value says nothing new. */
export class Distinct {
  readonly kept: Answer[] = []
  unwanted = 0
  total = 0
  /** Digests: the answers themselves would be here twice. */
  readonly #seen = new Set<string>()
  readonly #wanted: (answer: Answer) => boolean
  readonly #mostWanted: number

  constructor (wanted: (answer: Answer) => boolean = () => true, mostWanted = Infinity) {
    this.#wanted = wanted
    this.#mostWanted = mostWanted
  }

  /** @throws TooManyWantedError */
  add (answer: Answer): void {
    this.total++
    if (!this.#wanted(answer)) {
      this.unwanted++
      return
    }
    const values = createHash('sha256').update(JSON.stringify([...answer].sort(([a], [b]) => a < b ? -1 : 1))).digest('base64')
    if (this.#seen.has(values)) return
    this.#seen.add(values)
    if (this.kept.push(answer) > this.#mostWanted) throw new TooManyWantedError(this.#mostWanted)
  }
}

/**
 * `responses` of `data-set` of `element`. What stands deeper belongs to a sequence and is left out: no key that we ask for is one, and a
 * reference's Study Instance UID is not the study's.
 * @param tags of the values that are kept, in lower case: an archive may answer with more than it was asked for
 * @param mostWanted of them are kept
 * @throws NotWellFormedError, ValueTooLongError, TooManyWantedError
 */
export async function readAnswers (file: string, tags: ReadonlySet<string>, wanted?: (answer: Answer) => boolean, mostWanted?: number): Promise<Distinct> {
  const answers = new Distinct(wanted, mostWanted)
  let answer = new Map<string, string>()
  let tag = ''
  let value = ''
  let depth = 0
  const parser = new SaxesParser()
  parser.on('opentag', ({ name, attributes }) => {
    depth++
    if (depth === 2) answer = new Map()
    if (depth !== 3 || name !== 'element') return
    tag = attributes['tag']?.toLowerCase() ?? ''
    value = ''
  })
  parser.on('text', text => { if (depth === 3) value += text })
  parser.on('closetag', ({ name }) => {
    if (depth === 3 && name === 'element' && tags.has(tag)) answer.set(tag, trimmed(textOf(value)))
    if (depth === 2) answers.add(answer)
    depth--
  })
  parser.on('error', error => { throw new NotWellFormedError(error) })
  // one byte a character: what stands in it is known value by value only. Between two chunks other things have their turn.
  let valueBytes = 0
  for await (const chunk of createReadStream(file, { encoding: 'latin1' })) {
    const text = String(chunk)
    // what stands between two tags is held by the parser until the second has come
    const lastTag = text.lastIndexOf('<')
    valueBytes = lastTag < 0 ? valueBytes + text.length : text.length - lastTag
    if (valueBytes > LONGEST_VALUE_BYTES) throw new ValueTooLongError()
    parser.write(text)
  }
  parser.close()
  return answers
}

const UTF_8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const ASCII = /^[\0-\x7f]*$/

/** findscu writes UTF-8 where the answer names its character set (0008,0005), and else the bytes as they came (DCMTK 3.6.7, measured). */
function textOf (latin1: string): string {
  if (ASCII.test(latin1)) return latin1
  const bytes = Buffer.from(latin1, 'latin1')
  try { return UTF_8.decode(bytes) } catch { return decodeText(bytes, '') }
}

/** Values are padded to even length with a blank or a null character (PS3.5 6.2); CTN pads UIDs with blanks too (measured). */
export function trimmed (text: string): string {
  return withoutPadding(text).replace(/^ +/, '')
}
