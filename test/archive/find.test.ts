/** What a PACS says of a study, and how far it can be trusted: lists that are cut, answered twice, or not what was asked for. */
import t, { type Test } from 'tap'
import { writeStudy, type PhantomInstance, type PhantomStudy } from '../../demo/phantoms/catalogue.ts'
import { ctStudy, demoStudies } from '../../demo/phantoms/studies.ts'
import { findStudies, listInstances } from '../../src/archive/dimse/find.ts'
import { findscu, type Answer } from '../../src/dcmtk/findscu.ts'
import type { Listing, Study } from '../../src/dicom/study.ts'
import { faultStudy, PATIENT } from '../faults/harness.ts'
import { startLyingPacs, type Elements, type Level, type Lie, type LyingPacs } from '../faults/lying-pacs.ts'
import { programsOf, temporaryFolder, world } from '../world.ts'
import { askerOf, type Asker } from './asking.ts'
import { keepsItsLimit } from './orthanc-limits.ts'

interface Told { accessionNumber: string, instances: PhantomInstance[] }

async function listed ({ context, asking }: Asker, ...accessionNumbers: string[]): Promise<Study[]> {
  const studies = await findStudies(context, accessionNumbers, asking)
  return await Promise.all(studies.map(async study => await listInstances(context, study, asking)))
}

const uidsOf = (study: Study | undefined): string[] =>
  study?.series.flatMap(({ instances }) => instances.map(({ sopInstanceUid }) => sopInstanceUid)).sort() ?? []
const uidsIn = (instances: readonly PhantomInstance[]): string[] => instances.map(({ sopInstanceUid }) => sopInstanceUid).sort()
const lists = (study: Study | undefined): Array<{ listing: Listing, named: number, instanceCount: number | undefined }> =>
  study?.series.map(({ listing, instances, instanceCount }) => ({ listing, named: instances.length, instanceCount })) ?? []
/** Seven series of three modalities, 16 images. */
const mixed: PhantomStudy = {
  ...faultStudy('MIXED'),
  series: ([['CT', 7], ['CR', 2], ['CR', 2], ['CR', 2], ['MR', 1], ['MR', 1], ['MR', 1]] as const)
    .map(([kind, count]) => ({ kind, count, rows: 16, columns: 16 }))
}

t.test('real ones', async t => {
  await t.test('dcmqrscp', async t => {
    const here = await world(t, 'dcmqrscp', { studies: [mixed] })
    const [study, ...more] = await listed(askerOf(t, here.pacs), 'MIXED')
    t.equal(more.length, 0)
    t.equal(study?.seriesListing, 'whole')
    t.strictSame(uidsOf(study), uidsIn(here.instances))
    t.ok(study?.series.every(({ listing }) => listing === 'whole'))
    t.equal(study?.patient.patientName, PATIENT.patientName)
  })

  await t.test('Orthanc', async t => {
    const here = await world(t, 'orthanc', { studies: [mixed, faultStudy('OTHER')] })
    const asker = askerOf(t, here.pacs)
    const [study, other] = await listed(asker, 'MIXED', 'OTHER')
    t.match(study, { seriesCount: 7, instanceCount: 16, seriesListing: 'whole', accessionNumber: 'MIXED' })
    t.match(other, { seriesCount: 1, instanceCount: 3, accessionNumber: 'OTHER' })
    t.strictSame(uidsOf(study), uidsIn(here.of('MIXED')))
    await t.rejects(findStudies(asker.context, ['MIXED', 'NONE', 'OTHER'], asker.asking),
      { code: 'NO_DICOM_DATA', detail: 'the PACS holds no study for NONE' }, 'a list with one unknown number names it')
    t.strictSame(asker.warnings, [])
  })

  await t.test('Orthanc with both limits at 5: a list that is cut is asked for in smaller questions, or said to be cut', async t => {
    const many = Array.from({ length: 6 }, (_, n): PhantomStudy => ({ ...faultStudy('MANY', { images: 1, size: 16 }), seed: String(n) }))
    const here = await world(t, 'orthanc', { studies: [mixed, ...many], orthanc: { LimitFindInstances: 5, LimitFindResults: 5 } })
    const asker = askerOf(t, here.pacs)
    const [study] = await listed(asker, 'MIXED')
    t.match(study, { seriesCount: 7, instanceCount: 16, seriesListing: 'whole' }, 'seven series, by modality')
    t.equal(study?.series.length, 7)
    if (!await keepsItsLimit(here, 'AccessionNumber=MANY', 5)) {
      t.equal((await listed(asker, 'MANY')).length, 6)
      t.strictSame(asker.warnings, [], 'this Orthanc answers everything')
      return
    }
    t.strictSame(lists(study).filter(({ listing }) => listing === 'cut'), [{ listing: 'cut', named: 5, instanceCount: 7 }])
    t.equal(asker.warnings.length, 1)
    t.match(asker.warnings, [{ message: /cuts its lists of instances off/, fields: { cut: 1 } }])
    const detail = 'ORTHANC cut its answer off after 5 studies (status 0xFE00): raise its limit of answers (Orthanc: LimitFindResults)'
    await t.rejects(listed(asker, 'MANY'), { code: 'PACS_REFUSED', detail })
  })

  await t.test('Orthanc with both limits at 100', async t => {
    const here = await world(t, 'orthanc', { studies: [ctStudy('CT1', 130)], orthanc: { LimitFindInstances: 100, LimitFindResults: 100 } })
    const [study] = await listed(askerOf(t, here.pacs), 'CT1')
    for (const { listing, instanceCount = 0, instances } of study?.series ?? []) {
      t.equal(listing, instanceCount > 100 ? 'cut' : 'whole')
      t.equal(instances.length, Math.min(100, instanceCount))
    }
  })

  await t.test('dcmqrscp, and a name that findscu cannot convert: its answers are asked for as files', async t => {
    const here = await world(t, 'dcmqrscp', { studies: demoStudies().filter(({ accessionNumber }) => accessionNumber === 'CR.2024.001') })
    const [study] = await listed(askerOf(t, here.pacs), 'CR.2024.001')
    t.equal(study?.patient.patientName, 'Yamada^Tarou=山田^太郎=やまだ^たろう')
    t.strictSame(uidsOf(study), uidsIn(here.instances))
  })

  await t.test('dcmqrscp with one association: queries of many requests wait for each other', async t => {
    const here = await world(t, 'dcmqrscp', { studies: [mixed], maxAssociations: 1 })
    const asker = askerOf(t, here.pacs)
    const all = await Promise.all([1, 2, 3].map(async () => await listed(asker, 'MIXED')))
    for (const [study] of all) t.strictSame(uidsOf(study), uidsIn(here.instances))
    t.strictSame(asker.warnings, [])
  })
})

t.test('one that lies', async t => {
  const folder = temporaryFolder(t, 'find')
  const programs = programsOf(t)
  const pacs = await startLyingPacs(1)
  t.teardown(async () => { await pacs.close() })
  let told = 0
  const telling = async (find: Lie['find'], { series = 1, images = 3 } = {}): Promise<Told> => {
    const accessionNumber = `LIE.${told++}`
    const instances = await writeStudy(faultStudy(accessionNumber, { series, images, size: 16 }), folder, programs)
    pacs.add(PATIENT, instances, find === undefined ? {} : { find })
    return { accessionNumber, instances }
  }
  const at = (wanted: Level, change: (answers: Elements[]) => Elements[], status = 0): Lie['find'] => (level, answers) =>
    level === wanted ? { answers: change(answers), status } : { answers }
  const questions = ({ accessionNumber, instances: [first] }: Told, level: Level): LyingPacs['queries'] => pacs.queries.filter(query =>
    query.level === level && (level === 'STUDY'
      ? query.keys['AccessionNumber'] === accessionNumber
      : query.keys['StudyInstanceUID'] === first?.studyInstanceUid))
  /** Asks, and expects the truth with so many warnings. */
  const truth = async (t: Test, find: Lie['find'], warnings: RegExp[] = [], options = {}): Promise<Study | undefined> => {
    const { accessionNumber, instances } = await telling(find, options)
    const asker = askerOf(t, pacs)
    const [study, ...more] = await listed(asker, accessionNumber)
    t.equal(more.length, 0)
    t.strictSame(uidsOf(study), uidsIn(instances))
    t.match(asker.warnings.map(({ message }) => message), warnings)
    t.equal(asker.warnings.length, warnings.length)
    return study
  }

  for (const level of ['STUDY', 'SERIES', 'IMAGE'] as const) {
    await t.test(`answers at ${level} level come twice`, async t => { await truth(t, at(level, answers => [...answers, ...answers])) })
  }
  await t.test('blanks around UIDs (CTN)', async t => {
    const padded = (elements: Elements): Elements =>
      Object.fromEntries(Object.entries(elements).map(([name, value]) => [name, name.endsWith('UID') ? ` ${String(value)}  ` : value]))
    await truth(t, (_, answers) => ({ answers: answers.map(padded) }))
  })
  await t.test('a query that ignores the series: 36 files for 12', async t => {
    const { instances } = await telling(undefined, { series: 3, images: 4 })
    const all = instances.map(({ seriesInstanceUid, sopInstanceUid }) => ({ SeriesInstanceUID: seriesInstanceUid, SOPInstanceUID: sopInstanceUid }))
    const study = await truth(t, (level, answers) => ({ answers: level === 'IMAGE' ? [...answers, ...all] : answers }), [/was not asked for/])
    t.match(lists(study), [{ listing: 'whole', named: 3 }])
  })
  await t.test('hundreds of answers that were not asked for are one line in the log', async t => {
    // the kind: 20,000 of them; a PACS in JavaScript takes minutes for so many
    const others = (one: Elements | undefined): Elements[] => Array.from({ length: 500 }, (_, n) => ({ ...one, AccessionNumber: `OTHER.${n}` }))
    const { accessionNumber } = await telling(at('STUDY', answers => [...answers, ...others(answers[0])]))
    const asker = askerOf(t, pacs)
    t.equal((await findStudies(asker.context, [accessionNumber], asker.asking)).length, 1)
    t.match(asker.warnings, [{ message: /was not asked for/, fields: { answers: 500 } }])
    t.equal(asker.warnings.length, 1)
  })
  await t.test('UIDs that are none', async t => {
    const none = ['../../etc', ''].map(SeriesInstanceUID => ({ SeriesInstanceUID }))
    await truth(t, at('SERIES', answers => [...answers, ...none]), [/a UID that is none/])
  })
  await t.test('Series Number 1.0 (Horos)', async t => {
    const study = await truth(t, at('SERIES', answers => answers.map(one => ({ ...one, SeriesNumber: '1.0' }))))
    t.match(study?.series, [{ seriesNumber: 1 }])
  })
  await t.test('no (0008,0005), and names beyond ASCII', async t => {
    const bare = ({ SpecificCharacterSet: _, ...one }: Elements): Elements => ({ ...one, PatientName: 'Müller^Иван' })
    const study = await truth(t, at('STUDY', answers => answers.map(bare)))
    t.equal(study?.patient.patientName, 'Müller^Иван')
  })
  await t.test('two patients for one Study Instance UID are both told', async t => {
    const another = { PatientID: 'FAULT.2', PatientName: 'ANOTHER^ONE' }
    const { accessionNumber } = await telling(at('STUDY', answers => [...answers, { ...answers[0], ...another }]))
    const studies = await listed(askerOf(t, pacs), accessionNumber)
    t.strictSame(studies.map(({ patient }) => patient.patientId), ['FAULT.1', 'FAULT.2'])
  })
  await t.test('a study without series: no data; beside one that has some it is told, since it may be another patient\'s', async t => {
    const alone = await telling(at('SERIES', () => []))
    const { context, asking } = askerOf(t, pacs)
    await t.rejects(findStudies(context, [alone.accessionNumber], asking), { code: 'NO_DICOM_DATA', detail: /no series/ })
    const empty = { StudyInstanceUID: '2.25.404', PatientID: 'FAULT.2' }
    const { accessionNumber } = await telling(at('STUDY', answers => [...answers, { ...answers[0], ...empty }]))
    const studies = await findStudies(context, [accessionNumber], asking)
    t.strictSame(studies.map(({ series, patient }) => [series.length, patient.patientId]), [[1, 'FAULT.1'], [0, 'FAULT.2']])
  })
  await t.test('two counts for one series: the greater', async t => {
    const counting = ([first]: Elements[]): Elements[] => [3, 5].map(n => ({ ...first, NumberOfSeriesRelatedInstances: String(n) }))
    const study = await truth(t, at('SERIES', counting))
    t.match(lists(study), [{ instanceCount: 5 }])
  })
  await t.test('3,000 answers in one series are asked for once', async t => {
    const many = ([first]: Elements[]): Elements[] => Array.from({ length: 3_000 }, (_, n) => ({ ...first, SOPInstanceUID: `2.25.${n}` }))
    const told = await telling(at('IMAGE', many))
    const [study] = await listed(askerOf(t, pacs, { findTimeoutMs: 200_000 }), told.accessionNumber)
    t.match(lists(study), [{ listing: 'whole', named: 3_000 }])
    t.equal(questions(told, 'IMAGE').length, 1)
  })

  for (const [name, status] of [['0xFE00', 0xFE00], ['0xA700', 0xA700]] as const) {
    await t.test(`a limit, ${name}`, async t => {
      const first = await telling(at('IMAGE', answers => answers.slice(1), status), { series: 2 })
      const second = await telling(at('STUDY', answers => answers, status))
      const asker = askerOf(t, pacs)
      const [study] = await listed(asker, first.accessionNumber)
      t.match(lists(study), [{ listing: 'cut', named: 2 }, { listing: 'cut', named: 2 }])
      t.match(asker.warnings, [{ message: /cuts its lists/, fields: { cut: 2 } }], 'one line for the study')
      t.equal(asker.warnings.length, 1)
      const detail = `LIAR cut its answer off after 1 studies (status ${name}): raise its limit of answers (Orthanc: LimitFindResults)`
      await t.rejects(listed(asker, second.accessionNumber), { code: 'PACS_REFUSED', detail })
      t.equal(questions(second, 'STUDY').length, 1, 'a limit is no refusal of keys')
    })
  }
  await t.test('a list of series that stays cut', async t => {
    const cutAt = (most: number): Lie['find'] => (level, answers, { Modality = '' }) => {
      if (level === 'STUDY') return { answers: answers.map(one => ({ ...one, ModalitiesInStudy: 'CR\\SR', NumberOfStudyRelatedSeries: '3' })) }
      if (level !== 'SERIES') return { answers }
      const matching = answers.filter(one => Modality === '' || one['Modality'] === Modality)
      return { answers: matching.slice(0, most), status: matching.length > most ? 0xFE00 : 0 }
    }
    const { accessionNumber } = await telling(cutAt(2), { series: 3 })
    const asker = askerOf(t, pacs)
    const [study] = await findStudies(asker.context, [accessionNumber], asker.asking)
    t.match(study, { seriesListing: 'cut', seriesCount: 3, series: { length: 2 } })
    t.match(asker.warnings, [{ message: /cuts its list of series off/ }])
  })
  await t.test('IMAGE level is refused for one series of two', async t => {
    const refused = new Set<string>()
    const { accessionNumber, instances } = await telling((level, answers, { SeriesInstanceUID = '' }) =>
      level === 'IMAGE' && refused.has(SeriesInstanceUID) ? { answers: [], status: 0xA900 } : { answers }, { series: 2 })
    refused.add(instances[0]?.seriesInstanceUid ?? '')
    const asker = askerOf(t, pacs)
    const [study] = await listed(asker, accessionNumber)
    t.match(lists(study), [{ listing: 'none', named: 0 }, { listing: 'whole', named: 3 }])
    t.match(asker.warnings, [{ message: /does not answer IMAGE-level queries/, fields: { without_list: 1, series: 2 } }])
  })
  await t.test('a PACS without IMAGE level: one line for a study', async t => {
    const { accessionNumber } = await telling(at('IMAGE', () => []), { series: 5 })
    const asker = askerOf(t, pacs)
    const [study] = await listed(asker, accessionNumber)
    t.ok(study?.series.every(({ listing }) => listing === 'empty'))
    t.equal(asker.warnings.length, 1)
  })
  await t.test('optional keys are refused', async t => {
    await truth(t, (level, answers, keys) =>
      level === 'STUDY' && 'ModalitiesInStudy' in keys ? { answers: [], status: 0xA900 } : { answers })
  })
  await t.test('the body part is refused, which some requests ask for: it is asked without, and nothing else is left away', async t => {
    const bodyParts: string[] = []
    const told = await telling((level, answers, keys) => {
      if (level !== 'SERIES') return { answers }
      bodyParts.push('BodyPartExamined' in keys ? 'asked' : 'not asked')
      return 'BodyPartExamined' in keys ? { answers: [], status: 0xA900 } : { answers: answers.map(one => ({ ...one, NumberOfSeriesRelatedInstances: '3' })) }
    })
    const { context, asking } = askerOf(t, pacs)
    t.match(await findStudies(context, [told.accessionNumber], { ...asking, bodyParts: true }), [{ series: [{ seriesDescription: 'Lies', instanceCount: 3, bodyPartExamined: undefined }] }])
    t.strictSame(bodyParts.splice(0), ['asked', 'not asked'])
    await findStudies(context, [told.accessionNumber], asking)
    t.strictSame(bodyParts.splice(0), ['not asked'], 'and not where nobody compares it')
  })
  await t.test('every optional key of series is refused', async t => {
    const told = await telling((level, answers, keys) => level === 'SERIES' && 'SeriesDescription' in keys ? { answers: [], status: 0xA900 } : { answers })
    const { context, asking } = askerOf(t, pacs)
    t.match(await findStudies(context, [told.accessionNumber], { ...asking, bodyParts: true }), [{ series: [{ modality: 'CR' }] }])
  })
  await t.test('a body part is kept as it is named, and an empty one is none', async t => {
    const told = await telling((level, answers) => ({ answers: level === 'SERIES' ? answers.map((one, index) => ({ ...one, BodyPartExamined: ['CHEST', ''][index] })) : answers }), { series: 2 })
    const { context, asking } = askerOf(t, pacs)
    const [study] = await findStudies(context, [told.accessionNumber], { ...asking, bodyParts: true })
    t.strictSame(study?.series.map(({ bodyPartExamined }) => bodyPartExamined), ['CHEST', undefined])
  })
  await t.test('only some series are listed', async t => {
    const { accessionNumber, instances } = await telling(undefined, { series: 2 })
    const { context, asking } = askerOf(t, pacs)
    const [study] = await findStudies(context, [accessionNumber], asking)
    if (study === undefined) return t.fail('no study')
    const only = new Set([instances[0]?.seriesInstanceUid ?? ''])
    t.match((await listInstances(context, study, asking, only)).series.map(({ listing }) => listing), ['whole', 'none'])
  })
  await t.test('every query asks for the character set', async t => {
    t.ok(pacs.queries.length > 20)
    t.ok(pacs.queries.every(({ keys }) => 'SpecificCharacterSet' in keys))
  })
  await t.test('more answers than anybody reads end the query', async t => {
    const many = ([first]: Elements[]): Elements[] => Array.from({ length: 100 }, (_, n) => ({ ...first, StudyInstanceUID: `2.25.${n}` }))
    const { accessionNumber } = await telling(at('STUDY', many))
    const { context } = askerOf(t, pacs)
    const query = {
      level: 'STUDY', callingAeTitle: 'CDRECORD', keys: { '0008,0050': accessionNumber, '0020,000d': '' }, timeoutMs: 60_000, tempDir: context.tempDir
    } as const
    t.strictSame(await findscu(context, context.pacs, { ...query, mostAnswers: 99 }), { kind: 'too-many', most: 99, matching: false })
    t.strictSame(await findscu(context, context.pacs, { ...query, mostWanted: 99 }), { kind: 'too-many', most: 99, matching: true })
    t.match(await findscu(context, context.pacs, { ...query, mostAnswers: 100 }),
      { kind: 'answers', answers: { length: 100 }, end: 'success', status: '0x0000' })
    const wanted = (answer: Answer): boolean => answer.get('0020,000d') === '2.25.7'
    t.match(await findscu(context, context.pacs, { ...query, wanted }), { answers: { length: 1 }, unwanted: 99 })
  })
  await t.test('a PACS that stays busy: 503 that says so', async t => {
    const { context, asking } = askerOf(t, { ...pacs, aeTitle: 'BUSY' }, { queueTimeoutMs: 1_000 })
    const detail = 'BUSY rejected the association for 1 s (temporary: local limit exceeded)'
    await t.rejects(findStudies(context, ['X'], asking), { code: 'TOO_MANY_CONCURRENT', detail, fields: { retryAfterSeconds: 30 } })
  })
})
