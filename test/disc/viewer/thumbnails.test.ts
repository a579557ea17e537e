/** The picture that stands for a series, in the list and on the page: what the viewer shows, of the middle image and no other. */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { startBrowser } from '../../../demo/browser.ts'
import { programsOf, temporaryFolder } from '../../world.ts'
import { readPng } from './engines.ts'
import { testImages } from './images.ts'
import { viewerDisc } from './viewer-disc.ts'

const programs = programsOf(t)
const folder = temporaryFolder(t)
const browser = await startBrowser()
t.teardown(async () => { await browser.close() })

function file (name: string, content: Buffer): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

t.test('with the window of the image, as it says it', async t => {
  const images = testImages().filter(({ frames, name }) => frames === 1 && !/odd|width/.test(name))
  const disc = await viewerDisc(t, programs, images.map(({ name, file: content }, index) => ({ modality: 'OT', description: name, files: [file(`w${index}`, content)] })))
  const page = await browser.newPage({ viewport: { width: 1_280, height: 800 } })
  await page.goto(pathToFileURL(join(disc.root, 'INDEX.HTM')).href)
  await page.waitForFunction(count => document.querySelectorAll('.mv-list .mv-drawn').length === count && document.querySelectorAll('main .frame.mv-drawn').length === count, images.length)
  for (const [index, image] of images.entries()) {
    // colours are smoothed where they are made smaller or larger
    if (image.within > 1) continue
    for (const canvas of [page.locator('.mv-list canvas').nth(index), page.locator('main .frame canvas').nth(index)]) {
      await canvas.scrollIntoViewIfNeeded()
      const { x, y, width, height } = await canvas.boundingBox() ?? { x: 0, y: 0, width: 0, height: 0 }
      const shot = readPng(await page.screenshot())
      let worst = 0
      for (let row = 2; row < image.rows - 2; row += 5) {
        for (let column = 2; column < image.columns - 2; column += 5) {
          const seen = shot.at(Math.floor(x + (column + 0.5) * width / image.columns), Math.floor(y + (row + 0.5) * height / image.rows))[0]
          // the place is no whole number of pixels, so a neighbour may stand there
          const near = [-1, 0, 1].flatMap(down => [-1, 0, 1].map(right => Math.round(image.expected(0, column + right, row + down)[0])))
          worst = Math.max(worst, Math.min(...near.map(wanted => Math.abs(seen - wanted))))
        }
      }
      t.ok(worst <= 1, `${image.name}, ${width} pixels: off by ${worst}`)
    }
  }
})

t.test('a middle image that cannot be shown: no other stands for it, and it is said', async t => {
  const [image] = testImages()
  if (image === undefined) throw new Error('no image')
  const files = [1, 2, 3].map(n => file(`m${n}`, image.file))
  const disc = await viewerDisc(t, programs, [{ modality: 'CT', description: 'Broken', files }, { modality: 'CT', description: 'Whole', files: files.slice(0, 1) }])
  rmSync(join(disc.root, 'IHE_PDI/PIXELS/SE000001/IM000002.BMP'))
  const page = await browser.newPage()
  await page.goto(pathToFileURL(join(disc.root, 'INDEX.HTM')).href)
  await page.waitForFunction(() => document.querySelectorAll('main .frame.mv-drawn').length === 1)
  t.match(await page.locator('main .frame').first().innerText(), 'could not be read')
  t.equal(await page.locator('main .frame').first().locator('canvas').count(), 0)
  t.match(await page.locator('.mv-list .mv-tile').first().getAttribute('title'), 'could not be read')
  await page.locator('main .frame').nth(1).click()
  await page.locator('.mv-tr').filter({ hasText: 'Whole' }).waitFor()
})
