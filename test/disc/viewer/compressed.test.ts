/** What no bitmap can say is carried by scripts and decoded in the page: in three engines, from file://. */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { eventually } from '../../eventually.ts'
import { programsOf, temporaryFolder } from '../../world.ts'
import { startEngine, type EngineName } from './engines.ts'
import { testImages, type TestImage } from './images.ts'
import { STATE, WITHOUT_TEXT, worst, type State } from './seen.ts'
import { viewerDisc } from './viewer-disc.ts'

const programs = programsOf(t)
const folder = temporaryFolder(t)
const named = new Map(testImages().map(image => [image.name, image]))
/** Name, image, program, arguments, how far it may be off. */
const WAYS: ReadonlyArray<readonly [string, string, string, string[], number]> = [
  ['RLE', 'CT, 12 bits', 'dcmcrle', [], 1], ['RLE, colours', 'RGB', 'dcmcrle', [], 2], ['JPEG lossless', 'CT, 12 bits', 'dcmcjpeg', ['+e1'], 1],
  ['JPEG lossless, 16 bits signed', 'signed 16 bits', 'dcmcjpeg', ['+e1'], 1], ['JPEG-LS', 'CT, 12 bits', 'dcmcjpls', [], 1],
  ['JPEG 2000', 'CT, 12 bits', 'gdcmconv', ['--j2k'], 1], ['JPEG baseline, frames', 'frames 8 bits', 'dcmcjpeg', ['+eb', '+q', '100'], 3],
  ['JPEG 12 bits', 'CT, 12 bits', 'dcmcjpeg', ['+ee', '+q', '100'], 6], ['big endian', 'CT, 12 bits', 'dcmconv', ['+tb'], 1], ['colours in planes', 'RGB', 'dcmconv', ['+tb'], 2]
]
const made: Array<{ name: string, image: TestImage, path: string }> = []
for (const [name, of, program, args, within] of WAYS) {
  const image = named.get(of) ?? named.get('8 bits, width 61')
  if (image === undefined) throw new Error(of)
  const [from, to] = [join(folder, `${made.length}.from`), join(folder, `${made.length}.to`)]
  writeFileSync(from, image.file)
  const result = await programs.run(program, [...args, from, to])
  if (result.exitCode !== 0 || !existsSync(to)) throw new Error(`${name}: ${result.stderr}`)
  made.push({ name, image: { ...image, within }, path: to })
}
const disc = await viewerDisc(t, programs, made.map(({ name, path }) => ({ modality: 'OT', description: name, files: [path] })))

for (const engineName of ['chromium', 'firefox', 'webkit'] satisfies EngineName[]) {
  t.test(engineName, async t => {
    const engine = await startEngine(engineName, programs)
    t.teardown(async () => { await engine.close() })
    await engine.open(pathToFileURL(join(disc.root, 'INDEX.HTM')).href)
    await engine.evaluate(WITHOUT_TEXT)
    for (const [index, { name, image }] of made.entries()) {
      await engine.evaluate(`document.querySelectorAll('.mv-list .mv-tile')[${index}].click()`)
      let found = { worst: 256, at: 'nothing' }
      await eventually(async () => (found = await worst(engine, image, 0)).worst <= image.within, 200)
      t.ok(found.worst <= image.within, `${name}: off by ${found.worst}`, { pixel: found.at, state: await engine.evaluate<State>(STATE) })
    }
  })
}
