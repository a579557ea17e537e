import t from 'tap'
import type { Patient, Study } from '../../src/dicom/study.ts'
import { Attributes } from '../../src/dicom/attributes.ts'
import type { DicomObject } from '../../src/dicom/part10.ts'
import { largestOf } from '../../src/numbers.ts'
import { guardFiles, guardOnePatient } from '../../src/studies/same-patient.ts'

const patient = (over: Partial<Patient>): Patient => ({ patientId: '1', issuerOfPatientId: '', patientName: 'A^B', birthDate: '19700101', sex: 'M', ...over })
const study = (over: Partial<Patient>, accessionNumber = 'X'): Study =>
  ({ studyInstanceUid: '1', accessionNumber, patient: patient(over), studyDate: '', studyTime: '', studyDescription: '', studyId: '', seriesCount: undefined, instanceCount: undefined, seriesListing: 'whole' as const, series: [] })

t.test('one patient', async () => {
  guardOnePatient([])
  guardOnePatient([study({}), study({ patientName: 'A^B^C' })])
  guardOnePatient([study({ issuerOfPatientId: 'HOSPITAL' }), study({})])
  guardOnePatient([study({ patientId: '' }), study({ patientId: '' })])
  guardOnePatient([study({}), study({ patientId: '' })])
  guardOnePatient([study({ patientName: 'Petrov^A' }), study({ patientName: 'Ivanov^A' })])
})

t.test('two patients', async t => {
  const different: Array<[Partial<Patient>, Partial<Patient>]> = [
    [{}, { patientId: '2' }],
    [{}, { patientId: '', patientName: 'C^D' }],
    [{}, { patientName: 'C^D', birthDate: '19800101', sex: 'F' }],
    [{ issuerOfPatientId: 'A' }, { issuerOfPatientId: 'B' }],
    [{ patientId: '' }, { patientId: '', patientName: 'C^D' }],
    [{ patientId: '' }, { patientId: '', birthDate: '19800101' }],
    [{ patientId: '', patientName: '' }, { patientId: '', patientName: '' }]
  ]
  for (const [a, b] of different) t.throws(() => { guardOnePatient([study(a), study(b, 'Y')]) }, { code: 'DIFFERENT_PATIENTS', message: /X and Y/ })
  t.throws(() => { guardOnePatient([study({}), study({ patientId: '2' })]) }, { message: /accession number X names studies of more than one patient/ })
  // the first could be either of the others, who are not each other
  t.throws(() => { guardOnePatient([study({ patientId: '' }, 'X'), study({}, 'Y'), study({ patientId: '2' }, 'Z')]) }, { message: /Y and Z/ })
})

t.test('125,000 files of one patient in two spellings: they stand on no stack', async t => {
  const attributes = new Attributes(Buffer.alloc(0))
  const object = (patientName: string, index: number): DicomObject => ({
    sopInstanceUid: `1.${index}`, sopClassUid: '1', studyInstanceUid: '1', seriesInstanceUid: '1', transferSyntaxUid: '1', patient: patient({ patientName }), instanceNumber: 1, sizeBytes: index, attributes,
    pixelData: undefined, remarks: []
  })
  const objects = Array.from({ length: 250_000 }, (_, index) => object(index % 2 === 0 ? 'A^B' : 'A^B^', index))
  const groups = guardFiles(study({}), objects, { allowMixedPatients: false, allowReassigned: false })
  t.strictSame(groups.map(one => one.objects.length), [250_000])
  t.equal(largestOf(objects.map(({ sizeBytes }) => sizeBytes), 0), 249_999)
  t.equal(largestOf([], 7), 7)
})
