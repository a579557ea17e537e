/** What of a study leaves before it is judged: nothing of another patient, and nothing that goes on after an image was taken back. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { request } from 'undici'
import type { PhantomPatient } from '../../../demo/phantoms/catalogue.ts'
import { freePort } from '../../../demo/ports.ts'
import { eventually } from '../../eventually.ts'
import { SHORT_LIMITS } from '../../faults/harness.ts'
import { startLyingPacs, type Move } from '../../faults/lying-pacs.ts'
import { pixelsOf, writeImages, type MadeImage } from '../../made-images.ts'
import { nothingLeft, programsOf, readZip, service, temporaryFolder } from '../../world.ts'

const SITI: PhantomPatient = { patientId: 'P.1', patientName: 'RAHAYU^SITI', birthDate: '19850817', sex: 'F' }
const BUDI: PhantomPatient = { patientId: 'P.2', patientName: 'SANTOSO^BUDI', birthDate: '19700101', sex: 'M' }
const SIZE = 64

let studies = 0

function madeStudy (patients: readonly PhantomPatient[], change: (image: MadeImage, n: number) => Partial<MadeImage> = () => ({})): MadeImage[] {
  const study = `2.25.88.${++studies}`
  return patients.map((patient, n) => {
    const image: MadeImage = {
      accessionNumber: `WHOSE.${studies}`, studyInstanceUid: study, seriesInstanceUid: `${study}.1`, sopInstanceUid: `${study}.1.${n + 1}`,
      instanceNumber: n + 1, patient, content: `${studies} ${n}`, size: SIZE
    }
    return { ...image, ...change(image, n) }
  })
}

t.test('while images come', async t => {
  const programs = programsOf(t)
  const folder = temporaryFolder(t)
  const pacs = await startLyingPacs(await freePort())
  t.teardown(async () => { await pacs.close() })
  const port = await freePort()
  pacs.destinations.set('CDRECORD', port)
  const audit = join(folder, 'audit.jsonl')
  const mkiso = await service(t, pacs, port, { ...SHORT_LIMITS, audit: { file: audit } })

  /** Sends these first, waits until they have left, or not, sends those, and says that all is well. */
  const played = async (images: readonly MadeImage[], first: number, wait: (bytes: () => Buffer) => Promise<boolean>) => {
    const [{ accessionNumber = '' } = {}] = images
    const files = writeImages(folder, images)
    const held = [...new Map(files.map(file => [file.sopInstanceUid, file])).values()]
    let goOn = (): void => {}
    const waited = new Promise<void>(resolve => { goOn = resolve })
    pacs.add(SITI, held, {
      move: async (move: Move) => {
        const sent = await move.send(files.slice(0, first))
        await waited
        move.final(0, { completed: sent + await move.send(files.slice(first)) })
      }
    })
    const pieces: Buffer[] = []
    const asking = (async () => {
      const answer = await request(`${mkiso.url}/api/iso/download?accession_number=${accessionNumber}&format=zip`)
      for await (const piece of answer.body as AsyncIterable<Buffer>) pieces.push(piece)
      return answer.statusCode
    })().catch(() => 'broken off' as const)
    const seen = await wait(() => Buffer.concat(pieces))
    goOn()
    const end = await asking
    const recordOf = (): Record<string, unknown> | undefined => readFileSync(audit, 'utf8').trim().split('\n').map(line => JSON.parse(line) as Record<string, unknown>)
      .find(({ phase, accession_numbers: numbers }) => phase === 'end' && String(numbers) === accessionNumber)
    await eventually(() => recordOf() !== undefined)
    return { seen, end, bytes: Buffer.concat(pieces), record: recordOf() }
  }
  const pixels = ({ content }: MadeImage): Buffer => pixelsOf(content, SIZE)
  const has = (...images: readonly MadeImage[]) => async (bytes: () => Buffer): Promise<boolean> =>
    await eventually(() => images.every(image => bytes().includes(pixels(image)))) === true

  await t.test('all of one patient', async t => {
    const images = madeStudy([SITI, SITI, SITI, SITI])
    const { seen, end, bytes } = await played(images, 2, has(...images.slice(0, 2)))
    t.ok(seen, 'two have left before the others came')
    t.equal(end, 200)
    t.equal((await readZip(t, bytes, programs)).objects.length, 4)
  })

  await t.test('then one of another: it does not leave, and the answer breaks off', async t => {
    const images = madeStudy([SITI, SITI, BUDI, SITI])
    const [first, second, other] = images
    const { seen, end, bytes, record } = await played(images, 2, first === undefined || second === undefined ? async () => false : has(first, second))
    t.ok(seen)
    t.equal(end, 'broken off')
    t.notOk(other === undefined || bytes.includes(pixels(other)))
    t.notOk(bytes.includes('SANTOSO'))
    t.match(record, { outcome: 'failed', code: 'DIFFERENT_PATIENTS' })
  })

  await t.test('the first of all is of another: nothing leaves, and there is a status', async t => {
    const images = madeStudy([BUDI, BUDI])
    const { end, bytes } = await played(images, 1, async () => true)
    t.equal(end, 409)
    t.match(JSON.parse(bytes.toString()), { code: 'DIFFERENT_PATIENTS' })
  })

  await t.test('another object comes under the UIDs of one that has left: the answer breaks off', async t => {
    const images = madeStudy([SITI, SITI, SITI], ({ sopInstanceUid }, n) => n === 2 ? { sopInstanceUid: sopInstanceUid.replace(/3$/, '1'), content: 'another' } : {})
    const [first] = images
    const { seen, end, bytes } = await played(images, 1, first === undefined ? async () => false : has(first))
    t.ok(seen)
    t.equal(end, 'broken off')
    const file = join(folder, 'broken.zip')
    writeFileSync(file, bytes)
    t.not((await programs.run('unzip', ['-t', file])).exitCode, 0)
  })

  t.strictSame(await nothingLeft(mkiso), [])
})
