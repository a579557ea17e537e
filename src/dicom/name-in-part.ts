/** A name that was typed in part: whether a name is meant, and what an archive is asked for. Pure. */
import { SPELLINGS, wordsIn } from './name-spelling.ts'

/** Of fewer letters only the beginning of a word counts: two letters stand somewhere in nearly every name. */
const SHORTEST_PART = 3
/** Letters that often have an accent, and are typed without it. */
const VOWELS = 'aeiouy'
const CONSONANTS = 'cgnslz'

/** Each word that was typed stands in one of the name, without regard to case, accents and order; as {@link SPELLINGS} write them. */
export function isNamed (name: string, typed: string): boolean {
  const own = wordsIn(name).flatMap(spellingsOf)
  return wordsIn(typed).every(word => {
    const parts = spellingsOf(word)
    return own.some(one => parts.some(part => [...part].length < SHORTEST_PART ? one.startsWith(part) : one.includes(part)))
  })
}

function spellingsOf (word: string): string[] { return SPELLINGS.map(spelling => spelling(word)) }

/**
 * What an archive is asked for (PS3.4 C.2.2.2.4). Archives compare names with regard to case or without, accents alike, and want the words in the order of
 * the name; so it is asked for several spellings. Most find more than is meant: {@link isNamed} says what is.
 */
export function patternsOf (typed: string): string[] {
  const words = typed.split(/[\s,^=]+/).filter(word => word !== '')
  // the longest find the fewest others; what the rest says is looked at afterwards
  const longest = [...words].sort((a, b) => b.length - a.length).slice(0, 2)
  const [first, second] = words.filter(word => longest.includes(word))
  if (first === undefined) return []
  const orders = second === undefined ? [[first]] : [[first, second], [second, first]]
  // of two letters those at the beginning are asked for by themselves too, since there are many others; not by ^BU, which Orthanc's QIDO-RS never finds (measured)
  const beginnings = longest.some(word => [...word].length >= SHORTEST_PART) ? ['*'] : ['', '*']
  return [...new Set(orders.flatMap(order => {
    const exact = [order, order.map(upper), order.map(capital)].map(spelled => spelled.map(withoutAccents))
    const accented = [order.map(upper), order.map(capital)].flatMap(withAnyAccents)
    return [...exact, ...accented].flatMap(parts => beginnings.map(beginning => `${beginning}${parts.join('*')}*`.replace(/\*+/g, '*')))
  }))]
}

function upper (word: string): string { return word.toUpperCase() }
function capital (word: string): string { return word.charAt(0).toUpperCase() + word.slice(1).toLowerCase() }

/** A letter with an accent may be written without one, as two letters, or in a character set that the archive does not compare. */
function withoutAccents (word: string): string {
  return word.normalize('NFC').replace(/(?:(?=[^\p{ASCII}])\p{Script=Latin}\p{M}*)+/gu, '*')
}

/**
 * For letters that were typed without their accent (Muller, Müller), or as two (Mueller): all that may have one, where enough others are left to ask for; else
 * the vowels, and each of the others alone. Never `?`: for Orthanc it is no letter with an accent, and for dcmqrscp a byte (measured).
 */
function withAnyAccents (words: readonly string[]): string[][] {
  const without = (letters: string, least: number): string[][] => {
    const parts = words.map(word => withoutAccents(word).replace(new RegExp(`[${letters}]+`, 'gi'), '*'))
    return lettersIn(parts) >= least ? [parts] : []
  }
  const [most] = [...without(VOWELS + CONSONANTS, 4), ...without(`${VOWELS}nl`, 3)]
  if (most !== undefined) return [most]
  const alone = words.flatMap((word, at) => [...word.matchAll(new RegExp(`[${CONSONANTS}]`, 'gi'))].map(({ index }) =>
    words.with(at, `${word.slice(0, index)}*${word.slice(index + 1)}`).map(withoutAccents)))
  return [...without(VOWELS, 2), ...alone.filter(parts => lettersIn(parts) >= SHORTEST_PART)]
}

function lettersIn (parts: readonly string[]): number { return parts.join('').replaceAll('*', '').length }
