/** The HIS against the PACS: pairs of records as hospitals write them, and what each rule makes of them. */
import t from 'tap'
import type { Manifest, Patient } from '../../src/dicom/study.ts'
import { checkSamePerson, differingFields, type IdentitySettings } from '../../src/patient/identity.ts'
import type { PatientRecord } from '../../src/patient/answer.ts'

/** Number and name. */
type Short = readonly [number: string, name: string]

/** One person. `both`: the known wrong refusals, since there is no dictionary of names. */
const SAME: Array<[his: Short, pacs: Short, differs: '' | 'medrec_id' | 'patient_name' | 'both']> = [
  [['00012345', 'JOHN DOE'], ['00012345', 'DOE^JOHN'], ''], [['12345', 'JOHN DOE'], ['00012345', 'DOE^JOHN'], ''], [['12-34-56', 'Budi Santoso'], ['123456', 'SANTOSO^BUDI'], ''],
  [['RS1-123456', 'Budi Santoso'], ['123456', 'SANTOSO^BUDI^^TN'], ''], [['123456', 'BUDI SANTOSO, TN'], ['RS1123456', 'BUDI SANTOSO'], ''], [['1', 'NY. SITI AMINAH'], ['1', 'SITI AMINAH^^^NY'], ''],
  [['1', 'SUHARTO'], ['1', 'SUHARTO^TN'], ''], [['1', 'H. SUHARTO'], ['1', 'SUHARTO'], ''], [['1', 'BY. NY. SITI AMINAH'], ['1', 'BY NY SITI AMINAH'], ''], [['1', 'MUH. ALI AKBAR'], ['1', 'MUHAMMAD ALI AKBAR'], ''],
  [['1', 'Müller, Jürgen'], ['1', 'MUELLER^JUERGEN'], ''], [['1', 'محمد أحمد'], ['1', 'Ahmad^Muhammad'], ''], [['1', '山田太郎'], ['1', 'Yamada^Tarou=山田^太郎'], ''], [['1', 'Иванов Пётр Сергеевич'], ['1', 'ИВАНОВ^ПЕТР'], ''],
  [['1', 'Nguyễn Văn An'], ['1', 'NGUYEN^VAN AN'], ''], [['1', 'Jan van der Berg'], ['1', 'Berg^Jan^van der'], ''], [['1', 'María García López'], ['1', 'GARCIA^MARIA'], ''], [['1', 'คุณสมชาย'], ['1', 'Somchai^Jaidee'], ''],
  [['1', 'AHMAD BIN ALI'], ['1', 'AHMAD^ALI'], ''], [['', 'JOHN DOE'], ['1', 'DOE^JOHN'], ''], [['1', 'JOHN DOE'], ['', 'DOE^JOHN'], ''], [['1', 'JOHN DOE'], ['1', ''], ''], [['1', 'JOHN DOE'], ['1', 'UNKNOWN'], ''],
  // a number of another system, a temporary number, one of the branch
  [['777', 'JOHN DOE'], ['00012345', 'DOE^JOHN'], 'medrec_id'], [['777', 'NY SITI AMINAH'], ['IGD-3', 'SITI AMINAH'], 'medrec_id'], [['777', 'محمد أحمد'], ['12', 'Ahmad^Muhammad'], 'medrec_id'], [['777', 'SUHARTO'], ['12', 'SUHARTO WIJAYA'], 'medrec_id'],
  [['777', '山田太郎'], ['12', 'Yamada^Tarou'], 'medrec_id'], [['777', 'JOHN DOE'], ['12', 'UNKNOWN'], 'medrec_id'], [['777', 'BUDI SANTOSO, S.E., M.M'], ['12', 'SANTOSO^BUDI'], 'medrec_id'],
  // a marriage, a correction, a spelling
  [['1', 'ANNA JONES'], ['1', 'SMITH^ANNA'], 'patient_name'], [['1', 'Yusuf Ali'], ['1', 'Youssef^Ali'], 'patient_name'], [['1', 'Иванов Пётр'], ['1', 'Петров^Пётр'], 'patient_name'], [['1', 'BAYI NY DEWI'], ['1', 'NY DEWI'], 'patient_name'],
  [['', 'ANNA JONES'], ['1', 'SMITH^ANNA'], 'patient_name'],
  [['777', 'ANNA JONES'], ['12', 'SMITH^ANNA'], 'both'], [['777', 'Yusuf Ali'], ['12', 'Youssef^Ali'], 'both']
]

/** Two people: what is not `both` goes out with a warning. */
const TWO: Array<[his: Short, pacs: Short, differs: 'medrec_id' | 'patient_name' | 'both' | '']> = [
  [['1', 'JOHN DOE'], ['2', 'SMITH^MARY'], 'both'], [['1', 'BUDI SANTOSO'], ['2', 'BUDI WIJAYA'], 'both'], [['1', 'SUHARTO'], ['2', 'SUKARNO'], 'both'], [['1', 'TN. WONG'], ['2', 'NY. WONG'], 'both'], [['1', 'BY NY SITI 1'], ['2', 'BY NY SITI 2'], 'both'],
  [['1', 'BAYI NY DEWI'], ['2', 'NY DEWI'], 'both'], [['1', 'MUHAMMAD HASAN'], ['2', 'MUHAMMAD HUSEIN'], 'both'], [['100', 'RINA WATI'], ['10', 'RINI WATI'], 'both'], [['1', 'محمد أحمد'], ['2', 'علي^حسن'], 'both'], [['1', '山田太郎'], ['2', '山田^花子'], 'both'],
  [['1', 'Иванов Пётр'], ['2', 'Сидорова^Анна'], 'both'], [['1', 'Nguyễn Văn An'], ['2', 'NGUYEN^VAN BINH'], 'both'], [['1', 'KIM MINSU'], ['2', 'KIM^MINJI'], 'both'], [['1', 'SITI BINTI AHMAD'], ['2', 'SITI^BINTI ALI'], 'both'], [['1', 'สมชาย ใจดี'], ['2', 'ใจดี^สมหญิง'], 'both'],
  [['1', 'JÓNSSON ANNA'], ['2', 'JÓNSDÓTTIR^ANNA'], 'both'], [['RS1-5', 'JOHN DOE'], ['RS2-5', 'SMITH^MARY'], 'both'], [['1', 'MARÍA GARCÍA PÉREZ'], ['2', 'GARCIA LOPEZ^MARIA'], 'both'], [['1', 'LI WEI'], ['2', 'LI^NA'], 'both'], [['1', 'VAN DER BERG JAN'], ['2', 'VAN DER VELDE^JAN'], 'both'],
  // the number that was mistyped is another's, the name tells; no number on a side; and what nobody can tell
  [['1', 'JOHN DOE'], ['1', 'SMITH^MARY'], 'patient_name'], [['', 'JOHN DOE'], ['2', 'SMITH^MARY'], 'patient_name'], [['1', 'JOHN DOE'], ['', 'SMITH^MARY'], 'patient_name'],
  [['1', 'JOHN DOE'], ['2', 'DOE^JOHN'], 'medrec_id'], [['1', 'Иванов Пётр'], ['2', 'Smith^Mary'], 'medrec_id'], [['1', 'SUHARTO'], ['2', 'SUHARTO WIJAYA'], 'medrec_id']
]

const patientOf = ([patientId, patientName]: Short): Patient => ({ patientId, patientName, issuerOfPatientId: '', birthDate: '', sex: '' })
const recordOf = ([medrecId, name]: Short, accession = 'A'): PatientRecord => ({ accession_number: accession, patient_name: name, ...(medrecId === '' ? {} : { medrec_id: medrecId }) })
const manifestOf = (...studies: Array<[accession: string, Short]>): Manifest => ({
  studies: studies.map(([accessionNumber, patient], index) => ({
    studyInstanceUid: `1.${index}`, accessionNumber, patient: patientOf(patient), studyDate: '', studyTime: '', studyDescription: '', studyId: '',
    seriesCount: undefined, instanceCount: undefined, seriesListing: 'whole', series: []
  }))
})
const REFUSE: IdentitySettings = { identity: 'refuse', medrecIdPrefix: 'RS1', allowMixedPatients: false }

t.test('the table', async t => {
  const said = (his: Short, pacs: Short): string => {
    const fields = differingFields(recordOf(his), patientOf(pacs), 'RS1')
    return fields.length > 1 ? 'both' : fields[0] ?? ''
  }
  for (const [his, pacs, differs] of [...SAME, ...TWO]) t.equal(said(his, pacs), differs, `${his.join(' ')} | ${pacs.join(' ')}`)
  const count = (table: ReadonlyArray<readonly [Short, Short, string]>, which: (said: string) => boolean): number => table.filter(([his, pacs]) => which(said(his, pacs))).length
  t.comment(`refuse: of ${SAME.length} pairs of one person ${count(SAME, said => said === 'both')} refused, ${count(SAME, said => said !== 'both' && said !== '')} with a warning`)
  t.comment(`refuse: of ${TWO.length} pairs of two people ${count(TWO, said => said === 'both')} refused, ${count(TWO, said => said !== 'both' && said !== '')} with a warning, ${count(TWO, said => said === '')} silent`)
  t.equal(count(TWO, said => said === ''), 0, 'nobody else goes out in silence')
})

t.test('refuse, warn, off', async t => {
  const [other, manifest] = [[recordOf(['1', 'JOHN DOE'])], manifestOf(['A', ['2', 'SMITH^MARY']])]
  const error = t.throws(() => checkSamePerson(other, manifest, REFUSE), { code: 'PATIENT_MISMATCH' })
  t.notMatch(error instanceof Error ? error.message : '', /JOHN|DOE|SMITH|MARY|\b[12]\b/, 'neither names nor numbers')
  t.strictSame(checkSamePerson(other, manifest, { ...REFUSE, identity: 'warn' }), ['medrec_id', 'patient_name'])
  t.strictSame(checkSamePerson(other, manifest, { ...REFUSE, identity: 'off' }), [])
  t.strictSame(checkSamePerson([recordOf(['1', 'SMITH MARY'])], manifest, REFUSE), ['medrec_id'])
  t.strictSame(checkSamePerson([recordOf(['2', 'JOHN DOE'])], manifest, REFUSE), ['patient_name'])
  t.strictSame(checkSamePerson([], manifest, REFUSE), [], 'no HIS')
})

t.test('every number of a list', async t => {
  const manifest = manifestOf(['A', ['1', 'DOE^JOHN']], ['B', ['1', 'DOE^JOHN']], ['B', ['1', 'DOE^JOHN']])
  t.strictSame(checkSamePerson([recordOf(['001', 'JOHN DOE'], 'A'), recordOf(['1', 'DOE, JOHN'], 'B')], manifest, REFUSE), [])
  const two = [recordOf(['1', 'JOHN DOE'], 'A'), recordOf(['7', 'JOHN DOE'], 'B')]
  t.throws(() => checkSamePerson(two, manifest, REFUSE), { code: 'DIFFERENT_PATIENTS' }, 'the HIS itself names two')
  t.strictSame(checkSamePerson(two, manifest, { ...REFUSE, identity: 'warn' }), ['medrec_id'])
  t.strictSame(checkSamePerson(two, manifest, { ...REFUSE, allowMixedPatients: true }), ['medrec_id'])
  t.throws(() => checkSamePerson([recordOf(['', 'JOHN DOE'], 'A'), recordOf(['7', 'MARY SMITH'], 'B')], manifest, REFUSE), { code: 'PATIENT_MISMATCH' }, 'the second one is somebody else')
  t.throws(() => checkSamePerson([recordOf(['1', ''], 'A'), recordOf(['', ''], 'B'), recordOf(['2', ''], 'C')], manifest, REFUSE), { code: 'DIFFERENT_PATIENTS' }, 'one without a number hides nobody')
})
