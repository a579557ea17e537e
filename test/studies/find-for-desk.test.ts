import t from 'tap'
import type { FoundStudies } from '../../src/archive/archive.ts'
import { checkSearch, isFound, namePattern, type StudySearch } from '../../src/archive/study-search.ts'
import type { FoundStudy } from '../../src/archive/answered.ts'
import { findForDesk, MOST_STUDIES, spellingsOf } from '../../src/studies/find-for-desk.ts'

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
    const pattern = namePattern(wanted)
    const fits = new RegExp(`^${(pattern ?? '*').replace(/[.^$]/g, '\\$&').replaceAll('*', '.*')}$`)
    return { studies: studies.filter(one => fits.test(one.patient.patientName) && isFound(wanted, one)), cut }
  }
  return { asked, search }
}

t.test('a name in part: any case, any order, of each word the beginning', async t => {
  const here = archives([study('1.1'), study('1.2', { patient: BUDI })])
  for (const patientName of ['rahayu', 'RAHAYU SITI', 'siti rah', 'Rahayu, S', 'rahayu^siti', 'rah siti']) {
    const { studies } = await findForDesk(here, { patientName }, ASKING)
    t.strictSame(studies.map(({ study }) => study.studyInstanceUid), ['1.1'], patientName)
  }
  for (const patientName of ['ahayu', 'rahayu budi', 'rahayus']) t.equal((await findForDesk(here, { patientName }, ASKING)).studies.length, 0, patientName)
  t.strictSame(spellingsOf('siti rahayu').sort(), ['RAHAYU^SITI', 'Rahayu^Siti', 'SITI^RAHAYU', 'Siti^Rahayu', 'rahayu^siti', 'siti^rahayu'])
  here.asked.length = 0
  await findForDesk(here, { patientName: 'siti', patientId: 'MR.1' }, ASKING)
  t.strictSame(here.asked.map(({ patientName }) => patientName), [undefined], 'a number is enough to ask for')
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
