/**
 * Files of a few bytes that ask for all of the machine, and reports of thousands of pages: no picture is drawn of them, by limits that the program has
 * which draws. Before: dcmj2pnm took 3.5 GB for 558 bytes, dsr2html 2.1 GB and this process 1.3 GB for a report of 135 MB.
 */
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { part10, type Element } from '../../demo/phantoms/writer.ts'
import { readObject } from '../../src/dicom/part10.ts'
import { decodingFault, decodingLimits, LARGEST_PAGE_BYTES, pictureFault, pictureLimits } from '../../src/disc/render-limits.ts'
import { Renderer, type SeriesRendering } from '../../src/disc/web/renderer.ts'
import { Programs, silentLog } from '../../src/process.ts'
import { DEFAULTS, programsOf, temporaryFolder } from '../world.ts'

const SECONDARY_CAPTURE = '1.2.840.10008.5.1.4.1.1.7'
const BASIC_TEXT = '1.2.840.10008.5.1.4.1.1.88.11'
const MIB = 1024 ** 2

const WHO: Element[] = [
  ['00080020', 'DA', '20240101'], ['00080023', 'DA', '20240101'], ['00080030', 'TM', '1200'], ['00080033', 'TM', '1200'], ['00080050', 'SH', 'A'], ['00080090', 'PN', ''],
  ['00100010', 'PN', 'BOMB'], ['00100020', 'LO', 'B'], ['00100030', 'DA', ''], ['00100040', 'CS', ''], ['0020000d', 'UI', '1.2.3'], ['0020000e', 'UI', '1.2.3.1'], ['00200010', 'SH', '1'],
  ['00200011', 'IS', '1'], ['00200013', 'IS', '1']
]

function image (side: number, pixels: Buffer, more: Element[] = []): Buffer {
  return part10(SECONDARY_CAPTURE, '1.2.3.4', [...WHO, ['00080060', 'CS', 'OT'], ['00280002', 'US', 1], ['00280004', 'CS', 'MONOCHROME2'], ['00280010', 'US', side], ['00280011', 'US', side],
    ['00280100', 'US', 8], ['00280101', 'US', 8], ['00280102', 'US', 7], ['00280103', 'US', 0], ['7fe00010', 'OB', pixels], ...more], text => Buffer.from(text, 'latin1'))
}

/** The same, its pixels in runs of 128 (PS3.5 G): 64 times smaller. */
function runLength (side: number): Buffer {
  const runs = Buffer.alloc(Math.ceil(side * side / 128) * 2)
  for (let at = 0; at < runs.length; at += 2) runs[at] = 0x81
  const header = Buffer.alloc(64)
  header.writeUInt32LE(1, 0)
  header.writeUInt32LE(64, 4)
  const item = (bytes: Buffer): Buffer => {
    const head = Buffer.from('feff00e000000000', 'hex')
    head.writeUInt32LE(bytes.length, 4)
    return Buffer.concat([head, bytes])
  }
  const native = image(side, Buffer.alloc(2))
  const uid = Buffer.from('1.2.840.10008.1.2.1\0', 'latin1')
  const at = native.indexOf(uid)
  // the same length, so that no other has to change
  Buffer.from('1.2.840.10008.1.2.5\0', 'latin1').copy(native, at)
  return Buffer.concat([native.subarray(0, native.lastIndexOf(Buffer.from('e07f1000', 'hex'))), Buffer.from('e07f10004f420000ffffffff', 'hex'),
    item(Buffer.alloc(0)), item(Buffer.concat([header, runs])), Buffer.from('feffdde000000000', 'hex')])
}

function report (findings: number): Buffer {
  const code = (value: string, meaning: string): Element[][] => [[['00080100', 'SH', value], ['00080102', 'SH', 'DCM'], ['00080104', 'LO', meaning]]]
  const items = Array.from({ length: findings }, (_, index): Element[] => [
    ['0040a010', 'CS', 'CONTAINS'], ['0040a040', 'CS', 'TEXT'], ['0040a043', 'SQ', code('121071', 'Finding')], ['0040a160', 'UT', `${index} ${'x'.repeat(100)}`]
  ])
  return part10(BASIC_TEXT, '1.2.3.9', [...WHO, ['00080060', 'CS', 'SR'], ['0040a040', 'CS', 'CONTAINER'], ['0040a043', 'SQ', code('121070', 'Findings')], ['0040a050', 'CS', 'SEPARATE'],
    ['0040a491', 'CS', 'COMPLETE'], ['0040a493', 'CS', 'UNVERIFIED'], ['0040a730', 'SQ', items]], text => Buffer.from(text, 'latin1'))
}

interface Rendered {
  rendering: SeriesRendering
  started: number
  /** Bytes of what is left beside what was made. */
  leftBytes: number
  reasons: string[]
}

async function rendered (t: Test, bytes: Buffer): Promise<Rendered> {
  const folder = temporaryFolder(t, 'bomb')
  const path = join(folder, 'file')
  writeFileSync(path, bytes)
  const programs = programsOf(t)
  const reasons: string[] = []
  const pictures = join(folder, 'pictures')
  const renderer = new Renderer({
    hasRoom: async () => true,
    programs,
    dcmtk: DEFAULTS.dcmtk,
    tools: DEFAULTS.tools,
    pictures: 'all',
    folder: pictures,
    log: { ...silentLog, warn: fields => { if ('err' in fields) reasons.push(String(fields.err)) } },
    signal: new AbortController().signal
  }, new Set())
  const object = await readObject(path)
  const rendering = await renderer.finish([{
    object, sourcePath: path, sizeBytes: object.sizeBytes, transferSyntaxUid: object.transferSyntaxUid, fileId: 'X', instance: { sopInstanceUid: object.sopInstanceUid, sopClassUid: object.sopClassUid, instanceNumber: 1 }
  }])
  const leftBytes = readdirSync(pictures).reduce((sum, name) => sum + statSync(join(pictures, name)).size, 0)
  return { rendering, started: programs.started, leftBytes, reasons }
}

t.test('a program that takes more than it may ends, and no other', async t => {
  const programs = new Programs()
  const allocate = ['-c', 'import sys; bytearray(int(sys.argv[1])); print("done")']
  t.match(await programs.run('python3', [...allocate, String(400 * MIB)], { limits: { memoryBytes: 1024 * MIB } }), { exitCode: 0, stdout: 'done\n' })
  t.match(await programs.run('python3', [...allocate, String(1200 * MIB)], { limits: { memoryBytes: 1024 * MIB } }), { exitCode: 1, stderr: /MemoryError/ })
  const path = join(temporaryFolder(t), 'large')
  t.not((await programs.run('dd', ['if=/dev/zero', `of=${path}`, 'bs=1M', 'count=64'], { limits: { fileBytes: 8 * MIB } })).exitCode, 0)
  t.equal(statSync(path).size, 8 * MIB)
  t.match(await programs.run('printf', ['%s', '--as=1'], { limits: { memoryBytes: 1024 * MIB } }), { stdout: '--as=1' }, 'arguments are the program\'s')
  await t.rejects(programs.run('/nowhere/dcmj2pnm', [], { limits: { fileBytes: 1 } }), { name: 'ToolMissingError' })
})

t.test('an image of 60,000 x 60,000 pixels in 500 bytes', async t => {
  const { rendering, started, reasons, leftBytes } = await rendered(t, image(60_000, Buffer.alloc(64)))
  t.match({ rendering, started, reasons, leftBytes }, { rendering: { failed: true, pictures: [] }, started: 0, leftBytes: 0, reasons: [/60000 x 60000 pixels/] })
})

t.test('an image of 9,000 x 9,000 pixels in 500 bytes, of any number of frames: less than a frame is there', async t => {
  t.match(await rendered(t, image(9_000, Buffer.alloc(64))), { rendering: { failed: true }, started: 0, reasons: [/81000000 bytes, and has 64/] })
  t.match(await rendered(t, image(512, Buffer.alloc(64), [['00280008', 'IS', '2000000000']])), { rendering: { failed: true }, started: 0 })
})

t.test('compressed', async t => {
  t.match(await rendered(t, runLength(40_000)), { rendering: { failed: true }, started: 0, leftBytes: 0 })
  const large = await rendered(t, runLength(6_000))
  t.match(large, { rendering: { failed: false, pictures: [/./] } }, 'what a detector could have is drawn')
})

t.test('a report of thousands of pages', async t => {
  t.match(await rendered(t, report(20)), { rendering: { failed: false, documents: [{ extension: 'HTM' }] } })
  t.match(await rendered(t, report(90_000)), { rendering: { failed: true, documents: [] }, started: 0, leftBytes: 0, reasons: [/a report of \d\d MiB/] })
  const { rendering, leftBytes, reasons } = await rendered(t, report(40_000))
  t.match({ rendering, reasons }, { rendering: { failed: true, documents: [] }, reasons: [new RegExp(`its page has ${LARGEST_PAGE_BYTES}`)] })
  t.equal(leftBytes, 0, 'what was written is removed')
})

t.test('limits grow with the file, not with what it says', async t => {
  const path = join(temporaryFolder(t), 'file')
  writeFileSync(path, image(512, Buffer.alloc(512 * 512)))
  const real = await readObject(path)
  t.equal(pictureFault(real), undefined)
  t.equal(decodingFault(real), undefined)
  t.ok((pictureLimits(real).memoryBytes ?? Infinity) < 2_048 * MIB)
  t.ok((decodingLimits(real).fileBytes ?? Infinity) < 4 * MIB)
  writeFileSync(path, image(60_000, Buffer.alloc(64), [['00280008', 'IS', '1000']]))
  t.match(decodingFault(await readObject(path)), /3600000000000 bytes of pixels/)
  t.ok(existsSync(path))
})
