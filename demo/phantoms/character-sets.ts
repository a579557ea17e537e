/** Person names in the character sets that hospitals really use (PS3.3 C.12.1.1.2, PS3.5 H and I). */

export type CharacterSet = 'ISO_IR 100' | 'ISO_IR 192' | 'ISO 2022 IR 87' | 'ISO_IR 144' | 'ISO 2022 IR 149'

const ESCAPE_ASCII = Buffer.from([0x1b, 0x28, 0x42])
const ESCAPE_JIS_X_0208 = Buffer.from([0x1b, 0x24, 0x42])
const ESCAPE_KS_X_1001 = Buffer.from([0x1b, 0x24, 0x29, 0x43])

/** Specific Character Set (0008,0005). Code extensions come after an empty first value. */
export function specificCharacterSet (set: CharacterSet): string {
  return set.startsWith('ISO 2022') ? `\\${set}` : set
}

/** Node has decoders only: the encoder is the decoder's table turned round. */
function inverse (label: string, first: number, last: number): Map<string, Buffer> {
  const decoder = new TextDecoder(label)
  const table = new Map<string, Buffer>()
  for (let high = first; high <= last; high++) {
    for (let low = 0xa1; low <= 0xfe; low++) {
      const bytes = Buffer.from([high, low])
      const character = decoder.decode(bytes)
      if (character.length === 1 && character !== '\uFFFD') table.set(character, bytes)
    }
  }
  return table
}

let japanese: Map<string, Buffer> | undefined
let korean: Map<string, Buffer> | undefined
let cyrillic: Map<string, number> | undefined

/** An encoder of text for a character set. */
export function encoderFor (set: CharacterSet): (text: string) => Buffer {
  switch (set) {
    case 'ISO_IR 192': return text => Buffer.from(text, 'utf8')
    case 'ISO_IR 100': return text => Buffer.from(text, 'latin1')
    case 'ISO_IR 144': return text => {
      cyrillic ??= new Map(Array.from({ length: 256 }, (_, byte) => [new TextDecoder('iso-8859-5').decode(Buffer.from([byte])), byte]))
      return Buffer.from([...text].map(character => cyrillic?.get(character) ?? 0x3f))
    }
    case 'ISO 2022 IR 87': return text => {
      japanese ??= inverse('euc-jp', 0xa1, 0xf4)
      // the two bytes of JIS X 0208 are those of EUC-JP without the high bit
      return escaped(text, character => japanese?.get(character)?.map(byte => byte & 0x7f), ESCAPE_JIS_X_0208, true)
    }
    case 'ISO 2022 IR 149': return text => {
      korean ??= inverse('euc-kr', 0xa1, 0xfd)
      // KS X 1001 goes to G1: ASCII needs no escape to come back
      return escaped(text, character => korean?.get(character), ESCAPE_KS_X_1001, false)
    }
  }
}

/** The escape state begins anew after each delimiter of a person name (PS3.5 6.1.2.5.3). */
function escaped (text: string, lookUp: (character: string) => Uint8Array | undefined, escape: Buffer, back: boolean): Buffer {
  const parts: Uint8Array[] = []
  let active = false
  for (const character of text) {
    const bytes = lookUp(character)
    if (bytes !== undefined) {
      if (!active) parts.push(escape)
      active = true
      parts.push(bytes)
      continue
    }
    if (active && back) {
      parts.push(ESCAPE_ASCII)
      active = false
    }
    if (character === '^' || character === '=') active = false
    parts.push(Buffer.from(character, 'latin1'))
  }
  if (active && back) parts.push(ESCAPE_ASCII)
  return Buffer.concat(parts)
}
