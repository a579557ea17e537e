/** A file that is cut off anywhere is not a whole image. */
import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { CutOffError, NotDicomError, readObject } from '../../src/dicom/part10.ts'
import { writeStudy } from '../../demo/phantoms/catalogue.ts'
import { oddStudies } from '../../demo/phantoms/studies.ts'
import { programsOf, temporaryFolder } from '../world.ts'

t.test('every kind of object, in every transfer syntax', async t => {
  const folder = temporaryFolder(t)
  const programs = programsOf(t)
  const instances = (await Promise.all(oddStudies().map(async study => await writeStudy(study, folder, programs)))).flat()
  for (const instance of instances) {
    const facts = await readObject(instance.path)
    t.equal(facts.sopInstanceUid, instance.sopInstanceUid)
    t.equal(facts.sopClassUid, instance.sopClassUid)
    t.equal(facts.studyInstanceUid, instance.studyInstanceUid)
    t.equal(facts.seriesInstanceUid, instance.seriesInstanceUid)
  }
  const first = instances[0]?.path ?? ''
  for (const [option, syntax] of [['+ti', '1.2.840.10008.1.2'], ['+tb', '1.2.840.10008.1.2.2'], ['+td', '1.2.840.10008.1.2.1.99'], ['-e', '']] as const) {
    const uncompressed = instances.find(({ pixelDataSha256 }) => pixelDataSha256 !== undefined)?.path ?? first
    const converted = join(folder, `converted${option}`)
    await programs.run('dcmconv', [option, uncompressed, converted])
    const facts = await readObject(converted)
    if (syntax !== '') t.equal(facts.transferSyntaxUid, syntax)
    t.equal(facts.sopInstanceUid, (await readObject(uncompressed)).sopInstanceUid, option)
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
  const folder = temporaryFolder(t)
  for (const content of ['', 'text', 'x'.repeat(1_000), `${'\0'.repeat(128)}DICM${'\xff'.repeat(40)}`]) {
    const path = join(folder, 'file')
    writeFileSync(path, content, 'latin1')
    await t.rejects(readObject(path), NotDicomError)
  }
})
