import t from 'tap'
import type { FoundStudies } from '../../src/archive/archive.ts'
import { checkSearch, isFound, type StudySearch } from '../../src/archive/study-search.ts'
import type { FoundStudy } from '../../src/archive/answered.ts'
import { patternsOf } from '../../src/dicom/name-in-part.ts'
import { findForDesk, MOST_STUDIES } from '../../src/studies/find-for-desk.ts'

const SITI = { patientId: 'MR.1', issuerOfPatientId: '', patientName: 'RAHAYU^SITI', birthDate: '19850817', sex: 'F' }
const BUDI = { patientId: 'MR.2', issuerOfPatientId: '', patientName: 'SANTOSO^BUDI', birthDate: '19700101', sex: 'M' }
const ASKING = { signal: new AbortController().signal, log: { debug () {}, info () {}, warn () {}, error () {} } }

function study (studyInstanceUid: string, more: Partial<FoundStudy> = {}): FoundStudy {
  return {
    studyInstanceUid, accessionNumber: `A.${studyInstanceUid}`, patient: SITI, studyDate: '20240301', studyTime: '', studyDescription: 'CT', studyId: '', seriesCount: 1, instanceCount: 3, seriesListing: 'whole', series: [],
    modalities: ['CT'], ...more
  }
}

/** An archive that compares names with regard to case, as dcmqrscp does. */
function archives (studies: readonly FoundStudy[], cut = false) {
  const asked: StudySearch[] = []
  const search = async (wanted: StudySearch): Promise<FoundStudies> => {
    checkSearch(wanted)
    asked.push(wanted)
    const { namePattern = '*' } = wanted
    const fits = new RegExp(`^${namePattern.replace(/[.^$]/g, '\\$&').replaceAll('*', '.*')}$`)
    return { studies: studies.filter(one => fits.test(one.patient.patientName) && isFound(wanted, one)), cut }
  }
  return { asked, search }
}

t.test('a name in part: any case, any order, of each word any part, with accents or without', async t => {
  const persons = ['RAHAYU^SITI', 'SANTOSO^BUDI', 'MÜLLER^JÖRG', 'Nuñez^María José', 'de la Cruz^Ana', 'SITI RAHAYU BINTI AHMAD', 'Łukasz^Żak', 'Иванов^Пётр', '山田^太郎', 'SOEHARTO^DJOKO']
  const here = archives(persons.map((patientName, index) => study(`1.${index}`, { patient: { ...SITI, patientId: `P.${index}`, patientName, birthDate: '' } })))
  const found = async (patientName: string): Promise<string[]> =>
    (await findForDesk(here, { patientName }, ASKING)).studies.map(({ study }) => study.patient.patientName).sort()
  const BOTH = ['RAHAYU^SITI', 'SITI RAHAYU BINTI AHMAD']
  for (const typed of ['rahayu', 'RAHAYU SITI', 'siti rah', 'Rahayu, S', 'rahayu^siti', 'ahay', 'iti ayu', 'AHAYU sit', 'ra si']) t.strictSame(await found(typed), BOTH, typed)
  for (const [typed, name] of [
    ['muller', 'MÜLLER^JÖRG'], ['jorg mul', 'MÜLLER^JÖRG'], ['Müller', 'MÜLLER^JÖRG'], ['mueller', 'MÜLLER^JÖRG'], ['üll', 'MÜLLER^JÖRG'], ['maría nuñ', 'Nuñez^María José'], ['josé', 'Nuñez^María José'], ['jose', 'Nuñez^María José'],
    ['cruz', 'de la Cruz^Ana'], ['la cruz ana', 'de la Cruz^Ana'], ['lukasz', 'Łukasz^Żak'], ['ванов', 'Иванов^Пётр'], ['иванов пёт', 'Иванов^Пётр'], ['山田', '山田^太郎'], ['eharto', 'SOEHARTO^DJOKO'], ['nunez', 'Nuñez^María José'],
    ['bin ahm siti', 'SITI RAHAYU BINTI AHMAD'], ['bu', 'SANTOSO^BUDI']
  ] as const) t.strictSame(await found(typed), [name], typed)
  for (const typed of ['hayus', 'rahayu budi', 'ti ay', 'ud']) t.strictSame(await found(typed), [], typed)
  t.ok(patternsOf('siti rahayu bin ahmad').every(pattern => !/bin|siti/i.test(pattern)), 'the two longest words, in both orders')
  t.ok(patternsOf('siti rahayu bin ahmad').length <= 10, 'few questions')
  t.strictSame(patternsOf(' ^, '), [])
  here.asked.length = 0
  await findForDesk(here, { patientName: 'siti', patientId: 'MR.1' }, ASKING)
  t.strictSame(here.asked.map(({ namePattern }) => namePattern), [undefined], 'a number is enough to ask for')
})

t.test('wildcards are the service\'s; a search of nothing, and a name of one letter, are none', async t => {
  const here = archives([study('1.1')])
  for (const search of [{ patientName: 'ra*' }, { patientName: 'r?hayu' }, { patientId: 'MR*' }, { accessionNumber: 'A\\B' }, {}, { patientName: 'r' }, { patientName: '' }, { from: '2024-03-01' }]) {
    await t.rejects(findForDesk(here, search, ASKING), { code: 'INVALID_REQUEST' }, JSON.stringify(search))
  }
})

t.test('one study at two archives is one; one person written in two ways is one; who shares a number with others is not to be had', async t => {
  const { studies, cut } = await findForDesk(archives([
    study('1.1', { archive: 'main' }),
    study('1.1', { archive: 'old', patient: { ...SITI, patientName: 'Rahayu^Siti' } }),
    study('1.2', { accessionNumber: '', studyDate: '20240401' }),
    study('1.3', { accessionNumber: 'A,B' }),
    study('1.4', { accessionNumber: 'DUP' }),
    study('1.5', { accessionNumber: 'DUP', patient: BUDI })
  ]), { from: '20240101' }, ASKING)
  t.equal(cut, false)
  t.strictSame(studies.map(({ study, archives, person, blocked }) => [study.studyInstanceUid, archives, person, blocked]), [
    ['1.2', [], 0, 'no_accession_number'],
    ['1.1', ['main', 'old'], 0, undefined],
    ['1.3', [], 0, 'no_accession_number'],
    ['1.4', [], 0, 'several_patients'],
    ['1.5', [], 1, 'several_patients']
  ])
})

t.test('what is cut says so: by the archive, and by us', async t => {
  t.equal((await findForDesk(archives([study('1.1')], true), { patientId: 'MR.1' }, ASKING)).cut, true)
  const many = await findForDesk(archives(Array.from({ length: MOST_STUDIES + 1 }, (_, index) => study(`1.${index + 1}`))), { patientId: 'MR.1' }, ASKING)
  t.match(many, { cut: true, studies: { length: MOST_STUDIES } })
})

t.test('thousands of people, each with one study: names are compared where it matters, and there is a most', async t => {
  const everybody = (count: number, patient: (index: number) => Partial<typeof SITI>): FoundStudy[] =>
    Array.from({ length: count }, (_, index) => study(`1.${index}`, { patient: { ...SITI, patientName: `RAHAYU^A${index}`, ...patient(index) } }))
  const own = await findForDesk(archives(everybody(5_000, index => ({ patientId: `P.${index}` }))), { patientName: 'rahayu', from: '20240101' }, ASKING)
  t.match(own, { cut: true, studies: { length: MOST_STUDIES } })
  t.equal(new Set(own.studies.map(({ person }) => person)).size, MOST_STUDIES, 'each with an ID of their own')
  const one = await findForDesk(archives(everybody(3_000, () => ({ patientId: 'P', patientName: 'RAHAYU^SITI' }))), { patientId: 'P' }, ASKING)
  t.strictSame([...new Set(one.studies.map(({ person }) => person))], [0], 'one person')
  const nobody = await findForDesk(archives(everybody(300, index => ({ patientId: 'UNKNOWN', birthDate: '', patientName: `N${index}^M${index}` }))), { patientId: 'UNKNOWN' }, ASKING)
  t.equal(nobody.cut, true, 'one Patient ID for everybody')
  t.ok(nobody.studies.length > 100, `${nobody.studies.length} are shown`)
})
