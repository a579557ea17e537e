/** disc.priors: the last studies of the same patient and modality before the asked one; whole, or named as left out. */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { writeStudy, type PhantomInstance, type PhantomStudy } from '../../demo/phantoms/catalogue.ts'
import { freePort } from '../../demo/ports.ts'
import { faultStudy, linkTo, nothingRemains, PATIENT, SHORT_LIMITS } from '../faults/harness.ts'
import { startLyingPacs, type Elements, type FindAnswer, type Level, type Lie } from '../faults/lying-pacs.ts'
import { programsOf, readDisc, service, temporaryFolder, world, type Answer, type World } from '../world.ts'
import { keepsItsLimit } from './orthanc-limits.ts'

const study = (accessionNumber: string, studyDate: string, kind: 'CR' | 'MR' = 'CR', patient = PATIENT): PhantomStudy =>
  ({ accessionNumber, patient, studyDate, studyDescription: `Study ${accessionNumber}`, series: [{ kind, count: 2, rows: 64, columns: 64 }] })
const STUDIES = [
  study('P1', '20200101'), study('P2', '20210101'), study('P3', '20220101'), study('MR', '20230101', 'MR'), study('ASKED', '20240101'), study('LATER', '20250101'),
  study('SAME.ID', '20231231', 'CR', { ...PATIENT, patientName: 'SOMEBODY^ELSE', birthDate: '19800202' }),
  study('OTHER', '20231230', 'CR', { ...PATIENT, patientId: 'FAULT.2', patientName: 'THIRD^PERSON' })
]

async function onDisc (t: Test, here: Pick<World, 'programs' | 'instances'>, answer: Answer): Promise<{ accessions: string[], readme: string }> {
  t.equal(answer.status, 200, answer.status === 200 ? 'a disc' : answer.body.toString())
  const { instances, root } = await readDisc(t, answer.body, here.programs)
  const readme = readFileSync(join(root, 'README.TXT'), 'utf8')
  return { accessions: here.instances.filter(({ sopInstanceUid }) => instances.has(sopInstanceUid)).map(({ accessionNumber }) => accessionNumber), readme }
}

for (const kind of ['dcmqrscp', 'orthanc'] as const) {
  t.test(kind, async t => {
    const here = await world(t, kind, { studies: STUDIES })
    const disc = { web_content: 'none', priors: 2 }
    const mkiso = await service(t, here.pacs, here.receiverPort, { disc })
    await t.test('the last two of the same person and modality, each whole, named as earlier ones', async t => {
      const { accessions, readme } = await onDisc(t, here, await mkiso.get(linkTo('ASKED')))
      t.strictSame(accessions, ['P2', 'P2', 'P3', 'P3', 'ASKED', 'ASKED'])
      t.match(readme, /Earlier study: .*Study P3/)
      t.match(readme, /Earlier study: .*Study P2/)
      t.notMatch(readme, /Earlier study: .*ASKED|could not be put/)
    })
    await t.test('none for several accession numbers', async t => {
      const { accessions } = await onDisc(t, here, await mkiso.get('/api/iso/download-multiple?accession_numbers=ASKED,LATER'))
      t.strictSame(accessions, ['ASKED', 'ASKED', 'LATER', 'LATER'])
    })
    await t.test('none by default', async t => {
      const plain = await service(t, here.pacs, here.receiverPort + 1, { pacs: { retrieve: 'get' }, disc: { web_content: 'none' } })
      t.strictSame((await onDisc(t, here, await plain.get(linkTo('ASKED')))).accessions, ['ASKED', 'ASKED'])
    })
    await t.test('one that does not come whole is left out by name, and the asked one is on the disc', async t => {
      const [first] = here.of('P3')
      const path = await here.pacs.pathOf(first?.sopInstanceUid ?? '')
      t.ok(path)
      rmSync(path ?? '')
      const { accessions, readme } = await onDisc(t, here, await mkiso.get(linkTo('ASKED')))
      t.strictSame(accessions, ['P2', 'P2', 'ASKED', 'ASKED'])
      t.match(readme.replace(/\s+/g, ' '), /Earlier studies of this patient could not be put on this disc: \*\*\* 1 January 2022, (?:Study P3, )?P3/)
    })
    await nothingRemains(t, mkiso)
  })
}

t.test('an archive that cuts its list of studies off: it is not known which were the last', async t => {
  const here = await world(t, 'orthanc', { studies: STUDIES, orthanc: { LimitFindResults: 3 } })
  const mkiso = await service(t, here.pacs, here.receiverPort, { disc: { web_content: 'none', priors: 2 } })
  const { accessions, readme } = await onDisc(t, here, await mkiso.get(linkTo('ASKED')))
  if (!await keepsItsLimit(here, `PatientID=${PATIENT.patientId}`, 3)) {
    t.strictSame(accessions, ['P2', 'P2', 'P3', 'P3', 'ASKED', 'ASKED'], 'this Orthanc answers everything')
    t.notMatch(readme, /could not be put/)
    return
  }
  t.strictSame(accessions, ['ASKED', 'ASKED'])
  t.match(readme.replace(/\s+/g, ' '), /Earlier studies of this patient could not be put on this disc/)
})

interface OddPrior {
  name: string
  /** What the archive answers when it is asked for the patient's studies. */
  search?: (answers: Elements[]) => FindAnswer
  /** Of the earlier study. */
  lie?: Lie
  /** Whose name its files hold. */
  inFiles?: string
  /** As the disc names it; undefined where it is not known which study it would be. */
  named: RegExp
  warning: RegExp
}

const NAMED = /could not be put on this disc: \*\*\* 1 January 2020, Study PRIOR\.\d, PRIOR\.\d/
const NOT_KNOWN = /could not be put on this disc: \*\*\* WHAT IS ON/
const LEFT_OUT = /an earlier study is left out/
const NOT_FOUND = /earlier studies of the patient cannot be found/

const ODD_PRIORS: OddPrior[] = [
  { name: 'the archive fails when it is asked for the patient\'s studies', search: () => ({ answers: [], status: 0xC001 }), named: NOT_KNOWN, warning: NOT_FOUND },
  { name: 'the archive breaks off then', search: () => 'cut', named: NOT_KNOWN, warning: NOT_FOUND },
  {
    name: 'without an accession number: it cannot be asked for as any other is',
    search: answers => ({ answers: answers.map(one => String(one['AccessionNumber']).startsWith('PRIOR') ? { ...one, AccessionNumber: '' } : one) }),
    named: /could not be put on this disc: \*\*\* 1 January 2020, Study PRIOR\.\d/,
    warning: LEFT_OUT
  },
  { name: 'its accession number finds nothing', lie: { find: (level, answers) => ({ answers: level === 'STUDY' ? [] : answers }) }, named: NAMED, warning: LEFT_OUT },
  {
    name: 'its accession number finds another study',
    lie: { find: (_level: Level, answers: Elements[]) => ({ answers: answers.map(one => ({ ...one, StudyInstanceUID: '2.25.77' })) }) },
    named: NAMED,
    warning: LEFT_OUT
  },
  {
    name: 'its accession number says that it is another person\'s',
    lie: { find: (level, answers) => ({ answers: level === 'STUDY' ? answers.map(one => ({ ...one, PatientName: 'SOMEBODY^ELSE', PatientBirthDate: '19800202' })) : answers }) },
    named: NAMED,
    warning: LEFT_OUT
  },
  {
    name: 'its accession number says that it is two persons\'',
    lie: { find: (level, answers) => ({ answers: level === 'STUDY' ? [...answers, ...answers.map(one => ({ ...one, PatientName: 'SOMEBODY^ELSE', PatientBirthDate: '19800202' }))] : answers }) },
    named: NAMED,
    warning: LEFT_OUT
  },
  { name: 'its files are another person\'s', inFiles: 'SOMEBODY^ELSE', named: NAMED, warning: LEFT_OUT },
  { name: 'it lacks an image', lie: { move: async move => { await move.send(move.wanted.slice(1)); move.final(0xB000, { completed: 1, failed: 1 }) } }, named: NAMED, warning: LEFT_OUT },
  { name: 'nothing of it comes', lie: { move: move => { move.final(0xA702) } }, named: NAMED, warning: LEFT_OUT }
]

for (const allowed of ['nothing', 'allow_incomplete', 'allow_reassigned']) {
  t.test(`an earlier study with which something is wrong is left out and named, the asked one is whole; allowed by the site: ${allowed}`, async t => {
    const receiverPort = await freePort()
    const pacs = await startLyingPacs(receiverPort)
    t.teardown(async () => { await pacs.close() })
    const programs = programsOf(t)
    const folder = temporaryFolder(t)
    const mkiso = await service(t, pacs, receiverPort, { ...SHORT_LIMITS, disc: { web_content: 'none', priors: 2, ...allowed === 'nothing' ? {} : { [allowed]: true } } })
    for (const [index, { name, search = (answers: Elements[]) => ({ answers }), lie = {}, inFiles, named, warning }] of ODD_PRIORS.entries()) {
      await t.test(name, async t => {
        const patient = { ...PATIENT, patientId: `PRIOR.${index}` }
        const write = async (accessionNumber: string, change: Partial<typeof patient> = {}): Promise<PhantomInstance[]> =>
          await writeStudy({ ...faultStudy(accessionNumber, { images: 2 }), patient: { ...patient, ...change } }, folder, programs)
        const asked = await write(`ASKED.${index}`)
        const prior = await write(`PRIOR.${index}`, inFiles === undefined ? {} : { patientName: inFiles, birthDate: '19800202', patientId: `ELSE.${index}` })
        // an earlier one, by its date
        const dated = (answers: Elements[]): Elements[] => answers.map(one =>
          one['StudyInstanceUID'] === prior[0]?.studyInstanceUid && one['QueryRetrieveLevel'] === 'STUDY' ? { ...one, StudyDate: '20200101', StudyDescription: `Study PRIOR.${index}` } : one)
        const { find: priorFind = (_level: Level, answers: Elements[]) => ({ answers }) } = lie
        pacs.add(patient, asked, { find: (level, answers, keys) => level === 'STUDY' && (keys['AccessionNumber'] ?? '') === '' ? search(dated(answers)) : { answers } })
        pacs.add(patient, prior, { ...lie, find: (level, answers, keys) => priorFind(level, dated(answers), keys) })
        const before = mkiso.log.length
        const { accessions, readme } = await onDisc(t, { programs, instances: [...asked, ...prior] }, await mkiso.get(linkTo(`ASKED.${index}`)))
        t.strictSame(accessions, [`ASKED.${index}`, `ASKED.${index}`])
        t.match(readme.replace(/\s+/g, ' '), named)
        t.notMatch(readme, /NOT COMPLETE/, 'what was asked for is whole')
        t.ok(mkiso.log.slice(before).some(({ msg, level }) => warning.test(String(msg)) && Number(level) >= 40), 'the log says why')
      })
    }
    await nothingRemains(t, mkiso)
  })
}
