/** A PACS that bears one or two associations: it rejects the others for now (rejected-transient). That is a reason to wait, and a disc comes of it. */
import t from 'tap'
import type { PhantomStudy } from '../../demo/phantoms/catalogue.ts'
import { freePort } from '../../demo/ports.ts'
import { eventually } from '../eventually.ts'
import { faultStudy } from '../faults/harness.ts'
import { startGate } from '../screens/gate.ts'
import { nothingLeft, readDisc, service, world } from '../world.ts'

const IMAGES = 4
const study: PhantomStudy = { ...faultStudy('FEW'), series: Array.from({ length: 6 }, () => ({ kind: 'CR', count: IMAGES, rows: 32, columns: 32 })) }
const other: PhantomStudy = { ...faultStudy('FEW.2'), series: study.series }

for (const maxAssociations of [1, 2]) {
  for (const pacs of [{}, { max_associations: maxAssociations }]) {
    const settings = 'max_associations' in pacs ? `pacs.max_associations: ${maxAssociations}` : 'the defaults'
    await t.test(`dcmqrscp with MaxAssociations ${maxAssociations} and ${settings}: two requests at once, each a whole disc`, async t => {
      const [toReceiver, receiverPort] = [await freePort(), await freePort()]
      const gate = await startGate(t, toReceiver, receiverPort)
      const here = await world(t, 'dcmqrscp', { studies: [study, other], maxAssociations, receiverPort: toReceiver })
      const mkiso = await service(t, here.pacs, receiverPort, { pacs: { ...pacs }, disc: { web_content: 'none' } })
      const rejections = (): number => mkiso.log.filter(({ msg }) => String(msg).includes('rejects associations for now')).length
      const isTold = 'max_associations' in pacs
      // where nobody has told us, associations must meet: the first ones stay until another was rejected
      if (!isTold) gate.allow(0)
      const asking = ['FEW', 'FEW.2'].map(async number => ({ number, answer: await mkiso.get(`/api/iso/download?accession_number=${number}`) }))
      if (!isTold) t.ok(await eventually(() => rejections() > 0), 'it was rejected')
      gate.open()
      for (const { number, answer } of await Promise.all(asking)) {
        t.equal(answer.status, 200, answer.status === 200 ? number : answer.body.toString())
        if (answer.status !== 200) continue
        const disc = await readDisc(t, answer.body, here.programs)
        t.strictSame([...disc.instances.keys()].sort(), here.of(number).map(({ sopInstanceUid }) => sopInstanceUid).sort())
      }
      t.strictSame(await nothingLeft(mkiso), [])
    })
  }
}
