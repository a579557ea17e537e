/** The answers of findscu in DCMTK's XML (`-Xs`), read as a stream: thousands of them hold up nothing else. */
import { createReadStream } from 'node:fs'
import { SaxesParser } from 'saxes'
import { decodeText } from '../dicom/character-set.ts'

/** One answer: tag (`0020,000d`) to value; a value of several parts keeps its backslashes. What the archive left out is not there. */
export type Answer = ReadonlyMap<string, string>

/** findscu writes a control character of a value as a reference that XML forbids (XML 1.0 2.2). */
export class NotWellFormedError extends Error {
  constructor (cause: unknown) {
    super('not well-formed XML', { cause })
    this.name = 'NotWellFormedError'
  }
}

/** Answers that are wanted, each once: archives answer twice (measured), and an answer that is alike in every value says nothing new. */
export class Distinct {
  readonly kept: Answer[] = []
  unwanted = 0
  total = 0
  readonly #seen = new Set<string>()
  readonly #wanted: (answer: Answer) => boolean

  constructor (wanted: (answer: Answer) => boolean = () => true) {
    this.#wanted = wanted
  }

  add (answer: Answer): void {
    this.total++
    if (!this.#wanted(answer)) {
      this.unwanted++
      return
    }
    const values = JSON.stringify([...answer].sort(([a], [b]) => a < b ? -1 : 1))
    if (this.#seen.has(values)) return
    this.#seen.add(values)
    this.kept.push(answer)
  }
}

/**
 * `responses` of `data-set` of `element`. What stands deeper belongs to a sequence and is left out: no key that we ask for is one, and a
 * reference's Study Instance UID is not the study's.
 * @throws NotWellFormedError
 */
export async function readAnswers (file: string, wanted?: (answer: Answer) => boolean): Promise<Distinct> {
  const answers = new Distinct(wanted)
  let answer = new Map<string, string>()
  let tag = ''
  let value = ''
  let depth = 0
  const parser = new SaxesParser()
  parser.on('opentag', ({ name, attributes }) => {
    depth++
    if (depth === 2) answer = new Map()
    if (depth !== 3 || name !== 'element') return
    tag = attributes['tag'] ?? ''
    value = ''
  })
  parser.on('text', text => { if (depth === 3) value += text })
  parser.on('closetag', ({ name }) => {
    if (depth === 3 && name === 'element') answer.set(tag.toLowerCase(), trimmed(textOf(value)))
    if (depth === 2) answers.add(answer)
    depth--
  })
  parser.on('error', error => { throw new NotWellFormedError(error) })
  // one byte a character: what stands in it is known value by value only. Between two chunks other things have their turn.
  for await (const chunk of createReadStream(file, { encoding: 'latin1' })) parser.write(String(chunk))
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
  return text.replace(/[ \0]+$/, '').replace(/^ +/, '')
}
