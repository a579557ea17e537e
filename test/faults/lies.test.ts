/** A PACS that lies, about sixty ways. Every lie has a study of its own, so that all of them are told to one service at the same time. */
import pLimit from 'p-limit'
import t from 'tap'
import { uidOf } from '../../demo/phantoms/writer.ts'
import { writeStudy, type PhantomInstance } from '../../demo/phantoms/catalogue.ts'
import { freePort } from '../../demo/ports.ts'
import { programsOf, service, temporaryFolder } from '../world.ts'
import { faultStudy, linkTo, nothingRemains, PATIENT, rightAnswer, SHORT_LIMITS, tellFaults, type Expected } from './harness.ts'
import { BAD_TITLES, honest, later, startLyingPacs, TIRED, TIRED_MS, type Elements, type Level, type Lie, type LyingPacs, type Move } from './lying-pacs.ts'

interface Lied extends Lie {
  name: string
  expected: Expected
  series?: number
  /** What the disc must hold, when it is not everything that was written. */
  onDisc?: (instances: readonly PhantomInstance[]) => readonly PhantomInstance[]
}

const refused = (detail?: RegExp): Expected => ({ codes: ['PACS_REFUSED'], ...(detail === undefined ? {} : { detail }) })
const refusedMove = (detail?: RegExp): Expected => ({ codes: ['PACS_REFUSED_MOVE'], ...(detail === undefined ? {} : { detail }) })
const incomplete = (detail: RegExp): Expected => ({ codes: ['INCOMPLETE_RETRIEVAL'], detail })
const unreachable: Expected = { codes: ['PACS_UNREACHABLE'] }
const timedOut: Expected = { codes: ['PACS_TIMEOUT'] }
const noData: Expected = { codes: ['NO_DICOM_DATA'] }

const at = (wanted: Level, change: (answers: Elements[]) => Elements[], status?: number) => (level: Level, answers: Elements[]) =>
  ({ answers: level === wanted ? change(answers) : answers, ...(level === wanted && status !== undefined ? { status } : {}) })
const failing = (wanted: Level, status: number) => at(wanted, () => [], status)
const only = (wanted: Level, what: 'silence' | 'abort' | 'cut') => (level: Level, answers: Elements[]) => level === wanted ? what : { answers }
/** Lies the first time, then tells the truth. */
const once = (lie: (move: Move) => Promise<void> | void) => async (move: Move): Promise<void> => { await (move.attempt === 1 ? lie : honest)(move) }
const hex = (status: number): string => `0x${status.toString(16).toUpperCase().padStart(4, '0')}`

function lies (pacs: LyingPacs, foreign: readonly PhantomInstance[]): Lied[] {
  const all = (move: Move): number => move.wanted.length
  return [
    { name: 'the truth', expected: 'disc' },

    // C-FIND (PS3.4 Table C.4-1)
    ...[0xA700, 0xFE00].map((status): Lied => ({
      name: `C-FIND STUDY is cut off with ${hex(status)}`,
      find: failing('STUDY', status),
      expected: refused(new RegExp(`cut its answer off after 0 studies \\(status ${hex(status)}\\): raise its limit of answers`))
    })),
    ...[0xA900, 0xC000, 0xC123, 0x0122, 0x0124].map((status): Lied => ({ name: `C-FIND STUDY fails with ${hex(status)}`, find: failing('STUDY', status), expected: refused() })),
    { name: 'C-FIND SERIES fails', find: failing('SERIES', 0xC001), expected: refused() },
    ...(['STUDY', 'SERIES', 'IMAGE'] as const).flatMap((level): Lied[] => [
      { name: `C-FIND ${level}: no answer`, find: only(level, 'silence'), expected: timedOut },
      { name: `C-FIND ${level}: the PACS aborts`, find: only(level, 'abort'), expected: unreachable },
      { name: `C-FIND ${level}: the connection ends`, find: only(level, 'cut'), expected: unreachable }
    ]),
    { name: 'C-FIND STUDY: answers, then fails', find: at('STUDY', answers => answers, 0xA700), expected: refused(/after 1 studies/) },
    { name: 'C-FIND IMAGE: half of the answers, then fails: counted instead', find: at('IMAGE', answers => answers.slice(1), 0xA700), expected: 'disc' },
    { name: 'no study', find: at('STUDY', () => []), expected: noData },
    { name: 'a study with another accession number', find: at('STUDY', answers => answers.map(one => ({ ...one, AccessionNumber: 'OTHER' }))), expected: noData },
    { name: 'a study with a longer accession number', find: at('STUDY', answers => answers.map(one => ({ ...one, AccessionNumber: `${String(one['AccessionNumber'])}0` }))), expected: noData },
    { name: 'a study without an accession number', find: at('STUDY', answers => answers.map(one => ({ ...one, AccessionNumber: '' }))), expected: noData },
    { name: 'a study without a UID', find: at('STUDY', answers => answers.map(one => ({ ...one, StudyInstanceUID: '' }))), expected: noData },
    { name: 'also somebody else\'s study', find: at('STUDY', answers => [...answers, { ...answers[0], AccessionNumber: 'OTHER', StudyInstanceUID: '2.25.1', PatientID: 'X' }]), expected: 'disc' },
    { name: 'the study twice', find: at('STUDY', answers => [...answers, ...answers]), expected: 'disc' },
    {
      name: 'a second study of another patient',
      find: at('STUDY', answers => [...answers, { ...answers[0], StudyInstanceUID: '2.25.2', PatientID: 'FAULT.2', PatientName: 'ANOTHER^ONE' }]),
      expected: { codes: ['DIFFERENT_PATIENTS'] }
    },
    { name: 'a study without series', find: at('SERIES', () => []), expected: noData },
    { name: 'a series of another study', find: at('SERIES', answers => [...answers, { ...answers[0], StudyInstanceUID: '2.25.3', SeriesInstanceUID: '2.25.4' }]), expected: 'disc' },
    { name: 'a series without a UID', find: at('SERIES', answers => [...answers, { ...answers[0], SeriesInstanceUID: '' }]), expected: 'disc' },
    { name: 'a series without images', find: at('SERIES', answers => [...answers, { ...answers[0], SeriesInstanceUID: '2.25.5' }]), expected: 'disc' },
    { name: 'a series of which it counts images that it does not have', find: at('SERIES', answers => [...answers, { ...answers[0], SeriesInstanceUID: '2.25.5', NumberOfSeriesRelatedInstances: '2' }]), expected: incomplete(/3 of/) },
    { name: 'IMAGE level refused: the counts decide', find: failing('IMAGE', 0xA900), expected: 'disc' },
    { name: 'IMAGE level refused, and one image fewer than announced', find: (level, answers) => level === 'IMAGE' ? { answers: [], status: 0xA900 } : { answers: level === 'SERIES' ? answers.map(one => ({ ...one, NumberOfSeriesRelatedInstances: '4' })) : answers }, expected: incomplete(/3 of 4/) },
    { name: 'IMAGE level empty', find: at('IMAGE', () => []), expected: 'disc' },
    { name: 'images without UIDs', find: at('IMAGE', answers => answers.map(one => ({ ...one, SOPInstanceUID: '' }))), expected: 'disc' },
    { name: 'an image that does not exist', find: at('IMAGE', answers => [...answers, { ...answers[0], SOPInstanceUID: '2.25.6' }]), expected: incomplete(/3 of 4/) },
    { name: 'each image twice', find: at('IMAGE', answers => [...answers, ...answers]), expected: 'disc' },
    { name: 'an image of another study', find: at('IMAGE', answers => [...answers, { ...answers[0], StudyInstanceUID: '2.25.7', SOPInstanceUID: '2.25.8' }]), expected: 'disc' },
    { name: 'fewer images than it sends, with success: what it counts while it sends says more', find: at('IMAGE', answers => answers.slice(0, 1)), expected: 'disc' },

    // C-MOVE (PS3.4 Table C.4-2)
    ...[0xA701, 0xA702, 0xA801, 0xA900, 0xC000, 0xC123, 0x0122, 0x0124, 0x0211].map((status): Lied => ({ name: `C-MOVE fails with ${hex(status)}`, move: move => { move.final(status) }, expected: refusedMove() })),
    { name: 'C-MOVE: success, 0 of 0', move: move => { move.final(0) }, expected: incomplete(/0 of 3/) },
    { name: 'C-MOVE: success with counts, nothing sent', move: move => { move.final(0, { completed: all(move) }) }, expected: refusedMove(/reports \d+ images as sent, but none arrived/) },
    { name: 'C-MOVE: partial success, nothing sent', move: move => { move.final(0xB000, { failed: all(move) }) }, expected: incomplete(/0 of 3/) },
    { name: 'C-MOVE: cancelled', move: move => { move.final(0xFE00, { remaining: all(move) }) }, expected: incomplete(/0 of 3/) },
    { name: 'C-MOVE: cancelled once', move: once(move => { move.final(0xFE00, { remaining: all(move) }) }), expected: 'disc' },
    { name: 'one image left out each time, success reported', move: async move => { await move.send(move.wanted.slice(1)); move.final(0, { completed: all(move) }) }, expected: incomplete(/2 of 3/) },
    { name: 'one image left out once, success reported', move: once(async move => { await move.send(move.wanted.slice(1)); move.final(0, { completed: all(move) }) }), expected: 'disc' },
    { name: 'one image failed once', move: once(async move => { await move.send(move.wanted.slice(1)); move.final(0xB000, { completed: 2, failed: 1 }) }), expected: 'disc' },
    { name: 'everything sent, all reported as failed', move: async move => { await move.send(move.wanted); move.final(0xB000, { failed: all(move) }) }, expected: 'disc' },
    { name: 'everything sent, C-MOVE fails', move: async move => { await move.send(move.wanted); move.final(0xC000) }, expected: 'disc' },
    { name: 'everything sent, with warnings', move: async move => { await move.send(move.wanted); move.final(0xB000, { warning: all(move) }) }, expected: 'disc' },
    { name: 'everything sent, counts of 65535', move: async move => { await move.send(move.wanted); move.final(0, { completed: 65_535 }) }, expected: 'disc' },
    { name: 'everything sent, no counts', move: async move => { await move.send(move.wanted); move.final(0) }, expected: 'disc' },
    { name: 'answers before the images come', move: async move => { move.final(0, { completed: all(move) }); await later(200); await move.send(move.wanted) }, expected: 'disc' },
    { name: 'answers with nothing done before the images come', move: async move => { move.final(0); await later(200); await move.send(move.wanted) }, expected: 'disc' },
    { name: 'answers, then the images drip', move: async move => { move.final(0, { completed: all(move) }); for (const one of move.wanted) { await later(300); await move.send([one]) } }, expected: 'disc' },
    { name: 'each image twice', move: async move => { await move.send([...move.wanted, ...move.wanted]); move.final(0, { completed: 2 * all(move) }) }, expected: 'disc' },
    { name: 'each image on two associations at once', move: async move => { await Promise.all([move.send(move.wanted), move.send(move.wanted)]); move.final(0, { completed: all(move) }) }, expected: 'disc' },
    { name: 'images of another patient too', move: async move => { await move.send([...foreign, ...move.wanted]); move.final(0, { completed: all(move) }) }, expected: 'disc' },
    { name: 'images of another patient too, IMAGE level refused', find: failing('IMAGE', 0xA900), move: async move => { await move.send([...foreign, ...move.wanted]); move.final(0, { completed: all(move) }) }, expected: 'disc' },
    { name: 'images of another patient instead', move: async move => { await move.send(foreign); move.final(0, { completed: foreign.length }) }, expected: refusedMove() },
    { name: 'another study under the UID of an image', move: async move => { await move.send(move.wanted.slice(1)); await pacs.send(foreign.slice(0, 1), { as: move.wanted[0] }); move.final(0, { completed: all(move) }) }, expected: incomplete(/2 of 3/) },
    { name: 'another study under the UID of an image, once', move: once(async move => { await pacs.send(foreign.slice(0, 1), { as: move.wanted[0] }); move.final(0, { completed: all(move) }) }), expected: 'disc' },
    { name: 'an image that is cut off, each time', move: async move => { await move.send(move.wanted.slice(1)); await pacs.send(move.wanted.slice(0, 1), { keepBytes: 3_000 }); move.final(0, { completed: all(move) }) }, expected: incomplete(/2 of 3/) },
    { name: 'an image that is cut off, once', move: once(async move => { await pacs.send(move.wanted, { keepBytes: 3_000 }); move.final(0, { completed: all(move) }) }), expected: 'disc' },
    { name: 'an image that lacks its last byte, once', move: once(async move => { await pacs.send(move.wanted, { keepBytes: -2 }); move.final(0, { completed: all(move) }) }), expected: 'disc' },
    { name: 'an image whose data set never comes', move: async move => { await pacs.send(move.wanted, { keepBytes: 0 }) }, expected: timedOut },
    { name: 'C-MOVE: no answer and no image', move: () => {}, expected: timedOut },
    { name: 'C-MOVE: a pending answer, then silence', move: move => { move.pending({ remaining: all(move) }) }, expected: timedOut },
    { name: 'C-MOVE: one image, then silence', move: async move => { await move.send(move.wanted.slice(1)) }, expected: timedOut },
    { name: 'C-MOVE: everything sent, no final answer', move: async move => { await move.send(move.wanted) }, expected: 'disc' },
    { name: 'C-MOVE: pending answers for ever', move: async move => { for (let n = 0; n < 60; n++) { move.pending({ remaining: all(move) }); await later(500) } }, expected: timedOut },
    { name: 'C-MOVE: the PACS aborts each time', move: move => { move.abort() }, expected: unreachable },
    { name: 'C-MOVE: the PACS aborts after an image each time', move: async move => { await move.send(move.wanted.slice(0, 1)); move.abort() }, expected: 'disc' },
    { name: 'C-MOVE: the PACS aborts once', move: once(move => { move.abort() }), expected: 'disc' },
    { name: 'C-MOVE: the connection ends each time', move: move => { move.cut() }, expected: unreachable },
    { name: 'C-MOVE: the connection ends once, in the middle', move: once(async move => { await move.send(move.wanted.slice(0, 1)); move.cut() }), expected: 'disc' },
    { name: 'C-MOVE: the connection ends when everything is sent', move: async move => { await move.send(move.wanted); move.cut() }, expected: 'disc' },
    { name: 'one series of two is refused', series: 2, move: async move => { await (move.wanted[0]?.seriesInstanceUid === uidOf(`${move.wanted[0]?.accessionNumber ?? ''}//1`) ? move.final(0xA702) : honest(move)) }, expected: incomplete(/3 of 6/) }
  ]
}

const AT_ONCE = 12

t.test('lies', async t => {
  const programs = programsOf(t)
  const folder = temporaryFolder(t, 'lies')
  const receiverPort = await freePort()
  const pacs = await startLyingPacs(receiverPort)
  t.teardown(async () => { await pacs.close() })
  const foreign = await writeStudy({ ...faultStudy('FOREIGN'), patient: { ...PATIENT, patientId: 'FAULT.9', patientName: 'NOBODY^KNOWS' } }, folder, programs)
  const table = lies(pacs, foreign)
  const mkiso = await service(t, pacs, receiverPort, { ...SHORT_LIMITS, our_ae: { port_range: 100 } })

  t.jobs = AT_ONCE
  const limit = pLimit(AT_ONCE)
  await Promise.all(table.map(async ({ name, expected, series = 1, onDisc = all => all, ...lie }, index) => await limit(async () => {
    await t.test(name, async t => {
      const accessionNumber = `LIE.${index}`
      const instances = await writeStudy(faultStudy(accessionNumber, { series }), folder, programs)
      pacs.add(PATIENT, instances, lie)
      await rightAnswer(t, programs, await mkiso.get(linkTo(accessionNumber)), expected, onDisc(instances))
    })
  })))
  await nothingRemains(t, mkiso)

  const few = pLimit(3)
  await Promise.all(Object.entries<Expected>({
    BUSY: { codes: ['TOO_MANY_CONCURRENT'], detail: /rejected the association for 2 s \(temporary: local limit exceeded\)/ },
    CLOSED: refused(), STRANGERS: refused(/does not know the AE title CDRECORD/), OTHERNAME: refused(/does not have the AE title OTHERNAME/),
    ABORTS: unreachable, CUTS: unreachable, SILENT: unreachable, NOFIND: refused(), NOMOVE: refused()
  }).map(async ([title, expected]) => await few(async () => {
    await t.test(`the association: ${title}`, async t => {
      const accessionNumber = `TITLE.${title}`
      pacs.add(PATIENT, await writeStudy(faultStudy(accessionNumber), folder, programs))
      const mkiso = await service(t, { ...pacs, aeTitle: title }, await freePort(), { ...SHORT_LIMITS, pacs: { ...SHORT_LIMITS['pacs'], queue_timeout: '2s' } })
      await rightAnswer(t, programs, await mkiso.get(linkTo(accessionNumber)), expected, [])
      await nothingRemains(t, mkiso)
    })
  })))
  await t.test(`the association: ${TIRED}, for longer than pacs.idle_timeout: it answers each time, so that it is not silent`, async t => {
    const instances = await writeStudy(faultStudy('TITLE.TIRED'), folder, programs)
    pacs.add(PATIENT, instances)
    const port = await freePort()
    pacs.destinations.set('PATIENT', port)
    const tired = await service(t, { ...pacs, aeTitle: TIRED }, port, { ...SHORT_LIMITS, pacs: { ...SHORT_LIMITS['pacs'], idle_timeout: `${TIRED_MS / 2}ms` }, our_ae: { ae_title: 'PATIENT' } })
    await rightAnswer(t, programs, await tired.get(linkTo('TITLE.TIRED')), 'disc', instances)
    await nothingRemains(t, tired)
  })
  tellFaults(t, table.length - 1 + Object.keys(BAD_TITLES).length + 3)
})
