/** Messages out of order (PS3.8 Annex E): the association is aborted, nothing of it is left, and the receiver serves the next one. */
import t from 'tap'
import { PDU, writeData, writeReleaseRequest } from '../../../src/archive/dimse/association/pdu.ts'
import { eventually } from '../../eventually.ts'
import { dataSetOf, Sender } from './sender.ts'
import { KeepingSink, receiving } from './receiving.ts'

const STUDY = '2.25.1'
const object = { studyInstanceUid: STUDY, sopInstanceUid: '2.25.1.1' }
const whole = { sopInstanceUid: object.sopInstanceUid, dataSet: dataSetOf(object) }

/** The two PDUs of a C-STORE, as they are sent. */
async function storePdus (port: number): Promise<{ command: Buffer, dataSet: Buffer }> {
  const sender = new Sender(port)
  await sender.associate()
  await sender.store(whole)
  const [command, dataSet] = sender.written.slice(-2)
  await sender.release()
  if (command === undefined || dataSet === undefined) throw new Error('nothing was sent')
  return { command, dataSet: Buffer.from(dataSet) }
}

/** Of the message control header, which says that a fragment is the last one (PS3.8 E.2), in the only fragment of a PDU. */
const FLAGS_AT = 11

const ODD: Array<[string, RegExp, (sender: Sender, pdus: { command: Buffer, dataSet: Buffer }) => void]> = [
  ['a data set without a command', /a data set without a command/, sender => { sender.write(...writeData(1, false, whole.dataSet, 0)) }],
  ['a command in the middle of a data set', /a command in the middle of a data set/, (sender, { command, dataSet }) => {
    dataSet.writeUInt8(0, FLAGS_AT)
    sender.write(command, dataSet, command)
  }],
  ['a release in the middle of a data set', /a release in the middle of a message/, (sender, { command, dataSet }) => {
    dataSet.writeUInt8(0, FLAGS_AT)
    sender.write(command, dataSet, writeReleaseRequest())
  }],
  ['a message in two presentation contexts', /a message in two presentation contexts/, (sender, { command, dataSet }) => {
    dataSet.writeUInt8(0, FLAGS_AT)
    sender.write(command, dataSet, ...writeData(3, false, whole.dataSet, 0))
  }]
]

for (const [name, reason, send] of ODD) {
  t.test(name, async t => {
    const { port, wanted, left, log } = await receiving(t)
    const pdus = await storePdus(port)
    const sink = new KeepingSink()
    wanted.add(STUDY, sink)
    const sender = new Sender(port)
    t.equal(await sender.associate(), PDU.ASSOCIATE_AC)
    send(sender, pdus)
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
