/**
 * Names as hospitals write them, each pair with what must be said of it. Of the table below: 86 pairs of one person, 0 called `changed` or
 * `different` (a wrong refusal) but for the 4 that are known; 56 pairs of two people, 0 called `same` or `fuller` (a wrong pass).
 */
import fc from 'fast-check'
import t from 'tap'
import { compareNames, isNameless, nameLength, type NameAgreement } from '../../src/dicom/name.ts'

type Pairs = Array<[string, string]>

const AGREES: readonly NameAgreement[] = ['same', 'fuller']
const NO_WITNESS: readonly NameAgreement[] = ['unclear']
const CONTRADICTS: readonly NameAgreement[] = ['changed', 'different']

/** One person. */
const SAME: Pairs = [
  // case, separators, order
  ['SMITH^JOHN', 'Smith^John'], ['SMITH^JOHN', 'John Smith'], ['SMITH, JOHN', 'Smith^John^^^'], ['SMITH-JONES^ANNA', 'Smith Jones^Anna'],
  ["O'BRIEN^SEAN", 'OBRIEN SEAN'],
  ["Sean O'Brien", 'OBRIEN^SEAN'], ['O’Brien^Seán', "O'BRIEN^SEAN"], ['JEAN-PAUL^DUPONT', 'Dupont^Jeanpaul'], ['Dupont.Jean', 'DUPONT^JEAN'], ['  SMITH ^ JOHN ', 'SMITH^JOHN'],
  ['St. John^Mary', 'STJOHN^MARY'], ['MacDonald^Ian', 'MAC DONALD^IAN'],
  // accents, and letters that a keyboard does not have
  ['Müller^Jürgen', 'MUELLER^JUERGEN'], ['Müller^Jürgen', 'MULLER^JURGEN'], ['Weiß^Rosa', 'WEISS^ROSA'], ['Łukasz^Żółć', 'LUKASZ^ZOLC'],
  ['Sørensen^Åse', 'SORENSEN^ASE'], ['Sørensen^Åse', 'SOERENSEN^AASE'],
  ['Þórsdóttir^Björk', 'THORSDOTTIR^BJORK'], ['Guðmundsson^Jón', 'GUDMUNDSSON^JON'], ['Yılmaz^İbrahim', 'YILMAZ^IBRAHIM'],
  ['Nguyễn^Văn^An', 'NGUYEN VAN AN'], ['Đặng^Thị^Hương', 'DANG THI HUONG'], ['Ştefănescu^Ioan', 'STEFANESCU^IOAN'],
  // letters lost
  ['M?ller^J?rgen', 'Müller^Jürgen'], ['M??ller^J??rgen', 'Müller^Jürgen'], ['M\uFFFDller^J\uFFFDrgen', 'Müller^Jürgen'],
  ['Mller^Jrgen', 'Müller^Jürgen'], ['O?BRIEN^SEAN', "O'Brien^Sean"],
  // titles
  ['TN. BUDI SANTOSO', 'SANTOSO^BUDI'], ['NY SITI AMINAH', 'SITI AMINAH'], ['BUDI SANTOSO, TN', 'Budi Santoso'],
  ['DR. dr. Budi Santoso, Sp.OG', 'SANTOSO^BUDI^^DR'], ['Hj. Siti Aminah', 'SITI AMINAH'], ['Mrs Anna Smith', 'SMITH^ANNA^^MRS'],
  ['Prof. Dr. med. Hans Weber', 'Weber^Hans^med.^Prof. Dr.'], ['Herr Hans Weber', 'WEBER^HANS'], ['Sdr. Agus Salim', 'Agus Salim'],
  ['นาย สมชาย ใจดี', 'ใจดี^สมชาย'], ['山田太郎 様', '山田^太郎'], ['г-н Иванов Пётр', 'ИВАНОВ^ПЕТР'],
  // one name only
  ['SUHARTO', 'SUHARTO^'], ['SUHARTO', 'Soeharto'], ['TN. SUKARNO', 'SUKARNO'], ['DJOKO WIDODO', 'JOKO WIDODO'],
  ['TJAHJO KUMOLO', 'CAHJO KUMOLO'],
  // particles, patronymics
  ['van der Berg^Jan', 'BERG^JAN^VAN DER'], ['Berg^Jan', 'JAN BERG'], ['VANDERBERG^JAN', 'van der Berg^Jan'],
  ['de la Cruz^Juan', 'DELACRUZ^JUAN'], ['AHMAD BIN ALI', 'Ahmad Ali'], ['SITI BINTI AHMAD', 'SITI AHMAD'],
  ['ALHUSSEIN^OMAR', 'AL HUSSEIN^OMAR'],
  ['García López^María', 'GARCIA^MARIA LOPEZ'], ['MUH. ALI AKBAR', 'Muhammad Ali Akbar'], ['ABDULRAHMAN^ALI', 'ABDUL RAHMAN^ALI'],
  ['Abdul Rahman Ali', 'ALI^ABDULRAHMAN'],
  // more words on one side
  ['SMITH^JOHN', 'SMITH^JOHN^WILLIAM'], ['García López^María', 'GARCIA^MARIA'], ['SITI NURHALIZA', 'SITI NURHALIZA BINTI AHMAD'],
  ['Иванов^Пётр', 'Иванов^Пётр^Сергеевич'], ['SMITH^JOHN', 'SMITH^JOHN^^^JR'], ['AHMAD M. YUSUF', 'AHMAD MUHAMMAD YUSUF'],
  // other scripts
  ['Иванов^Пётр', 'ИВАНОВ ПЕТР'], ['Ёлкина^Алёна', 'ЕЛКИНА^АЛЕНА'], ['أحمد^محمد', 'احمد محمد'], ['عبد الله^علي', 'عبدالله علي'],
  ['فاطمة^علي', 'فاطمه علي'], ['مُحَمَّد^علي', 'محمد^علي'], ['Παπαδόπουλος^Γιώργος', 'ΠΑΠΑΔΟΠΟΥΛΟΣ^ΓΙΩΡΓΟΣ'],
  ['כֹּהֵן^דָּוִד', 'כהן^דוד'],
  ['ใจดี^สมชาย', 'สมชาย ใจดี'], ['홍^길동', '홍길동'], ['王^小明', '王小明'], ['山田^太郎', '山田太郎'], ['ヤマダ^タロウ', 'やまだ^たろう'], ['ﾔﾏﾀﾞ^ﾀﾛｳ', 'ヤマダ^タロウ'],
  // groups: one of them is enough
  ['Yamada^Tarou=山田^太郎=やまだ^たろう', '山田^太郎'], ['Yamada^Tarou=山田^太郎', 'Yamada^Taro=山田^太郎'], ['Hong^Gildong=洪^吉洞=홍^길동', 'HONG GILDONG'],
  ['Zhang^Wei=张^伟', '张伟'], ['ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう', '=山田^太郎'], ['=山田^太郎', 'Yamada^Tarou=山田^太郎'],
  // 64 characters
  ['Wolfeschlegelsteinhausenbergerdorff^Hubert Blaine Alexander Bern', 'Wolfeschlegelsteinhausenbergerdorff^Hubert Blaine Alexander Bernhard'],
  // a newborn under its mother's name
  ['BY. NY. SITI AMINAH', 'SITI AMINAH^BY NY'], ['SMITH^BABY BOY A', 'BABY BOY A SMITH']
]

/** Neither for nor against. */
const SILENT: Pairs = [
  ['', 'SMITH^JOHN'], ['', ''], ['^^^^', 'SMITH^JOHN'], ['-', 'SMITH^JOHN'], ['UNKNOWN', 'SMITH^JOHN'],
  ['UNKNOWN^MALE 12', 'UNKNOWN^MALE 12'], ['ANONYMOUS', 'ANONYMOUS'], ['TANPA NAMA', 'BUDI'], ['Mr. X', 'Weber^Hans'],
  ['неизвестный', 'Иванов^Пётр'], ['氏名不詳', '山田^太郎'],
  ['????^????', 'Иванов^Пётр'], ['??', '??'], ['M?????', 'Müller'], ['Ivanov^Petr', 'Иванов^Пётр'], ['Yamada^Tarou', '山田^太郎'],
  ['Ahmad^Muhammad', 'أحمد^محمد'], ['Somchai^Jaidee', 'ใจดี^สมชาย'], ['やまだ^たろう', '山田^太郎'],
  ['SUHARTO', 'SUHARTO WIJAYA'], ['SMITH', 'SMITH^JOHN'], ['SMITH^J', 'SMITH^JOHN'], ['SMITH^M', 'SMITH'],
  ['Nguyen^Van', 'Nguyen^Van^An'], ['BABY SMITH', 'BABY SMITH JOHN'], ['Zhang^Wei=张^伟', 'Zhang^Wei=章^薇'], ['山田', '山田太郎'],
  ['SMITH^JOHN 2', 'SMITH^JOHN'], ['H. SUHARTO', 'SUHARTO'],
  ['12345', '12345'], ['Nguyễn Văn An', 'Nguyễn Văn']
]

/** Two people, or one whose name was changed: a name alone does not say which. */
const TWO: Pairs = [
  ['SMITH^JOHN', 'JONES^MARY'], ['SMITH^JOHN', 'SMITH^JAMES'], ['SMITH^JOHN', 'JONES^JOHN'], ['Петров^Пётр', 'Иванов^Пётр'],
  ['Петров^Пётр', 'Сидорова^Анна'], ['BUDI SANTOSO', 'BUDI WIJAYA'], ['SUHARTO', 'SUKARNO'], ['TN. SUHARTO', 'NY. SUHARTO'],
  ['MR WONG', 'MRS WONG'],
  ['NGUYEN VAN AN', 'NGUYEN VAN BINH'], ['Nguyễn^Thị^Lan', 'Nguyễn^Thị^Hoa'], ['SITI BINTI AHMAD', 'SITI BINTI ALI'],
  ['AHMAD BIN ALI', 'SITI BINTI ALI'], ['MUHAMMAD HASAN', 'MUHAMMAD HUSEIN'], ['HASAN', 'HUSEIN'], ['RINA WATI', 'RINI WATI'],
  ['BY NY SITI AMINAH', 'NY SITI AMINAH'], ['BY NY SITI 1', 'BY NY SITI 2'], ['SMITH^BABY A', 'SMITH^BABY B'],
  ['SMITH^BABY BOY', 'SMITH^BABY GIRL'], ['SMITH^TWIN A', 'SMITH^TWIN B'], ['BAYI NY DEWI LESTARI', 'DEWI LESTARI'],
  ['SMITH^JOHN^^^JR', 'SMITH^JOHN^^^SEN'], ['SMITH^JOHN^^^II', 'SMITH^JOHN^^^III'], ['SMITH^M', 'SMITH^S'],
  ['García López^María', 'García Pérez^María'], ['Jónsdóttir^Anna', 'Jónsson^Karl'], ['Jónsson^Anna', 'Jónsdóttir^Anna'],
  ['van der Berg^Jan', 'van der Velde^Jan'],
  ['M?ller^Hans', 'Maier^Otto'], ['M?ller^Hans', 'Möbius^Hans'], ['Mller^Hans', 'Müller^Rolf'], ['أحمد^محمد', 'أحمد^علي'],
  ['كريم^علي', 'أحمد^محمد'], ['כהן^דוד', 'לוי^משה'], ['ใจดี^สมชาย', 'ใจดี^สมหญิง'], ['กิตติ', 'กีตตี'], ['홍^길동', '김^철수'], ['김민수', '김민지'],
  ['王^小明', '王^小红'],
  ['山田^太郎', '山田^花子'], ['山田太郎', '山本太郎'], ['かとう^たろう', 'がとう^たろう'], ['Yamada^Tarou=山田^太郎', 'Yamada^Hanako=山田^花子'],
  ['Yamada^Tarou=山田^太郎', 'Suzuki^Ichirou=鈴木^一郎'], ['Παππάς^Νίκος', 'Νικολάου^Ελένη'], ['Schmidt^Anna', 'Schmitz^Anna'],
  ['LI^WEI', 'LI^NA'], ['KIM^MINSU', 'KIM^MINJI'],
  ['DE LA CRUZ^JUAN', 'DE LA CRUZ^PEDRO'], ['ABDUL RAHMAN', 'ABDUL KARIM'], ['TEST^ONE', 'TEST^TWO'], ['Le^An', 'Le^Binh'],
  ['SINGH^GURPREET', 'KAUR^GURPREET'], ['SRI WAHYUNI', 'SRI RAHAYU'], ['MARIA^ANNA', 'MARIA^ANNE']
]

/**
 * What the rules cannot tell without a dictionary: one person, and it is called another name. With the same Patient ID or the same birth
 * date beside it this is a remark, no refusal.
 */
const KNOWN: Pairs = [['张^伟', '張^偉'], ['Yusuf^Ali', 'Youssef^Ali'], ['Yamada^Tarou', 'Yamada^Taro'], ['Smith^William', 'Smith^Bill']]

t.test('names as hospitals write them', async t => {
  const wrong = (pairs: Pairs, wanted: readonly NameAgreement[]): string[] => pairs.flatMap(([a, b]) => [[a, b], [b, a]])
    .map(([a = '', b = '']) => ({ a, b, said: compareNames(a, b) }))
    .filter(({ said }) => !wanted.includes(said)).map(({ a, b, said }) => `${a} | ${b}: ${said}`)
  const refusals = SAME.filter(([a, b]) => CONTRADICTS.includes(compareNames(a, b)))
  const passes = TWO.filter(([a, b]) => AGREES.includes(compareNames(a, b)))
  t.comment(`one person: ${SAME.length} pairs, ${refusals.length} wrong refusals; known ones beside them: ${KNOWN.length}`)
  t.comment(`two people: ${TWO.length} pairs, ${passes.length} wrong passes; neither for nor against: ${SILENT.length} pairs`)
  t.strictSame(wrong(SAME, AGREES), [], 'one person')
  t.strictSame(wrong(SILENT, NO_WITNESS), [], 'neither for nor against')
  t.strictSame(wrong(TWO, CONTRADICTS), [], 'two people')
  t.strictSame(wrong(KNOWN, CONTRADICTS), [], 'known')
})

const NAMES = [...new Set([...SAME, ...SILENT, ...TWO, ...KNOWN].flat())]
const WORDS = [...new Set(NAMES.flatMap(name => name.split(/[\s^=,]+/)))].filter(word => /^[\p{L}\p{M}]+$/u.test(word))
const words = fc.array(fc.constantFrom(...WORDS), { minLength: 1, maxLength: 5 })
const anyName = fc.oneof(fc.constantFrom(...NAMES), words.map(words => words.join('^')), fc.string({ unit: 'grapheme', maxLength: 70 }))

t.test('what is said does not depend on who is named first, on case, on separators or on order', async () => {
  fc.assert(fc.property(anyName, anyName, (a, b) => compareNames(a, b) === compareNames(b, a)), { numRuns: 3_000 })
  fc.assert(fc.property(anyName, name => compareNames(name, name) === (isNameless(name) ? 'unclear' : 'same')), { numRuns: 3_000 })
  fc.assert(fc.property(words, words, fc.constantFrom('^', ' ', ', ', '-', '.', "'", ' ^ '), fc.func(fc.boolean()), (a, b, separator, upper) => {
    const renamed = a.map(word => upper(word) ? word.toUpperCase() : word.toLowerCase()).join(separator)
    return compareNames(a.join('^'), b.join('^')) === compareNames(renamed, b.join('^'))
  }), { numRuns: 3_000 })
  fc.assert(fc.property(words, fc.infiniteStream(fc.nat()), (a, numbers) => {
    const shuffled = a.map(word => ({ word, key: numbers.next().value ?? 0 })).sort((x, y) => x.key - y.key).map(({ word }) => word)
    return nameLength(a.join(' ')) === nameLength(shuffled.join(' ')) && !CONTRADICTS.includes(compareNames(a.join('^'), shuffled.join('^')))
  }), { numRuns: 3_000 })
})

t.test('a name that is made to take long does not', async () => {
  compareNames('?a'.repeat(500), 'a?'.repeat(500))
  const many = (letter: string): string => Array.from({ length: 40 }, (_, index) => `${letter}${index}`).join('^')
  compareNames(many('w'), many('v'))
})
