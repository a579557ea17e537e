/** From a PACS to the disc: every image, by SOP Instance UID, with the same pixels; in every way of retrieval. */
import { chmodSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { demoStudies } from '../../demo/phantoms/studies.ts'
import { writeStudy, type PhantomInstance } from '../../demo/phantoms/catalogue.ts'
import { freePortRange } from '../../demo/ports.ts'
import { eventually } from '../eventually.ts'
import { heldProgram } from '../held-program.ts'
import { nothingLeft, pixelDataSha256, readDisc, service, world, type Answer, type PacsKind, type World } from '../world.ts'

const STUDIES = demoStudies().filter(({ accessionNumber }) => /^(CT\.2024\.200|MR|DUP|CR\.2024\.01\d)/.test(accessionNumber))

/** The disc holds these instances and no other, pixel for pixel. */
async function holds (t: Test, answer: Answer, expected: readonly PhantomInstance[], { programs }: World): Promise<void> {
  t.equal(answer.status, 200, answer.status === 200 ? 'a disc' : answer.body.toString('utf8', 0, 500))
  if (answer.status !== 200) return
  t.equal(Number(answer.headers['content-length']), answer.body.length, 'the length is exact')
  const disc = await readDisc(t, answer.body, programs)
  t.strictSame([...disc.instances.keys()].sort(), expected.map(({ sopInstanceUid }) => sopInstanceUid).sort(), `${expected.length} SOP Instance UIDs`)
  const wrong = expected.filter(({ sopInstanceUid, pixelDataSha256: sha }) => pixelDataSha256(`${disc.root}/${disc.instances.get(sopInstanceUid) ?? ''}`) !== sha)
  t.equal(wrong.length, 0, 'the pixel data are byte-identical')
}

/** Every way of retrieval from a PACS of a kind. */
export function retrieves (t: Test, kind: PacsKind): void {
  void t.test(kind, async t => {
    const first = await freePortRange(4)
    const titles = [0, 1, 2].map(n => ({ aeTitle: `CDREC${n}`, host: '127.0.0.1', port: first + n }))
    const here = await world(t, kind, { studies: STUDIES, destinations: titles, receiverPort: first + 3 })
    const { pacs, receiverPort } = here

    t.test('shared receiver: 200 images', async t => {
      const mkiso = await service(t, pacs, receiverPort)
      await holds(t, await mkiso.get('/api/iso/download?accession_number=CT.2024.200'), here.of('CT.2024.200'), here)
      t.strictSame(await nothingLeft(mkiso), [])
    })

    t.test('C-GET: 200 images, no receiver', async t => {
      const mkiso = await service(t, pacs, receiverPort, { pacs: { retrieve: 'get' } })
      t.strictSame(mkiso.app.dcmtk.programs.pids, [], 'nothing listens')
      await holds(t, await mkiso.get('/api/iso/download?accession_number=CT.2024.200'), here.of('CT.2024.200'), here)
      t.strictSame(await nothingLeft(mkiso), [])
    })

    t.test('a receiver for each request: three AE titles at once', async t => {
      const mkiso = await service(t, pacs, receiverPort, { our_ae: { ae_title: 'CDREC{n}', base_port: first, port_range: 3 } })
      const accessionNumbers = ['CT.2024.200', 'CR.2024.010', 'CR.2024.011']
      const answers = await Promise.all(accessionNumbers.map(async accessionNumber => await mkiso.get(`/api/iso/download?accession_number=${accessionNumber}`)))
      for (const [index, answer] of answers.entries()) await holds(t, answer, here.of(accessionNumbers[index] ?? ''), here)
      const used = mkiso.log.filter(({ msg }) => msg === 'starting storescp').map(({ ae_title: title }) => title)
      t.strictSame(used.sort(), ['CDREC0', 'CDREC1', 'CDREC2'])
      t.strictSame(await nothingLeft(mkiso), [])
    })

    t.test('ten accession numbers at once through one AE title and one port', async t => {
      const mkiso = await service(t, pacs, receiverPort)
      const accessionNumbers = Array.from({ length: 10 }, (_, index) => `CR.2024.01${index}`)
      const answers = await Promise.all(accessionNumbers.map(async accessionNumber => await mkiso.get(`/api/iso/download?accession_number=${accessionNumber}`)))
      for (const [index, answer] of answers.entries()) await holds(t, answer, here.of(accessionNumbers[index] ?? ''), here)
      t.equal(mkiso.log.filter(({ msg }) => msg === 'starting storescp').length, 1, 'one receiver')
      t.strictSame(await nothingLeft(mkiso), [])
    })

    t.test('a list on one disc, under both names of the argument', async t => {
      const mkiso = await service(t, pacs, receiverPort)
      const expected = [...here.of('CT.2024.200'), ...here.of('MR.2024.001')]
      const answer = await mkiso.get('/api/iso/download-multiple?accession_numbers=CT.2024.200,MR.2024.001')
      await holds(t, answer, expected, here)
      t.equal(answer.headers['content-disposition'], 'attachment; filename="RAHAYU SITI-CT.2024.200_MR.2024.001.iso"')
      t.equal((await mkiso.get('/api/iso/download-multiple?accession_number=CT.2024.200,MR.2024.001')).body.length, answer.body.length)
    })

    t.test('two clients, one accession number: the PACS is asked once; one leaves, the other gets its disc', async t => {
      const movescu = heldProgram(t, 'movescu')
      const mkiso = await service(t, pacs, receiverPort, { dcmtk: { movescu: movescu.path } })
      const before = pacs.moves()
      movescu.hold()
      const leaving = new AbortController()
      const left = fetch(`${mkiso.url}/api/iso/download?accession_number=CT.2024.200`, { signal: leaving.signal }).catch((error: Error) => error.name)
      const stays = mkiso.get('/api/iso/download?accession_number=CT.2024.200')
      t.ok(await eventually(() => mkiso.log.some(({ msg }) => String(msg).includes('joins'))))
      leaving.abort()
      t.equal(await left, 'AbortError')
      movescu.letGo()
      await holds(t, await stays, here.of('CT.2024.200'), here)
      t.equal(pacs.moves() - before, 2, 'one C-MOVE for each of the two series')
      t.strictSame(await nothingLeft(mkiso), [])
    })

    t.test('one accession number, two patients', async t => {
      const mkiso = await service(t, pacs, receiverPort)
      const answer = await mkiso.get('/api/iso/download?accession_number=DUP.2024.001')
      t.equal(answer.status, 409)
      t.match(answer.json(), { error: 'accession numbers belong to different patients', code: 'DIFFERENT_PATIENTS' })
      t.equal((await mkiso.get('/api/iso/download-multiple?accession_numbers=CT.2024.200,CR.2024.010')).status, 409, 'across a list too')
      t.strictSame(await nothingLeft(mkiso), [])
      const allowed = await service(t, pacs, await freePortRange(1), { disc: { allow_mixed_patients: true }, pacs: { retrieve: 'get' } })
      await holds(t, await allowed.get('/api/iso/download?accession_number=DUP.2024.001'), here.of('DUP.2024.001'), here)
    })

    t.test('a PACS that does not answer at IMAGE level: its counts are believed, and the log says so', async t => {
      // neither PACS can be made to refuse one level: a findscu that is refused stands before the real one
      const findscu = join(here.folder, 'findscu')
      writeFileSync(findscu, '#!/bin/sh\ncase "$*" in *0008,0052=IMAGE*) echo "I: Received Final Find Response (Failed: UnableToProcess)"; exit 0;; esac\nexec /usr/bin/findscu "$@"\n')
      chmodSync(findscu, 0o755)
      const mkiso = await service(t, pacs, receiverPort, { dcmtk: { findscu } })
      await holds(t, await mkiso.get('/api/iso/download?accession_number=CT.2024.200'), here.of('CT.2024.200'), here)
      t.ok(mkiso.log.some(({ msg }) => String(msg).includes('does not answer IMAGE-level queries')))
      t.strictSame(await nothingLeft(mkiso), [])
    })

    t.test('a second click asks for one image, to compare; an image that is new at the PACS between two clicks is on the third disc', async t => {
      const mkiso = await service(t, pacs, receiverPort, { iso: { keep_for: '1m' } })
      const study = { accessionNumber: 'GROWS', patient: { patientId: 'G', patientName: 'GROWS^A', birthDate: '', sex: '' }, studyDate: '20240501', studyDescription: '' }
      const folder = join(here.folder, 'grows')
      await pacs.store((await writeStudy({ ...study, series: [{ kind: 'CR', count: 3 }] }, folder, here.programs)).map(({ path }) => path))
      t.equal((await readDisc(t, (await mkiso.get('/api/iso/download?accession_number=GROWS')).body, here.programs)).instances.size, 3)
      const before = pacs.moves()
      await mkiso.get('/api/iso/download?accession_number=GROWS')
      t.equal(pacs.moves(), before + 1, 'one image is asked for, and compared')
      const grown = await writeStudy({ ...study, series: [{ kind: 'CR', count: 4 }] }, folder, here.programs)
      await pacs.store(grown.slice(3).map(({ path }) => path))
      await holds(t, await mkiso.get('/api/iso/download?accession_number=GROWS'), grown, here)
      t.equal(pacs.moves(), before + 2, 'what has changed is fetched anew')
      t.ok(await eventually(() => mkiso.app.studyStore.kept === 1 && mkiso.app.studyStore.running === 0), 'the older one has gone')
    })

    t.test('the PACS withholds an image', async t => {
      const mkiso = await service(t, pacs, receiverPort)
      const victim = await pacs.pathOf(here.of('MR.2024.001')[5]?.sopInstanceUid ?? '')
      if (victim === undefined) throw new Error('the PACS does not tell where it keeps an image')
      rmSync(victim)
      const answer = await mkiso.get('/api/iso/download?accession_number=MR.2024.001')
      t.equal(answer.status, 502)
      const expected = here.of('MR.2024.001').length
      t.match(answer.json(), { error: 'incomplete retrieval', code: 'INCOMPLETE_RETRIEVAL', detail: `${expected - 1} of ${expected} images of accession number MR.2024.001 arrived` })
      t.ok(mkiso.log.some(({ msg }) => String(msg).includes('asked for again')), 'after one retry')
      t.strictSame(await nothingLeft(mkiso), [])
    })
  })
}
