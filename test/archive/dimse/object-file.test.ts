/** The file that an object is written into: what came is what lies there, however it was cut and however quick the disk is. */
import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { fileHeader, ObjectFile } from '../../../src/archive/dimse/association/object-file.ts'
import { PromptDisk } from '../../../src/archive/dimse/association/prompt-disk.ts'
import { readObject } from '../../../src/dicom/part10.ts'
import { temporaryFolder } from '../../world.ts'
import { CT, dataSetOf, EXPLICIT } from './sender.ts'

const HEADER = fileHeader({ sopClassUid: CT, sopInstanceUid: '2.25.1.1', transferSyntaxUid: EXPLICIT, sourceAeTitle: 'SENDER' })
/** Of the pieces that are gathered: what lies about its edges is tried. */
const PIECE_BYTES = 256 * 1024
const FLOW = { pause () {}, resume () {} }

/** A disk whose operations are slow or quick as the list says, over and over. */
function diskOf (isSlow: readonly boolean[]): PromptDisk {
  let now = 0
  let asked = 0
  return new PromptDisk(() => {
    // an operation asks before and after; ten seconds later it is trusted again
    if (++asked % 2 === 0 && isSlow[(asked / 2) % isSlow.length] === true) now += 50
    else now += 3_000
    return now
  })
}

/** As it would come: cut anywhere, and with turns of the event loop between some of the pieces. */
async function write (file: ObjectFile, bytes: Buffer, cuts: ReadonlyArray<{ at: number, waits: boolean }>): Promise<void> {
  let from = 0
  for (const { at, waits } of [...cuts].sort((a, b) => a.at - b.at)) {
    const until = Math.floor(at * bytes.length)
    file.add(bytes.subarray(from, until))
    from = until
    if (waits) await new Promise(resolve => { setImmediate(resolve) })
  }
  file.add(bytes.subarray(from))
}

const sizes = fc.oneof(fc.integer({ min: 0, max: 2_000 }), fc.integer({ min: -600, max: 600 }).map(more => 2 * PIECE_BYTES + more), fc.integer({ min: 0, max: 24 * PIECE_BYTES }))
const cuts = fc.array(fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), waits: fc.boolean() }), { maxLength: 40 })

t.test('byte for byte what came, on a disk that is quick, slow, or both in turn', async t => {
  const folder = temporaryFolder(t)
  let written = 0
  await fc.assert(fc.asyncProperty(sizes, cuts, fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }), async (pixelBytes, cuts, isSlow) => {
    const path = join(folder, randomUUID())
    const dataSet = dataSetOf({ studyInstanceUid: '2.25.1', sopInstanceUid: '2.25.1.1', pixels: randomBytes(2 * Math.ceil((pixelBytes + 2) / 2)) })
    const file = new ObjectFile(path, HEADER, FLOW, diskOf(isSlow))
    await write(file, dataSet, cuts)
    const object = await file.finish()
    const isSame = readFileSync(path).equals(Buffer.concat([HEADER, dataSet]))
    const { sizeBytes, sopInstanceUid } = await readObject(path)
    await file.remove()
    written++
    return isSame && object.sizeBytes === sizeBytes && object.sopInstanceUid === sopInstanceUid && !existsSync(path)
  }), { numRuns: 150 })
  t.ok(written >= 150, `${written} objects`)
})

t.test('one that breaks off leaves nothing, wherever it breaks off', async t => {
  const folder = temporaryFolder(t)
  const dataSet = dataSetOf({ studyInstanceUid: '2.25.1', sopInstanceUid: '2.25.1.1', pixels: randomBytes(8 * PIECE_BYTES) })
  await fc.assert(fc.asyncProperty(fc.integer({ min: 0, max: dataSet.length }), cuts, fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }), async (bytes, cuts, isSlow) => {
    const path = join(folder, randomUUID())
    const file = new ObjectFile(path, HEADER, FLOW, diskOf(isSlow))
    await write(file, dataSet.subarray(0, bytes), cuts)
    await file.remove()
    return !existsSync(path)
  }), { numRuns: 100 })
  t.pass('nothing is left')
})
