/**
 * Text in DICOM's character sets (PS3.3 C.12.1.1.2, PS3.5 6.1) as a string. findscu converts with glibc's iconv, which does not know
 * ISO 2022 IR 87, 159 and 13 (measured); Node's decoders do.
 */

const BY_NAME: Record<string, string> = {
  'ISO_IR 100': 'windows-1252', 'ISO_IR 101': 'iso-8859-2', 'ISO_IR 109': 'iso-8859-3', 'ISO_IR 110': 'iso-8859-4',
  'ISO_IR 144': 'iso-8859-5',
  'ISO_IR 127': 'iso-8859-6', 'ISO_IR 126': 'iso-8859-7', 'ISO_IR 138': 'iso-8859-8', 'ISO_IR 148': 'windows-1254',
  'ISO_IR 203': 'iso-8859-15',
  'ISO_IR 13': 'shift_jis', 'ISO_IR 166': 'windows-874', 'ISO_IR 192': 'utf-8', GB18030: 'gb18030', GBK: 'gbk'
}

interface CodeSet {
  label: string
  /** How its bytes become those of the label's encoding. */
  bytes?: (bytes: Uint8Array) => Uint8Array
}

const high = (bytes: Uint8Array): Uint8Array => bytes.map(byte => byte | 0x80)
/** JIS X 0212 is EUC-JP's third code set: each pair after 0x8F. */
const jisX0212 = (bytes: Uint8Array): Uint8Array => {
  const euc = new Uint8Array(Math.floor(bytes.length / 2) * 3)
  for (let pair = 0; pair * 2 + 1 < bytes.length; pair++) {
    euc.set([0x8f, (bytes[pair * 2] ?? 0) | 0x80, (bytes[pair * 2 + 1] ?? 0) | 0x80], pair * 3)
  }
  return euc
}

/** Escape sequences (PS3.3 Tables C.12-3 and C.12-4), without the escape character. */
const ESCAPES: Record<string, CodeSet> = {
  '(B': { label: 'windows-1252' }, '(J': { label: 'shift_jis' }, ')I': { label: 'shift_jis' },
  $B: { label: 'euc-jp', bytes: high }, '$@': { label: 'euc-jp', bytes: high }, '$(D': { label: 'euc-jp', bytes: jisX0212 },
  '$)C': { label: 'euc-kr' }, '$)A': { label: 'gb18030' },
  '-A': { label: 'windows-1252' }, '-B': { label: 'iso-8859-2' }, '-C': { label: 'iso-8859-3' }, '-D': { label: 'iso-8859-4' },
  '-L': { label: 'iso-8859-5' },
  '-G': { label: 'iso-8859-6' }, '-F': { label: 'iso-8859-7' }, '-H': { label: 'iso-8859-8' }, '-M': { label: 'windows-1254' },
  '-T': { label: 'windows-874' }
}

const ESCAPE = 0x1b
/** ASCII, which is also what an empty first value means (PS3.3 C.12.1.1.2). */
const ASCII = 'ISO_IR 6'

/**
 * The first of the declared sets by its name without code extensions, also where it is misspelt (`ISO_IR100`, `UTF-8`).
 * @returns undefined for one that nobody knows
 */
function initialSet (characterSet: string): string | undefined {
  const first = (characterSet.split('\\')[0] ?? '').trim().toUpperCase()
  if (first === '') return ASCII
  const letters = first.replace(/[^A-Z0-9]/g, '')
  if (letters === 'UTF8') return 'ISO_IR 192'
  const number = /^ISO(?:2022)?IR(\d+)$/.exec(letters)?.[1]
  const name = number === undefined ? letters : `ISO_IR ${number}`
  return name === ASCII || name in BY_NAME ? name : undefined
}

const WITH_CODE_EXTENSIONS: ReadonlySet<string> = new Set([
  '6', '13', '58', '87', '100', '101', '109', '110', '126', '127', '138', '144', '148', '149', '159', '166', '203'
])

/** Whether it is a value of Specific Character Set (0008,0005) as the standard spells it (PS3.3 C.12.1.1.2). */
export function isCharacterSet (characterSet: string): boolean {
  const values = characterSet.split('\\').map(value => value.trim())
  return values.every((value, index) => {
    if (value === '') return index === 0
    const number = /^ISO 2022 IR (\d+)$/.exec(value)?.[1]
    if (number !== undefined) return WITH_CODE_EXTENSIONS.has(number)
    // without code extensions it stands alone
    return values.length === 1 && (value === ASCII || value in BY_NAME)
  })
}

/**
 * Whether bytes can be text in the declared character set. ISO 8859 has no characters from 0x80 to 0x9f, and JIS X 0201 only katakana above
 * ASCII.
 */
export function isTextIn (bytes: Uint8Array, characterSet: string): boolean {
  if (bytes.includes(ESCAPE)) return characterSet !== '' && !decodeText(bytes, characterSet).includes('\uFFFD')
  if (!bytes.some(byte => byte >= 0x80)) return true
  const initial = initialSet(characterSet)
  if (initial === undefined || initial === ASCII) return false
  if (initial === 'ISO_IR 13') return bytes.every(byte => byte < 0x80 || (byte > 0xa0 && byte < 0xe0))
  const label = BY_NAME[initial] ?? ''
  return /^(utf-8|gb)/.test(label) ? decodes(label, bytes) : !bytes.some(byte => byte >= 0x80 && byte < 0xa0)
}

function decodes (label: string, bytes: Uint8Array): boolean {
  try {
    new TextDecoder(label, { fatal: true }).decode(bytes)
    return true
  } catch {
    return false
  }
}

/**
 * Text that is no text in what was declared, or for which nothing that anybody knows was declared, and that is valid UTF-8, is taken for
 * that; else what was not declared is read as Latin 1.
 * @param characterSet Specific Character Set (0008,0005), values separated by backslashes
 * @throws never
 */
export function decodeText (bytes: Uint8Array, characterSet: string): string {
  const escapes = bytes.includes(ESCAPE)
  if (!escapes && !bytes.some(byte => byte >= 0x80)) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
  const first = initialSet(characterSet)
  const initial: CodeSet = { label: (first === undefined ? undefined : BY_NAME[first]) ?? 'windows-1252' }
  if (!escapes) return decode(!isTextIn(bytes, characterSet) && decodes('utf-8', bytes) ? { label: 'utf-8' } : initial, bytes)
  let text = ''
  let current = initial
  let start = 0
  const flush = (end: number): void => { text += decode(current, bytes.subarray(start, end)) }
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index]
    if (byte === ESCAPE) {
      const length = [2, 3].find(length => Buffer.from(bytes.subarray(index + 1, index + 1 + length)).toString('latin1') in ESCAPES)
      if (length === undefined) continue
      flush(index)
      current = ESCAPES[Buffer.from(bytes.subarray(index + 1, index + 1 + length)).toString('latin1')] ?? initial
      index += length
      start = index + 1
    } else if ((byte === 0x5e || byte === 0x3d || byte === 0x5c) && current.bytes === undefined) {
      // delimiters of a name and of values bring the first character set back (PS3.5 6.1.2.5.3)
      flush(index + 1)
      current = initial
      start = index + 1
    }
  }
  flush(bytes.length)
  return text
}

function decode ({ label, bytes: convert }: CodeSet, bytes: Uint8Array): string {
  return bytes.length === 0 ? '' : new TextDecoder(label).decode(convert === undefined ? bytes : convert(bytes))
}
