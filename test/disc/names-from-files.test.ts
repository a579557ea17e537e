/** Whose spelling stands on the disc: the archive's, which may have been corrected, or the file's, where the archive could not write it. */
import t from 'tap'
import { Attributes } from '../../src/dicom/attributes.ts'
import { element } from '../../src/dicom/element-writer.ts'
import type { DicomObject } from '../../src/dicom/part10.ts'
import type { Study } from '../../src/dicom/study.ts'
import type { CompleteStudy } from '../../src/studies/complete-studies.ts'
import { richer, withNamesFromFiles } from '../../src/disc/names-from-files.ts'

t.test('a poorer spelling gives way', async t => {
  for (const [archive, file] of [
    ['Yamada^Tarou', 'Yamada^Tarou=山田^太郎'], ['Yamada^Tarou=??^??', 'Yamada^Tarou=山田^太郎'], ['', 'Иванов^Пётр'],
    ['??????^????', 'Иванов^Пётр'], ['^', 'Иванов^Пётр'],
    ['??', 'Иванов'], ['Mller', 'Müller'], ['M?ller', 'Müller'], ['M\uFFFDller', 'Müller'],
    ['Hong^Gildong=?^??=?^??', 'Hong^Gildong=洪^吉洞=홍^길동'], ['Hong^Gildong=洪^吉洞', 'Hong^Gildong=洪^吉洞=홍^길동'],
    ['CT ???????', 'CT головы'], [Buffer.from('Żółć').toString('latin1'), 'Żółć'], ['', 'Chest']
  ] as const) t.equal(richer(archive, file), file, `${archive} for ${file}`)
})

t.test('another text stands, in any script', async t => {
  for (const [archive, file] of [
    ['MARRIED^NAME', 'MAIDEN^NAME'], ['Иванов', 'Петров'], ['Правая рука', 'Левая рука'], ['Петров', 'Петрова'], ['王^小明', '王^小东'],
    ['Müller', 'Möller'], ['Müller', 'Miller'], ['Muller', 'Müller'],
    ['Tumor?', 'Tumor'], ['Doe^Jane', 'Doe Jane'], ['Иванов', 'Ivanov'], ['Ivanov', 'Иванов'], ['Yamada^Tarou', '\uFFFD'], ['A^B', ''],
    ['Yamada^Hanako', 'Yamada^Tarou=山田^太郎']
  ] as const) t.equal(richer(archive, file), archive, `${archive} instead of ${file}`)
  t.equal(richer('A^B', undefined), 'A^B', 'no file')
})

t.test('a series UID that stands in two studies gives each its own description', async t => {
  const object = (studyInstanceUid: string, description: string): DicomObject => ({
    studyInstanceUid, seriesInstanceUid: '1.9', sopInstanceUid: '1.9.1', sopClassUid: '', transferSyntaxUid: '', instanceNumber: 1,
    sizeBytes: 1, pixelData: undefined, remarks: [],
    patient: { patientId: 'P', issuerOfPatientId: '', patientName: description, birthDate: '', sex: '' },
    attributes: new Attributes(Buffer.concat([element(0x00081030, 'LO', description), element(0x0008103E, 'LO', description)]))
  })
  const study = (studyInstanceUid: string): Study => ({
    studyInstanceUid, accessionNumber: 'X', studyDate: '', studyTime: '', studyDescription: '', studyId: '', seriesCount: undefined,
    instanceCount: undefined, seriesListing: 'whole',
    patient: { patientId: 'P', issuerOfPatientId: '', patientName: '', birthDate: '', sex: '' },
    series: [{
      seriesInstanceUid: '1.9', modality: 'CT', seriesNumber: 1, seriesDescription: '', instanceCount: undefined, listing: 'none',
      instances: []
    }]
  })
  const complete = (uid: string, description: string): CompleteStudy =>
    ({ study: study(uid), patient: study(uid).patient, files: [{ path: '', object: object(uid, description) }] })
  const studies = withNamesFromFiles([complete('1.1', 'first'), complete('1.2', 'second')])
  t.strictSame(studies.map(({ study: { studyDescription, series }, patient }) => [studyDescription, patient.patientName, series[0]?.seriesDescription]),
    [['first', 'first', 'first'], ['second', 'second', 'second']])
})
