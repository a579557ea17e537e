/** How one name is spelt: with accents and without, with a keyboard that lacks a letter, in a character set that lost it. */

/** One name, written in many ways; each stands for itself in any other name. */
const ABBREVIATED = new Map<string, string>([
  ...'muhammad mohammad mohamed mohammed muhammed mohamad muhamad mohamet mehmed moh muh moch mochamad mochammad mhd muhd mohd'
    .split(' ').map(word => [word, 'muhammad'] as const),
  ...'abdul abdel abd'.split(' ').map(word => [word, 'abdul'] as const)
])

/** Letters that Unicode does not take apart (UnicodeData.txt), as passports write them (ICAO 9303-3, section 6). */
const LETTERS: Record<string, string> = {
  æ: 'ae', œ: 'oe', ø: 'o', đ: 'd', ð: 'd', þ: 'th', ł: 'l', ħ: 'h', ŋ: 'n', ŧ: 't', ĸ: 'k', ſ: 's', ə: 'a'
}
const GERMAN: Record<string, string> = { ä: 'ae', ö: 'oe', ü: 'ue', ø: 'oe', å: 'aa' }
/** Alef with and without hamza, the two yehs, teh marbuta: typed as the keyboard makes it easy. */
const ARABIC: Record<string, string> = { أ: 'ا', إ: 'ا', آ: 'ا', ٱ: 'ا', ى: 'ي', ی: 'ي', ئ: 'ي', ؤ: 'و', ة: 'ه', ک: 'ك', ـ: '' }

/** How one word can be written: two words are alike when they are in any of them. */
export const SPELLINGS: ReadonlyArray<(word: string) => string> = [
  plain,
  // Müller is Mueller on a keyboard without umlauts
  word => plain(word.replace(/[äöüøå]/gu, letter => GERMAN[letter] ?? letter)),
  // a system of ASCII that leaves out what it cannot write: Mller; of a word that is not written in Latin it leaves nothing
  word => { const rest = word.replace(/[^\p{ASCII}]/gu, ''); return rest.length >= 3 ? rest : plain(word) },
  // Indonesia before 1972: Soeharto, Djoko, Tjahjono
  word => plain(word).replaceAll('oe', 'u').replaceAll('dj', 'j').replaceAll('tj', 'c'),
  word => { const text = plain(word); return ABBREVIATED.get(text) ?? text }
]

/** A letter that a character set could not write; a run of them is as many letters or fewer, since two bytes of UTF-8 are one letter. */
export const LOST = '?'

/** The words of a text, small, composed; every sign that is no letter and no digit separates. */
export function wordsIn (text: string): string[] {
  // a small sigma at the end of a word depends on the sign that follows; ß has no single capital
  return text.normalize('NFKC').replace(/[\p{Cf}ـ]/gu, '').replaceAll('\uFFFD', LOST)
    .toLowerCase().toUpperCase().toLowerCase().replaceAll('ς', 'σ').normalize('NFC')
    .split(/[^\p{L}\p{M}\p{N}?]+|[ʹʺʻʼʽˈʾʿ]+/u).filter(word => /[\p{L}\p{N}?]/u.test(word))
}

/** Without accents in the scripts where an accent is one; a mark is a vowel in Thai and makes が of か. */
export function plain (word: string): string {
  return word.replace(/[æœøđðþłħŋŧĸſə]/gu, letter => LETTERS[letter] ?? letter)
    .replace(/[أإآٱىیئؤةک]/gu, letter => ARABIC[letter] ?? letter)
    .normalize('NFD')
    .replace(/([\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}\p{Script=Hebrew}\p{Script=Arabic}])\p{M}+/gu, '$1')
    // the same sounds in Katakana and in Hiragana
    .replace(/[ァ-ヶ]/gu, kana => String.fromCodePoint((kana.codePointAt(0) ?? 0) - 0x60))
}
