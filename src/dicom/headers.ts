/**
 * Headers of elements (PS3.5 7.1), also where they are not as the transfer syntax says: real files hold VRs of blanks, zeros or `--`, and
 * implicit elements inside explicit files. Such a header is read in the way after which the next ones make sense.
 */
import { hasLongLength, isVr, lettersOf, vrOf } from './dictionary.ts'
import type { Source } from './source.ts'

export interface Encoding {
  explicit: boolean
  littleEndian: boolean
}

export interface Header {
  tag: number
  /** As the file says; empty where it says none that there is. */
  vr: string
  length: number
  /** Where the value begins. */
  valueAt: number
  /** It was read as an implicit one. */
  implicit: boolean
  /** Not as the encoding says: what follows made it likely. */
  guessed: boolean
}

export const UNDEFINED_LENGTH = 0xFFFFFFFF
export const ITEM = 0xFFFEE000
export const ITEM_END = 0xFFFEE00D
export const SEQUENCE_END = 0xFFFEE0DD
/** Bytes of an item's header and of a delimiter. */
export const DELIMITER_BYTES = 8
const DELIMITER_GROUP = 0xFFFE
/** So many headers must make sense after one that does not say how it is to be read. */
const LOOKAHEAD = 3
/** Of a whole file: one of nothing but such headers ends soon. */
const MOST_PROBES = 20_000
/** Such bytes were meant as a VR: letters, blanks, zeros, marks; the length of an implicit element looks otherwise. */
const MEANT_AS_VR = /^(?:[A-Za-z?*. -]{2}|\0\0)$/

/** Of a data set, or of an item of one. */
export interface Place {
  at: number
  /** Where the data set, item or sequence ends. */
  end: number
  encoding: Encoding
  nested: boolean
}

export class Headers {
  readonly #source: Source
  #probes = MOST_PROBES

  constructor (source: Source) {
    this.#source = source
  }

  /** @returns undefined where none is, or none that can be understood */
  at (place: Place): Header | undefined {
    const { at, end, encoding } = place
    if (end - at < DELIMITER_BYTES) return undefined
    const tag = this.tag(at, encoding)
    if (tag >>> 16 === DELIMITER_GROUP) return this.#implicit(tag, at, encoding, false)
    const vr = this.#vr(at)
    if (encoding.explicit) {
      const header = isVr(vr) ? this.#explicit(tag, vr, at, end, encoding, false) : undefined
      if (header !== undefined) return header
      // a header that the end cuts off must not be taken for another one
      if (isVr(vr) && end - at < 12) return undefined
      return this.#likeliest(place, tag)
    }
    const header = this.#implicit(tag, at, encoding, false)
    if (!isVr(vr)) return header
    // two letters in the place of a length
    return this.#likeliest(place, tag) ?? header
  }

  tag (at: number, { littleEndian }: Encoding): number {
    return this.#source.uint16(at, littleEndian) * 0x10000 + this.#source.uint16(at + 2, littleEndian)
  }

  /** How many headers in a row make sense from here, at most three; three also when the data set ends before. */
  credit ({ at, end, encoding, nested }: Place): number {
    return this.#chain(at, end, encoding, nested, 0x0007FFFF, LOOKAHEAD)
  }

  #vr (at: number): string {
    return lettersOf(this.#source.uint16(at + 4, false))
  }

  #implicit (tag: number, at: number, { littleEndian }: Encoding, guessed: boolean): Header {
    return { tag, vr: '', length: this.#source.uint32(at + 4, littleEndian), valueAt: at + 8, implicit: true, guessed }
  }

  /** @returns undefined where the end cuts it off, or the reserved bytes of a long one are used */
  #explicit (tag: number, vr: string, at: number, end: number, { littleEndian }: Encoding, guessed: boolean): Header | undefined {
    const shortLength = this.#source.uint16(at + 6, littleEndian)
    if (!hasLongLength(vr)) return { tag, vr, length: shortLength, valueAt: at + 8, implicit: false, guessed }
    return shortLength === 0 ? this.#long(tag, vr, at, end, { explicit: true, littleEndian }, guessed) : undefined
  }

  #long (tag: number, vr: string, at: number, end: number, { littleEndian }: Encoding, guessed: boolean): Header | undefined {
    if (end - at < 12) return undefined
    return { tag, vr, length: this.#source.uint32(at + 8, littleEndian), valueAt: at + 12, implicit: false, guessed }
  }

  #likeliest ({ at, end, encoding, nested }: Place, tag: number): Header | undefined {
    let best: Header | undefined
    let most = 0
    for (const candidate of this.#candidates(at, end, encoding, tag)) {
      const credit = this.#creditOf(candidate, end, encoding, nested)
      if (credit <= most) continue
      most = credit
      best = candidate
    }
    return best
  }

  #creditOf ({ tag, length, valueAt }: Header, end: number, encoding: Encoding, nested: boolean): number {
    if (length === UNDEFINED_LENGTH) return this.#itemsAt(valueAt, end, encoding) ? LOOKAHEAD * 2 : 0
    return valueAt + length > end ? 0 : this.#chain(valueAt + length, end, encoding, nested, tag, LOOKAHEAD)
  }

  /** The ways to read a header, the likelier ones first. */
  #candidates (at: number, end: number, encoding: Encoding, tag: number): Header[] {
    const letters = this.#vr(at)
    const implicit = this.#implicit(tag, at, encoding, encoding.explicit)
    if (isVr(letters)) {
      const explicit = this.#explicit(tag, letters, at, end, encoding, !encoding.explicit)
      if (explicit !== undefined) return vrOf(tag) === letters ? [explicit, implicit] : [implicit, explicit]
    }
    const shortLength = this.#source.uint16(at + 6, encoding.littleEndian)
    const vr = isVr(letters) ? letters : ''
    const explicit: Header[] = [{ tag, vr, length: shortLength, valueAt: at + 8, implicit: false, guessed: true }]
    const long = shortLength === 0 || hasLongLength(letters) ? this.#long(tag, vr, at, end, encoding, true) : undefined
    if (long !== undefined) explicit.push(long)
    return MEANT_AS_VR.test(letters) ? [...explicit, implicit] : [implicit, ...explicit]
  }

  /** Points for the headers from here on, two for one with a VR and one for another, until `left` have been seen. */
  #chain (at: number, end: number, encoding: Encoding, nested: boolean, after: number, left: number): number {
    if (at === end) return left * 2
    if (left === 0 || --this.#probes < 0) return 0
    try {
      if (end - at < DELIMITER_BYTES) return this.#source.bytes(at, end - at).every(byte => byte === 0) ? left : 0
      const tag = this.tag(at, encoding)
      if (tag === ITEM_END || tag === SEQUENCE_END) return nested ? left * 2 : 0
      if (tag === 0) return this.#source.bytes(at, DELIMITER_BYTES).every(byte => byte === 0) ? 1 : 0
      if (tag <= after || tag >>> 16 >= DELIMITER_GROUP) return 0
      let most = 0
      for (const header of this.#ways(at, end, encoding, tag)) {
        const points = header.vr === '' ? 1 : 2
        const next = header.valueAt + header.length
        if (header.length === UNDEFINED_LENGTH) most = Math.max(most, this.#itemsAt(header.valueAt, end, encoding) ? left * 2 : 0)
        // the value may be cut off; its header is one all the same
        else if (next > end) most = Math.max(most, header.vr === '' ? 0 : points)
        else if (most < left * 2) most = Math.max(most, points + this.#chain(next, end, encoding, nested, tag, left - 1))
      }
      return most
    } catch {
      return 0
    }
  }

  /** A VR speaks for itself; without one an implicit data set has implicit elements only. */
  #ways (at: number, end: number, encoding: Encoding, tag: number): Header[] {
    if (isVr(this.#vr(at))) return this.#candidates(at, end, encoding, tag).filter(({ vr }) => vr !== '')
    return encoding.explicit ? this.#candidates(at, end, encoding, tag) : [this.#implicit(tag, at, encoding, false)]
  }

  #itemsAt (at: number, end: number, encoding: Encoding): boolean {
    if (end - at < DELIMITER_BYTES) return false
    const tag = this.tag(at, encoding)
    return tag === ITEM || tag === SEQUENCE_END
  }
}

/**
 * Groups in which an element may stand: those of the standard (PS3.6), and private ones among them. A text or noise after the data set has
 * other ones.
 */
export function isLikelyGroup (group: number): boolean {
  return (group >= 0x0008 && group < 0x1000) || (group >= 0x3002 && group <= 0x3010) || [0x5200, 0x5400, 0x7FE0].includes(group)
}
