/** Messages out of order (PS3.8 Annex E): the association is aborted, nothing of it is left, and the receiver serves the next one. */
import t from 'tap'
import { PDU, writeData } from '../../../src/archive/dimse/association/pdu.ts'
import { eventually } from '../../eventually.ts'
import { dataSetOf, Sender } from './sender.ts'
import { KeepingSink, receiving } from './receiving.ts'

const STUDY = '2.25.1'
const object = { studyInstanceUid: STUDY, sopInstanceUid: '2.25.1.1' }
const whole = { sopInstanceUid: object.sopInstanceUid, dataSet: dataSetOf(object) }

const ODD: Array<[string, RegExp, (sender: Sender) => Promise<void> | void]> = [
  ['a data set without a command', /a data set without a command/, sender => { sender.write(...writeData(1, false, whole.dataSet, 0)) }]
]

for (const [name, reason, send] of ODD) {
  t.test(name, async t => {
    const { port, wanted, left, log } = await receiving(t)
    const sink = new KeepingSink()
    wanted.add(STUDY, sink)
    const sender = new Sender(port)
    t.equal(await sender.associate(), PDU.ASSOCIATE_AC)
    await send(sender)
    t.equal((await sender.nextPdu())?.type, PDU.ABORT)
    await sender.end()
    t.ok(await eventually(() => left().length === 0), 'no file is left')
    t.strictSame(sink.kept, [])
    t.ok(await eventually(() => log.some(line => reason.test(JSON.stringify(line))) || sink.cut.some(cut => reason.test(cut.reason))), 'the reason is told')
    const next = new Sender(port)
    await next.associate()
    t.equal(await next.store(whole), 0)
    await next.release()
    t.equal(sink.kept.length, 1)
  })
}
