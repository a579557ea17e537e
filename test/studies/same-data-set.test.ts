/** Whether two files hold the same object, whoever wrote what stands before the data set. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readObject } from '../../src/dicom/part10.ts'
import { sameDataSet } from '../../src/studies/same-data-set.ts'
import { bytesOf, type MadeImage } from '../made-images.ts'
import { temporaryFolder } from '../world.ts'

const IMAGE: MadeImage = {
  accessionNumber: 'X', studyInstanceUid: '1.2', seriesInstanceUid: '1.2.3', sopInstanceUid: '1.2.3.4', patient: { patientId: 'P', patientName: 'DOE^JOHN', birthDate: '19700101', sex: 'M' }, content: 'one'
}
/** (0002,0000) takes 12 bytes behind the prefix. */
const withoutGroupLength = (bytes: Buffer): Buffer => Buffer.concat([bytes.subarray(0, 132), bytes.subarray(144)])

t.test('files whose meta information has no length, as some servers send them over HTTP', async t => {
  const folder = temporaryFolder(t, 'same')
  const held = async (name: string, bytes: Buffer): Promise<{ path: string, object: Awaited<ReturnType<typeof readObject>> }> => {
    const path = join(folder, name)
    writeFileSync(path, bytes)
    return { path, object: await readObject(path) }
  }
  const one = await held('one', bytesOf(IMAGE))
  const bare = await held('bare', withoutGroupLength(bytesOf(IMAGE)))
  const other = await held('other', withoutGroupLength(bytesOf({ ...IMAGE, content: 'other' })))
  t.equal(await sameDataSet(one, bare), true, 'the same object, with and without the length')
  t.equal(await sameDataSet(bare, other), false, 'two objects of one size')
  t.equal(await sameDataSet(one, other), false)
})
