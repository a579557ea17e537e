/** Every kind of image in three engines, from file://: what stands on the screen against what the standard says. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { until } from '../../../src/process.ts'
import { programsOf, temporaryFolder } from '../../world.ts'
import { startEngine, type Engine, type EngineName } from './engines.ts'
import { testImages, type TestImage } from './images.ts'
import { viewerDisc } from './viewer-disc.ts'

/** Where pictures go that are not what they should be; for whoever looks into it. */
const KEEP = process.env['MKISO_TEST_PICTURES']

const programs = programsOf(t)
const images = testImages()
const folder = temporaryFolder(t)
const disc = await viewerDisc(t, programs, images.map(({ name, file }, index) => {
  const path = join(folder, String(index))
  writeFileSync(path, file)
  return { modality: 'OT', description: name, files: [path] }
}))

interface State { place: string, message: string, stage: { left: number, top: number, width: number, height: number } }

const STATE = `(() => {
  const stage = document.querySelector('.mv-stage')
  const { left, top, width, height } = stage.querySelector('canvas').getBoundingClientRect()
  return { place: document.querySelector('.mv-bar output').textContent, message: stage.querySelector('.mv-message').textContent, stage: { left, top, width, height } }
})()`

async function worst (engine: Engine, { columns, rows, expected }: TestImage, frame: number): Promise<{ worst: number, at: string }> {
  const { stage } = await engine.evaluate<State>(STATE)
  const scale = Math.min(stage.width / columns, stage.height / rows)
  const shot = await engine.screenshot()
  let found = { worst: 0, at: '' }
  const each = Math.max(1, Math.floor(Math.min(columns, rows) / 40))
  for (let row = 0; row < rows; row += each) {
    for (let column = 0; column < columns; column += each) {
      const [x, y] = [Math.floor(stage.left + stage.width / 2 + (column + 0.5 - columns / 2) * scale), Math.floor(stage.top + stage.height / 2 + (row + 0.5 - rows / 2) * scale)]
      const wanted = expected(frame, column, row)
      for (const [index, seen] of shot.at(x, y).entries()) {
        const off = Math.abs(seen - Math.round(wanted[index] ?? 0))
        if (off > found.worst) found = { worst: off, at: `${column}, ${row} of ${frame}: ${shot.at(x, y).join(' ')} for ${wanted.map(one => one.toFixed(1)).join(' ')}` }
      }
    }
  }
  if (KEEP !== undefined && found.worst > 2) {
    mkdirSync(KEEP, { recursive: true })
    writeFileSync(join(KEEP, `${engine.name}.png`), shot.png)
  }
  return found
}

for (const name of ['chromium', 'firefox', 'webkit'] satisfies EngineName[]) {
  t.test(name, async t => {
    const engine = await startEngine(name, programs)
    t.teardown(async () => { await engine.close() })
    await engine.open(pathToFileURL(join(disc.root, 'INDEX.HTM')).href)
    // what stands on the picture is none of it
    await engine.evaluate('document.head.append(Object.assign(document.createElement("style"), { textContent: ".mv-corner, .mv-edge, .mv-warning { visibility: hidden }" }))')
    await engine.evaluate('window.violations = [], document.addEventListener("securitypolicyviolation", event => { window.violations.push(event.violatedDirective + " " + event.blockedURI) }), 1')
    for (const [index, image] of images.entries()) {
      await engine.evaluate(`document.querySelectorAll('.mv-list .mv-tile')[${index}].click()`)
      const frames = image.frames > 1 ? [0, image.frames - 1] : [0]
      for (const frame of frames) {
        await engine.evaluate(`(() => { const slider = document.querySelector('.mv-bar input'); slider.value = ${frame + 1}; slider.dispatchEvent(new Event('input')) })()`)
        let found = { worst: 256, at: 'nothing' }
        // the screen follows some frames after the page
        await until(async () => (found = await worst(engine, image, frame)).worst <= image.within, 10_000, 200)
        t.ok(found.worst <= image.within, `${image.name}${frame > 0 ? `, frame ${frame + 1}` : ''}: off by ${found.worst}`, { pixel: found.at, state: await engine.evaluate<State>(STATE) })
      }
    }
    t.strictSame(await engine.evaluate('window.violations'), [], 'nothing that its own policy forbids')
    const addresses = await engine.evaluate<string[]>('performance.getEntriesByType("resource").map(({ name }) => name)')
    t.strictSame(addresses.filter(address => !/^(?:file|data|blob):/.test(address)), [], 'nothing but files')
  })
}
