/** Several archives as one: real PACS that hold different parts of a study, that die, that disagree. */
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startOrthanc } from '../../demo/orthanc.ts'
import { startDcmqrscp, type Pacs } from '../../demo/pacs.ts'
import { writeStudy, type PhantomInstance, type PhantomStudy } from '../../demo/phantoms/catalogue.ts'
import { freePort } from '../../demo/ports.ts'
import type { Programs } from '../../src/process.ts'
import { faultStudy, linkTo, nothingRemains, PATIENT, rightAnswer } from '../faults/harness.ts'
import { startLyingPacs } from '../faults/lying-pacs.ts'
import { Proxy } from '../faults/proxy.ts'
import { startRobot } from '../print/robot.ts'
import { programsOf, readDisc, serviceOf, temporaryFolder, type Overrides, type Service } from '../world.ts'

const STUDY_ROOT_MOVE = '1.2.840.10008.5.1.4.1.2.2.2'
const LIMITS = { connect_timeout: '3s', find_timeout: '3s', idle_timeout: '8s', move_timeout: '14s', settle_timeout: '700ms' }

type Kind = 'dcmqrscp' | 'orthanc'

interface Place { pacs: Pacs, proxy: Proxy }

/** Archives A, B ... of kinds, each behind a network that a test can break. */
class Places {
  readonly programs: Programs
  readonly receiverPort: number
  readonly all: Place[] = []
  readonly #folder: string
  readonly #t: Test

  private constructor (t: Test, receiverPort: number) {
    this.#t = t
    this.#folder = temporaryFolder(t, 'several')
    this.programs = programsOf(t)
    this.receiverPort = receiverPort
  }

  static async start (t: Test, kinds: readonly Kind[], settings: readonly object[] = []): Promise<Places> {
    const places = new Places(t, await freePort())
    for (const [index, kind] of kinds.entries()) {
      const dir = join(places.#folder, `pacs${index}`)
      mkdirSync(dir)
      const options = { programs: places.programs, dir, aeTitle: `ARCHIVE${index}`, destinations: [{ aeTitle: 'CDRECORD', host: '127.0.0.1', port: places.receiverPort }] }
      const pacs = kind === 'orthanc' ? await startOrthanc(options, { ...settings[index] }) : await startDcmqrscp(options)
      const proxy = await Proxy.start(pacs.port)
      t.teardown(async () => { await proxy.close() })
      places.all.push({ pacs, proxy })
    }
    return places
  }

  async write (study: PhantomStudy): Promise<PhantomInstance[]> {
    return await writeStudy(study, join(this.#folder, `phantoms-${study.accessionNumber}-${study.seed ?? ''}-${study.patient.patientId}`), this.programs)
  }

  async store (index: number, instances: readonly PhantomInstance[]): Promise<void> {
    await this.all[index]?.pacs.store(instances.map(({ path }) => path))
  }

  /** @param entries over the settings of each archive */
  async service (entries: readonly object[] = [], overrides: Overrides = {}, t = this.#t): Promise<Service> {
    const archives = this.all.map(({ pacs, proxy }, index) =>
      ({ name: 'abc'.charAt(index), ae_title: pacs.aeTitle, host: '127.0.0.1', port: proxy.port, ...LIMITS, ...entries[index] }))
    return await serviceOf(t, { archives }, this.receiverPort, { disc: { web_content: 'none' }, ...overrides })
  }

  moves (): number[] { return this.all.map(({ pacs }) => pacs.moves()) }
}

for (const kinds of [['dcmqrscp', 'dcmqrscp'], ['orthanc', 'dcmqrscp'], ['dcmqrscp', 'orthanc']] as const) {
  t.test(`a study in several archives: ${kinds.join(' and ')}`, async t => {
    const places = await Places.start(t, kinds)
    const halves = await places.write(faultStudy('HALVES', { images: 6, series: 2 }))
    // the third and the fourth image of each series are in both
    await places.store(0, halves.filter(({ instanceNumber }) => instanceNumber <= 4))
    await places.store(1, halves.filter(({ instanceNumber }) => instanceNumber >= 3))
    const first = await places.write(faultStudy('FIRST'))
    await places.store(0, first)
    const second = await places.write(faultStudy('SECOND'))
    await places.store(1, second)
    const covered = await places.write(faultStudy('COVERED', { images: 5 }))
    await places.store(0, covered.slice(0, 2))
    await places.store(1, covered)
    const ways: Array<[string, object[]]> = [['move', [{}, {}]], ['get', [{ retrieve: 'get' }, { retrieve: 'get' }]]]
    for (const [way, entries] of ways) {
      await t.test(way, async t => {
        const mkiso = await places.service(entries, {}, t)
        await t.test('in one of them: from there', async t => {
          await rightAnswer(t, places.programs, await mkiso.get(linkTo('FIRST')), 'disc', first)
          await rightAnswer(t, places.programs, await mkiso.get(linkTo('SECOND')), 'disc', second)
        })
        await t.test('overlapping halves: the union, each once', async t => {
          await rightAnswer(t, places.programs, await mkiso.get(linkTo('HALVES')), 'disc', halves)
        })
        await t.test('one has all that the other has: from that one, and nothing from the other', async t => {
          const before = places.moves()
          await rightAnswer(t, places.programs, await mkiso.get(linkTo('COVERED')), 'disc', covered)
          if (way === 'move') t.equal(places.moves()[0], before[0], 'the one that has less is not asked to send')
        })
        await t.test('several of them in one request', async t => {
          await rightAnswer(t, places.programs, await mkiso.get('/api/iso/download-multiple?accession_numbers=FIRST,SECOND,HALVES'), 'disc', [...first, ...second, ...halves])
        })
        await t.test('none has it', async t => {
          await rightAnswer(t, places.programs, await mkiso.get(linkTo('NOBODY')), { codes: ['NO_DICOM_DATA'], detail: /no archive holds a study for NOBODY \(a, b\)/ }, [])
        })
        await nothingRemains(t, mkiso)
      })
    }
    await t.test('kept for a second click, and compared with each archive that sent of it', async t => {
      const mkiso = await places.service([], { iso: { keep_for: '1m', microdicom_path: '' } }, t)
      await rightAnswer(t, places.programs, await mkiso.get(linkTo('HALVES')), 'disc', halves)
      const before = places.moves()
      await rightAnswer(t, places.programs, await mkiso.get(linkTo('HALVES')), 'disc', halves)
      t.strictSame(places.moves(), before.map(moves => moves + 1), 'one image of each')
    })
  })
}

t.test('archives that fail', async t => {
  const places = await Places.start(t, ['orthanc', 'dcmqrscp'])
  const [a, b] = places.all
  if (a === undefined || b === undefined) throw new Error('there are two')
  const halves = await places.write(faultStudy('HALVES', { images: 6 }))
  await places.store(0, halves.slice(0, 4))
  await places.store(1, halves.slice(2))
  const both = await places.write(faultStudy('BOTH', { images: 4 }))
  await places.store(0, both)
  await places.store(1, both)
  const only = await places.write(faultStudy('ONLY.A'))
  await places.store(0, only)
  t.afterEach(() => { for (const { proxy } of places.all) proxy.fault = undefined })

  await t.test('one does not answer: its name, even where the other has the study', async t => {
    const mkiso = await places.service([], {}, t)
    b.proxy.fault = { kind: 'refuse' }
    await rightAnswer(t, places.programs, await mkiso.get(linkTo('ONLY.A')), { codes: ['PACS_UNREACHABLE'], detail: /^b at / }, [])
    t.match((await mkiso.get('/api/health')).json(), { status: 'down', checks: { pacs: { status: 'down', detail: /^b at / } }, archives: { a: { status: 'ok' }, b: { status: 'down' } } })
    await nothingRemains(t, mkiso)
  })

  await t.test('an optional one that does not answer', async t => {
    const robot = await startRobot(t)
    const mkiso = await places.service([{}, { optional: true }], { cd_publisher: { host: '127.0.0.1', port: robot.port } }, t)
    b.proxy.fault = { kind: 'refuse' }
    const answer = await mkiso.get(linkTo('ONLY.A'))
    await rightAnswer(t, places.programs, answer, 'disc', only)
    t.equal(answer.headers['x-mkiso-archive-silent'], 'b')
    const { root } = await readDisc(t, answer.body, places.programs)
    for (const page of ['README.TXT', 'INDEX.HTM']) t.match(readFileSync(join(root, page), 'utf8').replace(/\s+/g, ' '), /AN ARCHIVE DID NOT ANSWER \(b\)/, page)
    t.match(mkiso.log.find(({ msg }) => /optional archive does not answer/.test(String(msg))), { silent: ['b'] })
    // of a print there is no page of ours on the disc: its answer, its job, its page and the desk say it
    const printed = await mkiso.post('/api/iso/print?accession_number=ONLY.A')
    t.match(printed, { status: 200, headers: { 'x-mkiso-archive-silent': 'b' } })
    t.match(printed.json(), { status: 'success', files_sent: only.length, archives_silent: ['b'] })
    t.match((await mkiso.get('/api/iso/print/jobs?accession_number=ONLY.A')).json(), { jobs: [{ state: 'sent', archives_silent: ['b'] }] })
    t.match((await mkiso.get('/api/iso/studies?accession_number=ONLY.A')).json(), { archives_silent: ['b'], studies: [{ archives: ['a'] }] }, 'before it is printed')
    t.match((await mkiso.get('/status/state')).json(), { finished: [{ kind: 'print', archives_silent: ['b'], studies: [{ archives: ['a'] }] }, { kind: 'download', archives_silent: ['b'] }] })
    const page = await fetch(`${mkiso.url}/api/iso/print?accession_number=ONLY.A&again=true`, { method: 'POST', headers: { accept: 'text/html', origin: mkiso.url } })
    t.match(await page.text(), /AN ARCHIVE DID NOT ANSWER \(b\)/)
    await rightAnswer(t, places.programs, await mkiso.get(linkTo('NOBODY')), { codes: ['PACS_UNREACHABLE'], detail: /^b at / }, [])
    t.match((await mkiso.get('/api/health')).json(), { status: 'degraded', archives: { b: { status: 'down' } } })
    b.proxy.fault = undefined
    a.proxy.fault = { kind: 'refuse' }
    await rightAnswer(t, places.programs, await mkiso.get(linkTo('BOTH')), { codes: ['PACS_UNREACHABLE'], detail: /^a at / }, [])
    await nothingRemains(t, mkiso)
  })

  await t.test('an optional one that has told of the study must send it', async t => {
    const mkiso = await places.service([{}, { optional: true }], {}, t)
    b.proxy.fault = { kind: 'refuse', only: STUDY_ROOT_MOVE }
    await rightAnswer(t, places.programs, await mkiso.get(linkTo('HALVES')), { codes: ['PACS_UNREACHABLE'], detail: /^b at / }, [])
  })

  await t.test('accession_pattern: one that cannot have it is not asked', async t => {
    const mkiso = await places.service([{}, { accession_pattern: 'B[0-9]+' }], {}, t)
    b.proxy.fault = { kind: 'refuse' }
    await rightAnswer(t, places.programs, await mkiso.get(linkTo('ONLY.A')), 'disc', only)
    t.equal(b.proxy.hits, 0)
    await rightAnswer(t, places.programs, await mkiso.get(linkTo('B1')), { codes: ['PACS_UNREACHABLE'], detail: /^b at / }, [])
    const neither = await places.service([{ accession_pattern: 'A.*' }, { accession_pattern: 'B[0-9]+' }], {}, t)
    await rightAnswer(t, places.programs, await neither.get(linkTo('ONLY.A')), { codes: ['NO_DICOM_DATA'], detail: /no archive can have ONLY\.A/ }, [])
  })

  await t.test('one breaks off while it sends', async t => {
    const mkiso = await places.service([], {}, t)
    for (const fault of [{ kind: 'cut', afterBytes: 450, only: STUDY_ROOT_MOVE }, { kind: 'refuse', only: STUDY_ROOT_MOVE }] as const) {
      await t.test(`${fault.kind}: what it lists the other has as well: from there`, async t => {
        a.proxy.fault = fault
        await rightAnswer(t, places.programs, await mkiso.get(linkTo('BOTH')), 'disc', both)
        t.ok(a.proxy.hits > 0)
        t.ok(mkiso.log.some(({ msg }) => /another has sent the same images/.test(String(msg))))
      })
      await t.test(`${fault.kind}: only it has some of the images: its name`, async t => {
        a.proxy.fault = fault
        await rightAnswer(t, places.programs, await mkiso.get(linkTo('HALVES')), { codes: ['PACS_UNREACHABLE', 'INCOMPLETE_RETRIEVAL', 'PACS_REFUSED_MOVE'], detail: /^a(?: at|:)/ }, [])
      })
    }
    await nothingRemains(t, mkiso)
  })

  await t.test('one is killed', async t => {
    const mkiso = await places.service([], {}, t)
    await a.pacs.stop()
    await rightAnswer(t, places.programs, await mkiso.get(linkTo('BOTH')), { codes: ['PACS_UNREACHABLE'], detail: /^a at / }, [])
    await nothingRemains(t, mkiso)
  })
})

t.test('archives that disagree', async t => {
  // the lists of b are cut, so that it has to be asked for what a has too
  const places = await Places.start(t, ['dcmqrscp', 'orthanc'], [{}, { LimitFindInstances: 2 }])
  const mkiso = await places.service()
  const other = { ...PATIENT, patientId: 'FAULT.2', patientName: 'SOMEBODY^ELSE', birthDate: '19800202' }

  await t.test('patients of one accession number', async t => {
    await places.store(0, await places.write(faultStudy('PATIENTS')))
    await places.store(1, await places.write({ ...faultStudy('PATIENTS'), seed: 'other', patient: other }))
    await rightAnswer(t, places.programs, await mkiso.get(linkTo('PATIENTS')), { codes: ['DIFFERENT_PATIENTS'] }, [])
  })

  await t.test('patients of one Study Instance UID', async t => {
    await places.store(0, await places.write(faultStudy('ONE.UID')))
    await places.store(1, await places.write({ ...faultStudy('ONE.UID'), patient: other }))
    await rightAnswer(t, places.programs, await mkiso.get(linkTo('ONE.UID')), { codes: ['DIFFERENT_PATIENTS'] }, [])
  })

  await t.test('a list that is cut: whatever it holds beside what the other has', async t => {
    const images = await places.write(faultStudy('CUT', { images: 6 }))
    await places.store(0, images.slice(0, 4))
    await places.store(1, images.slice(2))
    await rightAnswer(t, places.programs, await mkiso.get(linkTo('CUT')), 'disc', images)
  })

  await t.test('two objects under the same UIDs, which both have sent', async t => {
    const study = faultStudy('CORRECTED', { images: 4 })
    await places.store(0, await places.write(study))
    await places.store(1, await places.write({ ...study, studyDescription: 'Corrected', patient: { ...PATIENT, sex: 'M' } }))
    await rightAnswer(t, places.programs, await mkiso.get(linkTo('CORRECTED')), { codes: ['INCOMPLETE_RETRIEVAL'], detail: /two different objects|different objects under SOP Instance UID/ }, [])
  })
  await nothingRemains(t, mkiso)
})

t.test('disc.allow_incomplete: what no archive sends', async t => {
  const places = await Places.start(t, ['dcmqrscp', 'dcmqrscp'])
  const robot = await startRobot(t)
  const mkiso = await places.service([], { disc: { web_content: 'none', allow_incomplete: true }, cd_publisher: { host: '127.0.0.1', port: robot.port } })
  // over C-GET: a receiver has one owner
  const strict = await places.service([{ retrieve: 'get' }, { retrieve: 'get' }])
  /** They are listed by the archive, and it has lost them. */
  const lose = async (index: number, images: readonly (PhantomInstance | undefined)[]): Promise<void> => {
    for (const image of images) rmSync(await places.all[index]?.pacs.pathOf(image?.sopInstanceUid ?? '') ?? 'none')
  }
  const given = async (t: Test, accessionNumber: string, missing: string | undefined, images: readonly PhantomInstance[]): Promise<void> => {
    const answer = await mkiso.get(linkTo(accessionNumber))
    await rightAnswer(t, places.programs, answer, 'disc', images)
    t.equal(answer.headers['x-mkiso-missing'], missing)
    const readme = readFileSync(join((await readDisc(t, answer.body, places.programs)).root, 'README.TXT'), 'utf8').replace(/\s+/g, ' ')
    if (missing === undefined) t.notMatch(readme, /NOT COMPLETE/)
    else t.match(readme, `THIS DISC IS NOT COMPLETE: ${missing} image(s) could not be fetched`)
  }
  const refused = async (t: Test, accessionNumber: string, detail: RegExp): Promise<void> => {
    const wrong = { codes: ['INCOMPLETE_RETRIEVAL'], detail } as const
    await rightAnswer(t, places.programs, await strict.get(linkTo(accessionNumber)), wrong, [])
    const print = await mkiso.get(`/api/iso/print?accession_number=${accessionNumber}`)
    await rightAnswer(t, places.programs, print, { codes: ['INCOMPLETE_RETRIEVAL'], detail: /a print is never made of an incomplete study/ }, [])
    t.equal(robot.images(), 0)
  }

  await t.test('both list an image that neither has: it is one that is missing', async t => {
    const images = await places.write(faultStudy('NEITHER', { images: 4 }))
    for (const index of [0, 1]) {
      await places.store(index, images)
      await lose(index, [images[2]])
    }
    await given(t, 'NEITHER', '1', images.filter(image => image !== images[2]))
    await refused(t, 'NEITHER', /^a: 3 of 4 images/)
  })

  await t.test('each has lost one that only it lists', async t => {
    const images = await places.write(faultStudy('EACH', { images: 6 }))
    await places.store(0, images.slice(0, 4))
    await places.store(1, images.slice(2))
    await lose(0, [images[0]])
    await lose(1, [images[5]])
    await given(t, 'EACH', '2', images.slice(1, 5))
    await refused(t, 'EACH', /^a: 3 of 4 images/)
  })

  await t.test('one has lost what the other sends: nothing is missing', async t => {
    const images = await places.write(faultStudy('OTHER', { images: 4 }))
    for (const index of [0, 1]) await places.store(index, images)
    await lose(0, [images[1]])
    await lose(1, [images[3]])
    await given(t, 'OTHER', undefined, images)
  })

  await t.test('one has nothing left of what it lists, which is more than an image: no disc', async t => {
    const images = await places.write(faultStudy('NOTHING', { images: 4 }))
    await places.store(0, images.slice(0, 2))
    await places.store(1, images.slice(2))
    await lose(1, images.slice(2))
    await rightAnswer(t, places.programs, await mkiso.get(linkTo('NOTHING')), { codes: ['PACS_REFUSED_MOVE'], detail: /^b: / }, [])
  })
  await nothingRemains(t, mkiso)
  await nothingRemains(t, strict)
})

t.test('disc.allow_incomplete: of one archive nobody can tell whether it has sent all', async t => {
  const places = await Places.start(t, ['dcmqrscp'])
  const liar = await startLyingPacs(places.receiverPort)
  t.teardown(async () => { await liar.close() })
  const images = await places.write(faultStudy('UNKNOWN', { images: 4 }))
  await places.store(0, images.slice(0, 2))
  liar.add(PATIENT, images.slice(2), {
    find: (level, answers) => level === 'IMAGE' ? { answers: [], status: 0xA900 } : { answers },
    move: async move => { await move.send(move.wanted); move.final(0) }
  })
  // the other counts three, and sends two: whether the third is the one that the first has lost, nobody knows
  const counted = await places.write(faultStudy('COUNTED', { images: 4 }))
  await places.store(0, counted.slice(0, 2))
  rmSync(await places.all[0]?.pacs.pathOf(counted[0]?.sopInstanceUid ?? '') ?? 'none')
  liar.add(PATIENT, counted.slice(2), {
    find: (level, answers) => level === 'IMAGE' ? { answers: [], status: 0xA900 } : { answers: answers.map(one => level === 'SERIES' ? { ...one, NumberOfSeriesRelatedInstances: '3' } : one) }
  })
  const [real] = places.all
  const archives = [{ name: 'a', ae_title: real?.pacs.aeTitle, host: '127.0.0.1', port: real?.pacs.port, ...LIMITS }, { name: 'b', ae_title: liar.aeTitle, host: liar.host, port: liar.port, ...LIMITS }]
  await t.test('a disc that says so', async t => {
    const mkiso = await serviceOf(t, { archives }, places.receiverPort, { disc: { web_content: 'none', allow_incomplete: true } })
    const answer = await mkiso.get(linkTo('UNKNOWN'))
    await rightAnswer(t, places.programs, answer, 'disc', images)
    t.equal(answer.headers['x-mkiso-missing'], 'unknown')
    t.match(readFileSync(join((await readDisc(t, answer.body, places.programs)).root, 'README.TXT'), 'utf8').replace(/\s+/g, ' '), /MAY NOT BE COMPLETE/)
    const both = await mkiso.get(linkTo('COUNTED'))
    await rightAnswer(t, places.programs, both, 'disc', counted.slice(1))
    t.equal(both.headers['x-mkiso-missing'], 'unknown')
    await nothingRemains(t, mkiso)
  })
  await t.test('by default none', async t => {
    const mkiso = await serviceOf(t, { archives }, places.receiverPort, { disc: { web_content: 'none' } })
    await rightAnswer(t, places.programs, await mkiso.get(linkTo('UNKNOWN')), { codes: ['INCOMPLETE_RETRIEVAL'], detail: /^b: .*nobody can tell/ }, [])
    await nothingRemains(t, mkiso)
  })
})
