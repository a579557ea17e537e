/**
 * Walks through a data set once: keeps some elements in one encoding, and sees whether the file ends where it should. What cannot be
 * followed is left out, with a remark; what is cut off is told from it.
 */
import { isVr, nameOf, vrOf } from './dictionary.ts'
import { ElementWriter } from './element-writer.ts'
import {
  DELIMITER_BYTES, Headers, isLikelyGroup, ITEM, ITEM_END, SEQUENCE_END, UNDEFINED_LENGTH, type Encoding, type Header, type Place
} from './headers.ts'
import { withoutPadding } from './padding.ts'
import { ENCAPSULATED_DOCUMENT, LARGEST_DOCUMENT_BYTES } from './encapsulated-document.ts'
import { LARGEST_PALETTE_BYTES, PALETTE_TABLES } from './picture-tags.ts'
import { LostError, WINDOW_BYTES, type Source } from './source.ts'

/** A large structured report. */
const LARGEST_SEQUENCE_BYTES = 8 * 1024 ** 2
const DEEPEST = 32
/** Deeper than anything is kept, and shallower than the stack. */
const DEEPEST_SKIPPED = 256
const LONGEST_HEADER_BYTES = 12
const RESYNC_BYTES = 1024 ** 2
const MOST_RESYNCS = 16
const MOST_REMARKS = 5
const IMPLICIT_LITTLE_ENDIAN: Encoding = { explicit: false, littleEndian: true }

const FLOAT_PIXEL_DATA = 0x7FE00008
const DOUBLE_FLOAT_PIXEL_DATA = 0x7FE00009
const PIXEL_DATA = 0x7FE00010
const NUMBER_OF_FRAMES = 0x00280008
const CONTENT_SEQUENCE = 0x0040A730
const RELATIONSHIP_TYPE = 0x0040A010
/** All that a directory record holds of a report's content: what modifies the report's name (PS3.3 F.5.24). */
const CONCEPT_MODIFIER = 'HAS CONCEPT MOD'

/** What is kept is too large or too deep; it can be passed over all the same. */
class LeftOutError extends Error {}

interface Kept {
  tag: number
  start: number
  end: number
}

/** The value of Pixel Data (7FE0,0010). */
export interface PixelDataPlace {
  /** In the file, bytes. */
  offset: number
  /** Of fragments: with their items and the last delimiter. */
  lengthBytes: number
  /** In fragments (PS3.5 A.4). */
  encapsulated: boolean
}

export interface DataSetReaderOptions {
  start: number
  encoding: Encoding
  tags: ReadonlySet<number>
  /** Who it is stands up to here: a data set of which less can be read, and that ends within an element, is cut off. */
  lastIdentityTag: number
}

export class DataSetReader {
  readonly #source: Source
  readonly #headers: Headers
  readonly #options: DataSetReaderOptions
  readonly #writer = new ElementWriter()
  readonly #kept = new Map<number, Kept>()
  readonly #remarks = new Set<string>()
  #position: number
  /** The last header that was looked at, inside of sequences too. */
  #reached = 0
  #lastTag = 0
  /** Something was guessed: what seems to be missing may never have been there. */
  #doubt = false
  #frames = 1
  #resyncs = 0
  /** Where the search for the end of a sequence began: a delimiter after it shows that the search had found an inner one. */
  #resynced: { tag: number, kept: number } | undefined
  #cutOff: string | undefined
  #pixelPlace: PixelDataPlace | undefined

  constructor (source: Source, options: DataSetReaderOptions) {
    this.#source = source
    this.#headers = new Headers(source)
    this.#options = options
    this.#position = options.start
  }

  /** Why the data set is not whole; undefined for one that is. */
  get cutOff (): string | undefined { return this.#cutOff }

  /** Undefined where there are none, and where it had to be guessed where they are. */
  get pixelData (): PixelDataPlace | undefined { return this.#pixelPlace }

  get remarks (): string[] { return [...this.#remarks] }

  /** The elements that were asked for, in the order of their tags, in explicit VR little endian; a copy of exactly their size. */
  elements (): Buffer {
    const parts = [...this.#kept.values()].sort((a, b) => a.tag - b.tag).map(({ start, end }) => this.#writer.view(start, end))
    const bytes = Buffer.allocUnsafeSlow(parts.reduce((sum, part) => sum + part.length, 0))
    let length = 0
    for (const part of parts) length += part.copy(bytes, length)
    return bytes
  }

  /** @throws never */
  read (): void {
    try {
      while (this.#next()) { /* an element at a time */ }
    } catch (error) {
      if (!(error instanceof LostError)) throw error
      this.#lost(error)
    }
  }

  /** @returns false at the end */
  #next (): boolean {
    const { encoding } = this.#options
    const at = this.#position
    const end = this.#source.sizeBytes
    if (at === end) return false
    const header = this.#headers.at({ at, end, encoding, nested: false })
    if (header === undefined) return this.#endInHeader(at)
    if (header.tag === 0 && this.#zeros(at)) {
      this.#remark('zero bytes follow its last element')
      return false
    }
    if (header.tag >>> 16 === 0xFFFE) return this.#stray(header)
    if (!this.#inOrder(header)) return false
    if (header.guessed) this.#guess(`${nameOf(header.tag)} is not encoded as the transfer syntax says`)
    this.#lastTag = header.tag
    if (header.tag === PIXEL_DATA || header.tag === FLOAT_PIXEL_DATA || header.tag === DOUBLE_FLOAT_PIXEL_DATA) {
      this.#pixelData(header)
      // what some senders append after the pixel data is none of our business
      return false
    }
    return this.#topElement(header)
  }

  /** Elements ascend (PS3.5 7.1); what does not is taken for one only where it looks like one. */
  #inOrder ({ tag, vr, valueAt, length }: Header): boolean {
    if (tag > this.#lastTag && (vr !== '' || isLikelyGroup(tag >>> 16) || valueAt + length <= this.#source.sizeBytes)) return true
    const looksRight = isVr(vr) && isLikelyGroup(tag >>> 16) && valueAt + length <= this.#source.sizeBytes
    if (looksRight) this.#guess('its elements are not in order')
    else this.#remark(`what stands after ${nameOf(this.#lastTag)} cannot be read`)
    return looksRight
  }

  #topElement (header: Header): boolean {
    const { tag, length, valueAt } = header
    const end = this.#source.sizeBytes
    const defined = length !== UNDEFINED_LENGTH
    if (defined && valueAt + length > end) return this.#beyond(header, valueAt + length - end)
    const wanted = this.#options.tags.has(tag) && !this.#kept.has(tag)
    if (defined && !wanted) {
      this.#position = valueAt + length
      return true
    }
    const start = this.#writer.length
    const doubt = this.#doubt
    try {
      this.#position = this.#element(header, { at: valueAt, end, encoding: this.#options.encoding, nested: false }, 0, wanted)
      if (wanted && this.#writer.length > start) this.#keep(tag, start)
    } catch (error) {
      this.#writer.truncate(start)
      if (error instanceof LeftOutError) this.#position = defined ? valueAt + length : this.#skipped(header)
      else if (error instanceof LostError && defined) this.#position = valueAt + length
      else if (error instanceof LostError) return this.#resync(header, error)
      else throw error
      this.#remark(`${nameOf(tag)} is left out: ${error.message}`)
    }
    // its own length leads past whatever was guessed inside
    if (defined) this.#doubt = doubt
    return true
  }

  #skipped (header: Header): number {
    const place = { at: header.valueAt, end: this.#source.sizeBytes, encoding: this.#options.encoding, nested: false }
    return this.#element(header, place, 0, false)
  }

  #keep (tag: number, start: number): void {
    this.#kept.set(tag, { tag, start, end: this.#writer.length })
    if (tag === NUMBER_OF_FRAMES) this.#frames = Number.parseInt(this.#writer.view(start + 8).toString('latin1'), 10) || 1
  }

  /**
   * The value of one element, and what stands in it.
   * @returns where the next one begins
   */
  #element (header: Header, { end, encoding }: Place, depth: number, keep: boolean): number {
    const { tag, vr, length, valueAt, implicit } = header
    const known = vrOf(tag)
    const defined = length !== UNDEFINED_LENGTH
    if (defined && valueAt + length > end) throw this.#tooLong(nameOf(tag), end)
    if (defined && !keep) return valueAt + length
    const unknown = vr === 'UN' || vr === ''
    if (vr === 'SQ' || (unknown && (known === 'SQ' || !defined))) {
      // inside of UN everything is implicit VR little endian (PS3.5 6.2.2)
      const inside = vr === 'UN' ? IMPLICIT_LITTLE_ENDIAN : { explicit: vr === 'SQ' || !implicit, littleEndian: encoding.littleEndian }
      const start = this.#writer.length
      try {
        const place = { at: valueAt, end: defined ? valueAt + length : end, encoding: inside, nested: true }
        return this.#sequence(header, place, depth + 1, keep)
      } catch (error) {
        if (!(error instanceof LostError) || vr === 'SQ' || !defined || depth === 0) throw error
        // it need not be a sequence: bytes that are copied as they are
        this.#writer.truncate(start)
      }
    } else if (!defined) return this.#fragments(valueAt, end, encoding)
    if (depth === 0 && length > largestValueBytes(tag)) throw new LeftOutError(`${length} bytes are more than a key has`)
    if (tag % 0x10000 === 0) return valueAt + length
    const written = !unknown ? vr : known === undefined || known === 'SQ' ? 'UN' : known
    this.#writer.value(tag, written, this.#source, valueAt, length, encoding.littleEndian || vr === 'UN')
    if (this.#writer.length > LARGEST_SEQUENCE_BYTES) throw new LeftOutError('too large')
    return valueAt + length
  }

  #sequence ({ tag, length }: Header, { at, end, encoding }: Place, depth: number, keep: boolean): number {
    if (keep && depth > DEEPEST) throw new LeftOutError('sequences within sequences, too deep')
    if (depth > DEEPEST_SKIPPED) throw new LostError('sequences within sequences')
    const filtered = tag === CONTENT_SEQUENCE && depth === 1
    const begin = keep ? this.#writer.beginSequence(tag) : 0
    let position = at
    for (;;) {
      if (position === end) {
        if (length === UNDEFINED_LENGTH) this.#missingDelimiter(end)
        break
      }
      const header = this.#delimiter(position, end, encoding)
      position = header.valueAt
      if (header.tag === SEQUENCE_END) {
        if (length === UNDEFINED_LENGTH) break
      } else if (header.tag === ITEM) {
        if (keep && !filtered && position - at > LARGEST_SEQUENCE_BYTES) throw new LeftOutError('too large')
        position = this.#item(header, { at: position, end, encoding, nested: true }, depth, keep, filtered)
      } else if (header.tag !== ITEM_END) throw new LostError(`${nameOf(tag)} holds something else than items`)
    }
    if (keep) this.#writer.end(begin)
    return position
  }

  #item ({ length }: Header, { at, end, encoding }: Place, depth: number, keep: boolean, filtered: boolean): number {
    const defined = length !== UNDEFINED_LENGTH
    const itemEnd = defined ? at + length : end
    if (itemEnd > end) throw this.#tooLong('an item', end)
    if (defined && !keep) return itemEnd
    const before = this.#writer.length
    const begin = keep ? this.#writer.beginItem() : 0
    let keeping = keep
    let position = at
    for (;;) {
      if (position === itemEnd) {
        if (!defined) this.#missingDelimiter(itemEnd)
        break
      }
      const place = { at: position, end: itemEnd, encoding, nested: true }
      this.#reached = position
      const header = this.#headers.at(place)
      if (header === undefined) {
        const ended = itemEnd === this.#source.sizeBytes && itemEnd - position < LONGEST_HEADER_BYTES
        throw new LostError(`byte ${position} begins no element`, ended)
      }
      if (header.tag === SEQUENCE_END && !defined) {
        // its own delimiter is missing; the sequence reads this one
        this.#guess('an item has no delimiter')
        break
      }
      if (header.tag === ITEM) throw new LostError('an item holds an item')
      if (header.tag === ITEM_END || header.tag === SEQUENCE_END) {
        position = header.valueAt
        if (defined) continue
        break
      }
      if (header.guessed) this.#guess(`${nameOf(header.tag)} is not encoded as the transfer syntax says`)
      const start = this.#writer.length
      position = this.#element(header, place, depth, keeping)
      if (filtered && keeping && header.tag === RELATIONSHIP_TYPE && text(this.#writer.view(start + 8)) !== CONCEPT_MODIFIER) {
        keeping = false
        this.#writer.truncate(before)
        if (defined) return itemEnd
      }
    }
    if (keeping) this.#writer.end(begin)
    return position
  }

  #delimiter (at: number, end: number, encoding: Encoding): Header {
    this.#reached = at
    if (end - at < DELIMITER_BYTES) throw new LostError(`byte ${at} begins no item`, end === this.#source.sizeBytes)
    const header = this.#headers.at({ at, end, encoding, nested: true })
    if (header === undefined || header.tag >>> 16 !== 0xFFFE) throw new LostError(`byte ${at} begins no item`)
    return header
  }

  /** Bytes of undefined length, in fragments (PS3.5 A.4), which nobody asks for. */
  #fragments (at: number, end: number, encoding: Encoding): number {
    for (let position = at; ;) {
      const { tag, length, valueAt } = this.#delimiter(position, end, encoding)
      if (tag === SEQUENCE_END) return valueAt
      if (tag !== ITEM || length === UNDEFINED_LENGTH) throw new LostError('something else than fragments')
      position = valueAt + length
      if (position > end) throw this.#tooLong('a fragment', end)
    }
  }

  #tooLong (what: string, end: number): LostError {
    return new LostError(`${what} is longer than what it stands in`, end === this.#source.sizeBytes)
  }

  #missingDelimiter (at: number): void {
    if (at === this.#source.sizeBytes) throw new LostError('the file ends within a sequence', true)
    this.#guess('a sequence has no delimiter')
  }

  #pixelData ({ tag, vr, length, valueAt, guessed }: Header): void {
    const end = this.#source.sizeBytes
    // a tag, a VR and its reserved bytes are no accident, whatever had to be guessed before
    const sure = !this.#doubt || (vr !== '' && !guessed && tag === PIXEL_DATA)
    const missing = (bytes: number, reason: string): void => {
      if (sure) this.#cutOff = `${bytes} bytes of ${reason} are missing`
      else this.#remark(`${bytes} bytes of ${reason} seem to be missing`)
    }
    const place = (until: number): void => {
      if (sure && tag === PIXEL_DATA) this.#pixelPlace = { offset: valueAt, lengthBytes: until - valueAt, encapsulated: length === UNDEFINED_LENGTH }
    }
    if (length !== UNDEFINED_LENGTH) {
      if (valueAt + length > end) missing(valueAt + length - end, 'its pixel data')
      else place(valueAt + length)
      return
    }
    let fragments = 0
    for (let position = valueAt; ;) {
      const rest = end - position
      if (rest < DELIMITER_BYTES) {
        this.#endOfFragments(position, rest, fragments - 1, sure)
        place(position)
        return
      }
      const bytes = this.#source.bytes(position, DELIMITER_BYTES)
      const delimiter = bytes.readUInt16LE(0) * 0x10000 + bytes.readUInt16LE(2)
      if (delimiter === SEQUENCE_END) {
        place(position + DELIMITER_BYTES)
        return
      }
      if (delimiter !== ITEM) {
        this.#endOfFragments(position, 0, fragments - 1, sure)
        place(position)
        return
      }
      position += DELIMITER_BYTES + bytes.readUInt32LE(4)
      if (position > end) {
        missing(position - end, 'a fragment of its pixel data')
        return
      }
      fragments++
    }
  }

  /** The last delimiter is missing: left out by its writer, or cut off with frames before it. */
  #endOfFragments (at: number, rest: number, fragments: number, sure: boolean): void {
    const begun = Buffer.from([0xFE, 0xFF]).equals(this.#source.bytes(at, Math.min(rest, 2)))
    // each frame has a fragment of its own at least (PS3.5 A.4)
    const fewer = Math.max(fragments, 0) < this.#frames
    if (!sure || !(begun || fewer)) this.#remark('its pixel data have no last delimiter')
    else this.#cutOff = fewer ? `${fragments} fragments of ${this.#frames} frames are there` : 'it ends within a delimiter'
  }

  /** A delimiter outside of any sequence. */
  #stray (header: Header): boolean {
    const { tag, valueAt } = header
    const { encoding } = this.#options
    const end = this.#source.sizeBytes
    this.#guess('a delimiter stands outside of a sequence')
    if (this.#resynced !== undefined) {
      // the search for a sequence's end had found the end of one within it: what was read since belongs to that
      for (const [tag, { start }] of this.#kept) if (start >= this.#resynced.kept) this.#kept.delete(tag)
      this.#lastTag = this.#resynced.tag
      this.#position = valueAt
      return true
    }
    this.#position = tag === ITEM ? this.#item(header, { at: valueAt, end, encoding, nested: true }, 1, false, false) : valueAt
    return true
  }

  /** Looks for the end of a sequence that cannot be followed. */
  #resync ({ tag, valueAt }: Header, reason: LostError): boolean {
    // where the file is cut off, no sequence ends behind
    const accused = reason.ended && !this.#doubt
    const found = ++this.#resyncs > MOST_RESYNCS ? undefined : this.#sequenceEnd(accused ? this.#reached : valueAt)
    if (found === undefined && accused) return this.#ended(reason.message)
    this.#guess(`${nameOf(tag)} cannot be followed: ${reason.message}`)
    if (found === undefined) return false
    this.#position = found
    this.#resynced = { tag, kept: this.#writer.length }
    this.#lastTag = tag
    return true
  }

  /** @returns where the next delimiter of a sequence ends */
  #sequenceEnd (from: number): number | undefined {
    const delimiter = Buffer.from(this.#options.encoding.littleEndian ? 'feffdde000000000' : 'fffee0dd00000000', 'hex')
    const end = Math.min(this.#source.sizeBytes, from + RESYNC_BYTES)
    for (let at = from; at < end; at += WINDOW_BYTES - delimiter.length) {
      const found = this.#source.bytes(at, Math.min(WINDOW_BYTES, this.#source.sizeBytes - at)).indexOf(delimiter)
      if (found >= 0) return at + found + delimiter.length
    }
    return undefined
  }

  #beyond ({ tag, vr }: Header, missing: number): boolean {
    // noise after an implicit data set looks like an element that is too long
    const noise = vr === '' && vrOf(tag) === undefined && !isLikelyGroup(tag >>> 16)
    if (!noise) return this.#ended(`${missing} bytes are missing`)
    this.#remark(`what stands after ${nameOf(this.#lastTag)} cannot be read`)
    return false
  }

  #endInHeader (at: number): boolean {
    const { encoding } = this.#options
    const rest = this.#source.sizeBytes - at
    if (this.#zeros(at)) {
      this.#remark('zero bytes follow its last element')
      return false
    }
    // more than the longest header: it is there, and cannot be understood
    if (rest >= LONGEST_HEADER_BYTES) {
      this.#remark(`what stands at byte ${at} is no element`)
      return false
    }
    const tag = rest < 4 ? 0 : this.#headers.tag(at, encoding)
    const begun = tag > this.#lastTag && isLikelyGroup(tag >>> 16) &&
      (!encoding.explicit || rest < 6 || isVr(this.#source.bytes(at + 4, 2).toString('latin1')))
    if (begun || this.#lastTag < this.#options.lastIdentityTag) return this.#ended('it ends within the header of an element')
    this.#remark(`${rest} bytes follow its last element`)
    return false
  }

  #zeros (at: number): boolean {
    const end = this.#source.sizeBytes
    for (let position = at; position < end; position += WINDOW_BYTES) {
      if (this.#source.bytes(position, Math.min(WINDOW_BYTES, end - position)).some(byte => byte !== 0)) return false
    }
    return true
  }

  #lost (error: LostError): void {
    if (error.ended) this.#ended(error.message)
    else this.#remark(error.message)
  }

  #ended (reason: string): false {
    if (this.#doubt) this.#remark(`it seems to be cut off: ${reason}`)
    else this.#cutOff = reason
    return false
  }

  #guess (remark: string): void {
    this.#doubt = true
    this.#remark(remark)
  }

  #remark (remark: string): void {
    if (this.#remarks.size < MOST_REMARKS) this.#remarks.add(remark)
  }
}

function text (value: Buffer): string {
  return withoutPadding(value.toString('latin1'))
}

function largestValueBytes (tag: number): number {
  return PALETTE_TABLES.includes(tag) ? LARGEST_PALETTE_BYTES : tag === ENCAPSULATED_DOCUMENT ? LARGEST_DOCUMENT_BYTES : WINDOW_BYTES
}
