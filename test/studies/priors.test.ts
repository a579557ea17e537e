/**
 * Which earlier studies come with the asked one: the choice, over patients that nobody has thought of, by an oracle that is written another way; and how many
 * questions it costs. The seed of a failure is printed; MKISO_SEED=N plays it again, MKISO_RUNS=N plays more.
 */
import fc from 'fast-check'
import t from 'tap'
import type { FoundStudy } from '../../src/archive/answered.ts'
import type { Archives, Asking } from '../../src/archive/archive.ts'
import type { Patient, Series, Study } from '../../src/dicom/study.ts'
import { MkisoError, type ErrorCode } from '../../src/errors.ts'
import { silentLog } from '../../src/process.ts'
import { earlierThan } from '../../src/studies/alike.ts'
import { findPriors, type Priors } from '../../src/studies/priors.ts'

const RUNS = Number(process.env['MKISO_RUNS'] ?? 2_000)
const SEED = process.env['MKISO_SEED']
const PATIENT: Patient = { patientId: 'P', issuerOfPatientId: '', patientName: 'DOE^JOHN', birthDate: '19700101', sex: 'M' }
const STRANGER: Patient = { ...PATIENT, patientName: 'SMITH^ANN', birthDate: '19800101', sex: 'F' }

/** A series as `CT:CHEST`; without a body part the archive names none. */
function seriesOf (uid: string, texts: readonly string[]): Series[] {
  return texts.map((text, index): Series => {
    const [modality = '', bodyPartExamined] = text.split(':')
    return { seriesInstanceUid: `${uid}.${index}`, modality, bodyPartExamined, seriesNumber: index, seriesDescription: '', instanceCount: 1, listing: 'none', instances: [] }
  })
}

interface Made {
  uid: string
  date: string
  time?: string
  series: readonly string[]
  patient?: Patient
  accessionNumber?: string
  /** The archive names no modalities at STUDY level. */
  isNameless?: boolean
  /** What comes of asking for it by its accession number. */
  fault?: ErrorCode | 'stranger' | undefined
}

function studyOf ({ uid, date, time = '', series, patient = PATIENT, accessionNumber = uid }: Made): Study {
  return {
    studyInstanceUid: uid, accessionNumber, patient, studyDate: date, studyTime: time, studyDescription: `Study ${uid}`, studyId: '', seriesCount: undefined, instanceCount: undefined,
    seriesListing: 'whole', series: seriesOf(uid, series)
  }
}

function foundOf (made: Made): FoundStudy {
  const modalities = made.isNameless === true ? [] : [...new Set(made.series.map(text => text.split(':')[0] ?? ''))].filter(modality => modality !== '')
  return { ...studyOf(made), series: [], modalities }
}

interface Chosen extends Priors {
  /** Studies that the archive was asked for by their accession number. */
  asked: string[]
  /** Of them, with their body parts. */
  withBodyParts: number
  lines: string[]
}

async function choose (asked: Made, studies: readonly Made[], most: number): Promise<Chosen> {
  const lines: string[] = []
  const numbers: string[] = []
  let withBodyParts = 0
  const archives: Archives = {
    name: 'GENERATED',
    search: async () => ({ studies: studies.map(foundOf), cut: false }),
    findStudies: async ([accessionNumber = ''], { bodyParts }) => {
      numbers.push(accessionNumber)
      if (bodyParts === true) withBodyParts++
      const made = studies.find(one => (one.accessionNumber ?? one.uid) === accessionNumber)
      if (made === undefined) throw new MkisoError('NO_DICOM_DATA', accessionNumber)
      if (made.fault === 'stranger') return [{ ...studyOf(made), patient: STRANGER }]
      if (made.fault !== undefined) throw new MkisoError(made.fault, accessionNumber)
      const study = studyOf(made)
      return [bodyParts === true ? study : { ...study, series: study.series.map(one => ({ ...one, bodyPartExamined: undefined })) }]
    },
    listInstances: async study => study,
    at: () => { throw new Error('nothing is fetched') }
  }
  const log = { ...silentLog, warn: (_fields: object, message: string) => { lines.push(`warn: ${message}`) }, info: (_fields: object, message: string) => { lines.push(`info: ${message}`) } }
  const asking: Asking = { signal: new AbortController().signal, log }
  const chosen = await findPriors([studyOf(asked)], most, archives, asking)
  return { ...chosen, asked: numbers, withBodyParts, lines }
}

const uids = ({ priors }: Priors): string[] => priors.map(({ studyInstanceUid }) => studyInstanceUid)
const named = ({ leftOut }: Priors): string[] => leftOut.map(({ accessionNumber }) => accessionNumber)
const times = (count: number, make: (n: number) => Made): Made[] => Array.from({ length: count }, (_, index) => make(index))
const ASKED: Made = { uid: 'asked', date: '20240101', time: '120000', series: ['CT:CHEST', 'SR'] }

t.test('which are the last', async t => {
  const last = (...studies: Array<Partial<Made>>): string[] =>
    earlierThan([studyOf(ASKED)], studies.map(one => foundOf({ uid: '', date: '', series: ['CT'], ...one }))).map(({ study }) => study.studyInstanceUid)
  t.strictSame(last({ uid: '2', date: '20230101' }, { uid: '3', date: '20231231' }, { uid: '4', date: '20220101' }), ['3', '2', '4'], 'the last first')
  t.strictSame(last({ uid: 'asked', date: '20230101' }), [], 'never the asked one, whatever its date')
  t.strictSame(last({ uid: '2', date: '20240101', time: '110000' }, { uid: '3', date: '20240101', time: '130000' }, { uid: '4', date: '20240101', time: '120000' }), ['2'], 'by time on the same day')
  t.strictSame(last({ uid: '2', date: '20240101' }, { uid: '3', date: '20240101', time: '12' }, { uid: '4', date: '20240101', time: '11' }), ['4'], 'on the same day only where the time says so')
  t.strictSame(last({ uid: '2', date: '2024.02.01' }, { uid: '3', date: '2023.02.01' }, { uid: '4', date: '20230101' }), ['3', '4'], 'dates in the old form')
  t.strictSame(last({ uid: '2', date: '20230101' }, { uid: '2', date: '20230101' }), ['2'], 'one that two archives have, once')
  t.strictSame(last({ uid: '2', date: '' }, { uid: '3', date: '20230101', series: ['SR'] }, { uid: '4', date: '20230101', isNameless: true }), ['4'], 'without a date none, and where no modality is named nothing is against it')
  t.strictSame(last({ uid: '2', date: '20230101', patient: STRANGER }), [], 'another person under the same Patient ID')
  const outlooks = (...studies: Made[]): string[] => earlierThan([studyOf(ASKED)], studies.map(foundOf)).map(({ outlook }) => outlook)
  t.strictSame(outlooks({ uid: '2', date: '20230101', series: ['US'] }, { uid: '2', date: '20230101', series: ['CT'] }), ['alike'], 'one of two archives has the CT of it')
  t.strictSame(outlooks({ uid: '2', date: '20230101', series: ['US'] }, { uid: '2', date: '20230101', series: ['CT'], isNameless: true }), ['unknown'], 'one of two archives does not say')
})

t.test('what is alike', async t => {
  const cases: Array<{ name: string, asked: string[], prior: string[], alike: boolean }> = [
    { name: 'a modality', asked: ['CT'], prior: ['CT'], alike: true },
    { name: 'one modality of several', asked: ['CT', 'PT'], prior: ['PT', 'MR'], alike: true },
    { name: 'a body part', asked: ['CT:CHEST'], prior: ['CR:CHEST'], alike: true },
    { name: 'a body part of one series', asked: ['CT:HEAD', 'CT:CHEST'], prior: ['CR:KNEE', 'CR:CHEST'], alike: true },
    { name: 'a body part, written in another case and padded', asked: ['CT:Chest '], prior: ['CR: CHEST'], alike: true },
    { name: 'one of two body parts, where only one may be', asked: ['CT:CHEST\\ABDOMEN'], prior: ['US:ABDOMEN'], alike: true },
    { name: 'another body part', asked: ['CT:CHEST'], prior: ['CR:KNEE'], alike: false },
    { name: 'no synonyms are known', asked: ['CT:CHEST'], prior: ['CR:THORAX'], alike: false },
    { name: 'no body part and no body part', asked: ['CT:'], prior: ['CR:'], alike: false },
    { name: 'blanks are none', asked: ['CT:  '], prior: ['CR:  '], alike: false },
    { name: 'UNKNOWN is none', asked: ['CT:UNKNOWN'], prior: ['US:UNKNOWN'], alike: false },
    { name: 'both have a report', asked: ['CT', 'SR'], prior: ['US', 'SR'], alike: false },
    { name: 'both have a presentation state, key objects, a scanned paper', asked: ['CT', 'PR', 'KO', 'DOC'], prior: ['MG', 'PR', 'KO', 'DOC'], alike: false },
    { name: 'a plan beside its images', asked: ['CT', 'RTSTRUCT', 'RTPLAN', 'RTDOSE'], prior: ['RTPLAN', 'RTDOSE'], alike: false },
    { name: 'a report alone, and reports', asked: ['SR'], prior: ['CT', 'SR'], alike: true },
    { name: 'a plan alone, and plans', asked: ['RTPLAN'], prior: ['RTPLAN'], alike: true },
    { name: 'an ECG is an examination', asked: ['ECG'], prior: ['ECG', 'DOC'], alike: true },
    { name: 'OT beside images', asked: ['CT', 'OT'], prior: ['OT'], alike: false },
    { name: 'OT alone', asked: ['OT', 'SR'], prior: ['OT'], alike: true },
    { name: 'OT that names a body part', asked: ['CT:CHEST'], prior: ['OT:CHEST'], alike: true },
    { name: 'a segmentation names the body part, and nothing else does', asked: ['CT:CHEST'], prior: ['MR', 'SEG:CHEST'], alike: false },
    { name: 'no modality, and a body part', asked: ['CT:CHEST'], prior: [':CHEST'], alike: true }
  ]
  for (const { name, asked, prior, alike } of cases) {
    for (const isNameless of [false, true]) {
      const chosen = await choose({ ...ASKED, series: asked }, [{ uid: 'prior', date: '20230101', series: prior, isNameless }], 3)
      t.strictSame([uids(chosen), named(chosen)], [alike ? ['prior'] : [], []], `${name}${isNameless ? '; the archive names no modalities' : ''}`)
    }
  }
})

t.test('what it costs', async t => {
  const ofModality = times(500, n => ({ uid: `ct${n}`, date: dayBefore(n), series: ['CT'] }))
  const others = (count: number, isNameless = false, first = 0): Made[] => times(count, n => ({ uid: `us${first + n}`, date: dayBefore(first + n), series: ['US:ABDOMEN'], isNameless }))
  await t.test('those that share a modality: one question each, and no more', async t => {
    const chosen = await choose(ASKED, ofModality, 3)
    t.strictSame(uids(chosen), ['ct0', 'ct1', 'ct2'])
    t.strictSame(chosen.asked, ['ct0', 'ct1', 'ct2'])
  })
  await t.test('the asked study names no body part: nothing of another modality is asked for', async t => {
    const chosen = await choose({ ...ASKED, series: ['CT', 'SR'] }, [...others(500), { uid: 'ct', date: '20000101', series: ['CT'] }], 3)
    t.strictSame([uids(chosen), chosen.asked, chosen.withBodyParts], [['ct'], ['ct'], 0])
  })
  await t.test('reports only: they are not asked for', async t => {
    t.strictSame((await choose(ASKED, times(50, n => ({ uid: `sr${n}`, date: dayBefore(n), series: ['SR', 'KO'] })), 3)).asked, [])
  })
  await t.test('500 of another modality and body part: a bound, and those of the modality come all the same', async t => {
    const chosen = await choose(ASKED, [...others(500), { uid: 'ct', date: '20000101', series: ['CT'] }, { uid: 'chest', date: '20000102', series: ['CR:CHEST'] }], 3)
    t.strictSame([uids(chosen), named(chosen), chosen.asked.length], [['ct'], [], 21])
    t.strictSame(chosen.lines, ['info: the other studies of the patient that share no modality are not looked at for their body part'])
  })
  await t.test('within the bound the body part counts', async t => {
    const chosen = await choose(ASKED, [...others(19), { uid: 'chest', date: '20000102', series: ['CR:CHEST'] }, { uid: 'ct', date: '20000101', series: ['CT'] }], 3)
    t.strictSame([uids(chosen), chosen.lines], [['chest', 'ct'], []])
  })
  await t.test('an archive that names no modalities: a bound, and the disc says that there may be more', async t => {
    const chosen = await choose(ASKED, [...others(500, true), { uid: 'ct', date: '20000101', series: ['CT'], isNameless: true }], 3)
    t.strictSame([uids(chosen), named(chosen), chosen.asked.length], [[], [''], 100])
    t.match(chosen.lines, [/^warn: too many studies of the patient/])
    const within = await choose(ASKED, [...others(99, true), { uid: 'ct', date: '20000101', series: ['CT'], isNameless: true }], 3)
    t.strictSame([uids(within), named(within)], [['ct'], []])
  })
})

t.test('studies of other modalities with which something is wrong take nobody\'s place, and are not named', async t => {
  const ct: Made = { uid: 'ct', date: '20000101', series: ['CT'] }
  for (const fault of ['NO_DICOM_DATA', 'PACS_REFUSED', 'PACS_TIMEOUT', 'PACS_UNREACHABLE', 'TOO_MANY_CONCURRENT', 'stranger'] as const) {
    const chosen = await choose(ASKED, [...times(5, n => ({ uid: `cr${n}`, date: dayBefore(n), series: ['CR:CHEST'], fault })), ct], 1)
    t.strictSame([uids(chosen), named(chosen)], [['ct'], []], fault)
    const isSilent = ['PACS_TIMEOUT', 'PACS_UNREACHABLE', 'TOO_MANY_CONCURRENT'].includes(fault)
    t.equal(chosen.asked.length, isSilent ? 2 : 6, 'one that does not answer is asked once')
  }
  const nameless = await choose(ASKED, [{ uid: 'cr', date: '20230101', series: ['CR:CHEST'], accessionNumber: '' }, ct], 1)
  t.strictSame([uids(nameless), named(nameless)], [['ct'], []], 'without an accession number')
  const numberless = times(25, n => ({ uid: `cr${n}`, date: dayBefore(n), series: ['CR:CHEST'], accessionNumber: '' }))
  t.strictSame(uids(await choose(ASKED, [...numberless, { uid: 'chest', date: '20000102', series: ['CR:CHEST'] }, ct], 1)), ['chest'], 'they cost no question, and so none of the bound')
  const alike = await choose(ASKED, [{ uid: 'broken', date: '20230101', series: ['CT'], fault: 'NO_DICOM_DATA' }, ct], 1)
  t.strictSame([uids(alike), named(alike)], [[], ['broken']], 'one that shares a modality takes its place, and is named')
})

function dayBefore (n: number): string { return new Date(Date.UTC(2023, 11, 31 - n)).toISOString().slice(0, 10).replaceAll('-', '') }

const MODALITIES = ['CT', 'CR', 'US', 'SR', 'PR', 'OT', '']
const PARTS = ['', ':CHEST', ':chest ', ':KNEE', ':UNKNOWN']
const seriesText = fc.tuple(fc.constantFrom(...MODALITIES), fc.constantFrom(...PARTS)).map(([modality, part]) => modality + part)
const made = fc.record({
  uid: fc.constantFrom('1', '2', '3', '4', '5', '6', '7', '8', '9', 'asked'),
  date: fc.constantFrom('20240101', '20231231', '20231230', '20231229', '2023.12.30', '20220101', '20220102', '20220103', '2024.01.02', '20250101', '', 'unknown'),
  time: fc.constantFrom('', '10', '1005', '110000', '120000', '120000.5', '13:00:00', '140000'),
  series: fc.array(seriesText, { maxLength: 3 }),
  patient: fc.constantFrom(PATIENT, PATIENT, PATIENT, STRANGER),
  isNameless: fc.boolean(),
  fault: fc.constantFrom<ErrorCode | 'stranger' | undefined>(...Array.from({ length: 17 }, () => undefined), 'NO_DICOM_DATA', 'stranger', 'PACS_TIMEOUT')
})
const patients = fc.record({
  asked: fc.array(seriesText, { minLength: 1, maxLength: 3 }),
  studies: fc.uniqueArray(made, { selector: ({ uid }) => uid, minLength: 2, maxLength: 10, size: 'max' }),
  most: fc.integer({ min: 1, max: 4 })
})

/** Words of an oracle: nothing is shared with what is tried. */
const dayOf = ({ date }: Made): number => Number(/^\d{4}\.?\d\d\.?\d\d$/.test(date) ? date.replaceAll('.', '') : 0)
const secondsOf = ({ time = '' }: Made): [number, number] => {
  const digits = time.replaceAll(':', '')
  if (digits === '') return [0, Infinity]
  const [whole = '', fraction] = digits.split('.')
  const at = (text: string): number => Number(text.slice(0, 2)) * 3_600 + Number(text.slice(2, 4)) * 60 + Number(text.slice(4, 6))
  const first = at(whole.padEnd(6, '0')) + Number(`0.${fraction ?? '0'}`)
  return [first, fraction === undefined ? at(whole.padEnd(6, '5').replace(/^(..)55(..)$/, '$159$2').replace(/55$/, '59')) + 1 : first]
}
const isCertainlyBefore = (one: Made, other: Made): boolean =>
  dayOf(one) > 0 && dayOf(other) > 0 && (dayOf(one) < dayOf(other) || (dayOf(one) === dayOf(other) && secondsOf(one)[1] <= secondsOf(other)[0]))
const words = (texts: readonly string[], at: 0 | 1): string[] => texts.map(text => (text.split(':')[at] ?? '').trim().toUpperCase()).filter(word => word !== '' && word !== 'UNKNOWN')
const WEAK = ['SR', 'PR']
const telling = (texts: readonly string[]): string[] => texts.filter(text => !WEAK.includes(text.split(':')[0] ?? ''))
function sharesAnything (asked: readonly string[], prior: readonly string[]): boolean {
  const all = words(asked, 0)
  const strong = all.filter(word => ![...WEAK, 'OT'].includes(word))
  const some = all.filter(word => !WEAK.includes(word))
  const counts = strong.length > 0 ? strong : some.length > 0 ? some : all
  const parts = words(telling(prior), 1)
  return words(prior, 0).some(word => counts.includes(word)) || words(telling(asked), 1).some(part => parts.includes(part))
}

t.test('generated patients', { timeout: 300_000 }, async t => {
  let chosenAtAll = 0
  await fc.assert(fc.asyncProperty(patients, async ({ asked: series, studies, most }) => {
    const asked: Made = { ...ASKED, series }
    const chosen = await choose(asked, studies, most)
    const priors = uids(chosen).map(uid => studies.find(one => one.uid === uid))
    chosenAtAll += priors.length
    const rules: Array<[string, boolean]> = [
      ['never more than were asked for', chosen.priors.length + chosen.leftOut.length <= most],
      ['each once, and not the asked one', new Set(uids(chosen)).size === priors.length && !uids(chosen).includes('asked')],
      ['of the same patient', priors.every(prior => prior?.patient === PATIENT && prior.fault !== 'stranger')],
      ['before the asked one', priors.every(prior => prior !== undefined && isCertainlyBefore(prior, asked))],
      ['of a modality or a body part that it has', priors.every(prior => prior !== undefined && sharesAnything(series, prior.series))],
      ['the last first', priors.every((prior, index) => index === 0 || dayOf(priors[index - 1] ?? ASKED) >= dayOf(prior ?? ASKED))],
      ['named as a prior', chosen.priors.every(({ prior }) => prior === true)],
      ['each is asked for at most once', new Set(chosen.asked).size === chosen.asked.length]
    ]
    const last = priors.at(-1)
    const isFull = chosen.priors.length + chosen.leftOut.length >= most
    // an archive that does not answer for one is not asked for the others, and bars nobody whose modality is known
    // a series without a modality, which is no DICOM, beside reports only: the archive names the reports, and nobody looks for more
    const isHidden = ({ series: all, isNameless }: Made): boolean => isNameless !== true && words(all, 0).length > 0 && words(all, 0).every(word => WEAK.includes(word))
    const couldBe = studies.filter(one => (!isHidden(one) || sharesAnything(series, words(one.series, 0))) &&
      one.uid !== 'asked' && one.fault === undefined && one.patient === PATIENT && isCertainlyBefore(one, asked) && sharesAnything(series, one.series))
    const isOutage = studies.some(({ fault }) => fault === 'PACS_TIMEOUT')
    const isLaterThanLast = (one: Made): boolean => chosen.leftOut.length === 0 && last !== undefined && dayOf(one) > dayOf(last)
    const missed = couldBe.filter(one => !uids(chosen).includes(one.uid) && (!isFull || isLaterThanLast(one)))
    rules.push(['none is passed over', isOutage || missed.length === 0])
    const broken = rules.filter(([, holds]) => !holds).map(([rule]) => rule)
    if (broken.length > 0) throw new Error(`${broken.join('; ')}: chosen ${uids(chosen).join()}, left out ${named(chosen).join()}`)
  }), { numRuns: RUNS, ...(SEED === undefined ? {} : { seed: Number(SEED) }) })
  t.ok(chosenAtAll > RUNS / 4, `${chosenAtAll} priors were chosen`)
})
