/** What a person does with the viewer, in Chromium from file://. */
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { startBrowser } from '../../../demo/browser.ts'
import { writeStudy, type PhantomSeries } from '../../../demo/phantoms/catalogue.ts'
import { demoStudies } from '../../../demo/phantoms/studies.ts'
import { loadLanguage } from '../../../src/language/language.ts'
import { programsOf, temporaryFolder } from '../../world.ts'
import { viewerDisc, type DiscSeries } from './viewer-disc.ts'

const programs = programsOf(t)
const browser = await startBrowser()
t.teardown(async () => { await browser.close() })

async function files (accessionNumber: string, series: PhantomSeries[]): Promise<string[][]> {
  const [study] = demoStudies()
  if (study === undefined) throw new Error('no study')
  const written = await writeStudy({ ...study, accessionNumber, series }, temporaryFolder(t), programs)
  const uids = [...new Set(written.map(({ seriesInstanceUid }) => seriesInstanceUid))]
  return uids.map(uid => written.filter(({ seriesInstanceUid }) => seriesInstanceUid === uid).map(({ path }) => path))
}

const [thin = [], thick = []] = await files('CT', [{ kind: 'CT', count: 30 }, { kind: 'CT', count: 30 }])
const [film = []] = await files('XA', [{ kind: 'XA-multiframe', count: 1 }])
const [chest = []] = await files('CR', [{ kind: 'CR', count: 1 }])
const SERIES: DiscSeries[] = [
  { modality: 'CT', description: 'Thin', files: thin }, { modality: 'CT', description: 'Every third', files: thick.filter((_, index) => index % 3 === 0) },
  { modality: 'XA', description: 'Film', files: film }, { modality: 'CR', description: 'Chest', files: chest },
  { modality: 'SR', description: 'Findings', files: [], reports: ['IHE_PDI/R.HTM'] }
]
const disc = await viewerDisc(t, programs, SERIES, { extra: { 'IHE_PDI/R.HTM': '<!DOCTYPE html><title>r</title><h1>Findings</h1>' } })
const INDEX = pathToFileURL(join(disc.root, 'INDEX.HTM')).href

async function opened (url = INDEX) {
  const page = await browser.newPage({ viewport: { width: 1_280, height: 800 } })
  const errors: string[] = []
  const requests: string[] = []
  page.on('pageerror', error => { errors.push(error.message) })
  page.on('console', message => { if (message.type() === 'error') errors.push(message.text()) })
  page.on('request', request => { requests.push(request.url()) })
  await page.goto(url)
  const pane = (n: number) => {
    const viewport = page.locator('.mv-viewport').nth(n)
    return {
      stage: viewport.locator('.mv-stage'),
      shows: async (text: string | RegExp, part: string) => { await viewport.locator(part).filter({ hasText: text }).waitFor({ state: 'attached' }) },
      text: async (part: string) => await viewport.locator(part).innerText()
    }
  }
  return { page, pane, errors, requests }
}

t.test('by keys, wheel and drag', async t => {
  const { page, pane, errors, requests } = await opened()
  const { stage, shows, text } = pane(0)
  await shows('C 40 W 400', '.mv-br')
  await stage.focus()
  for (const [key, place] of [['ArrowDown', 2], ['ArrowRight', 3], ['ArrowUp', 2], ['PageDown', 12], ['End', 30], ['ArrowDown', 30], ['PageUp', 20], ['Home', 1]] as const) {
    await page.keyboard.press(key)
    await shows(`Image ${place}`, '.mv-bl')
    t.equal(await text('.mv-bar output'), `${place} / 30`, key)
  }
  t.strictSame(await page.locator('.mv-viewport').first().locator('.mv-edge').allInnerTexts(), ['A', 'L', 'P', 'R'])
  await page.keyboard.press('r')
  await page.waitForFunction(() => Array.from(document.querySelectorAll('.mv-edge'), edge => edge.textContent).slice(0, 4).join('') === 'RALP')
  await page.keyboard.press('0')
  await page.keyboard.press('3')
  await shows('C -600 W 1500', '.mv-br')
  await page.keyboard.press('Shift+ArrowRight')
  await shows(/C -600 W 1577/, '.mv-br')
  const box = await stage.boundingBox()
  if (box === null) throw new Error('no stage')
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2]
  await page.keyboard.press('1')
  await page.mouse.move(x, y)
  await page.mouse.down()
  await page.mouse.move(x + 100, y)
  await page.mouse.up()
  await shows(/C 40 W 597/, '.mv-br')
  await page.mouse.wheel(0, 100)
  await shows('Image 2', '.mv-bl')
  await page.keyboard.press('End')
  await shows('Image 30', '.mv-bl')
  await page.mouse.wheel(0, 300)
  await page.waitForFunction(() => scrollY > 0)
  t.pass('at the end the page itself goes on')
  t.strictSame(errors, [])
  t.strictSame(requests.filter(url => !url.startsWith('file:')), [], 'no network')
})

t.test('a length: within 0.1 mm, by hand and by keys; at the detector it is said; without a spacing in pixels', async t => {
  const { page, pane } = await opened()
  const { stage, shows } = pane(0)
  await shows('C 40 W 400', '.mv-br')
  const box = await stage.boundingBox()
  if (box === null) throw new Error('no stage')
  await page.keyboard.press('m')
  await stage.focus()
  await page.keyboard.press('m')
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2]
  const scale = Math.min(box.width, box.height) / 350
  await page.mouse.move(x - 150, y)
  await page.mouse.down()
  await page.mouse.move(x + 150, y + 80)
  await page.mouse.up()
  await page.locator('.mv-lines text').first().waitFor({ state: 'attached' })
  const measured = Number.parseFloat(await page.locator('.mv-lines text').first().textContent() ?? '')
  t.ok(Math.abs(measured - Math.hypot(300, 80) / scale) <= 0.1, `${measured} mm for ${Math.hypot(300, 80) / scale}`)
  await page.keyboard.press('Home')
  await page.keyboard.press('ArrowDown')
  await shows('Image 2', '.mv-bl')
  await page.keyboard.press('Enter')
  for (let step = 0; step < 10; step++) await page.keyboard.press('Shift+ArrowRight')
  await page.keyboard.press('Enter')
  await page.locator('.mv-lines text').filter({ hasText: `${(40 / scale).toFixed(1)} mm` }).waitFor({ state: 'attached' })
  await page.locator('.mv-tile', { hasText: 'Chest' }).click()
  await shows('Chest', '.mv-tr')
  await stage.focus()
  await page.keyboard.press('Enter')
  for (let step = 0; step < 10; step++) await page.keyboard.press('Shift+ArrowRight')
  await page.keyboard.press('Enter')
  await page.locator('.mv-lines text').filter({ hasText: /pixels/ }).waitFor({ state: 'attached' })
})

t.test('two series go together by position', async t => {
  const { page, pane } = await opened()
  await pane(0).shows('C 40 W 400', '.mv-br')
  await pane(0).stage.focus()
  await page.keyboard.press('s')
  await pane(1).shows('Every third', '.mv-tr')
  for (let step = 0; step < 16; step++) await page.keyboard.press('ArrowDown')
  await pane(0).shows('Image 17', '.mv-bl')
  // 85 mm: the nearest of 5, 20, 35 ... 80, 95
  await pane(1).shows('Image 16', '.mv-bl')
  await page.keyboard.press('t')
  await page.keyboard.press('Home')
  await pane(0).shows(/^Image 1$/m, '.mv-bl')
  t.match(await pane(1).text('.mv-bl'), 'Image 16', 'apart')
})

t.test('a film plays; a report is read in its place', async t => {
  const { page, pane } = await opened()
  t.equal(await page.locator('.mv-tile').first().innerText().then(text => text.includes('Findings')), true, 'reports are first')
  await page.locator('.mv-tile', { hasText: 'Film' }).click()
  await pane(0).shows('Frame 1 / 10', '.mv-bl')
  await pane(0).stage.focus()
  await page.keyboard.press(' ')
  await pane(0).shows('Frame 4 / 10', '.mv-bl')
  await pane(0).shows('Frame 2 / 10', '.mv-bl')
  await page.keyboard.press(' ')
  await page.locator('.mv-tile', { hasText: 'Findings' }).click()
  await page.frameLocator('dialog iframe').locator('h1').waitFor()
  await page.keyboard.press('Escape')
})

t.test('no picture rather than a wrong one', async t => {
  const bitmap = (n: number): string => join(disc.root, `IHE_PDI/PIXELS/SE000001/IM00000${n}.BMP`)
  const film = join(disc.root, 'IHE_PDI/PIXELS/SE000003/IM000001.BMP')
  const kept = [2, 3, 4].map(n => readFileSync(bitmap(n)))
  t.teardown(() => { for (const [index, bytes] of kept.entries()) writeFileSync(bitmap(index + 2), bytes) })
  copyFileSync(film, bitmap(2))
  rmSync(bitmap(3))
  writeFileSync(bitmap(4), 'BM')
  const { page, pane } = await opened()
  await pane(0).shows('C 40 W 400', '.mv-br')
  await pane(0).stage.focus()
  const blank = async (): Promise<boolean> => await page.evaluate(() => {
    const canvas = document.querySelector('.mv-stage canvas')
    const copy = document.createElement('canvas')
    if (!(canvas instanceof HTMLCanvasElement)) return false
    copy.width = copy.height = 1
    // a canvas on which a file was ever drawn cannot be read; one that is new can
    try { return canvas.getContext('2d')?.getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data[3] === 0 } catch { return true }
  })
  for (const [n, message] of [[2, 'not the one that belongs here'], [3, 'could not be read'], [4, 'could not be read']] as const) {
    await page.keyboard.press('ArrowDown')
    // two in a row say the same, so what is waited for is the number
    await pane(0).shows(`Image ${n}`, '.mv-bl')
    await pane(0).shows(message, '.mv-message')
    t.equal(await pane(0).text('.mv-br'), '', 'and no window of another')
    t.equal(await blank(), true)
  }
  await page.keyboard.press('ArrowDown')
  await pane(0).shows('C 40 W 400', '.mv-br')
})

t.test('without a disc image: the folder that the person picks', async t => {
  const plain = await viewerDisc(t, programs, [{ modality: 'CT', description: 'Thin', files: thin.slice(0, 3) }], { headers: 'none', language: loadLanguage('id', '') })
  const { page, pane } = await opened(pathToFileURL(join(plain.root, 'INDEX.HTM')).href)
  await pane(0).shows('Buka folder', '.mv-message')
  t.match(await page.locator('.mv-warning').first().innerText(), 'Bukan untuk diagnosis')
  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.getByRole('button', { name: 'Buka folder', exact: true }).click()])
  await chooser.setFiles(plain.root)
  await pane(0).shows('C 40 W 400', '.mv-br')
  await pane(0).stage.hover()
  await page.mouse.move(640, 410)
  await pane(0).shows(/-?\d+ HU/, '.mv-br')
})
