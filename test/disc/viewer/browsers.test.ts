/** Every kind of image in three engines, from file://: what stands on the screen against what the standard says. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { eventually } from '../../eventually.ts'
import { programsOf, temporaryFolder } from '../../world.ts'
import { startEngine, type EngineName } from './engines.ts'
import { testImages } from './images.ts'
import { STATE, WITHOUT_TEXT, worst, type State } from './seen.ts'
import { viewerDisc } from './viewer-disc.ts'

const programs = programsOf(t)
const images = testImages()
const folder = temporaryFolder(t)
const series = images.map(({ name, file }, index) => {
  const path = join(folder, String(index))
  writeFileSync(path, file)
  return { modality: 'OT', description: name, files: [path] }
})
const disc = await viewerDisc(t, programs, series)
/** What a ZIP is when it has been unpacked: nothing lies before a file, so the header of the picture is in its preamble. */
const unpacked = await viewerDisc(t, programs, series, { headers: 'preamble' })
const roots = { disc: disc.root, 'a folder': unpacked.source }

t.equal(unpacked.plan.spans.length + unpacked.plan.links.length, 0)

for (const [name, [where, root]] of (['chromium', 'firefox', 'webkit'] satisfies EngineName[]).flatMap(name => Object.entries(roots).map(one => [name, one] as const))) {
  t.test(`${name}, ${where}`, async t => {
    const engine = await startEngine(name, programs)
    t.teardown(async () => { await engine.close() })
    await engine.open(pathToFileURL(join(root, 'INDEX.HTM')).href)
    await engine.evaluate(WITHOUT_TEXT)
    await engine.evaluate('window.violations = [], document.addEventListener("securitypolicyviolation", event => { window.violations.push(event.violatedDirective + " " + event.blockedURI) }), 1')
    for (const [index, image] of images.entries()) {
      await engine.evaluate(`document.querySelectorAll('.mv-list .mv-tile')[${index}].click()`)
      const frames = image.frames > 1 ? [0, image.frames - 1] : [0]
      for (const frame of frames) {
        await engine.evaluate(`(() => { const slider = document.querySelector('.mv-bar input'); slider.value = ${frame + 1}; slider.dispatchEvent(new Event('input')) })()`)
        let found = { worst: 256, at: 'nothing' }
        // the screen follows some frames after the page
        await eventually(async () => (found = await worst(engine, image, frame)).worst <= image.within, 200)
        t.ok(found.worst <= image.within, `${image.name}${frame > 0 ? `, frame ${frame + 1}` : ''}: off by ${found.worst}`, { pixel: found.at, state: await engine.evaluate<State>(STATE) })
      }
    }
    t.strictSame(await engine.evaluate('window.violations'), [], 'nothing that its own policy forbids')
    const addresses = await engine.evaluate<string[]>('performance.getEntriesByType("resource").map(({ name }) => name)')
    t.strictSame(addresses.filter(address => !/^(?:file|data|blob):/.test(address)), [], 'nothing but files')
  })
}
