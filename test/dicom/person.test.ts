/** Who is one person: records with what must be said of them. Wrong refusals and wrong passes are counted over each table, and none is borne. */
import fc from 'fast-check'
import t from 'tap'
import { mayBeSame, sameNumber, samePerson, samePersonReassigned, saysNothing, type PersonVerdict } from '../../src/dicom/person.ts'
import type { Patient } from '../../src/dicom/study.ts'

/** Patient ID, name, birth date, sex, issuer. */
type Short = readonly [id?: string, name?: string, birthDate?: string, sex?: string, issuer?: string]

const record = ([patientId = '', patientName = '', birthDate = '', sex = '', issuerOfPatientId = '']: Short): Patient =>
  ({ patientId, patientName, birthDate, sex, issuerOfPatientId })

const JOHN: Short = ['1', 'SMITH^JOHN', '19700131', 'M']

/** Wanted: what the two differ in, of one person (a string), or that they are two. */
type Table = Array<[why: string, a: Short, b: Short, wanted: string | 'TWO']>

const RECORDS: Table = [
  ['the same', JOHN, JOHN, ''],
  ['padding', JOHN, [' 1\0', 'SMITH^JOHN ', '19700131 ', 'm'], ''],
  ['case and separators', JOHN, ['1', 'John, Smith', '19700131', 'M'], ''],
  ['old form of a date', JOHN, ['1', 'SMITH^JOHN', '1970.01.31', 'M'], ''],
  ['nothing but the ID on one side', JOHN, ['1'], ''],
  ['nothing but the ID', ['1'], ['1'], ''],
  ['a middle name', JOHN, ['1', 'SMITH^JOHN^WILLIAM', '19700131', 'M'], ''],
  ['another character set', ['1', 'Müller^Jürgen', '19700131', 'M'], ['1', 'M?ller^J?rgen', '19700131', 'M'], ''],
  ['Latin and Arabic', ['1', 'Ahmad^Muhammad', '19700131', 'M'], ['1', 'أحمد^محمد', '19700131', 'M'], ''],
  ['Latin and Cyrillic, nothing else', ['1', 'Ivanov^Petr'], ['1', 'Иванов^Пётр'], ''],
  ['pinyin with and without Han', ['1', 'Zhang^Wei=张^伟'], ['1', '张伟'], ''],
  ['an issuer on one side', JOHN, ['1', 'SMITH^JOHN', '19700131', 'M', 'RS1'], ''],
  ['an issuer in another case', ['1', 'SMITH^JOHN', '', '', 'RS1'], ['1', 'SMITH^JOHN', '', '', 'rs1 '], ''],
  ['sex other', JOHN, ['1', 'SMITH^JOHN', '19700131', 'O'], ''],
  ['a marriage', ['1', 'SMITH^ANNA', '19700131', 'F'], ['1', 'JONES^ANNA', '19700131', 'F'], "Patient's Name"],
  ['a marriage, without a birth date', ['1', 'SMITH^ANNA'], ['1', 'JONES^ANNA'], "Patient's Name"],
  ['a correction in Cyrillic', ['1', 'Петров^Пётр', '19700131', 'M'], ['1', 'Иванов^Иван', '19700131', 'M'], "Patient's Name"],
  ['a birth date corrected', JOHN, ['1', 'SMITH^JOHN', '19700130', 'M'], "Patient's Birth Date"],
  ['a birth date corrected, Han', ['1', '山田^太郎', '19700131'], ['1', '山田太郎', '19710131'], "Patient's Birth Date"],
  ['a sex corrected', JOHN, ['1', 'SMITH^JOHN', '19700131', 'F'], "Patient's Sex"],
  ['an emergency patient who got a name', ['1', 'UNKNOWN^MALE', '19000101', 'M'], JOHN, ''],
  ['an emergency patient whose age was guessed', ['1', 'TANPA NAMA', '19600101', 'M'], ['1', 'BUDI SANTOSO', '19700131', 'M'], "Patient's Birth Date"],
  ['no date', JOHN, ['1', 'SMITH^JOHN', '19700231', 'M'], ''],
  ['no date, in words', JOHN, ['1', 'SMITH^JOHN', '31/01/70', 'M'], ''],
  ['a date of nothing', JOHN, ['1', 'SMITH^JOHN', '00010101', 'M'], ''],
  ['an ID on one side', JOHN, ['', 'SMITH^JOHN', '19700131'], 'Patient ID'],
  ['an ID on one side, and a title', ['7', 'SITI AMINAH', '19800202'], ['', 'NY. SITI AMINAH', '19800202'], 'Patient ID'],
  ['no ID', ['', 'SMITH^JOHN', '19700131'], ['', 'smith^john', '19700131'], ''],
  ['no ID, no birth date, two words', ['', 'SMITH^JOHN'], ['', 'SMITH^JOHN'], ''],
  ['no ID, no birth date, one of them without a separator', ['', '山田太郎'], ['', 'Yamada^Tarou=山田^太郎'], ''],
  ['two IDs', JOHN, ['2', 'SMITH^JOHN', '19700131', 'M'], 'TWO'],
  ['two IDs by a zero', ['1', 'SMITH^JOHN', '19700131'], ['01', 'SMITH^JOHN', '19700131'], 'TWO'],
  ['two unknowns', ['1', 'UNKNOWN'], ['2', 'UNKNOWN'], 'TWO'],
  ['two anonymous without an ID', ['', 'ANONYMOUS'], ['', 'ANONYMOUS'], 'TWO'],
  ['nothing at all', [], [], 'TWO'],
  ['two issuers', ['1', 'SMITH^JOHN', '19700131', 'M', 'RS1'], ['1', 'SMITH^JOHN', '19700131', 'M', 'RS2'], 'TWO'],
  ['another name, birth date and sex', JOHN, ['1', 'JONES^MARY', '19850505', 'F'], 'TWO'],
  ['another name and birth date', JOHN, ['1', 'JONES^PETER', '19850505'], 'TWO'],
  ['another name and sex', JOHN, ['1', 'JONES^MARY', '19700131', 'F'], 'TWO'],
  ['another birth date and sex', JOHN, ['1', 'SMITH^JOHN', '19850505', 'F'], 'TWO'],
  ['brothers under one ID', JOHN, ['1', 'SMITH^JAMES', '19720202', 'M'], 'TWO'],
  ['another name, and no birth date that vouches', ['1', 'SMITH^JOHN'], ['1', 'JONES^MARY'], 'TWO'],
  ['another name in Han, and no birth date', ['1', '山田^太郎'], ['1', '鈴木^花子'], 'TWO'],
  ['mother and newborn', ['1', 'NY SITI AMINAH', '19900101', 'F'], ['1', 'BY NY SITI AMINAH', '20260101', 'M'], 'TWO'],
  ['father and son', ['1', 'SMITH^JOHN^^^SEN', '19500101'], ['1', 'SMITH^JOHN^^^JR', '19800101'], 'TWO'],
  ['no ID, another birth date', ['', 'SMITH^JOHN', '19700131'], ['', 'SMITH^JOHN', '19800131'], 'TWO'],
  ['no ID, another name', ['', 'SMITH^JOHN', '19700131'], ['', 'JONES^JOHN', '19700131'], 'TWO'],
  ['no ID, a birth date on one side', ['', 'SMITH^JOHN', '19700131'], ['', 'SMITH^JOHN'], 'TWO'],
  ['no ID, no birth date, one word', ['', 'SITI'], ['', 'SITI'], 'TWO'],
  ['no ID, scripts that cannot be compared', ['', 'Ivanov^Petr', '19700131'], ['', 'Иванов^Пётр', '19700131'], 'TWO'],
  ['an ID on one side, no birth date', ['1', 'SMITH^JOHN'], ['', 'SMITH^JOHN'], 'TWO'],
  ['an ID on one side, nothing on the other', JOHN, [], 'TWO'],
  ['twins without an ID', ['', 'SMITH^TWIN A', '20260101'], ['', 'SMITH^TWIN B', '20260101'], 'TWO']
]

const REASSIGNED: Table = [
  ['the same', JOHN, JOHN, ''],
  ['merged', JOHN, ['99', 'SMITH^JOHN', '19700131', 'M'], 'Patient ID'],
  ['merged, and a middle name', JOHN, ['99', 'Smith John William', '19700131', 'M'], 'Patient ID'],
  ['merged, and a sex corrected', JOHN, ['99', 'SMITH^JOHN', '19700131', 'F'], "Patient ID, Patient's Sex"],
  ['merged, Arabic', ['1', 'أحمد^محمد', '19700131'], ['2', 'احمد محمد', '19700131'], 'Patient ID'],
  ['merged, Japanese groups', ['1', 'Yamada^Tarou=山田^太郎', '19700131'], ['2', '山田太郎', '19700131'], 'Patient ID'],
  ['a prefix of zeros, no birth date', ['00123', 'SMITH^JOHN'], ['123', 'SMITH^JOHN'], 'Patient ID'],
  ['separators, a birth date, scripts', ['12-34-56', 'Ivanov^Petr', '19700131'], ['123456', 'Иванов^Пётр', '19700131'], 'Patient ID'],
  ['an issuer of the import', ['1', 'SMITH^JOHN', '19700131', 'M', 'ARCHIVE'], ['1', 'SMITH^JOHN', '19700131', 'M', 'RS1'], 'Patient ID'],
  ['a name corrected', ['1', 'JONES^ANNA', '19700131'], ['1', 'SMITH^ANNA', '19700131'], "Patient's Name"],
  ['a file without a patient', JOHN, [], 'Patient ID'],
  ['a file that says UNKNOWN', JOHN, ['', 'UNKNOWN', '', 'O'], 'Patient ID'],
  ['an index that says nothing', [], JOHN, 'Patient ID'],
  ['nothing at all', [], [], ''],
  ['a file without an ID', JOHN, ['', 'SMITH^JOHN'], 'Patient ID'],
  ['a file without an ID, another script, the birth date', ['1', 'Ivanov^Petr', '19700131'], ['', 'Иванов^Пётр', '19700131'], 'Patient ID'],
  ['an index without an ID', ['', 'SMITH^JOHN'], ['1', 'SMITH^JOHN', '19700131'], 'Patient ID'],
  ['a wrong image', JOHN, ['2', 'JONES^MARY', '19850505', 'F'], 'TWO'],
  ['a wrong image of one born on the same day', JOHN, ['2', 'JONES^PETER', '19700131', 'M'], 'TWO'],
  ['a wrong image of a namesake', JOHN, ['2', 'SMITH^JOHN', '19850505', 'M'], 'TWO'],
  ['a twin', ['1', 'MUHAMMAD HASAN', '20200101', 'M'], ['2', 'MUHAMMAD HUSEIN', '20200101', 'M'], 'TWO'],
  ['a namesake, perhaps', ['1', 'SMITH^JOHN'], ['2', 'SMITH^JOHN', '19700131'], 'TWO'],
  ['an unknown, and another ID', JOHN, ['2', 'UNKNOWN'], 'TWO'],
  ['only another ID', ['1'], ['2'], 'TWO'],
  ['another ID, another script', ['1', 'Ivanov^Petr', '19700131'], ['2', 'Иванов^Пётр', '19700131'], 'TWO'],
  ['zeros, and another name', ['00123', 'SMITH^JOHN', '19700131'], ['123', 'JONES^PETER', '19700131'], 'TWO'],
  ['two people under one ID', JOHN, ['1', 'JONES^MARY', '19850505', 'F'], 'TWO'],
  ['a file without an ID, another name', JOHN, ['', 'JONES^JOHN'], 'TWO'],
  ['a file without an ID, another birth date', JOHN, ['', 'SMITH^JOHN', '19850505'], 'TWO'],
  ['a file without an ID, another script, nothing else', ['1', 'Ivanov^Petr'], ['', 'Иванов^Пётр'], 'TWO'],
  ['nothing that can be compared', ['1'], ['', 'SMITH^JOHN', '19700131'], 'TWO']
]

for (const [name, judge, table] of [['records of one index, or files', samePerson, RECORDS], ['an index and a file', samePersonReassigned, REASSIGNED]] as const) {
  t.test(name, async t => {
    let [wrongRefusals, wrongPasses] = [0, 0]
    for (const [why, one, other, wanted] of table) {
      for (const verdict of [judge(record(one), record(other)), judge(record(other), record(one))]) {
        if (wanted === 'TWO' && verdict.same) wrongPasses++
        if (wanted !== 'TWO' && !verdict.same) wrongRefusals++
        t.equal(verdict.same ? verdict.remarks.join(', ') : 'TWO', wanted, why)
        if (!verdict.same) t.ok(verdict.differing.length > 0, `${why}: says what differs`)
      }
    }
    t.comment(`${table.length} pairs: ${wrongRefusals} wrong refusals, ${wrongPasses} wrong passes, each pair both ways round`)
  })
}

const patient: fc.Arbitrary<Patient> = fc.record({
  patientId: fc.constantFrom('', '1', ' 1', '01', '2', 'A-1', 'A1'),
  issuerOfPatientId: fc.constantFrom('', '', 'RS1', 'RS2'),
  patientName: fc.constantFrom('', 'SMITH^JOHN', 'Smith^John^William', 'SMITH^JAMES', 'JONES^MARY', 'UNKNOWN', 'Иванов^Пётр', 'Yamada^Tarou=山田^太郎', '山田太郎', 'SITI', 'BY NY SITI', 'Müller^Hans', 'M?ller^Hans'),
  birthDate: fc.constantFrom('', '19700131', '1970.01.31', '19850505', '19000101', 'x'),
  sex: fc.constantFrom('', 'M', 'F', 'O')
})

const said = (verdict: PersonVerdict): string => JSON.stringify(verdict)

t.test('who is named first does not matter, and everybody is oneself', async () => {
  for (const judge of [samePerson, samePersonReassigned]) {
    fc.assert(fc.property(patient, patient, (a, b) => said(judge(a, b)) === said(judge(b, a))), { numRuns: 5_000 })
    fc.assert(fc.property(patient.filter(({ patientId }) => patientId !== ''), a => said(judge(a, a)) === '{"same":true,"remarks":[]}'), { numRuns: 2_000 })
  }
})

t.test('a name in another case, with other separators, or the form of a date changes no verdict', async () => {
  fc.assert(fc.property(patient, patient, fc.constantFrom(' ', ', ', '-', '.'), fc.boolean(), (a, b, separator, upper) => {
    const name = a.patientName.replaceAll('^', separator)
    const renamed = { ...a, patientName: upper ? name.toUpperCase() : name.toLowerCase(), birthDate: a.birthDate.replace(/^(\d{4})(\d{2})(\d{2})$/, '$1.$2.$3') }
    return [samePerson, samePersonReassigned].every(judge => said(judge(a, b)) === said(judge(renamed, b)))
  }), { numRuns: 5_000 })
})

t.test('less said on one side never makes one person of two under different IDs, and no verdict holds a value', async () => {
  fc.assert(fc.property(patient, patient, (a, b) => {
    const differ = a.patientId.trim() !== b.patientId.trim() && a.patientId !== '' && b.patientId !== ''
    return !differ || (!samePerson(a, b).same && !samePerson({ ...a, patientName: '', birthDate: '' }, b).same)
  }), { numRuns: 2_000 })
  fc.assert(fc.property(patient, patient, (a, b) => [samePerson(a, b), samePersonReassigned(a, b)].every(verdict =>
    (verdict.same ? verdict.remarks : verdict.differing).every(attribute => attribute.startsWith('Patient')))), { numRuns: 1_000 })
})

t.test('who may not be the same whatever the names are is never the same', async () => {
  fc.assert(fc.property(patient, patient, (a, b) => mayBeSame(a, b) || !samePerson(a, b).same), { numRuns: 20_000 })
})

t.test('numbers of a patient as two systems write them', async t => {
  for (const [a, b] of [['00123', '123'], ['12-34-56', '123456'], ['a.1', 'A1'], ['000', '0']] as const) t.ok(sameNumber(a, b), `${a} ${b}`)
  for (const [a, b] of [['123', '1234'], ['', ''], ['', '0'], ['-', '-'], ['100', '1'], ['RS1-123', '123']] as const) t.notOk(sameNumber(a, b), `${a} ${b}`)
  t.ok(sameNumber('RS1-00123', '123', 'RS1-'))
  t.ok(sameNumber('123', 'rs1 123', 'RS1'))
  t.notOk(sameNumber('RS2-123', '123', 'RS1-'))
  t.ok(saysNothing(record(['', '^', '19000101', 'M'])))
  t.notOk(saysNothing(record(['1'])))
})
