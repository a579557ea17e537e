/**
 * Whose images are on a disc, and which: studies of two patients under one UID, copied studies, one SOP Instance UID in two series, names that were
 * corrected. A disc is of one person, each object is what it says it is, or there is no disc.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import t, { type Test } from 'tap'
import type { PhantomInstance, PhantomPatient } from '../../demo/phantoms/catalogue.ts'
import { freePort } from '../../demo/ports.ts'
import { startPublisher, type Publisher } from '../../demo/publisher.ts'
import { readObject, type DicomObject } from '../../src/dicom/part10.ts'
import type { Programs } from '../../src/process.ts'
import { startLyingPacs } from '../faults/lying-pacs.ts'
import { SHORT_LIMITS } from '../faults/harness.ts'
import { sendingRaw, SR } from '../faults/raw-images.ts'
import { CT, dataSetOf, pixelsSha256, writeImages, type MadeImage } from '../made-images.ts'
import { nothingLeft, pixelDataSha256, programsOf, readDisc, service, temporaryFolder, world, type Answer, type Disc } from '../world.ts'

const SITI: PhantomPatient = { patientId: 'P.1', patientName: 'RAHAYU^SITI', birthDate: '19850817', sex: 'F' }
const BUDI: PhantomPatient = { patientId: 'P.2', patientName: 'SANTOSO^BUDI', birthDate: '19700101', sex: 'M' }

let studies = 0

/** UIDs that no other test has. */
function newStudyUid (): string { return `2.25.77.${++studies}` }

interface MadeStudy {
  accessionNumber: string
  studyInstanceUid?: string
  patient?: PhantomPatient
  /** Images of each series. */
  counts?: readonly number[]
  /** Of the first series. */
  firstSeries?: number
  /** Before the UIDs of series and images: studies that share it share them. */
  root?: string
  /** In the text that the pixels are made of. */
  content?: string
  more?: Partial<MadeImage>
}

function madeStudy (study: MadeStudy): MadeImage[] {
  const { accessionNumber, studyInstanceUid = newStudyUid(), patient = SITI, counts = [3], firstSeries = 1, content = accessionNumber, more = {} } = study
  const root = study.root ?? studyInstanceUid
  return counts.flatMap((count, index) => Array.from({ length: count }, (_, n): MadeImage => {
    const series = firstSeries + index
    return {
      accessionNumber, studyInstanceUid, patient, seriesInstanceUid: `${root}.${series}`, sopInstanceUid: `${root}.${series}.${n + 1}`,
      seriesNumber: series, instanceNumber: n + 1, content: `${content} ${series} ${n + 1}`, ...more
    }
  }))
}

const link = (accessionNumber: string): string => `/api/iso/download?accession_number=${accessionNumber}`
const linkToAll = (accessionNumbers: string): string => `/api/iso/download-multiple?accession_numbers=${accessionNumbers}`
const printOf = (accessionNumbers: string): string => `/api/iso/print?accession_number=${accessionNumbers}`

/** Who, which study, which series, which image, with which pixels. */
function lineOf (image: Pick<MadeImage, 'studyInstanceUid' | 'seriesInstanceUid' | 'sopInstanceUid'>, { patientId, patientName }: PhantomPatient | DicomObject['patient'], sha: string | undefined): string {
  return [patientId, patientName, image.studyInstanceUid, image.seriesInstanceUid, image.sopInstanceUid, sha].join(' ')
}

function linesOf (images: readonly MadeImage[]): string[] {
  return images.map(image => lineOf(image, image.patient, pixelsSha256(image.content, image.size))).sort()
}

/** The disc holds these objects and no other: header and pixels of each belong together. */
async function holds (t: Test, answer: Answer, images: readonly MadeImage[], programs: Programs): Promise<Disc | undefined> {
  t.equal(answer.status, 200, answer.status === 200 ? 'a disc' : answer.body.toString('utf8', 0, 600))
  if (answer.status !== 200) return undefined
  const disc = await readDisc(t, answer.body, programs)
  t.strictSame(disc.objects.map(({ path, object }) => lineOf(object, object.patient, pixelDataSha256(join(disc.root, path)))).sort(), linesOf(images), 'every object, and each its own')
  return disc
}

function isOfTwo (t: Test, answer: Answer, detail?: RegExp): void {
  t.equal(answer.status, 409, answer.status === 200 ? 'a disc' : answer.body.toString('utf8', 0, 600))
  if (answer.status !== 409) return
  t.match(answer.json(), { code: 'DIFFERENT_PATIENTS', ...(detail === undefined ? {} : { detail }) })
  t.notMatch(answer.body.toString(), /RAHAYU|SANTOSO|SITI|BUDI/, 'without a name')
}

/** A record of a DICOMDIR, as dcmdump shows it: tag to value. */
type DirectoryRecord = Map<string, string>

/** The records in their order, which is depth first. */
async function recordsOf ({ root }: Disc, programs: Programs): Promise<DirectoryRecord[]> {
  const { stdout } = await programs.run('dcmdump', ['-q', '+L', '-Un', '+U8', join(root, 'DICOMDIR')])
  const records: DirectoryRecord[] = []
  for (const line of stdout.split('\n')) {
    if (/^ {2}\(fffe,e000\)/.test(line)) records.push(new Map())
    const [, tag, value] = /^ {4}\(([\da-f]{4},[\da-f]{4})\) \w\w \[?(.*?)\]?\s+#/.exec(line) ?? []
    if (tag !== undefined) records.at(-1)?.set(tag, value ?? '')
  }
  return records
}

const TYPE = '0004,1430'
const ofType = (records: readonly DirectoryRecord[], type: string): DirectoryRecord[] => records.filter(record => record.get(TYPE) === type)
const valuesOf = (records: readonly DirectoryRecord[], tag: string): string[] => records.map(record => record.get(tag) ?? '').sort()

/** The SOP Instance UIDs below each record of a type, by the value of a tag. */
function below (records: readonly DirectoryRecord[], type: string, tag: string): Record<string, string[]> {
  const found: Record<string, string[]> = {}
  let current: string[] = []
  for (const record of records) {
    if (record.get(TYPE) === type) found[record.get(tag) ?? ''] = current = []
    const uid = record.get('0004,1511')
    if (uid !== undefined) current.push(uid)
  }
  for (const uids of Object.values(found)) uids.sort()
  return found
}

async function publisherFor (t: Test, programs: Programs): Promise<{ publisher: Publisher, came: () => Promise<string[]> }> {
  const dir = temporaryFolder(t, 'robot')
  // a name for each: objects that share a SOP Instance UID must not stand for each other here either
  const publisher = await startPublisher({ programs, dir, args: ['+xa', '+uf'] })
  const images = join(dir, 'images')
  return {
    publisher,
    came: async () => (await Promise.all(readdirSync(images).map(async name => {
      const object = await readObject(join(images, name))
      return lineOf(object, object.patient, pixelDataSha256(join(images, name)))
    }))).sort()
  }
}

for (const kind of ['orthanc', 'dcmqrscp'] as const) {
  await t.test(kind, async t => {
    const mixedPort = await freePort()
    const here = await world(t, kind, { studies: [], destinations: [{ aeTitle: 'CDMIXED', host: '127.0.0.1', port: mixedPort }] })
    const { programs } = here
    const { publisher, came } = await publisherFor(t, programs)
    const settings = { disc: { web_content: 'none' }, cd_publisher: { host: '127.0.0.1', port: publisher.port } }
    const mkiso = await service(t, here.pacs, here.receiverPort, settings)
    const store = async (images: readonly MadeImage[]): Promise<void> => {
      await here.pacs.store(writeImages(join(here.folder, 'made'), images).map(({ path }) => path))
    }

    await t.test('two patients under one Study Instance UID', async t => {
      const studyInstanceUid = newStudyUid()
      const ofSiti = madeStudy({ accessionNumber: 'TWO.1', studyInstanceUid, patient: SITI, counts: [2] })
      const ofBudi = madeStudy({ accessionNumber: 'TWO.1', studyInstanceUid, patient: BUDI, counts: [3], firstSeries: 2 })
      const other = madeStudy({ accessionNumber: 'TWO.2', patient: SITI })
      await store([...ofSiti, ...ofBudi, ...other])
      isOfTwo(t, await mkiso.get(link('TWO.1')))
      isOfTwo(t, await mkiso.get(linkToAll('TWO.1,TWO.2')))
      isOfTwo(t, await mkiso.get(printOf('TWO.1')))
      t.equal(publisher.associations(), 0, 'nothing went to the robot')

      const mixed = await service(t, here.pacs, mixedPort, { ...settings, our_ae: { ae_title: 'CDMIXED' }, disc: { web_content: 'none', allow_mixed_patients: true } })
      const disc = await holds(t, await mixed.get(link('TWO.1')), [...ofSiti, ...ofBudi], programs)
      if (disc === undefined) return
      const records = await recordsOf(disc, programs)
      const uids = (images: readonly MadeImage[]): string[] => images.map(({ sopInstanceUid }) => sopInstanceUid).sort()
      t.strictSame(below(records, 'PATIENT', '0010,0020'), { 'P.1': uids(ofSiti), 'P.2': uids(ofBudi) }, 'each file under its own PATIENT record')
      await mixed.app.close()
    })

    await t.test('one Patient ID: the index tells of one person, the files of two', async t => {
      const studyInstanceUid = newStudyUid()
      const ofSiti = madeStudy({ accessionNumber: 'ONEID.1', studyInstanceUid, patient: { ...SITI, patientId: 'P.3' }, counts: [2] })
      const ofBudi = madeStudy({ accessionNumber: 'ONEID.1', studyInstanceUid, patient: { ...BUDI, patientId: 'P.3' }, counts: [2], firstSeries: 2 })
      await store(ofSiti)
      await store(ofBudi)
      const before = publisher.associations()
      isOfTwo(t, await mkiso.get(link('ONEID.1')))
      isOfTwo(t, await mkiso.get(printOf('ONEID.1')))
      t.equal(publisher.associations(), before, 'nothing went to the robot')
    })
    t.strictSame(await nothingLeft(mkiso), [])
    if (kind === 'dcmqrscp') return

    await t.test('one SOP Instance UID in two series', async t => {
      const images = madeStudy({ accessionNumber: 'SAME.SOP', counts: [2, 2] })
      const [one, , copy] = images
      if (one === undefined || copy === undefined) throw new Error('no images')
      copy.sopInstanceUid = one.sopInstanceUid
      await store(images)
      const disc = await holds(t, await mkiso.get(link('SAME.SOP')), images, programs)
      if (disc === undefined) return
      const records = await recordsOf(disc, programs)
      t.strictSame(valuesOf(ofType(records, 'IMAGE'), '0004,1511'), images.map(({ sopInstanceUid }) => sopInstanceUid).sort(), 'the DICOMDIR has both')
      const before = (await came()).length
      t.match((await mkiso.get(printOf('SAME.SOP'))).json(), { status: 'success', files_sent: 4 })
      t.equal((await came()).length, before + 4)
      t.strictSame((await came()).filter(line => line.includes(one.studyInstanceUid)), linesOf(images), 'the robot has both')
    })

    await t.test('a copied study: two studies of one patient share the UIDs of series and images', async t => {
      const root = newStudyUid()
      const made = (accessionNumber: string, studyDate: string, studyDescription: string): MadeImage[] =>
        madeStudy({ accessionNumber, root, counts: [2, 1], more: { studyDate, studyDescription, size: 128 } })
      const a = made('COPY.A', '20240102', 'Original')
      const b = made('COPY.B', '20240304', 'Copied for a second opinion')
      await store([...a, ...b])
      const facts = { 'COPY.A': { images: a, date: '20240102', description: 'Original' }, 'COPY.B': { images: b, date: '20240304', description: 'Copied for a second opinion' } }
      for (let round = 1; round <= 5; round++) {
        const answers = await Promise.all(Object.entries(facts).map(async ([accessionNumber, fact]) => ({ ...fact, answer: await mkiso.get(link(accessionNumber)) })))
        for (const { answer, images, date, description } of answers) {
          const disc = await holds(t, answer, images, programs)
          if (disc === undefined) continue
          const studies = ofType(await recordsOf(disc, programs), 'STUDY')
          t.strictSame([valuesOf(studies, '0020,000d'), valuesOf(studies, '0008,0020'), valuesOf(studies, '0008,1030')], [[images[0]?.studyInstanceUid], [date], [description]], 'its own STUDY record')
          const index = readFileSync(join(disc.root, 'INDEX.HTM'), 'utf8')
          t.ok(index.includes(description) && !answers.some(one => one.description !== description && index.includes(one.description)), 'its own page')
        }
      }
      // Orthanc sends the series of both for a question about one of them, and gives the move up when an image is refused
      for (const [accessionNumber, { images }] of Object.entries(facts)) await holds(t, await mkiso.get(link(accessionNumber)), images, programs)
      const disc = await holds(t, await mkiso.get(linkToAll('COPY.A,COPY.B')), [...a, ...b], programs)
      if (disc !== undefined) {
        const records = await recordsOf(disc, programs)
        t.equal(ofType(records, 'IMAGE').length, 6)
        t.strictSame(valuesOf(ofType(records, 'STUDY'), '0008,1030'), ['Copied for a second opinion', 'Original'])
      }
      const answer = await mkiso.get(printOf('COPY.A,COPY.B'))
      t.match(answer.json(), { status: 'success', files_sent: 6 })
      const ours = new Set([...a, ...b].map(({ studyInstanceUid }) => studyInstanceUid))
      t.strictSame((await came()).filter(line => [...ours].some(uid => line.includes(` ${uid} `))), linesOf([...a, ...b]), 'all six are there')
    })

    await t.test('two patients whose studies share SOP Instance UIDs, downloaded at once: nobody\'s header over another\'s pixels', async t => {
      const root = newStudyUid()
      const made = (accessionNumber: string, patient: PhantomPatient): MadeImage[] => madeStudy({ accessionNumber, patient, root, counts: [10], more: { size: 256 } })
      const siti = made('SHARED.SITI', SITI)
      const budi = made('SHARED.BUDI', BUDI)
      await store([...siti, ...budi])
      for (let round = 1; round <= 10; round++) {
        const [one, other] = await Promise.all(['SHARED.SITI', 'SHARED.BUDI'].map(async accessionNumber => await mkiso.get(link(accessionNumber))))
        if (one === undefined || other === undefined) throw new Error('no answers')
        await holds(t, one, siti, programs)
        await holds(t, other, budi, programs)
      }
    })
    t.strictSame(await nothingLeft(mkiso), [])
    await mkiso.app.close()

    await t.test('corrected at the PACS under the same UIDs while it is kept', async t => {
      const mkiso = await service(t, here.pacs, here.receiverPort, { ...settings, iso: { keep_for: '10m' } })
      const corrections: Record<string, (image: MadeImage) => MadeImage> = {
        NAME: image => ({ ...image, patient: { ...image.patient, patientName: 'RAHAJU^SITI' } }),
        DESCRIPTION: image => ({ ...image, studyDescription: 'Left arm' }),
        PIXELS: image => ({ ...image, content: `${image.content} corrected` })
      }
      for (const [what, correct] of Object.entries(corrections)) {
        const images = madeStudy({ accessionNumber: `KEPT.${what}`, more: { studyDescription: 'Right arm' } })
        await store(images)
        await holds(t, await mkiso.get(link(`KEPT.${what}`)), images, programs)
        const moves = here.pacs.moves()
        await holds(t, await mkiso.get(link(`KEPT.${what}`)), images, programs)
        t.equal(here.pacs.moves(), moves + 1, 'what is kept is compared by one image')
        const corrected = images.map(correct)
        await store(corrected)
        const disc = await holds(t, await mkiso.get(link(`KEPT.${what}`)), corrected, programs)
        if (disc === undefined) continue
        const [first] = disc.objects
        t.equal(first?.object.attributes.text(0x00081030), corrected[0]?.studyDescription, what)
      }
    })
  })
}

await t.test('a PACS whose index says otherwise than its files', async t => {
  const programs = programsOf(t)
  const folder = temporaryFolder(t, 'whose')
  const receiverPort = await freePort()
  const pacs = await startLyingPacs(receiverPort)
  t.teardown(async () => { await pacs.close() })
  const allowedPort = await freePort()
  pacs.destinations.set('CDALLOWED', allowedPort)
  const settings = { ...SHORT_LIMITS, iso: { keep_for: '10m' } }
  const mkiso = await service(t, pacs, receiverPort, settings)
  const allowed = await service(t, pacs, allowedPort, { ...settings, our_ae: { ae_title: 'CDALLOWED' }, disc: { web_content: 'none', allow_reassigned: true } })
  const written = (images: readonly MadeImage[]): PhantomInstance[] => writeImages(folder, images)
  const warnedOf = (accessionNumber: string): unknown[] => mkiso.log
    .filter(({ accession, msg }) => accession === accessionNumber && /name their patient otherwise/.test(String(msg))).map(({ differing }) => differing)

  await t.test('re-assigned: another name and another Patient ID', async t => {
    const images = madeStudy({ accessionNumber: 'MOVED.1' })
    pacs.add(BUDI, written(images))
    isOfTwo(t, await mkiso.get(link('MOVED.1')), /re-assigned or merged there.*disc\.allow_reassigned/)
    isOfTwo(t, await mkiso.get(printOf('MOVED.1')), /disc\.allow_reassigned/)
    const disc = await holds(t, await allowed.get(link('MOVED.1')), images, programs)
    if (disc !== undefined) t.match(readFileSync(join(disc.root, 'INDEX.HTM'), 'utf8'), /BUDI/, 'the page has the archive\'s name')
  })

  await t.test('another Patient ID, the same name and birth date: one person, and a line in the log', async t => {
    const images = madeStudy({ accessionNumber: 'MOVED.2' })
    pacs.add({ ...SITI, patientId: 'NEW.1' }, written(images))
    await holds(t, await mkiso.get(link('MOVED.2')), images, programs)
    t.strictSame(warnedOf('MOVED.2'), [['Patient ID']])
  })

  await t.test('the same name in another case and with other separators: nothing to say', async t => {
    const images = madeStudy({ accessionNumber: 'MOVED.3' })
    pacs.add({ ...SITI, patientName: 'Rahayu, Siti' }, written(images))
    await holds(t, await mkiso.get(link('MOVED.3')), images, programs)
    t.strictSame(warnedOf('MOVED.3'), [])
  })

  await t.test('a name that was corrected in the index while the study is kept, in letters outside ASCII', async t => {
    const patient = { ...SITI, patientName: 'Петров^Пётр', sex: 'M' }
    const images = madeStudy({ accessionNumber: 'MOVED.4', patient: { ...patient } })
    pacs.add(patient, written(images))
    const indexOf = async (): Promise<string> => {
      const disc = await holds(t, await mkiso.get(link('MOVED.4')), images, programs)
      return disc === undefined ? '' : readFileSync(join(disc.root, 'INDEX.HTM'), 'utf8')
    }
    t.match(await indexOf(), /Петров/)
    patient.patientName = 'Иванов^Пётр'
    const index = await indexOf()
    t.match(index, /Иванов/, 'the archive\'s name')
    t.notMatch(index, /Петров/)
  })

  await t.test('the UID of the C-STORE command is not that of the data set', async t => {
    const images = madeStudy({ accessionNumber: 'UIDS.1' })
    const [first] = images
    if (first === undefined) throw new Error('no images')
    pacs.add(SITI, written(images), { move: sendingRaw(images.map(image => ({ sopInstanceUid: first.sopInstanceUid, dataSet: dataSetOf(image) }))) })
    await holds(t, await mkiso.get(link('UIDS.1')), images, programs)
  })

  await t.test('a UID that is a path', async t => {
    const outside = join(folder, 'escaped')
    const paths = ['../../..', '../../../escaped', outside, '..', '.', '*']
    const before = readdirSync(mkiso.tempDir)
    await Promise.all(paths.map(async (path, index) => {
      const accessionNumber = `PATH.${index}`
      const images = madeStudy({ accessionNumber })
      const sent = images.map((image, n) => n === 0 ? { ...image, sopInstanceUid: path } : image)
      pacs.add(SITI, written(images), { move: sendingRaw(sent.map(image => ({ sopInstanceUid: image.sopInstanceUid, dataSet: dataSetOf(image) }))) })
      const answer = await mkiso.get(link(accessionNumber))
      t.match(answer.json(), { code: 'INCOMPLETE_RETRIEVAL', detail: /^2 of 3 images/ }, path)
    }))
    t.strictSame(readdirSync(mkiso.tempDir), before, 'nothing has come or gone')
    t.notOk(existsSync(outside) || existsSync(join(mkiso.tempDir, 'escaped')) || existsSync(join(mkiso.app.workDir, 'escaped')))
  })

  await t.test('a report that is malformed beside three images', async t => {
    const images = madeStudy({ accessionNumber: 'REPORT.1' })
    const [one] = images
    if (one === undefined) throw new Error('no images')
    // an item of undefined length, with an element that says it has eight bytes, and has one; and no item at all
    const item = Buffer.from('feff00e0ffffffff09001110554e00000800000041', 'hex')
    const garbage = Buffer.from('something that is no item', 'latin1')
    const report: MadeImage = {
      ...one,
      sopInstanceUid: `${one.studyInstanceUid}.9.1`,
      seriesInstanceUid: `${one.studyInstanceUid}.9`,
      seriesNumber: 9,
      modality: 'SR',
      sopClassUid: SR,
      content: 'report',
      more: [['00090010', 'LO', 'SOMEBODY'], ['00091001', 'UN', item], ['0040A730', 'SQ', garbage], ['0040A043', 'UN', garbage]]
    }
    const all = [...images, report]
    pacs.add(SITI, written(all), {
      move: async move => {
        const wanted = new Set(move.wanted.map(({ sopInstanceUid }) => sopInstanceUid))
        const sent = all.filter(({ sopInstanceUid }) => wanted.has(sopInstanceUid))
        await sendingRaw(sent.map(image => ({ sopInstanceUid: image.sopInstanceUid, sopClassUid: image.sopClassUid ?? CT, dataSet: dataSetOf(image) })))(move)
      }
    })
    const answer = await mkiso.get(link('REPORT.1'))
    t.equal(answer.status, 200, answer.status === 200 ? 'a disc' : answer.body.toString('utf8', 0, 600))
    if (answer.status !== 200) return
    const disc = await readDisc(t, answer.body, programs)
    t.strictSame(disc.objects.map(({ object }) => object.sopInstanceUid).sort(), all.map(({ sopInstanceUid }) => sopInstanceUid).sort(), 'all four')
    const listed = valuesOf(await recordsOf(disc, programs), '0004,1511')
    const path = disc.instances.get(report.sopInstanceUid) ?? ''
    const readme = readFileSync(join(disc.root, 'README.TXT'), 'utf8')
    t.ok(listed.includes(report.sopInstanceUid) || readme.includes(basename(path)), 'the report is listed, or named as not listed')
    for (const { sopInstanceUid } of images) t.ok(listed.includes(sopInstanceUid), 'the images are listed')
  })
  await Promise.all([mkiso, allowed].map(async ({ app }) => { await app.close() }))
})
