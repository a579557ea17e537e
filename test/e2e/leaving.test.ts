/** A client that leaves: within two seconds nothing of it is there any more. */
import { once } from 'node:events'
import { request } from 'undici'
import t from 'tap'
import { demoStudies } from '../../demo/phantoms/studies.ts'
import { freePort } from '../../demo/ports.ts'
import { eventually } from '../eventually.ts'
import { PATIENT_ORTHANC, startGate, startNarrowWay } from '../screens/gate.ts'
import { nothingLeft, service, world, type PacsKind } from '../world.ts'

const STUDIES = demoStudies().filter(({ accessionNumber }) => /^(CT\.2024\.200|CR\.2024\.010)/.test(accessionNumber))
const CT = '/api/iso/download?accession_number=CT.2024.200'
/** Some of the 200 images of half a megabyte, whichever association brings them. */
const SOME_BYTES = 3_000_000

for (const kind of ['dcmqrscp', 'orthanc'] as const satisfies PacsKind[]) {
  t.test(kind, async t => {
    const [toReceiver, toPacs, receiverPort] = [await freePort(), await freePort(), await freePort()]
    const gate = await startGate(t, toReceiver, receiverPort)
    const here = await world(t, kind, { studies: STUDIES, receiverPort: toReceiver, orthanc: PATIENT_ORTHANC })
    // for C-GET: the images come as answers
    const way = await startNarrowWay(t, toPacs, here.pacs.port, SOME_BYTES)

    for (const [name, port, overrides] of [['shared', here.pacs.port, {}], ['get', toPacs, { pacs: { retrieve: 'get' } }]] as const) {
      t.test(`in the middle of the retrieval, ${name}`, async t => {
        const mkiso = await service(t, { ...here.pacs, port }, receiverPort, overrides)
        if (name === 'shared') gate.allow(SOME_BYTES)
        const leaving = new AbortController()
        const answer = request(mkiso.url + CT, { signal: leaving.signal }).catch((error: Error) => error.name)
        t.ok(await eventually(() => mkiso.app.activities.running.some(({ images: { received } }) => received > 0)), 'some images have come, and no more for now')
        leaving.abort()
        t.equal(await answer, 'AbortError')
        t.strictSame(await nothingLeft(mkiso), [])
        if (name === 'get') way.open()
        else gate.open()
        const again = await mkiso.get(CT)
        t.equal(again.status, 200, 'the next click works')
        t.equal(again.body.length, Number(again.headers['content-length']))
      })
    }

    t.test('in the middle of the stream', async t => {
      const mkiso = await service(t, here.pacs, receiverPort)
      const answer = await request(mkiso.url + CT)
      const [chunk] = await once(answer.body, 'data') as [Buffer]
      t.ok(chunk.length > 0, 'the image flows')
      answer.body.destroy()
      t.strictSame(await nothingLeft(mkiso), [])
      t.ok(await eventually(() => mkiso.log.some(({ msg }) => msg === 'client left')))
    })

    t.test('a client that reads nothing is cut off', async t => {
      const mkiso = await service(t, here.pacs, receiverPort, { server: { write_timeout: '1s' } })
      const answer = await request(mkiso.url + CT)
      t.equal(answer.statusCode, 200)
      // the body is never read
      answer.body.on('error', () => {})
      t.strictSame(await nothingLeft(mkiso), [])
      answer.body.destroy()
    })
  })
}
