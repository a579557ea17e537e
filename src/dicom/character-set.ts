/**
 * Text in DICOM's character sets (PS3.3 C.12.1.1.2, PS3.5 6.1) as a string. findscu converts with glibc's iconv, which does not know
 * ISO 2022 IR 87, 159 and 13 (measured); Node's decoders do.
 */

const BY_NAME: Record<string, string> = {
  'ISO_IR 100': 'windows-1252', 'ISO_IR 101': 'iso-8859-2', 'ISO_IR 109': 'iso-8859-3', 'ISO_IR 110': 'iso-8859-4', 'ISO_IR 144': 'iso-8859-5',
  'ISO_IR 127': 'iso-8859-6', 'ISO_IR 126': 'iso-8859-7', 'ISO_IR 138': 'iso-8859-8', 'ISO_IR 148': 'windows-1254', 'ISO_IR 203': 'iso-8859-15',
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
  for (let pair = 0; pair * 2 + 1 < bytes.length; pair++) euc.set([0x8f, (bytes[pair * 2] ?? 0) | 0x80, (bytes[pair * 2 + 1] ?? 0) | 0x80], pair * 3)
  return euc
}

/** Escape sequences (PS3.3 Tables C.12-3 and C.12-4), without the escape character. */
const ESCAPES: Record<string, CodeSet> = {
  '(B': { label: 'windows-1252' }, '(J': { label: 'shift_jis' }, ')I': { label: 'shift_jis' },
  $B: { label: 'euc-jp', bytes: high }, '$@': { label: 'euc-jp', bytes: high }, '$(D': { label: 'euc-jp', bytes: jisX0212 },
  '$)C': { label: 'euc-kr' }, '$)A': { label: 'gb18030' },
  '-A': { label: 'windows-1252' }, '-B': { label: 'iso-8859-2' }, '-C': { label: 'iso-8859-3' }, '-D': { label: 'iso-8859-4' }, '-L': { label: 'iso-8859-5' },
  '-G': { label: 'iso-8859-6' }, '-F': { label: 'iso-8859-7' }, '-H': { label: 'iso-8859-8' }, '-M': { label: 'windows-1254' }, '-T': { label: 'windows-874' }
}

const ESCAPE = 0x1b

/**
 * @param characterSet Specific Character Set (0008,0005), values separated by backslashes; empty means ASCII, and is read as Latin 1
 */
export function decodeText (bytes: Uint8Array, characterSet: string): string {
  const first = (characterSet.split('\\')[0] ?? '').trim().replace(/^ISO 2022 IR /, 'ISO_IR ')
  const initial: CodeSet = { label: BY_NAME[first] ?? 'windows-1252' }
  if (!bytes.includes(ESCAPE)) return decode(initial, bytes)
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
