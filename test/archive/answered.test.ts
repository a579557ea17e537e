/** What an archive's answers mean together: answers that name one study, and how many of them are believed. */
import t from 'tap'
import { instanceList, mergedSeries, MOST_SERIES, MOST_STUDIES, studiesOf, type FoundStudy } from '../../src/archive/answered.ts'
import type { Series } from '../../src/dicom/study.ts'
import { silentLog } from '../../src/process.ts'

const PATIENT = { patientId: 'P', issuerOfPatientId: '', patientName: 'TEST^ONE', birthDate: '', sex: '' }
const ASKED = { name: 'ABPACS', log: silentLog }

function found (over: Partial<FoundStudy> = {}): FoundStudy {
  return {
    studyInstanceUid: '1.2.3', accessionNumber: 'X', patient: PATIENT, studyDate: '', studyTime: '', studyDescription: '', studyId: '', seriesCount: undefined, instanceCount: undefined,
    seriesListing: 'whole', series: [], modalities: [], ...over
  }
}

const series = (over: Partial<Series> = {}): Series =>
  ({ seriesInstanceUid: '1.2.3.1', modality: 'CT', seriesNumber: 1, seriesDescription: '', instanceCount: undefined, listing: 'none', instances: [], ...over })

const asked = async (answers: FoundStudy[], list: Series[] = [series()]): Promise<unknown> =>
  await studiesOf(['X'], { studies: async () => answers, series: async () => ({ series: list, seriesListing: 'whole' }) }, ASKED)

t.test('a study that is answered twice is one, and what the greater count says must come', async t => {
  const none = undefined
  type Count = number | undefined
  const counts: Array<[Count, Count, Count]> = [[3, 5, 5], [5, 3, 5], [none, 4, 4], [4, none, 4], [none, none, none]]
  for (const [first, later, most] of counts) {
    const studies = await asked([found({ seriesCount: first, instanceCount: first }), found({ seriesCount: later, instanceCount: later })])
    t.match(studies, [{ studyInstanceUid: '1.2.3', seriesCount: most, instanceCount: most }])
    t.match(mergedSeries([series({ instanceCount: first }), series({ instanceCount: later })]), [{ instanceCount: most }])
  }
})

t.test('one Study Instance UID for two patients is two studies: who puts them together is the guard', async t => {
  const studies = await asked([found(), found({ patient: { ...PATIENT, patientId: 'Q' } })])
  t.match(studies, [{ patient: { patientId: 'P' } }, { patient: { patientId: 'Q' } }])
})

t.test('more studies or series than any disc has: the archive is not believed, and nothing is cut off in silence', async t => {
  const many = (most: number): FoundStudy[] => Array.from({ length: most }, (_, n) => found({ studyInstanceUid: `1.2.${n}` }))
  t.match(await asked(many(MOST_STUDIES)), { length: MOST_STUDIES })
  await t.rejects(asked(many(MOST_STUDIES + 1)), { code: 'PACS_REFUSED', detail: /ABPACS has 501 studies for X, and at most 500/ })
  const all = (most: number): Series[] => Array.from({ length: most }, (_, n) => series({ seriesInstanceUid: `1.2.3.${n}` }))
  t.match(await asked([found()], all(MOST_SERIES)), [{ series: { length: MOST_SERIES } }])
  await t.rejects(asked([found()], all(MOST_SERIES + 1)), { code: 'PACS_REFUSED', detail: /ABPACS has 5001 series for one study/ })
})

t.test('a list of instances with one twice has it once; an empty one that was cut off is not an empty one', async t => {
  const one = { sopInstanceUid: '1.1', sopClassUid: '1', instanceNumber: 1 }
  t.strictSame(instanceList([one, { ...one }], 'whole'), { listing: 'whole', instances: [one] })
  t.strictSame(instanceList([], 'whole'), { listing: 'empty', instances: [] })
  t.strictSame(instanceList([], 'cut'), { listing: 'cut', instances: [] })
})
