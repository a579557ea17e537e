/** What is worked out while images arrive is what would be worked out when the disc is made. */
import t from 'tap'
import { writeStudy } from '../../demo/phantoms/catalogue.ts'
import { demoStudies, oddStudies } from '../../demo/phantoms/studies.ts'
import { Attributes } from '../../src/dicom/attributes.ts'
import { readObject, type DicomObject } from '../../src/dicom/part10.ts'
import { Beforehand } from '../../src/disc/beforehand.ts'
import { recordOf } from '../../src/disc/dicomdir/records.ts'
import { describeBeforehand, describeFile } from '../../src/disc/viewer/image-description.ts'
import { eventually } from '../eventually.ts'
import { programsOf, temporaryFolder } from '../world.ts'

const programs = programsOf(t)
const turns = async (count: number): Promise<void> => { for (let n = 0; n < count; n++) await new Promise(resolve => { setImmediate(resolve) }) }

/** Counts how often somebody reads it. */
function counted (object: DicomObject): { object: DicomObject, reads: () => number } {
  let reads = 0
  return {
    object: {
      ...object,
      get attributes () {
        reads++
        return object.attributes
      }
    },
    reads: () => reads
  }
}

t.test('the same as afterwards, for every kind of image; and nothing is left to do', async t => {
  const studies = [...oddStudies(), ...demoStudies().filter(({ accessionNumber }) => /^(MR|US|CR)\.2024\.001/.test(accessionNumber))]
  const paths = (await Promise.all(studies.map(async study => await writeStudy(study, temporaryFolder(t), programs)))).flat().map(({ path }) => path)
  const beforehand = new Beforehand(true)
  let kept = 0
  await Promise.all(paths.map(async path => {
    const { object, reads } = counted(await readObject(path))
    beforehand.add(object)
    t.equal(reads(), 0, 'whoever brings it does not wait')
    t.ok(await eventually(() => reads() > 0, 1))
    await turns(paths.length)
    const before = reads()
    const record = recordOf(object)
    const description = describeBeforehand(object)
    if (reads() === before) kept++
    const fresh = await readObject(path)
    t.strictSame(record, recordOf(fresh))
    const file = { sourcePath: path, sizeBytes: fresh.sizeBytes, transferSyntaxUid: fresh.transferSyntaxUid }
    if (description !== undefined) t.strictSame(description, await describeFile({ object: fresh, ...file }))
    t.strictSame(await describeFile({ object, ...file }), await describeFile({ object: fresh, ...file }))
  }))
  t.ok(kept > 40, `${kept} of ${paths.length} are read no more: the others say more than is kept of every image`)
})

t.test('without the viewer only the record; one that cannot be described stops nobody; after the end nothing', async t => {
  const study = demoStudies().find(({ accessionNumber }) => accessionNumber === 'MR.2024.001')
  const [path = ''] = study === undefined ? [] : (await writeStudy(study, temporaryFolder(t), programs)).map(({ path }) => path)
  const bad = { ...await readObject(path), attributes: new Attributes(Buffer.from('0800', 'hex')) }
  t.throws(() => describeBeforehand(bad))
  const { object, reads } = counted(await readObject(path))
  const [withViewer, without] = [new Beforehand(true), new Beforehand(false)]
  without.add(object)
  t.ok(await eventually(() => reads() > 0, 1))
  await turns(3)
  const ofRecord = reads()
  recordOf(object)
  t.equal(reads(), ofRecord, 'the record is there')
  describeBeforehand(object)
  t.ok(reads() > ofRecord, 'the description is not')

  const next = counted(await readObject(path))
  // the last comes first
  withViewer.add(next.object)
  withViewer.add(bad)
  t.ok(await eventually(() => next.reads() > 0, 1))

  const late = counted(await readObject(path))
  withViewer.add(late.object)
  withViewer.end()
  await turns(3)
  t.equal(late.reads(), 0)
})
