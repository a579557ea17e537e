/** Pictures that are rendered as files are what the viewer shows: the same numbers, from the same rule. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { viewsOf, windowOfSeries } from '../../../src/disc/viewer/views.ts'
import { windowArguments } from '../../../src/disc/web/picture.ts'
import { programsOf, temporaryFolder } from '../../world.ts'
import { testImages } from '../viewer/images.ts'
import { described } from '../viewer/viewer-disc.ts'

const programs = programsOf(t)
const folder = temporaryFolder(t)

/** As dcmj2pnm writes it: binary, one byte a sample. */
function readPnm (file: string): { columns: number, samples: number, pixels: Buffer } {
  const bytes = readFileSync(file)
  const header = /^P([56])\s(?:#[^\n]*\n)?(\d+) (\d+)\s255\s/.exec(bytes.toString('latin1', 0, 200))
  if (header === null) throw new Error('no PNM')
  return { columns: Number(header[2]), samples: header[1] === '6' ? 3 : 1, pixels: bytes.subarray(header[0].length) }
}

for (const [index, image] of testImages().entries()) {
  t.test(image.name, async t => {
    const path = join(folder, String(index))
    writeFileSync(path, image.file)
    const description = await described(path)
    const views = viewsOf(description, windowOfSeries([{ sourcePath: path, description }]))
    for (const frame of image.frames > 1 ? [0, image.frames - 1] : [0]) {
      const target = `${path}.pnm`
      const result = await programs.run('dcmj2pnm', ['+op', ...windowArguments(description, views[frame] ?? views[0]), '+F', String(frame + 1), path, target])
      t.equal(result.exitCode, 0, result.stderr)
      const { columns, samples, pixels } = readPnm(target)
      let found = { worst: 0, at: '' }
      for (let row = 0; row < image.rows; row++) {
        for (let column = 0; column < image.columns; column++) {
          for (const [sample, wanted] of image.expected(frame, column, row).entries()) {
            const seen = pixels[samples * (row * columns + column) + Math.min(sample, samples - 1)] ?? -1
            const off = Math.abs(seen - Math.round(wanted))
            if (off > found.worst) found = { worst: off, at: `${column}, ${row}: ${seen} for ${wanted}` }
          }
        }
      }
      t.ok(found.worst <= image.within, `frame ${frame + 1}: off by ${found.worst} at ${found.at}`)
    }
  })
}
