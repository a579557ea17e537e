/** One file's bytes under two names: the DICOM file as it is, and a bitmap that ends in it. */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { writeStudy, type PhantomStudy } from '../../../demo/phantoms/catalogue.ts'
import { demoStudies } from '../../../demo/phantoms/studies.ts'
import { readImageFacts } from '../../../src/disc/image/verify.ts'
import { programsOf, temporaryFolder } from '../../world.ts'
import { viewerDisc } from './viewer-disc.ts'

const SECTOR = 2_048

t.test('readers that have nothing to do with us find both names whole', async t => {
  const programs = programsOf(t)
  const studies = demoStudies().slice(1, 4)
  const films = studies.slice(0, 1).map((study): PhantomStudy => ({ ...study, accessionNumber: 'XA', series: [{ kind: 'XA-multiframe', count: 2 }] }))
  const files = (await Promise.all([...studies, ...films].map(async study => await writeStudy(study, temporaryFolder(t), programs)))).map(study => study.map(({ path }) => path))
  // with level 3, as for a file of 4 GiB, xorrisofs writes the directories
  for (const largestFileBytes of [0, 2 ** 32]) {
    const disc = await viewerDisc(t, programs, files.map(files => ({ modality: 'X', description: 'x', files })), { largestFileBytes })
    const folder = temporaryFolder(t)
    const trees: Record<string, string> = { xorriso: disc.root, '7z': join(folder, '7z') }
    t.equal((await programs.run('7z', ['x', '-y', `-o${trees['7z']}`, disc.iso])).exitCode, 0, '7z, which reads Joliet')
    const images = files.flat()
    const ids = disc.fileIds.flat()
    for (const [reader, root] of Object.entries(trees)) {
      t.ok(ids.every((fileId, index) => readFileSync(join(root, fileId)).equals(readFileSync(images[index] ?? ''))), `${reader}: every DICOM file is as it was`)
      t.equal(disc.plan.spans.length, images.length)
      for (const { path, over, header, reachBytes } of disc.plan.spans) {
        const [bitmap, dicom] = [readFileSync(join(root, path)), readFileSync(join(root, over))]
        const right = bitmap.length === SECTOR + reachBytes && bitmap.subarray(0, header.length).equals(header) &&
          bitmap.subarray(SECTOR).equals(dicom.subarray(0, reachBytes)) && bitmap.readUInt32LE(2) === bitmap.length
        if (!right) t.fail(`${reader}: ${path}`)
      }
      t.ok(readFileSync(join(root, 'INDEX.HTM')).equals(readFileSync(join(disc.source, 'INDEX.HTM'))))
    }
    const names = (await programs.run('isoinfo', ['-f', '-R', '-i', disc.iso])).stdout
    t.match(names, '/IHE_PDI/PIXELS/SE000001/IM000001.BMP')
    const facts = await readImageFacts(disc.iso)
    t.match(facts, { fileBytes: statSync(disc.iso).size, sizeBytes: facts.fileBytes, dicomFiles: images.length })
    const used = images.reduce((sum, path) => sum + Math.ceil(statSync(path).size / SECTOR) * SECTOR, 0)
    t.ok(statSync(disc.iso).size < used + images.length * 3 * SECTOR + 1_200_000, 'a sector an image, not the image again')
  }
})
