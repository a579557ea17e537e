/** Prints: everything, once, in one association; and only what is complete. */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { demoStudies, oddStudies } from '../../demo/phantoms/studies.ts'
import { startPublisher } from '../../demo/publisher.ts'
import { eventually } from '../eventually.ts'
import { nothingLeft, patientApi, service, world } from '../world.ts'

t.test('print', async t => {
  const studies = demoStudies().filter(({ accessionNumber }) => /^(MR\.|CT\.)/.test(accessionNumber))
  const here = await world(t, 'dcmqrscp', { studies })
  const api = await patientApi(t, { 'MR.2024.001': 'SITI RAHAYU', 'CT.2024.200': 'SITI RAHAYU' })
  let count = 0
  const publisherOf = async (): Promise<Awaited<ReturnType<typeof startPublisher>>> => {
    const dir = join(here.folder, `publisher${count++}`)
    mkdirSync(dir)
    return await startPublisher({ programs: here.programs, dir })
  }
  const settings = (port: number): Record<string, Record<string, unknown>> =>
    ({ patient_api: { required: true, base_url: api.baseUrl }, cd_publisher: { host: '127.0.0.1', port } })
  const uids = (accessionNumber: string): string[] => here.of(accessionNumber).map(({ sopInstanceUid }) => sopInstanceUid).sort()

  for (const sender of ['dcmsend', 'storescu']) {
    t.test(`one accession number, ${sender}`, async t => {
      const publisher = await publisherOf()
      const mkiso = await service(t, here.pacs, here.receiverPort, { ...settings(publisher.port), relay: { sender } })
      const answer = await mkiso.get('/api/iso/print?accession_number=MR.2024.001')
      t.equal(answer.status, 200)
      t.strictSame(answer.json(), { status: 'success', accessions_sent: ['MR.2024.001'], patient_name: 'SITI RAHAYU', destination: `127.0.0.1:${publisher.port}`, files_sent: 24 })
      t.strictSame((await publisher.received()).sort(), uids('MR.2024.001'))
      t.equal(publisher.associations(), 1)
      t.strictSame(await nothingLeft(mkiso), [])
    })
  }

  t.test('a list, by POST', async t => {
    const publisher = await publisherOf()
    const mkiso = await service(t, here.pacs, here.receiverPort, settings(publisher.port))
    const answer = await mkiso.post('/api/iso/print?accession_number=MR.2024.001,CT.2024.200')
    t.match(answer.json(), { accessions_sent: ['MR.2024.001', 'CT.2024.200'], files_sent: 224 })
    t.strictSame((await publisher.received()).sort(), [...uids('MR.2024.001'), ...uids('CT.2024.200')].sort())
  })

  t.test('a second click while the first is under way: one disc', async t => {
    const publisher = await publisherOf()
    const mkiso = await service(t, here.pacs, here.receiverPort, settings(publisher.port))
    const path = '/api/iso/print?accession_number=CT.2024.200'
    const answers = await Promise.all([mkiso.get(path), mkiso.get(path), mkiso.post(path)])
    for (const answer of answers) t.match(answer.json(), { status: 'success', files_sent: 200 })
    t.equal(publisher.associations(), 1)
    t.equal(here.pacs.log().match(/CDPUBLISHER/g), null)
  })

  t.test('a client that leaves while the images go out does not spoil the disc', async t => {
    const publisher = await publisherOf()
    const mkiso = await service(t, here.pacs, here.receiverPort, settings(publisher.port))
    const leaving = new AbortController()
    const left = fetch(`${mkiso.url}/api/iso/print?accession_number=CT.2024.200`, { signal: leaving.signal }).catch((error: Error) => error.name)
    await eventually(async () => (await publisher.received()).length > 0, 1)
    leaving.abort()
    t.equal(await left, 'AbortError')
    t.ok(await eventually(async () => (await publisher.received()).length === 200), 'all of it arrives')
    t.strictSame(await nothingLeft(mkiso), [])
  })

  t.test('an incomplete study is never printed', async t => {
    const publisher = await publisherOf()
    const mkiso = await service(t, here.pacs, here.receiverPort, { ...settings(publisher.port), disc: { allow_incomplete: true } })
    const victim = await here.pacs.pathOf(uids('MR.2024.001')[3] ?? '')
    rmSync(victim ?? '')
    const answer = await mkiso.get('/api/iso/print?accession_number=MR.2024.001')
    t.equal(answer.status, 502)
    t.match(answer.json(), { code: 'INCOMPLETE_RETRIEVAL' })
    t.equal(publisher.associations(), 0, 'the robot was not troubled')
    t.equal((await mkiso.get('/api/iso/download?accession_number=MR.2024.001')).headers['x-mkiso-missing'], '1', 'a disc is allowed, and says so')
  })
})

t.test('every kind of object, compressed ones too', async t => {
  // dcmqrscp sends nothing compressed
  const here = await world(t, 'orthanc', { studies: oddStudies().filter(({ accessionNumber }) => accessionNumber === 'ODD.2024.001') })
  const dir = join(here.folder, 'publisher')
  mkdirSync(dir)
  const publisher = await startPublisher({ programs: here.programs, dir })
  const mkiso = await service(t, here.pacs, here.receiverPort, { cd_publisher: { host: '127.0.0.1', port: publisher.port } })
  t.match((await mkiso.get('/api/iso/print?accession_number=ODD.2024.001')).json(), { patient_name: 'ODD OBJECTS', files_sent: here.instances.length })
  t.strictSame((await publisher.received()).sort(), here.instances.map(({ sopInstanceUid }) => sopInstanceUid).sort())
})
