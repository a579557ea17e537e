/**
 * Some elements of an object, whatever encoding it came in: explicit VR little endian in one piece, since a large study keeps one for each
 * image.
 */
import { decodeText } from './character-set.ts'
import { hasLongLength, lettersOf, numberBytes } from './dictionary.ts'
import { withoutPadding } from './padding.ts'

export interface Attribute {
  tag: number
  vr: string
  /** Little endian; of a sequence its items, which have lengths. */
  value: Buffer
}

const SPECIFIC_CHARACTER_SET = 0x00080005
const ITEM_HEADER_BYTES = 8

export class Attributes {
  /** Nothing at all. */
  static readonly NONE: Attributes = new Attributes(Buffer.alloc(0))

  readonly #bytes: Buffer
  readonly #inherited: string

  /**
   * @param bytes elements in explicit VR little endian, ascending, with lengths
   * @param characterSet of the object, where these are those of an item
   */
  constructor (bytes: Buffer, characterSet = '') {
    this.#bytes = bytes
    this.#inherited = characterSet
  }

  /** Specific Character Set (0008,0005), values separated by backslashes; empty when there is none. */
  get characterSet (): string {
    const own = this.value(SPECIFIC_CHARACTER_SET)
    return own === undefined ? this.#inherited : withoutPadding(own.toString('latin1'))
  }

  get sizeBytes (): number { return this.#bytes.length }

  /** In the order of their tags; the values are views. */
  * [Symbol.iterator] (): Generator<Attribute> {
    for (let at = 0; at < this.#bytes.length;) {
      const { valueAt, end } = this.#extent(at)
      yield { tag: this.#tag(at), vr: this.#vr(at), value: this.#bytes.subarray(valueAt, end) }
      at = end
    }
  }

  get (tag: number): Attribute | undefined {
    for (let at = 0; at < this.#bytes.length;) {
      const { valueAt, end } = this.#extent(at)
      const found = this.#tag(at)
      if (found > tag) return undefined
      if (found === tag) return { tag, vr: this.#vr(at), value: this.#bytes.subarray(valueAt, end) }
      at = end
    }
    return undefined
  }

  #tag (at: number): number {
    return this.#bytes.readUInt16LE(at) * 0x10000 + this.#bytes.readUInt16LE(at + 2)
  }

  #vr (at: number): string {
    return lettersOf(this.#bytes.readUInt16BE(at + 4))
  }

  #extent (at: number): { valueAt: number, end: number } {
    const long = hasLongLength(this.#vr(at))
    const valueAt = at + (long ? 12 : 8)
    return { valueAt, end: valueAt + (long ? this.#bytes.readUInt32LE(at + 8) : this.#bytes.readUInt16LE(at + 6)) }
  }

  has (tag: number): boolean {
    return this.get(tag) !== undefined
  }

  /** Little endian, padding included. */
  value (tag: number): Buffer | undefined {
    return this.get(tag)?.value
  }

  /** In the object's character set, without what pads it; undefined where there is no such attribute, empty where it has no value. */
  text (tag: number): string | undefined {
    const value = this.value(tag)
    return value === undefined ? undefined : withoutPadding(decodeText(value, this.characterSet).replace(/^ +/, ''))
  }

  /** The first value of a number, as text (IS, DS) or in binary (US, UL ...); undefined for none, and for what is no number. */
  number (tag: number): number | undefined {
    return this.numbers(tag)?.[0]
  }

  /** All values; undefined where one of them is no number. */
  numbers (tag: number): number[] | undefined {
    const attribute = this.get(tag)
    if (attribute === undefined || attribute.value.length === 0) return undefined
    return numbersOf(attribute)
  }

  /** The items of a sequence; none where there is none. */
  items (tag: number): Attributes[] {
    const attribute = this.get(tag)
    if (attribute?.vr !== 'SQ') return []
    const items: Attributes[] = []
    for (let at = 0; at < attribute.value.length;) {
      const end = at + ITEM_HEADER_BYTES + attribute.value.readUInt32LE(at + 4)
      items.push(new Attributes(attribute.value.subarray(at + ITEM_HEADER_BYTES, end), this.characterSet))
      at = end
    }
    return items
  }
}

function numbersOf ({ vr, value }: Attribute): number[] | undefined {
  const size = numberBytes(vr)
  const read = READERS[vr]
  if (read === undefined) {
    const numbers = value.toString('latin1').split('\\').map(text => withoutPadding(text).trim())
    return numbers.every(text => /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) ? numbers.map(Number) : undefined
  }
  const count = Math.floor(value.length / size)
  return count === 0 ? undefined : Array.from({ length: count }, (_, index) => read(value, index * size))
}

const READERS: Readonly<Record<string, ((value: Buffer, at: number) => number) | undefined>> = {
  US: (value, at) => value.readUInt16LE(at),
  SS: (value, at) => value.readInt16LE(at),
  UL: (value, at) => value.readUInt32LE(at),
  SL: (value, at) => value.readInt32LE(at),
  FL: (value, at) => value.readFloatLE(at),
  FD: (value, at) => value.readDoubleLE(at)
}
