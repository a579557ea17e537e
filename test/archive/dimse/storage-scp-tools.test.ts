/** Our Storage SCP against the senders of DCMTK, plain and over TLS, and an object of more than memory would bear. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { oddStudies } from '../../../demo/phantoms/studies.ts'
import { writeStudy } from '../../../demo/phantoms/catalogue.ts'
import { readObject } from '../../../src/dicom/part10.ts'
import { writeData } from '../../../src/archive/dimse/association/pdu.ts'
import { eventually } from '../../eventually.ts'
import { programsOf, temporaryFolder } from '../../world.ts'
import { KeepingSink, receiving } from './receiving.ts'
import { dataSetOf, Sender } from './sender.ts'

const MIB = 1024 ** 2

t.test('storescu and dcmsend, and an echo', async t => {
  const programs = programsOf(t)
  const folder = temporaryFolder(t)
  const study = oddStudies()[0]
  if (study === undefined) throw new Error('no study')
  const instances = await writeStudy(study, folder, programs)
  const { port, wanted, left } = await receiving(t)
  for (const [tool, args] of [['dcmsend', ['+sd', '-aec', 'ANYBODY']], ['storescu', ['-R', '-xs', '+sd', '-aet', 'ABPACS', '-pdu', '4096']]] as const) {
    const sink = new KeepingSink(temporaryFolder(t))
    const end = wanted.add(instances[0]?.studyInstanceUid ?? '', sink)
    const result = await programs.run(tool, [...args, '127.0.0.1', String(port), folder])
    end()
    // storescu knows neither JPEG 2000 nor RLE by this option, and stops there
    if (tool === 'dcmsend') t.equal(result.exitCode, 0, result.stderr)
    const paths = new Map(instances.map(one => [one.sopInstanceUid, one.path]))
    t.ok(sink.kept.length >= (tool === 'dcmsend' ? instances.length : 1), `${tool}: ${sink.kept.length}`)
    for (const { object, bytes } of sink.kept) {
      const sent = await readObject(paths.get(object.sopInstanceUid) ?? '')
      t.match(object, { sopClassUid: sent.sopClassUid, transferSyntaxUid: sent.transferSyntaxUid, seriesInstanceUid: sent.seriesInstanceUid })
      const tail = readFileSync(paths.get(object.sopInstanceUid) ?? '').subarray(-128)
      t.ok(bytes.subarray(-128).equals(tail), 'its last bytes')
    }
  }
  t.equal((await programs.run('echoscu', ['-aec', 'WHOEVER', '127.0.0.1', String(port)])).exitCode, 0)
  t.strictSame(left(), [])
})

t.test('TLS: nobody gets in without it, nor without a certificate that we know', async t => {
  const programs = programsOf(t)
  const folder = temporaryFolder(t)
  const openssl = async (...args: string[]): Promise<void> => {
    const { exitCode, stderr } = await programs.run('openssl', args, { cwd: folder })
    if (exitCode !== 0) throw new Error(stderr)
  }
  for (const name of ['ours', 'theirs', 'stranger']) await openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', `${name}.key`, '-out', `${name}.pem`, '-days', '2', '-subj', `/CN=${name}`)
  const file = (name: string): string => join(folder, name)
  const { port, log, scp } = await receiving(t, { tls: { key: file('ours.key'), cert: file('ours.pem'), ca: file('theirs.pem'), verify: true } })
  const echo = async (...args: string[]): Promise<number> => (await programs.run('echoscu', [...args, '-ta', '3', '127.0.0.1', String(port)])).exitCode
  t.equal(await echo('+tls', file('theirs.key'), file('theirs.pem'), '-ic'), 0)
  t.not(await echo('+tls', file('stranger.key'), file('stranger.pem'), '-ic'), 0, 'a certificate that we do not know')
  t.not(await echo('+tla', '-ic'), 0, 'none')
  t.not(await echo(), 0, 'plain')
  t.ok(log.some(({ message }) => message === 'a TLS connection to the receiver failed'))
  const silent = new Sender(port)
  const stopped = scp.stop()
  await silent.end()
  await stopped
  t.pass('it stops while a handshake hangs')
})

t.test('an object of 1 GiB costs no memory', async t => {
  const { port, wanted } = await receiving(t)
  const sink = new KeepingSink()
  let sizeBytes = 0
  wanted.add('1.2.3', { ...sink, offer: async ({ object }) => { sizeBytes = object.sizeBytes }, cutOff: () => {}, activity: () => {} })
  const sender = new Sender(port)
  await sender.associate()
  const head = dataSetOf({ studyInstanceUid: '1.2.3', sopInstanceUid: '1.1', pixels: Buffer.alloc(0) })
  // the length of (7FE0,0010) stands at the end
  head.writeUInt32LE(1024 * MIB, head.length - 4)
  const block = Buffer.alloc(MIB)
  const before = process.memoryUsage().rss
  let highest = 0
  const status = sender.storeStream({ sopInstanceUid: '1.1', dataSet: head }, async send => {
    for (let n = 0; n < 1024; n++) {
      await send(writeData(1, false, block, 131_072).map((pdu, index, all) => index === all.length - 1 && n < 1023 ? notLast(pdu) : pdu))
      highest = Math.max(highest, process.memoryUsage().rss)
    }
  })
  t.equal(await status, 0)
  t.ok(sizeBytes > 1024 * MIB)
  t.ok(highest - before < 128 * MIB, `${Math.round((highest - before) / MIB)} MiB more`)
  await sender.release()
  t.ok(await eventually(() => sender.closed))
})

/** A fragment that is not the last of its message (PS3.8 E.2). */
function notLast (pdu: Buffer): Buffer {
  const copy = Buffer.from(pdu)
  copy.writeUInt8(0, 11)
  return copy
}
