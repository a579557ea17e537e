/**
 * Whether two person names can be one person's: names as archives, modalities, hospital systems and clerks write them. Pure; the one place
 * where names are compared. Order is no evidence: `Family^Given` is what PS3.5 6.2.1 asks for, and what half of the senders do.
 */
import { LOST, SPELLINGS, wordsIn } from './name-spelling.ts'
import { FEMALE, MALE, NEWBORN, PARTICLES, PLACEHOLDERS, TITLES } from './name-words.ts'

/**
 * - `same`: the same words; what differs is case, accents, separators, order, titles, character set, or letters that were cut off or lost.
 * - `fuller`: one has every word of the other, two at least, and more: a middle name, a second surname, a patronymic.
 * - `unclear`: neither for nor against: empty, a placeholder, scripts that cannot be compared, one word of several, initials.
 * - `changed`: a word in common and others that contradict: a marriage, a correction, a brother.
 * - `different`: nothing in common.
 */
export type NameAgreement = 'same' | 'fuller' | 'unclear' | 'changed' | 'different'

interface Word {
  /** The word as each of {@link SPELLINGS} writes it. */
  spellings: readonly string[]
  script: string
  /** The last word of a name that was cut off, perhaps within it. */
  cut: boolean
}

/**
 * @param a Person Name in DICOM's form (PS3.5 6.2.1) or as a person writes it
 */
export function compareNames (a: string, b: string): NameAgreement {
  const ofA = groupsOf(a)
  const ofB = groupsOf(b)
  const pairs = ofA.flatMap(one => ofB.map(other =>
    ({ ideographic: isIdeographic(one) && isIdeographic(other), agreement: compareGroups(one, other) })))
  const said = (agreement: NameAgreement, among = pairs): boolean => among.some(pair => pair.agreement === agreement)
  const ideographic = pairs.filter(pair => pair.ideographic)
  if (said('same', ideographic)) return 'same'
  // Zhang^Wei is 张^伟 and 章^薇; but 張^偉 is 张^伟 too, which only a table of characters could tell
  const charactersContradict = said('different', ideographic) || said('changed', ideographic)
  if (said('same')) return charactersContradict ? 'unclear' : 'same'
  if (said('fuller')) return charactersContradict ? 'unclear' : 'fuller'
  if (said('changed')) return 'changed'
  return said('different') ? 'different' : 'unclear'
}

/** True when a name says nothing of who somebody is: empty, only signs, only titles, a placeholder, too few letters left. */
export function isNameless (name: string): boolean { return groupsOf(name).length === 0 }

/** How many words a name has beside its titles, in its longest group. */
export function nameLength (name: string): number {
  return groupsOf(name).reduce((most, words) => Math.max(most, words.filter(word => !isParticle(word)).length), 0)
}

/** More than three groups of 64 characters (PS3.5 6.2): words are compared each with each, which costs the square of a name that is longer. */
const LONGEST_NAME = 256

/** The groups that say something, each as its words: alphabetic, ideographic, phonetic. */
function groupsOf (name: string): Word[][] {
  const groups = name.slice(0, LONGEST_NAME).split('=')
  return groups.map((group, index) => {
    const isLast = index === groups.length - 1
    return wordsOfGroup(group, isFull(group) || (isLast && isFull(name)))
  }).filter(words => words.length > 0)
}

/** 64 characters are the most of a group (PS3.5 6.2); archives cut at 64 bytes, and of the whole value, too. */
function isFull (text: string): boolean {
  return [text.trim().length, Buffer.byteLength(text.trim())].some(length => length >= 62 && length <= 64)
}

function wordsOfGroup (group: string, cut: boolean): Word[] {
  const texts = wordsIn(group)
  const words = texts.map((text, index): Word =>
    ({ spellings: SPELLINGS.map(spelling => spelling(text)), script: scriptOf(text), cut: cut && index === texts.length - 1 }))
  const told = words.filter(word => !isTitle(word))
  const says = told.some(word => !isPlaceholder(word) && /\p{L}/u.test(plainOf(word)))
  const letters = told.map(plainOf).join('')
  const known = letters.replaceAll(LOST, '').length
  return says && known >= letters.length - known && (known > 2 || !letters.includes(LOST)) ? words : []
}

function scriptOf (word: string): string {
  for (const script of SCRIPTS) if (script.pattern.test(word)) return script.name
  return /\p{L}/u.test(word) ? 'other' : 'any'
}

/** Han first: a word with Kana beside Han is written in Han. */
const SCRIPTS = [
  'Han', 'Hangul', 'Hiragana', 'Katakana', 'Latin', 'Cyrillic', 'Greek', 'Arabic', 'Hebrew', 'Thai', 'Devanagari', 'Armenian', 'Georgian',
  'Bengali', 'Tamil', 'Khmer', 'Lao', 'Myanmar', 'Ethiopic'
].map(name => ({ name: name === 'Katakana' ? 'Hiragana' : name, pattern: new RegExp(`\\p{Script=${name}}`, 'u') }))

function isIdeographic (words: readonly Word[]): boolean { return words.some(({ script }) => script === 'Han') }

function compareGroups (one: readonly Word[], other: readonly Word[]): NameAgreement {
  const scripts = new Set(one.map(({ script }) => script).filter(script => script !== 'any' && other.some(word => word.script === script)))
  if (scripts.size === 0) return 'unclear'
  const comparable = (words: readonly Word[]): Word[] => words.filter(({ script }) => script === 'any' || scripts.has(script))
  // one order, so that what is said does not depend on who is named first
  const [a, b] = [comparable(one), comparable(other)].sort((x, y) => order(textOf(x), textOf(y)))
  return a === undefined || b === undefined ? 'unclear' : compareWords(a, b)
}

function compareWords (a: readonly Word[], b: readonly Word[]): NameAgreement {
  const newborn = [...a, ...b].some(isNewborn)
  if (!newborn && sexesContradict(a, b)) return 'changed'
  const [namesOfA, namesOfB] = [withoutTitles(a), withoutTitles(b)]
  if (alike(joined(namesOfA), joined(namesOfB))) return 'same'
  const { common, restA, restB } = match(namesOfA, namesOfB)
  const [rest, otherRest] = restA.length === 0 ? [restB, restA] : [restA, restB]
  const shared = common.filter(word => !isParticle(word) && !isInitial(word)).length
  if (rest.length === 0 && otherRest.length === 0) return 'same'
  if (otherRest.length > 0) {
    // each says more than the other: another name. A particle against a word may be one (Nguyen Van An, Nguyen Van Binh) or left out (De
    // la Cruz)
    const words = [rest, otherRest].every(some => some.some(word => !isParticle(word)))
    const said = contradiction(common, restA, restB, newborn)
    return said === 'changed' && !words && shared >= 2 ? 'unclear' : said
  }
  const more = rest.filter(word => !isParticle(word))
  if (more.length === 0) return shared < 2 ? 'unclear' : rest.some(isInitial) ? 'fuller' : 'same'
  if (more.some(isNewborn)) return 'changed'
  if (newborn || more.every(word => /^\p{N}+$/u.test(plainOf(word)))) return 'unclear'
  // what was cut off cannot be missed
  if ([...a, ...b].some(({ cut }) => cut) && shared >= 2) return 'same'
  return shared >= 2 ? 'fuller' : 'unclear'
}

function contradiction (common: readonly Word[], restA: readonly Word[], restB: readonly Word[], newborn: boolean): NameAgreement {
  const shared = common.filter(word => !isParticle(word) && !isInitial(word)).length
  const shares = shared > 0
  // J may be John and James; between two words that agree it is no other name
  if (shares && !newborn && (initialsOf(restA, restB) || initialsOf(restB, restA))) return shared < 2 ? 'unclear' : 'fuller'
  // 山田 and 山田太郎: written without a separator, a family name alone
  const [joinedA, joinedB] = [joined(restA)[0] ?? '', joined(restB)[0] ?? '']
  const unseparated = restA.length === 1 && restB.length === 1 && restA[0]?.script !== 'Latin' && restA[0]?.script !== 'Cyrillic'
  if (unseparated && (joinedA.startsWith(joinedB) || joinedB.startsWith(joinedA))) return 'unclear'
  return shares ? 'changed' : 'different'
}

/** True when every word of the first is an initial of a word of the second: J of John. */
function initialsOf (initials: readonly Word[], words: readonly Word[]): boolean {
  const left = [...words]
  return initials.every(initial => {
    const at = left.findIndex(word => isInitial(initial) && plainOf(word).startsWith(plainOf(initial)))
    if (at < 0) return false
    left.splice(at, 1)
    return true
  })
}

/** Takes the words that stand in both; then those that one writes as one and the other as several (Abdulrahman, Abdul Rahman). */
function match (a: readonly Word[], b: readonly Word[]): { common: Word[], restA: Word[], restB: Word[] } {
  const common: Word[] = []
  let restA = [...a]
  let restB = [...b]
  // what is the same comes first, so that no word is taken by one that only could be meant
  for (const fits of [(x: Word, y: Word) => plainOf(x) === plainOf(y), (x: Word, y: Word) => alike(x.spellings, y.spellings), cutFits]) {
    for (const word of [...restA].sort(byText)) {
      const partner = [...restB].sort(byText).find(other => fits(word, other))
      if (partner === undefined) continue
      common.push(word)
      restA = restA.filter(other => other !== word)
      restB = restB.filter(other => other !== partner)
    }
  }
  const joins = (whole: Word[], parts: Word[]): { whole: Word[], parts: Word[] } => {
    for (const word of whole) {
      const several = sequences(parts).find(words => alike(word.spellings, joined(words)))
      if (several === undefined) continue
      for (const one of several) common.push(one)
      return joins(whole.filter(other => other !== word), parts.filter(other => !several.includes(other)))
    }
    return { whole, parts }
  }
  ({ whole: restA, parts: restB } = joins(restA, restB));
  ({ whole: restB, parts: restA } = joins(restB, restA))
  return { common, restA, restB }
}

/** Two and three of the words, in every order; of names with many words only neighbours. */
function sequences (words: readonly Word[]): Word[][] {
  if (words.length > 5) return words.flatMap((_, at) => [words.slice(at, at + 2), words.slice(at, at + 3)])
  const pairs = words.flatMap(first => words.filter(other => other !== first).map(second => [first, second]))
  return [...pairs, ...pairs.flatMap(pair => words.filter(other => !pair.includes(other)).map(third => [...pair, third]))]
}

function cutFits (x: Word, y: Word): boolean {
  const begins = (whole: Word, part: Word): boolean =>
    part.cut && part.spellings.some((text, index) => whole.spellings[index]?.startsWith(text))
  return begins(y, x) || begins(x, y)
}

/** True when two texts are the same in any spelling, lost letters aside. */
function alike (a: readonly string[], b: readonly string[]): boolean {
  return a.some(one => b.some(other => one === other || ((one.includes(LOST) || other.includes(LOST)) && fitsLost(one, other))))
}

/** A table, not a pattern of `.?`: a text from outside would make that take for ever. */
function fitsLost (a: string, b: string): boolean {
  let row = Array.from({ length: b.length + 1 }, (_, column) => b.slice(0, column).replaceAll(LOST, '') === '')
  for (const letter of a) {
    const next = [letter === LOST && row[0] === true]
    for (const [column, other] of [...b].entries()) {
      const [both, onlyA, onlyB] = [row[column] === true, row[column + 1] === true, next[column] === true]
      const fits = letter === other || letter === LOST || other === LOST
      next.push((fits && both) || (letter === LOST && onlyA) || (other === LOST && onlyB))
    }
    row = next
  }
  return row.at(-1) === true
}

/** Mr. Wong is not Mrs. Wong; of a daughter `BINTI` of a son `BIN`, both are said. */
function sexesContradict (a: readonly Word[], b: readonly Word[]): boolean {
  const [ofA, ofB] = [sexOf(a), sexOf(b)]
  return ofA !== undefined && ofB !== undefined && ofA !== ofB
}

function sexOf (words: readonly Word[]): 'male' | 'female' | undefined {
  const [male, female] = [MALE, FEMALE].map(list => words.some(word => list.has(plainOf(word))))
  if (male === female) return undefined
  return male === true ? 'male' : 'female'
}

/** Le^An and Ny^Al are names: where nothing would be left, all of it counts. */
function withoutTitles (words: readonly Word[]): readonly Word[] {
  const names = words.filter(word => !isTitle(word))
  return names.length === 0 ? words : names
}

function joined (words: readonly Word[]): string[] {
  return SPELLINGS.map((_, index) => words.map(({ spellings }) => spellings[index] ?? '').join(''))
}
function textOf (words: readonly Word[]): string { return words.map(plainOf).join(' ') }
function byText (a: Word, b: Word): number { return order(plainOf(a), plainOf(b)) }
/** By code points: the same on every computer, whatever its language. */
function order (a: string, b: string): number { return a < b ? -1 : a > b ? 1 : 0 }
function plainOf ({ spellings }: Word): string { return spellings[0] ?? '' }
function isTitle (word: Word): boolean { return TITLES.has(plainOf(word)) }
function isParticle (word: Word): boolean { return PARTICLES.has(plainOf(word)) }
function isNewborn (word: Word): boolean { return NEWBORN.has(plainOf(word)) }
function isPlaceholder (word: Word): boolean { return PLACEHOLDERS.has(plainOf(word)) }
function isInitial (word: Word): boolean { return /^[\p{Script=Latin}\p{Script=Cyrillic}\p{Script=Greek}]$/u.test(plainOf(word)) }
