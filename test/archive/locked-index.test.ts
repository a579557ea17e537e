/** A PACS that answers no query while it sends (dcmqrscp locks its index): a move that takes longer than pacs.find_timeout is no fault. */
import t from 'tap'
import { demoStudies } from '../../demo/phantoms/studies.ts'
import { freePort } from '../../demo/ports.ts'
import { eventually } from '../eventually.ts'
import { startGate } from '../screens/gate.ts'
import { readDisc, service, world } from '../world.ts'

t.test('the list of instances comes after the images', async t => {
  const [gatePort, receiverPort] = [await freePort(), await freePort()]
  const gate = await startGate(t, gatePort, receiverPort)
  const here = await world(t, 'dcmqrscp', { studies: demoStudies().filter(({ accessionNumber }) => accessionNumber === 'MR.2024.001'), receiverPort: gatePort })
  const mkiso = await service(t, here.pacs, receiverPort, { pacs: { find_timeout: '1s' } })
  gate.allow(200_000)
  const waiting = mkiso.get('/api/iso/download?accession_number=MR.2024.001')
  t.ok(await eventually(() => mkiso.log.some(({ msg }) => msg === 'the PACS answers no query while it sends; it is asked again')))
  const [activity] = mkiso.app.activities.running
  t.ok(activity?.phase === 'receiving' && activity.images.received > 0, 'what has come is told all the same')
  gate.open()
  const answer = await waiting
  t.equal(answer.status, 200)
  t.strictSame([...(await readDisc(t, answer.body, here.programs)).instances.keys()].sort(), here.of('MR.2024.001').map(({ sopInstanceUid }) => sopInstanceUid).sort())
})
