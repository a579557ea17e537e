/** Whatever a file holds: an object, or one of two errors; and one meaning has one encoding. */
import assert from 'node:assert'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { CutOffError, NotDicomError, readBeginning, readObject, type DicomObject } from '../../src/dicom/part10.ts'
import { identityKey } from '../../src/dicom/study.ts'
import { recordOf } from '../../src/disc/dicomdir/records.ts'
import { writeStudy } from '../../demo/phantoms/catalogue.ts'
import { ctStudy, oddStudies } from '../../demo/phantoms/studies.ts'
import { programsOf, temporaryFolder } from '../world.ts'
import { BIG_ENDIAN, el, EXPLICIT, file, identity, IMPLICIT, pixels, sequence, SYNTAX_UIDS, WHO, type Syntax } from './odd-files.ts'

const RUNS = 1_500
const DEFLATED = '1.2.840.10008.1.2.1.99'

interface Change { at: number, remove: number, bytes: Uint8Array }

const change = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  remove: fc.oneof(fc.constant(0), fc.nat(4), fc.nat(2_000)),
  bytes: fc.oneof(
    fc.uint8Array({ maxLength: 6 }),
    // what means something there
    fc.constantFrom(
      'feffdde000000000', 'feff0de000000000', 'feff00e0ffffffff', 'ffffffff', '5351', '554e0000ffffffff', '2020', '0000', '20000d00',
      'e07f10004f570000'
    ).map(hex => Buffer.from(hex, 'hex'))
  )
})

function changed (original: Buffer, changes: readonly Change[], from = 0): Buffer {
  return changes.reduce((bytes, { at, remove, bytes: put }) => {
    const start = from + Math.floor(at * (bytes.length - from))
    return Buffer.concat([bytes.subarray(0, start), put, bytes.subarray(start + remove)])
  }, original)
}

t.test('bytes that were changed anywhere, and files that were cut anywhere', async t => {
  const folder = temporaryFolder(t)
  const programs = programsOf(t)
  const study = ctStudy('FUZZ', 1, undefined, 16)
  const kinds = ['SR', 'GSPS', 'KO', 'ECG', 'CT-jpeg', 'XA-multiframe-jpeg']
  const small = { count: 1, rows: 32, columns: 32 }
  const odd = oddStudies().map(one => ({
    ...one, series: one.series.filter(({ kind }) => kinds.includes(kind)).map(series => ({
      ...series,
      ...small
    }))
  }))
  const written = await Promise.all([study, ...odd].map(async one => await writeStudy(one, folder, programs)))
  const instances = written.flat()
  const originals = await Promise.all(instances.map(async ({ path }) => ({ bytes: readFileSync(path), object: await readObject(path) })))
  const implicit = join(folder, 'implicit')
  await programs.run('dcmconv', ['+ti', instances[0]?.path ?? '', implicit])
  originals.push({ bytes: readFileSync(implicit), object: await readObject(implicit) })
  t.ok(originals.length > 3, `${originals.length} originals`)
  const path = join(folder, 'changed')
  const read = async (bytes: Buffer): Promise<DicomObject | CutOffError | NotDicomError> => {
    writeFileSync(path, bytes)
    try {
      return await readObject(path)
    } catch (error) {
      if (error instanceof CutOffError || error instanceof NotDicomError) return error
      throw error
    }
  }
  await t.test('nothing but two errors, and a record or a reason', async () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true })
    await fc.assert(fc.asyncProperty(fc.constantFrom(...originals), fc.array(change, { maxLength: 4 }), share,
      async (original, changes, cut) => {
        const bytes = changed(original.bytes, changes)
        const object = await read(cut < 0.7 ? bytes : bytes.subarray(0, Math.floor(bytes.length * cut)))
        if (!(object instanceof Error)) recordOf(object)
      }), { numRuns: RUNS })
  })
  await t.test('the beginning of a file tells what the file tells, or nothing', async t => {
    const share = fc.double({ min: 0, max: 1, noNaN: true })
    let told = 0
    await fc.assert(fc.asyncProperty(fc.constantFrom(...originals), fc.oneof(fc.constant([]), fc.array(change, { maxLength: 2 })), share, share,
      async (original, changes, cut, part) => {
        const whole = changed(original.bytes, changes)
        const bytes = cut < 0.7 ? whole : whole.subarray(0, Math.floor(whole.length * cut))
        // a copy, so that what stands behind it is not there by chance
        const object = readBeginning(Buffer.from(bytes.subarray(0, Math.ceil(bytes.length * Math.min(1, part * 2)))), bytes.length)
        if (object === undefined) return
        told++
        assert.deepStrictEqual(object, await read(bytes))
      }), { numRuns: RUNS * 2 })
    t.ok(told > RUNS / 30, `${told} times it told`)
    for (const { bytes, object } of originals) if (object.transferSyntaxUid !== DEFLATED) assert.deepStrictEqual(readBeginning(bytes, bytes.length), object)
  })
  await t.test('who it is stands, where those elements do', async () => {
    await fc.assert(fc.asyncProperty(fc.constantFrom(...originals), fc.array(change, { maxLength: 4 }),
      async ({ bytes, object }, changes) => {
      // behind Instance Number (0020,0013)
        const intact = bytes.indexOf(Buffer.from('20001300', 'hex')) + 14
        const found = await read(changed(bytes, changes, intact))
        if (found instanceof NotDicomError) throw found
        fc.pre(object.sopInstanceUid !== '')
        if (found.sopInstanceUid !== object.sopInstanceUid) throw new Error(`${found.sopInstanceUid} is not ${object.sopInstanceUid}`)
        if (found instanceof CutOffError) return
        if (identityKey(found) !== identityKey(object) || found.patient.patientName !== object.patient.patientName) throw new Error('somebody else')
      }), { numRuns: RUNS })
  })
  await t.test('pixel data that are cut off are found out', async t => {
    const images = originals.filter(({ bytes }) => pixelDataAt(bytes) > 0)
    t.ok(images.length > 1)
    await fc.assert(fc.asyncProperty(fc.constantFrom(...images), fc.double({ min: 0, max: 1, noNaN: true }),
      async ({ bytes, object }, share) => {
        const start = pixelDataAt(bytes) + 4
        const cut = bytes.subarray(0, start + Math.floor(share * (bytes.length - start)))
        fc.pre(cut.length < bytes.length)
        const found = await read(cut)
        if (!(found instanceof CutOffError) || found.sopInstanceUid !== object.sopInstanceUid) throw new Error(`${cut.length} of ${bytes.length} bytes`)
      }), { numRuns: 500 })
  })
})

function pixelDataAt (bytes: Buffer): number {
  return Math.max(bytes.lastIndexOf(Buffer.from('e07f1000', 'hex')), -1)
}

/** An element of an item, of which every encoding can be made. */
interface Leaf { tag: number, vr: string, write: (syntax: Syntax) => Buffer }
interface Branch { tag: number, items: ReadonlyArray<readonly Node[]> }
type Node = Leaf | Branch

const TEXTS: ReadonlyArray<readonly [number, string]> = [
  [0x00080100, 'SH'], [0x00080102, 'SH'], [0x00080104, 'LO'], [0x00081150, 'UI'], [0x00081155, 'UI'], [0x00081160, 'IS'],
  [0x00080060, 'CS'], [0x0040A160, 'UT'], [0x0040A123, 'PN'],
  [0x0040A121, 'DA'], [0x0040A30A, 'DS']
]
const NUMBERS: ReadonlyArray<readonly [number, string, number]> = [[0x00280010, 'US', 2], [0x00280009, 'AT', 2], [0x0040A132, 'UL', 4],
  [0x00700022, 'FL', 4], [0x0040A161, 'FD', 8]]
const SEQUENCES = [0x00081199, 0x0040A168, 0x0040A043, 0x00081140]

const leaf: fc.Arbitrary<Leaf> = fc.oneof(
  fc.tuple(fc.constantFrom(...TEXTS), fc.string({ maxLength: 12 })).map(([[tag, vr], text]) => ({
    tag, vr,
    write: () => Buffer.from(text.replaceAll('\0', ''), 'utf8')
  })),
  fc.tuple(fc.constantFrom(...NUMBERS), fc.uint8Array({ minLength: 8, maxLength: 8 })).map(([[tag, vr, size], bytes]) => ({
    tag,
    vr,
    write: ({ littleEndian }: Syntax) => {
      const value = Buffer.from(bytes)
      if (littleEndian) return value
      return size === 2 ? value.swap16() : size === 4 ? value.swap32() : value.swap64()
    }
  }))
)

const { items } = fc.letrec<{ items: ReadonlyArray<readonly Node[]>, node: Node }>(tie => ({
  items: fc.array(fc.uniqueArray(tie('node'), {
    maxLength: 5,
    selector: ({ tag }) => tag
  }).map(nodes => [...nodes].sort((a, b) => a.tag - b.tag)), { maxLength: 3 }),
  node: fc.oneof({ maxDepth: 4 }, leaf, fc.record({ tag: fc.constantFrom(...SEQUENCES), items: tie('items') }))
}))

interface Form { syntax: Syntax, unknown: boolean, lengths: () => boolean }

function encode (nodes: readonly Node[], form: Form): Buffer {
  const { syntax, unknown, lengths } = form
  return Buffer.concat(nodes.map(node => {
    // the value of UN is implicit VR little endian (PS3.5 6.2.2)
    if (!('items' in node)) return el(node.tag, unknown && syntax.explicit ? 'UN' : node.vr, pad(node.write(syntax), node.vr), syntax)
    const inside = unknown && syntax.explicit ? IMPLICIT : syntax
    const bodies = node.items.map(item => encode(item, { ...form, syntax: inside }))
    return sequence(node.tag, bodies, syntax, {
      inside, vr: inside === syntax ? 'SQ' : 'UN', undefinedLength: lengths(),
      undefinedItems: lengths()
    })
  }))
}

function pad (bytes: Buffer, vr: string): Buffer {
  return bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.from(vr === 'UI' ? '\0' : ' ')])
}

t.test('one meaning has one encoding', async t => {
  const folder = temporaryFolder(t)
  const path = join(folder, 'file')
  await fc.assert(fc.asyncProperty(items, fc.infiniteStream(fc.boolean()), async (generated, booleans) => {
    const lengths = (): boolean => booleans.next().value === true
    const node: Branch = { tag: 0x00081115, items: generated }
    const forms: Array<[string, Form]> = [
      [SYNTAX_UIDS.explicit, { syntax: EXPLICIT, unknown: false, lengths: () => false }],
      [SYNTAX_UIDS.explicit, { syntax: EXPLICIT, unknown: false, lengths }],
      [SYNTAX_UIDS.explicit, { syntax: EXPLICIT, unknown: true, lengths }],
      [SYNTAX_UIDS.implicit, { syntax: IMPLICIT, unknown: false, lengths }],
      [SYNTAX_UIDS.bigEndian, { syntax: BIG_ENDIAN, unknown: false, lengths }]
    ]
    const seen: string[] = []
    for (const [uid, form] of forms) {
      const { sop, patient, study, image } = identity(form.syntax)
      writeFileSync(path, file(uid, sop, encode([node], form), patient, study, image, pixels(form.syntax)))
      const object = await readObject(path)
      if (object.remarks.length > 0) throw new Error(object.remarks.join('; '))
      if (object.studyInstanceUid !== WHO.studyInstanceUid) throw new Error('somebody else')
      seen.push(object.attributes.value(0x00081115)?.toString('hex') ?? 'nothing')
    }
    const explicit = encode([node], { syntax: EXPLICIT, unknown: false, lengths: () => false }).subarray(12).toString('hex')
    for (const one of seen) if (one !== explicit) throw new Error(`${one} is not ${explicit}`)
  }), { numRuns: 1_000 })
})
