/** Our Storage SCP, against a sender that does what no tool does. What DCMTK and Orthanc send stands in storage-scp-tools.test.ts. */
import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { deflateRawSync } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import type { Delivery } from '../../../src/archive/archive.ts'
import { AllowedPeers } from '../../../src/archive/dimse/allowed-peers.ts'
import { bestTransferSyntax } from '../../../src/archive/dimse/association/transfer-syntax.ts'
import { PDU, writeData } from '../../../src/archive/dimse/association/pdu.ts'
import { readCommandSet, writeEcho, writeResponse } from '../../../src/archive/dimse/association/command-set.ts'
import { VERIFICATION } from '../../../src/archive/dimse/association/transfer-syntax.ts'
import { PortTakenError } from '../../../src/archive/dimse/storage-scp.ts'
import { authority } from '../../certificates.ts'
import { eventually } from '../../eventually.ts'
import { programsOf, temporaryFolder } from '../../world.ts'
import { KeepingSink, receiving } from './receiving.ts'
import { CT, dataSetOf, EXPLICIT, Sender } from './sender.ts'

const STUDY = '1.2.3.4'
const IMPLICIT = '1.2.840.10008.1.2'
const DEFLATED = '1.2.840.10008.1.2.1.99'
const syntax = (n: number | string): string => `1.2.840.10008.1.2.4.${n}`

const dataSetIn = (file: Buffer): Buffer => file.subarray(132 + 12 + file.readUInt32LE(140))

t.test('an object arrives byte by byte, with its way known', async t => {
  const { port, wanted, left, scp } = await receiving(t)
  const sink = new KeepingSink(temporaryFolder(t))
  wanted.add(STUDY, sink)
  const sender = new Sender(port)
  t.equal(await sender.associate(undefined, 'ABPACS'), PDU.ASSOCIATE_AC)
  const dataSet = dataSetOf({ studyInstanceUid: STUDY, sopInstanceUid: '1.2.3.4.5', pixels: randomBytes(3_000_000) })
  t.equal(scp.mayStillSend(STUDY), false)
  t.equal(await sender.store({ sopInstanceUid: '1.2.3.4.5', dataSet, moveOriginatorAeTitle: 'CDRECORD' }), 0)
  t.equal(scp.mayStillSend(STUDY), true, 'the association is open')
  t.equal(await sender.store({ sopInstanceUid: '1.2.3.4.6', dataSet: dataSetOf({ studyInstanceUid: STUDY, sopInstanceUid: '1.2.3.4.6' }) }), 0)
  await sender.release()
  await sender.end()
  t.ok(await eventually(() => !scp.mayStillSend(STUDY)), 'the association has ended')
  const [first, second] = sink.kept
  t.ok(first !== undefined && dataSetIn(first.bytes).equals(dataSet), 'the data set is what was sent')
  t.match(first, { provenance: 'ours', from: '127.0.0.1 as ABPACS', object: { sopInstanceUid: '1.2.3.4.5', sopClassUid: CT, transferSyntaxUid: EXPLICIT, studyInstanceUid: STUDY } })
  t.equal(second?.provenance, 'archive', 'no move originator, but the title of the archive')
  t.ok(sink.activities > 0)
  t.strictSame(left(), [])
})

t.test('a text from outside is not a path', async t => {
  const { port, wanted, left } = await receiving(t)
  const kept = temporaryFolder(t)
  const sink = new KeepingSink(kept)
  wanted.add(STUDY, sink)
  const sender = new Sender(port)
  await sender.associate()
  for (const [inCommand, inDataSet] of [['../../x', '1.2.3'], ['1.2.3', '../../..'], ['/etc/passwd', '/etc/passwd'], ['..', '.'], ['1.2.3\0/x', '1.2.3']] as const) {
    t.equal(await sender.store({ sopInstanceUid: inCommand, dataSet: dataSetOf({ studyInstanceUid: STUDY, sopInstanceUid: inDataSet }) }), 0, inCommand)
  }
  t.equal(sink.kept.length, 5)
  t.strictSame(sink.kept.map(({ path }) => /\/object_[0-9a-f-]+$/.test(path)), Array(5).fill(true), 'names of ours')
  t.equal(await sender.store({ sopInstanceUid: '1'.repeat(65), dataSet: dataSetOf({ studyInstanceUid: STUDY, sopInstanceUid: '1' }) }), 0x0117, 'a UID that is too long')
  t.equal(await sender.store({ sopInstanceUid: '', dataSet: dataSetOf({ studyInstanceUid: STUDY, sopInstanceUid: '1' }) }), 0x0117, 'no UID')
  await sender.release()
  t.strictSame(left(), [])
  t.equal(readdirSync(kept).length, 5)
})

t.test('one SOP Instance UID twice: in two associations at once, and in one', async t => {
  const { port, wanted, left } = await receiving(t)
  const sink = new KeepingSink(temporaryFolder(t))
  wanted.add(STUDY, sink)
  const objects = [1, 2].map(n => dataSetOf({ studyInstanceUid: STUDY, sopInstanceUid: '1.9', patientId: `P${n}`, pixels: Buffer.alloc(4_000_000, n) }))
  await Promise.all(objects.map(async dataSet => {
    const sender = new Sender(port)
    await sender.associate()
    t.equal(await sender.store({ sopInstanceUid: '1.9', dataSet }), 0)
    t.equal(await sender.store({ sopInstanceUid: '1.9', dataSet }), 0)
    await sender.release()
  }))
  const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
  t.strictSame(sink.kept.map(({ bytes }) => digest(dataSetIn(bytes))).sort(), [...objects, ...objects].map(digest).sort(), 'each whole and unmixed')
  t.strictSame(left(), [])
})

t.test('the transfer syntax of a presentation context', async t => {
  const cases: Array<[offered: string[], taken: string | undefined, why: string]> = [
    [[syntax(91), EXPLICIT], EXPLICIT, 'JPEG 2000 lossy'],
    [[syntax(50), IMPLICIT], IMPLICIT, 'JPEG baseline'],
    [[DEFLATED, EXPLICIT], EXPLICIT, 'deflated'],
    [[syntax(90), EXPLICIT], syntax(90), 'one lossless compressed: what is stored'],
    [[EXPLICIT, IMPLICIT, syntax(70)], syntax(70), 'the same, last'],
    [[syntax(90), syntax(91)], syntax(90), 'JPEG 2000 lossless and lossy'],
    [[syntax(90), syntax(80), syntax(70), EXPLICIT], EXPLICIT, 'several lossless compressed: none of them tells what is stored'],
    [[syntax(80), syntax(90)], syntax(80), 'several alone: as the sender likes'],
    [[syntax(201)], syntax(201), 'HTJ2K lossless'],
    [[syntax(110)], syntax(110), 'JPEG XL lossless'],
    [[syntax(57)], syntax(57), 'process 14'],
    [['1.2.840.10008.1.2.2', IMPLICIT], IMPLICIT, 'big endian last'],
    [[syntax(91), DEFLATED], syntax(91), 'deflated last'],
    [['1.3.6.1.4.1.5962.300.1', syntax(50)], syntax(50), 'a private one last'],
    [['1.3.6.1.4.1.5962.300.1'], '1.3.6.1.4.1.5962.300.1', 'a private one alone'],
    [[syntax(94)], undefined, 'JPIP: its pixels are elsewhere'],
    [[], undefined, 'none']
  ]
  for (const [offered, taken, why] of cases) t.equal(bestTransferSyntax(offered), taken, why)

  const { port } = await receiving(t)
  const sender = new Sender(port)
  await sender.associate([
    ...cases.map(([transferSyntaxes], index) => ({ id: 2 * index + 1, abstractSyntax: CT, transferSyntaxes })),
    ...['1.2.840.10008.1.1', '1.3.12.2.1107.5.9.1', '1.2.840.10008.5.1.4.1.2.2.1', '1.2.840.10008.5.1.4.34.7', '1.2.840.10008.5.1.4.34.6.1', '1.2.840.10008.5.1.4.31']
      .map((abstractSyntax, index) => ({ id: 101 + 2 * index, abstractSyntax, transferSyntaxes: [IMPLICIT] }))
  ])
  t.strictSame(sender.contexts.slice(0, cases.length).map(({ result, transferSyntax }) => result === 0 ? transferSyntax : undefined), cases.map(([, taken]) => taken))
  t.strictSame(sender.contexts.slice(cases.length).map(({ result }) => result), [0, 0, 3, 0, 3, 3], 'verification, private, FIND, radiotherapy, UPS, worklist')
  sender.abort()
})

t.test('private classes, deflated objects, and requests that are none of ours', async t => {
  const { port, wanted } = await receiving(t)
  const sink = new KeepingSink(temporaryFolder(t))
  wanted.add(STUDY, sink)
  const sender = new Sender(port)
  const privateClass = '1.3.12.2.1107.5.9.1'
  await sender.associate([
    { id: 1, abstractSyntax: privateClass, transferSyntaxes: [EXPLICIT] }, { id: 3, abstractSyntax: CT, transferSyntaxes: [DEFLATED] },
    { id: 5, abstractSyntax: '1.2.840.10008.1.1', transferSyntaxes: [IMPLICIT] }
  ])
  t.equal(await sender.store({ sopClassUid: privateClass, sopInstanceUid: '1.1', dataSet: dataSetOf({ studyInstanceUid: STUDY, sopInstanceUid: '1.1', sopClassUid: privateClass }) }), 0)
  t.match(await sender.command(0x0030, 5, '1.2.840.10008.1.1'), { command: 0x8030, status: 0 }, 'C-ECHO')
  for (const command of [0x0020, 0x0021, 0x0010, 0x0100, 0x0130, 0x0777]) t.match(await sender.command(command), { command: command | 0x8000, status: 0x0211 })
  sender.cancel()
  t.match(await sender.command(0x0030, 5, '1.2.840.10008.1.1'), { command: 0x8030, status: 0 }, 'a cancel has no response: what comes next is that of the echo')
  await sender.release()
  const second = new Sender(port)
  await second.associate([{ id: 3, abstractSyntax: CT, transferSyntaxes: [DEFLATED] }])
  const deflated = deflateRawSync(dataSetOf({ studyInstanceUid: '9.9.9', sopInstanceUid: '1.2', pixels: randomBytes(200_000) }))
  t.equal(await second.store({ contextId: 3, sopInstanceUid: '1.2', dataSet: deflated }), 0x0124, 'a deflated one that nobody wants is known by its first bytes')
  await second.release()
  t.equal(sink.kept.length, 1)
})

t.test('what nobody asked for', async t => {
  const { port, wanted, left, counts, log } = await receiving(t, { maxUnwantedBytes: 1_000_000 })
  const sink = new KeepingSink()
  wanted.add(STUDY, sink)
  const stranger = new Sender(port)
  await stranger.associate()
  t.equal(await stranger.store({ sopInstanceUid: '7.7', dataSet: dataSetOf({ studyInstanceUid: '7.7.7', sopInstanceUid: '7.7', pixels: Buffer.alloc(300_000) }) }), 0x0124)
  t.equal(counts.dropped, 1)
  t.strictSame(left(), [])
  t.equal(await stranger.store({ sopInstanceUid: '7.8', dataSet: dataSetOf({ studyInstanceUid: '7.7.7', sopInstanceUid: '7.8', pixels: Buffer.alloc(5_000_000) }) }), undefined, 'more than may be: the association is aborted')
  await stranger.end()
  t.ok(log.some(({ message }) => message.includes('our_ae.max_unwanted')))
  t.ok(log.some(({ message }) => message === 'an image that nobody asked for was received and removed'))

  const known = new Sender(port)
  await known.associate()
  t.equal(await known.store({ sopInstanceUid: '1.1', dataSet: dataSetOf({ studyInstanceUid: STUDY, sopInstanceUid: '1.1', pixels: Buffer.alloc(3_000_000) }) }), 0, 'what is asked for may be as large as it likes')
  await known.release()
  t.ok(await eventually(() => left().length === 0), 'what the sink left is removed')

  const nameless = new Sender(port)
  await nameless.associate()
  t.equal(await nameless.store({ sopInstanceUid: '1.1', dataSet: Buffer.alloc(3_000_000, 0xFF) }), undefined, 'an object that cannot be looked into counts as well')
  await nameless.end()
  t.ok(await eventually(() => left().length === 0))
  t.strictSame(sink.cut.map(({ sopInstanceUid }) => sopInstanceUid), ['1.1'])
})

t.test('what an archive sends for a question of ours, and nobody asked for', async t => {
  const { port, wanted, left, counts } = await receiving(t)
  const passed: Array<string | undefined> = []
  const sink = Object.assign(new KeepingSink(), { passed: (seriesInstanceUid: string | undefined) => { passed.push(seriesInstanceUid) } })
  wanted.add(STUDY, sink)
  const copied = { sopInstanceUid: '1.1', moveOriginatorAeTitle: 'CDRECORD', dataSet: dataSetOf({ studyInstanceUid: '7.7.7', sopInstanceUid: '1.1' }) }
  const wantedOne = { sopInstanceUid: '1.1', moveOriginatorAeTitle: 'CDRECORD', dataSet: dataSetOf({ studyInstanceUid: STUDY, sopInstanceUid: '1.1' }) }
  const archive = new Sender(port)
  await archive.associate()
  t.equal(await archive.store(copied), 0xB006, 'thrown away with a warning: who is refused gives the whole move up')
  t.strictSame(passed, [], 'nobody knows whose question it was for')
  t.equal(await archive.store(wantedOne), 0)
  t.strictSame(passed, [`${STUDY}.1`], 'it was for this one')
  t.equal(await archive.store(copied), 0xB006)
  t.strictSame(passed, [`${STUDY}.1`, `${STUDY}.1`])
  t.equal(await archive.store({ ...copied, moveOriginatorAeTitle: 'SOMEBODY' }), 0x0124, 'for a question of others it is refused')
  t.equal(passed.length, 2)
  await archive.release()
  t.equal(counts.dropped, 3)
  t.ok(await eventually(() => left().length === 0))
})

t.test('an object that came whole and cannot be taken is not answered with success, and the next one is', async t => {
  const { port, wanted, left, log } = await receiving(t)
  class FailingSink extends KeepingSink {
    fault: Error | undefined = Object.assign(new Error('EIO: i/o error, rename'), { code: 'EIO' })
    override async offer (delivery: Delivery): Promise<void> {
      if (this.fault !== undefined) throw this.fault
      await super.offer(delivery)
    }
  }
  const sink = new FailingSink(temporaryFolder(t))
  wanted.add(STUDY, sink)
  const sender = new Sender(port)
  await sender.associate()
  const object = { sopInstanceUid: '1.1', dataSet: dataSetOf({ studyInstanceUid: STUDY, sopInstanceUid: '1.1' }) }
  t.equal(await sender.store(object), 0x0110)
  t.strictSame(log.filter(({ level }) => level === 'error').map(({ message }) => message), ['a received image was not taken'])
  t.ok(await eventually(() => left().length === 0), 'its file is gone')
  sink.fault = undefined
  t.equal(await sender.store(object), 0, 'asked for again, it is taken')
  t.equal(sink.kept.length, 1)
  await sender.release()
})

t.test('an object that is cut off', async t => {
  const { port, wanted, left, scp } = await receiving(t)
  const [sink, other] = [new KeepingSink(), new KeepingSink()]
  wanted.add(STUDY, sink)
  wanted.add('5.5', other)
  const whole = dataSetOf({ studyInstanceUid: STUDY, sopInstanceUid: '1.1', pixels: randomBytes(2_000_000) })

  t.test('its association breaks: who wants the study is told', async t => {
    const sender = new Sender(port)
    await sender.associate()
    await sender.storePart({ sopInstanceUid: '1.1', dataSet: whole }, 1_000_000)
    sender.socket.destroy()
    t.ok(await eventually(() => sink.cut.length === 1 && left().length === 0))
    t.strictSame(sink.cut.map(({ sopInstanceUid }) => sopInstanceUid), ['1.1'])
    t.strictSame(other.cut, [])
  })

  t.test('before its study is known: everybody is told', async t => {
    const sender = new Sender(port)
    await sender.associate()
    await sender.storePart({ sopInstanceUid: '1.2', dataSet: whole }, 40)
    sender.socket.destroy()
    t.ok(await eventually(() => sink.cut.length === 2 && other.cut.length === 1))
  })

  t.test('the sender says that it is whole, and its pixel data end before their length', async t => {
    const sender = new Sender(port)
    await sender.associate()
    t.equal(await sender.store({ sopInstanceUid: '1.3', dataSet: whole.subarray(0, 1_500_000) }), 0xC000)
    t.equal(sink.cut.at(-1)?.sopInstanceUid, '1.3')
    t.equal(await sender.store({ sopInstanceUid: '1.3', dataSet: whole }), 0, 'the association goes on')
    await sender.release()
    t.ok(await eventually(() => left().length === 0))
  })

  t.test('the receiver stops', async t => {
    const sender = new Sender(port)
    await sender.associate()
    await sender.storePart({ sopInstanceUid: '1.4', dataSet: whole }, 1_900_000)
    t.ok(await eventually(() => left().length === 1), 'a file is under way')
    const silent = connect(port, '127.0.0.1')
    silent.on('error', () => {}).resume()
    await new Promise<void>(resolve => { silent.once('connect', resolve) })
    await scp.stop()
    t.strictSame(left(), [])
    t.equal(sink.cut.at(-1)?.sopInstanceUid, '1.4')
    await new Promise<void>(resolve => { if (silent.closed) resolve(); else silent.once('close', () => { resolve() }) })
    const again = connect(port, '127.0.0.1')
    await t.rejects(new Promise((resolve, reject) => { again.once('connect', resolve); again.once('error', reject) }), { code: 'ECONNREFUSED' })
  })
})

t.test('connections that say nothing, and associations that say nothing more', async t => {
  const { port } = await receiving(t, { associationTimeoutMs: 300, idleTimeoutMs: 300 })
  const silent = Array.from({ length: 20 }, () => new Sender(port))
  await Promise.all(silent.map(async one => { await one.end() }))
  t.ok(silent.every(({ closed }) => closed), 'closed without an A-ASSOCIATE-RQ')
  const { port: patient } = await receiving(t, { associationTimeoutMs: 60_000, idleTimeoutMs: 300 })
  const associated = new Sender(patient)
  t.equal(await associated.associate(), PDU.ASSOCIATE_AC)
  await associated.end()
  t.ok(associated.closed, 'an association that is silent is aborted')
})

t.test('too many connections', async t => {
  const { port, wanted, scp } = await receiving(t, { associationTimeoutMs: 60_000, mostAssociations: 3, idleTimeoutMs: 60_000 })
  wanted.add('1.2', new KeepingSink())
  const silent = Array.from({ length: 20 }, () => new Sender(port))
  const speaking = [new Sender(port), new Sender(port), new Sender(port)]
  t.strictSame(await Promise.all(speaking.map(async one => await one.associate())), [PDU.ASSOCIATE_AC, PDU.ASSOCIATE_AC, PDU.ASSOCIATE_AC], 'silent ones keep nobody out')
  const fourth = new Sender(port)
  t.equal(await fourth.associate(), PDU.ASSOCIATE_AC, 'nor do those that bring nothing')
  t.ok(await eventually(() => speaking[0]?.closed === true), 'the oldest of them has to go')
  t.strictSame(speaking.map(({ closed }) => closed), [true, false, false], 'and no other')
  for (const one of [speaking[1], speaking[2], fourth]) t.equal(await one?.store({ sopInstanceUid: '1.2.3', dataSet: dataSetOf({ studyInstanceUid: '1.2', sopInstanceUid: '1.2.3' }) }), 0)
  const more = new Sender(port)
  t.equal(await more.associate(), PDU.ASSOCIATE_RJ, 'those that bring what is wanted stay')
  await fourth.release()
  await fourth.end()
  const fifth = new Sender(port)
  t.ok(await eventually(() => scp.echo(2_000).then(fault => fault === undefined)), 'a place is free again')
  t.equal(await fifth.associate(), PDU.ASSOCIATE_AC)
  await fifth.release()
  for (const one of [...silent, ...speaking]) one.socket.destroy()
})

t.test('connections that never come to the end of their TLS handshake keep nobody out', async t => {
  const { us } = await authority(programsOf(t), join(temporaryFolder(t), 'ca'), ['us'])
  if (us === undefined) throw new Error('no certificate')
  const { port, log } = await receiving(t, { associationTimeoutMs: 60_000, mostAssociations: 3, tls: { key: us.key, cert: us.cert, ca: us.ca, verify: false } })
  const silent = Array.from({ length: 50 }, () => new Sender(port))
  t.ok(await eventually(() => silent.filter(({ closed }) => closed).length === 47), 'no more of them than may be')
  const speaking = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
  speaking.on('error', () => {})
  await new Promise<void>((resolve, reject) => { speaking.once('secureConnect', resolve).once('close', reject) })
  t.equal(silent.filter(({ closed }) => !closed).length, 2, 'the oldest had to go')
  speaking.destroy()
  for (const one of silent) one.socket.destroy()
  const lines = log.filter(({ message }) => message === 'a TLS connection to the receiver failed')
  t.ok(lines.length < 5, `${lines.length} lines about it`)
})

t.test('thousands of messages at once, without waiting for an answer, cost what they are', async t => {
  const MESSAGES = 20_000
  const { port } = await receiving(t)
  const sender = new Sender(port)
  await sender.associate([{ id: 1, abstractSyntax: VERIFICATION, transferSyntaxes: [IMPLICIT] }])
  let answers = 0
  sender.socket.removeAllListeners('data')
  const [pdu = Buffer.alloc(0)] = writeData(1, true, writeEcho(VERIFICATION, 1), 0)
  let bytes = 0
  const answerBytes = writeData(1, true, writeResponse(readCommandSet(writeEcho(VERIFICATION, 1)), 0), 0).reduce((sum, { length }) => sum + length, 0)
  sender.socket.on('data', chunk => { bytes += chunk.length; answers = bytes / answerBytes })
  const before = process.cpuUsage()
  sender.socket.write(Buffer.concat(Array<Buffer>(MESSAGES).fill(pdu)))
  t.ok(await eventually(() => answers >= MESSAGES), `${answers} answers`)
  const { user, system } = process.cpuUsage(before)
  t.equal(answers, MESSAGES, 'each has its answer')
  t.comment(`${MESSAGES} C-ECHOs: ${((user + system) / 1e6).toFixed(2)} s of processor`)
  sender.socket.destroy()
})

t.test('who may connect', async t => {
  const allows = async (allowFrom: string[], host: string, address: string): Promise<boolean> => await new AllowedPeers(allowFrom, [host]).allows(address)
  t.equal(await allows([], 'localhost', '::ffff:127.0.0.1'), true, 'empty: what pacs.host resolves to')
  t.equal(await allows([], 'localhost', '::1'), true)
  t.equal(await allows([], '10.0.0.7', '10.0.0.7'), true)
  t.equal(await allows([], '10.0.0.7', '::ffff:10.0.0.7'), true, 'IPv4 in IPv6')
  t.equal(await allows([], '10.0.0.7', '10.0.0.8'), false)
  t.equal(await allows([], '10.0.0.7', '127.0.0.1'), false, 'loopback is nobody special')
  t.equal(await allows([], 'no-such-host.invalid', '127.0.0.1'), false)
  t.equal(await allows(['10.0.0.0/8'], '192.168.0.1', '192.168.0.1'), false, 'who is named, and nobody else')
  t.equal(await allows(['10.0.0.0/8'], '192.168.0.1', '10.9.9.9'), true)
  for (const everybody of ['0.0.0.0/0', '::/0']) for (const address of ['1.2.3.4', 'fe80::1%eth0', '::ffff:9.9.9.9']) t.equal(await allows([everybody], 'x', address), true)
  t.equal(await new AllowedPeers([], ['no-such-host.invalid', '10.0.0.7', 'localhost']).allows('127.0.0.1'), true, 'several archives: what any of their hosts resolves to')
  t.equal(await new AllowedPeers([], ['x']).allows(undefined), false)

  const { port, counts, log } = await receiving(t, { allowed: new AllowedPeers(['10.0.0.1'], ['localhost']) })
  for (const sender of [new Sender(port), new Sender(port), new Sender(port)]) t.equal(await sender.associate(), 0)
  t.strictSame(counts.refused, ['127.0.0.1', '127.0.0.1', '127.0.0.1'])
  const lines = log.filter(({ message }) => message.includes('our_ae.allow_from'))
  t.equal(lines.length, 1, 'one line a second')
  t.match(lines[0]?.fields, { address: '127.0.0.1' })
})

t.test('a port that is taken', async t => {
  const { port } = await receiving(t)
  await t.rejects(receiving(t, { port }), new PortTakenError(port, 'another program listens there'))
})

t.test('rubbish ends in an abort and a closed connection, and leaves nothing', async t => {
  const { port, wanted, left, scp, log } = await receiving(t, { associationTimeoutMs: 200, idleTimeoutMs: 250 })
  wanted.add(STUDY, new KeepingSink())
  // at one that has patience
  const patient = await receiving(t)
  patient.wanted.add(STUDY, new KeepingSink())
  const recorded = new Sender(patient.port)
  await recorded.associate()
  await recorded.store({ sopInstanceUid: '1.1', dataSet: dataSetOf({ studyInstanceUid: STUDY, sopInstanceUid: '1.1', pixels: Buffer.alloc(20_000) }) })
  await recorded.release()
  await recorded.end()
  const association = Buffer.concat(recorded.written)

  await fc.assert(fc.asyncProperty(
    fc.array(fc.record({ at: fc.oneof(fc.nat(400), fc.nat(association.length - 1)), byte: fc.integer({ min: 0, max: 255 }) }), { minLength: 1, maxLength: 8 }),
    fc.oneof(fc.constant(association.length), fc.nat(association.length)),
    async (mutations, length) => {
      const bytes = Buffer.from(association)
      for (const { at, byte } of mutations) bytes[at] = byte
      const sender = new Sender(port)
      sender.socket.end(bytes.subarray(0, length))
      await sender.end()
    }
  ), { numRuns: 400 })
  await fc.assert(fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 300 }), async bytes => {
    const sender = new Sender(port)
    sender.socket.write(bytes)
    sender.socket.end()
    await sender.end()
  }), { numRuns: 100 })
  t.ok(await eventually(() => left().length === 0))
  t.strictSame(log.filter(({ level }) => level === 'error'), [])
  const echo = new Sender(port)
  t.equal(await echo.associate(), PDU.ASSOCIATE_AC, 'it still serves')
  await scp.stop()
  t.strictSame(left(), [])
})

t.test('a full disk is told as such', async t => {
  const folder = temporaryFolder(t, 'disk')
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder])
  t.teardown(() => { execFileSync('umount', ['-l', folder]) })
  const { port, wanted } = await receiving(t, { folder })
  const sink = new KeepingSink()
  wanted.add(STUDY, sink)
  const sender = new Sender(port)
  await sender.associate()
  t.equal(await sender.store({ sopInstanceUid: '1.1', dataSet: dataSetOf({ studyInstanceUid: STUDY, sopInstanceUid: '1.1', pixels: randomBytes(600_000) }) }), 0xA700)
  t.match(sink.cut, [{ sopInstanceUid: '1.1', reason: /disk/ }])
  await sender.release()
})
