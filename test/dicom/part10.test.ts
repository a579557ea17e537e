/** Whole is what the sender sent; cut off is what ends before its own lengths do; odd is neither. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, readlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { constants, deflateRawSync, deflateSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { inflate } from '../../src/dicom/inflate.ts'
import { CutOffError, NotDicomError, readObject, type DicomObject } from '../../src/dicom/part10.ts'
import { writeStudy } from '../../demo/phantoms/catalogue.ts'
import { oddStudies } from '../../demo/phantoms/studies.ts'
import { programsOf, temporaryFolder } from '../world.ts'
import {
  BIG_ENDIAN, el, EXPLICIT, file, fragments, identity, IMPLICIT, meta, pixels, sequence, SYNTAX_UIDS, u16, u32, WHO,
  type Syntax
} from './odd-files.ts'

const { explicit, implicit, bigEndian, deflated } = SYNTAX_UIDS

async function read (t: Test, bytes: Buffer, tags?: ReadonlySet<number>): Promise<DicomObject> {
  const path = join(temporaryFolder(t), 'file')
  writeFileSync(path, bytes)
  return await readObject(path, tags)
}

/** It is whole and says who it is. */
async function whole (t: Test, name: string, bytes: Buffer, remark?: RegExp): Promise<DicomObject> {
  const object = await read(t, bytes)
  t.match(object, { ...WHO, patient: { patientId: 'P1', patientName: 'Doe^Jane', birthDate: '19700131', sex: 'F' }, instanceNumber: 7 },
    name)
  if (remark === undefined) t.strictSame(object.remarks, [], name)
  else t.match(object.remarks.join('; '), remark, name)
  return object
}

async function cutOff (t: Test, name: string, bytes: Buffer, sopInstanceUid: string = WHO.sopInstanceUid): Promise<void> {
  await t.rejects(read(t, bytes), { name: 'CutOffError', sopInstanceUid }, name)
}

t.test('every kind of object, in every transfer syntax', async t => {
  const folder = temporaryFolder(t)
  const programs = programsOf(t)
  const instances = (await Promise.all(oddStudies().map(async study => await writeStudy(study, folder, programs)))).flat()
  for (const instance of instances) {
    const object = await readObject(instance.path)
    const { sopInstanceUid, sopClassUid, studyInstanceUid, seriesInstanceUid, instanceNumber } = instance
    t.match(object, { sopInstanceUid, sopClassUid, studyInstanceUid, seriesInstanceUid, remarks: [] })
    if (object.instanceNumber !== undefined) t.equal(object.instanceNumber, instanceNumber)
  }
  const uncompressed = instances.find(({ pixelDataSha256 }) => pixelDataSha256 !== undefined)?.path ?? ''
  const original = await readObject(uncompressed)
  for (const [option, syntax] of [['+ti', implicit], ['+tb', bigEndian], ['+td', deflated], ['-e', explicit]] as const) {
    const converted = join(folder, `converted${option}`)
    await programs.run('dcmconv', [option, uncompressed, converted])
    const object = await readObject(converted)
    t.equal(object.transferSyntaxUid, syntax)
    t.equal(object.sopInstanceUid, original.sopInstanceUid, option)
    t.strictSame([...object.attributes], [...original.attributes], `${option}: the same attributes, byte for byte`)
  }
  for (const instance of instances.filter(({ pixelDataSha256 }) => pixelDataSha256 !== undefined).slice(0, 3)) {
    const size = readFileSync(instance.path).length
    for (const length of [size - 1, size - 2, Math.floor(size / 2), 600, 200, 131, 0]) {
      const cut = join(folder, 'cut')
      writeFileSync(cut, readFileSync(instance.path))
      truncateSync(cut, length)
      await t.rejects(readObject(cut), length < 132 ? NotDicomError : CutOffError, `${length} of ${size} bytes`)
    }
  }
})

t.test('what is no DICOM file', async t => {
  for (const content of ['', 'text', 'x'.repeat(1_000), `${'\0'.repeat(128)}DICM${'\xff'.repeat(40)}`]) {
    await t.rejects(read(t, Buffer.from(content, 'latin1')), NotDicomError)
  }
})

t.test('what is odd is whole: VRs that are none', async t => {
  const { sop, patient, study, image } = identity()
  for (const letters of ['  ', '\0\0', '--', '??', 'ZZ', 'lo', '\x7f\x01']) {
    for (const [name, tag, value] of [['private', 0x00091001, 'some text'], ['empty', 0x00091001, ''],
      ['of the standard', 0x00081030, 'Chest']] as const) {
      await whole(t, `${JSON.stringify(letters)} ${name}`, file(explicit, sop, el(tag, letters, value), patient, study, image,
        pixels()).subarray(0), /not encoded|^$/)
    }
    const all = identity(EXPLICIT, () => letters)
    await whole(t, `${JSON.stringify(letters)} everywhere`, file(explicit, all.sop, all.patient, all.study, all.image, pixels()),
      /not encoded/)
  }
  const long = Buffer.concat([u16(0x0009), u16(0x1001), Buffer.from('ZZ\0\0'), u32(70_000), Buffer.alloc(70_000, 1)])
  await whole(t, 'a VR of the future, with a long length', file(explicit, sop, long, patient, study, image, pixels()), /not encoded/)
  const odd = Buffer.concat([u16(0x0009), u16(0x1001), Buffer.from('UN'), u16(4), Buffer.from('abcd')])
  await whole(t, 'UN with a short length', file(explicit, sop, odd, patient, study, image, pixels()), /not encoded/)
})

t.test('what is odd is whole: one encoding within another', async t => {
  const [own, other] = [identity(EXPLICIT), identity(IMPLICIT)]
  const syntaxes: Array<[string, string, typeof own, Syntax, typeof own, Syntax]> = [
    ['implicit in explicit', explicit, own, EXPLICIT, other, IMPLICIT], ['explicit in implicit', implicit, other, IMPLICIT, own, EXPLICIT]
  ]
  for (const [name, uid, outer, syntax, inner, odd] of syntaxes) {
    await whole(t, `${name}: patient`, file(uid, outer.sop, inner.patient, outer.study, outer.image, pixels(syntax)), /not encoded/)
    await whole(t, `${name}: who it is`, file(uid, outer.sop, outer.patient, inner.study, inner.image, pixels(syntax)), /not encoded/)
    await whole(t, `${name}: all but the first`, file(uid, outer.sop, inner.patient, inner.study, inner.image, pixels(odd)), /not encoded/)
    await whole(t, `${name}: all`, file(uid, inner.sop, inner.patient, inner.study, inner.image, pixels(odd)),
      /not encoded as its transfer syntax says/)
    const code = Buffer.concat([el(0x00080100, 'SH', 'T-1', odd), el(0x00080104, 'LO', 'Something', odd)])
    for (const undefinedLength of [true, false]) {
      for (const undefinedItems of [true, false]) {
        const items = sequence(0x00082218, [code, code], syntax, { undefinedLength, undefinedItems })
        await whole(t, `${name}: items, ${String(undefinedLength)} ${String(undefinedItems)}`,
          file(uid, outer.sop, items, outer.patient, outer.study, outer.image, pixels(syntax)), /not encoded|^$/)
      }
    }
  }
  const big = identity(BIG_ENDIAN)
  await whole(t, 'big endian', file(bigEndian, big.sop, big.patient, big.study, big.image, pixels(BIG_ENDIAN)))
  await whole(t, 'big endian that says explicit', file(explicit, big.sop, big.patient, big.study, big.image, pixels(BIG_ENDIAN)),
    /transfer syntax/)
  await whole(t, 'a transfer syntax of nobody', file('1.2.3.4', own.sop, own.patient, own.study, own.image, pixels()))
  const none = file(explicit, other.sop, other.patient, other.study, other.image, pixels(IMPLICIT))
  await whole(t, 'no transfer syntax', Buffer.from(none.toString('latin1').replace('\x02\0\x10\0UI', '\x02\0\x11\0UI'), 'latin1'),
    /transfer syntax/)
})

t.test('what is odd is whole: what follows the last element', async t => {
  const { sop, patient, study, image } = identity()
  const plain = [sop, patient, study, image] as const
  const bare = identity(IMPLICIT)
  for (const [name, tail] of [['zeros', Buffer.alloc(100)], ['two zeros', Buffer.alloc(2)], ['20,000 zeros', Buffer.alloc(20_000)],
    ['a line end', Buffer.from('\r\n')],
    ['text', Buffer.from('and this is no element at all')], ['seven bytes', Buffer.from('garbage')], ['noise', Buffer.alloc(64, 0xEE)],
    ['a letter', Buffer.from('A')]] as const) {
    await whole(t, `${name} after pixel data`, file(explicit, ...plain, pixels(), tail))
    await whole(t, `${name} after a data set without`, file(explicit, ...plain, tail), /./)
    await whole(t, `${name} after an implicit one`, file(implicit, bare.sop, bare.patient, bare.study, bare.image, tail), /./)
  }
  await whole(t, 'padding of the standard', file(explicit, ...plain, pixels(), el(0xFFFCFFFC, 'OB', Buffer.alloc(30))))
  await whole(t, 'frames without their last delimiter', file(explicit, ...plain, fragments([Buffer.alloc(10)], false)), /last delimiter/)
  await whole(t, 'zeros after frames without it', file(explicit, ...plain, fragments([Buffer.alloc(10)], false), Buffer.alloc(20)),
    /last delimiter/)
  await whole(t, 'frames', file(explicit, ...plain, fragments([Buffer.alloc(10)])))
})

t.test('what is odd is whole: meta information, UIDs, order', async t => {
  const { sop, patient, study, image } = identity()
  const rest = [sop, patient, study, image, pixels()] as const
  for (const [name, element] of [['private information', el(0x00020102, 'OB', Buffer.alloc(40_000))],
    ['a blank VR', el(0x00020013, '  ', 'NAME')], ['unknown', el(0x00020026, 'UR', 'dicom:x')],
    ['an implicit one', el(0x00020013, '', 'NAME', IMPLICIT)]] as const) {
    await whole(t, name, Buffer.concat([meta(explicit, [element]), ...rest]))
  }
  const wrongLength = Buffer.concat([meta(explicit), ...rest])
  wrongLength.writeUInt32LE(7, 140)
  await whole(t, 'a wrong group length', wrongLength)
  for (const uid of ['LOCALIZER1.2.3', '1.02.003', '1.2.3-x', '..', '../../..', '1.2.3 ']) {
    const object = await read(t, file(explicit, el(0x00080018, 'UI', uid), patient, study, pixels()))
    t.equal(object.sopInstanceUid, uid.trim(), 'as it stands there; whoever uses it checks it')
  }
  t.equal((await read(t, Buffer.concat([meta(explicit, [], '1.9'), el(0x00080016, 'UI', '1.2'), patient, study,
    pixels()]))).sopInstanceUid, '1.9', 'of the meta information where there is none')
  t.match((await read(t, Buffer.concat([meta(explicit, [], '1.9'), ...rest]))).remarks, [/calls it 1\.9/])
  await whole(t, 'out of order', file(explicit, patient, sop, study, image, pixels()), /not in order/)
  await whole(t, 'group lengths', file(explicit, el(0x00080000, 'UL', u32(4)), sop, el(0x00100000, 'UL', u32(99)), patient, study, image,
    pixels()))
})

t.test('sequences that nobody can follow', async t => {
  const { sop, patient, study, image } = identity()
  const other = el(0x0020000D, 'UI', '9.9.9')
  const broken = (inner: Buffer): Buffer => Buffer.concat([el(0x00091010, 'SQ', inner, EXPLICIT, 0xFFFFFFFF),
    Buffer.from('feffdde000000000', 'hex')])
  await whole(t, 'noise', file(explicit, sop, broken(Buffer.alloc(100, 0xEE)), patient, study, image, pixels()), /cannot be followed/)
  const inner = sequence(0x00081111, [el(0x00081155, 'UI', '9.9.9')], EXPLICIT, { undefinedLength: true })
  const nested = Buffer.concat([Buffer.alloc(64, 0xEE), inner, other, Buffer.from('feff0de000000000', 'hex')])
  await whole(t, 'noise, a sequence within it, and the UID of another study',
    file(explicit, sop, broken(nested), patient, study, image, pixels()), /cannot be followed/)
  let deep = el(0x00081155, 'UI', '9.9.9')
  for (let depth = 0; depth < 40; depth++) {
    deep = sequence(0x00081111, [deep], EXPLICIT,
      { undefinedLength: depth % 2 === 0, undefinedItems: depth % 3 === 0 })
  }
  const tooDeep = await read(t, file(explicit, sop, deep, patient, study, image, pixels()), new Set([0x00081111]))
  t.equal(tooDeep.studyInstanceUid, WHO.studyInstanceUid)
  t.notOk(tooDeep.attributes.has(0x00081111))
  t.match(tooDeep.remarks, [/left out/])
  for (let depth = 0; depth < 3_000; depth++) deep = sequence(0x00081111, [deep], EXPLICIT, { undefinedLength: true, undefinedItems: true })
  const object = await read(t, file(explicit, sop, deep, patient, study, image, pixels()), new Set([0x00081111]))
  t.equal(object.sopInstanceUid, WHO.sopInstanceUid, 'three thousand sequences within each other end nothing')
  t.not(object.studyInstanceUid, '9.9.9')
  const stray = Buffer.concat([sequence(0x00081111, [el(0x00081155, 'UI', '9.9.9')]), Buffer.from('feffdde000000000', 'hex')])
  await whole(t, 'a delimiter after a sequence that has a length', file(explicit, sop, stray, patient, study, image, pixels()), /delimiter/)
  const wrong = el(0x00081111, 'SQ', Buffer.alloc(50, 0xEE))
  await whole(t, 'noise in a sequence that has a length', file(explicit, sop, wrong, patient, study, image, pixels()))
})

t.test('what is cut off', async t => {
  const { sop, patient, study, image } = identity()
  const plain = [sop, patient, study, image] as const
  const bare = identity(IMPLICIT)
  const without = (bytes: Buffer, count: number): Buffer => bytes.subarray(0, bytes.length - count)
  for (const count of [1, 7]) {
    await cutOff(t, 'pixel data', without(file(explicit, ...plain, pixels()), count))
    await cutOff(t, 'implicit pixel data', without(file(implicit, bare.sop, bare.patient, bare.study, bare.image, pixels(IMPLICIT)), count))
    await cutOff(t, 'pixel data after a VR of blanks', without(file(explicit, sop, el(0x00091001, '  ', 'text'), patient, study, image,
      pixels()), count))
    await cutOff(t, 'a fragment', without(file(explicit, ...plain, fragments([Buffer.alloc(10), Buffer.alloc(10)], false)), count))
    await cutOff(t, 'a value without pixel data behind it', without(file(explicit, ...plain, el(0x0040A730, 'OB', Buffer.alloc(100))),
      count))
    await cutOff(t, 'a private implicit value', without(file(implicit, bare.sop, bare.patient, bare.study,
      el(0x00291010, 'OB', Buffer.alloc(100), IMPLICIT)), count))
    await cutOff(t, 'a sequence', without(file(explicit, ...plain, sequence(0x0040A730, [el(0x0040A160, 'UT', 'text')])), count))
    await cutOff(t, 'a sequence of undefined length', without(file(explicit, ...plain,
      sequence(0x0040A730, [el(0x0040A160, 'UT', 'text')], EXPLICIT, { undefinedLength: true, undefinedItems: true })), count))
  }
  await cutOff(t, 'before it says who it is', file(explicit, sop, patient).subarray(0, -3))
  await cutOff(t, 'in the header of an element', Buffer.concat([file(explicit, ...plain), pixels().subarray(0, 7)]))
  await cutOff(t, 'in a long header', Buffer.concat([file(explicit, ...plain), pixels().subarray(0, 10)]))
  await cutOff(t, 'in the last delimiter', without(file(explicit, ...plain, fragments([Buffer.alloc(10)])), 3))
  const frames = Buffer.concat([el(0x00280008, 'IS', '4'), image.subarray(10)])
  await cutOff(t, 'two frames of four, at the end of a fragment',
    file(explicit, sop, patient, study, frames, fragments([Buffer.alloc(10), Buffer.alloc(10)], false)))
  await cutOff(t, 'no data set', meta(explicit, [], '1.9'), '1.9')
  await cutOff(t, 'in the meta information', meta(explicit, [el(0x00020102, 'OB', Buffer.alloc(100))], '1.9').subarray(0, -50), '1.9')
})

t.test('a deflated data set', async t => {
  const { sop, patient, study, image } = identity()
  const noise = Buffer.alloc(60_000).map((_, index) => createHash('md5').update(String(index)).digest()[0] ?? 0)
  const inner = Buffer.concat([sop, patient, study, image, el(0x7FE00010, 'OW', Buffer.from(noise))])
  const packed = deflateRawSync(inner)
  await whole(t, 'whole', file(deflated, packed))
  await whole(t, 'padded', file(deflated, packed, Buffer.alloc(1)))
  await whole(t, 'with a header of RFC 1950', file(deflated, deflateSync(inner)))
  await whole(t, 'not deflated at all', file(deflated, inner))
  for (const length of [packed.length - 1, packed.length - 400, Math.floor(packed.length / 2), 700]) {
    await cutOff(t, `${length} bytes`,
      file(deflated, packed.subarray(0, length)))
  }
  await cutOff(t, 'three bytes', file(deflated, packed.subarray(0, 3)), '')
  const corrupt = deflateSync(inner)
  corrupt.fill(0xFF, 20_000, 20_040)
  await cutOff(t, 'corrupt', file(deflated, corrupt))
  await cutOff(t, 'whole, of a data set that is cut off', file(deflated, deflateRawSync(inner.subarray(0, -10))))
  const bomb = Buffer.concat([sop, patient, study, image, el(0x7FE00010, 'OB', Buffer.alloc(200 * 1024 ** 2))])
  const before = process.memoryUsage().rss
  await whole(t, 'much from little', file(deflated, deflateRawSync(bomb, { level: 1 })))
  t.ok(process.memoryUsage().rss - before < 400 * 1024 ** 2)
})

t.test('a deflated data set that never ends: neither an error of a stream, nor memory of each of many at once', async t => {
  const { sop, patient, study, image } = identity()
  // a block that is flushed in full stands by itself
  const flushed = (bytes: Buffer): Buffer => deflateRawSync(bytes, { finishFlush: constants.Z_FULL_FLUSH })
  const head = Buffer.concat([sop, patient, study, image, el(0x7FE00010, 'OB', Buffer.alloc(0), EXPLICIT, 0xF0000000)])
  const packed = Buffer.concat([flushed(head), ...Array<Buffer>(1_100).fill(flushed(Buffer.alloc(1024 ** 2)))])
  t.ok(packed.length < 2 * 1024 ** 2)
  const object = await whole(t, 'too large', file(deflated, packed), /larger than 1 GiB/)
  t.match(object, { sizeBytes: packed.length + meta(deflated).length, pixelData: undefined })
  const path = join(temporaryFolder(t), 'packed')
  writeFileSync(path, packed)
  let most = 0
  let isLooking = true
  // in each turn of the event loop, since each begins and ends in one
  const look = (): void => {
    most = Math.max(most, readdirSync('/proc/self/fd').filter(name => {
      try { return readlinkSync(`/proc/self/fd/${name}`) === path } catch { return false }
    }).length)
    if (isLooking) setImmediate(look)
  }
  look()
  t.teardown(() => { isLooking = false })
  const ends = await Promise.all(Array.from({ length: 20 }, async () => {
    const { end, beginning } = await inflate(path, 0, false, 32 * 1024 ** 2)
    return `${end} ${beginning.length}`
  }))
  t.strictSame(new Set(ends), new Set([`too-large ${16 * 1024 ** 2}`]))
  t.ok(most >= 1 && most <= 2, `${most} at once`)
})

t.test('what a patient is called', async t => {
  const { sop, study, image } = identity()
  const named = async (characterSet: string | undefined, name: Buffer): Promise<string> => (await read(t, file(explicit,
    ...(characterSet === undefined ? [] : [el(0x00080005, 'CS', characterSet)]), sop, el(0x00100010, 'PN', name), study, image,
    pixels()))).patient.patientName
  const utf8 = Buffer.from('Żółć^Łucja', 'utf8')
  for (const set of [undefined, '', 'UTF-8', 'ISO_IR_192', 'ISO-IR 192', 'ISO_IR 192', 'ISO_IR 999', 'nonsense', 'ISO_IR 100', 'ISO_IR 6',
    '\\ISO 2022 IR 87', 'ISO_IR 144']) {
    t.equal(await named(set, utf8), 'Żółć^Łucja', `UTF-8 as ${String(set)}`)
  }
  t.equal(await named('ISO_IR 100', Buffer.from('M\xfcller', 'latin1')), 'Müller')
  t.equal(await named(undefined, Buffer.from('M\xfcller', 'latin1')), 'Müller', 'nothing declared, and no UTF-8')
  t.equal(await named('ISO_IR100', Buffer.from('M\xfcller', 'latin1')), 'Müller', 'misspelt')
  t.equal(await named('ISO_IR 144', Buffer.from([0xB8, 0xD2, 0xD0, 0xDD])), 'Иван')
  t.equal(await named('GB18030', Buffer.from('cdf5', 'hex')), '王')
  t.equal(await named('ISO_IR 192', Buffer.from('M\xfcller', 'latin1')), 'M\uFFFDller', 'what cannot be read says so')
})

t.test('where the pixels stand', async t => {
  const folder = temporaryFolder(t)
  const programs = programsOf(t)
  const [study] = oddStudies()
  if (study === undefined) throw new Error('no study')
  const [instance, compressed] = await writeStudy({ ...study, series: [{ kind: 'CT', count: 1 }, { kind: 'CT-jpeg', count: 1 }] }, folder, programs)
  const path = instance?.path ?? ''
  const copy = join(folder, 'copy')
  const pixelsAt = async (at: string): Promise<Buffer> => {
    const { pixelData } = await readObject(at)
    return pixelData === undefined ? Buffer.alloc(0) : readFileSync(at).subarray(pixelData.offset, pixelData.offset + pixelData.lengthBytes)
  }
  const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
  t.equal(sha256(await pixelsAt(path)), instance?.pixelDataSha256)
  await programs.run('dcmconv', ['+ti', path, copy])
  t.equal(sha256(await pixelsAt(copy)), instance?.pixelDataSha256, 'implicit VR')
  await programs.run('dcmconv', ['+tb', path, copy])
  t.equal(sha256((await pixelsAt(copy)).swap16()), instance?.pixelDataSha256, 'big endian')
  await programs.run('dcmconv', ['+td', path, copy])
  t.equal((await readObject(copy)).pixelData, undefined, 'deflated')
  const fragments = await pixelsAt(compressed?.path ?? '')
  t.equal((await readObject(compressed?.path ?? '')).pixelData?.encapsulated, true)
  t.strictSame([fragments.readUInt32LE(0), fragments.readUInt32LE(fragments.length - 8)], [0xE000FFFE, 0xE0DDFFFE], 'from the first item to the last delimiter')
  // explicit VR little endian that is called big endian: the data set can be read, its pixels would be wrong
  const bytes = readFileSync(path)
  const at = bytes.indexOf('1.2.840.10008.1.2.1\0', 132)
  bytes.write('1.2.840.10008.1.2.2\0', at, 'latin1')
  writeFileSync(copy, bytes)
  const mislabelled = await readObject(copy)
  t.match(mislabelled.remarks.join(), 'not encoded as its transfer syntax says')
  t.equal(mislabelled.pixelData, undefined)
})
