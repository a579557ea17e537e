/** The disc in a browser, from file://, as a patient would open it. */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { startBrowser } from '../../demo/browser.ts'
import { demoStudies } from '../../demo/phantoms/studies.ts'
import { readDisc, service, world } from '../world.ts'

t.test('pages in Chromium', async t => {
  const here = await world(t, 'dcmqrscp', { studies: demoStudies().filter(({ accessionNumber }) => /^(MR|US)/.test(accessionNumber)) })
  const mkiso = await service(t, here.pacs, here.receiverPort, { disc: { web_content: 'all' } })
  const disc = await readDisc(t, (await mkiso.get('/api/iso/download?accession_number=MR.2024.001')).body, here.programs)
  const browser = await startBrowser()
  t.teardown(async () => { await browser.close() })
  const page = await browser.newPage()
  const requests: string[] = []
  const errors: string[] = []
  page.on('request', request => { requests.push(request.url()) })
  page.on('pageerror', error => { errors.push(error.message) })
  const allLoaded = async (): Promise<boolean[]> => await page.evaluate(() => Array.from(document.images, image => image.complete && image.naturalWidth > 0))

  await page.goto(pathToFileURL(join(disc.root, 'INDEX.HTM')).href)
  await page.waitForFunction(() => document.querySelectorAll('main .frame.mv-drawn canvas').length === 2)
  t.strictSame(await allLoaded(), [], 'a picture for each series, drawn by the viewer')
  await page.getByRole('link', { name: 'View the pictures' }).click()
  await page.waitForLoadState('load')
  t.match(page.url(), 'IHE_PDI/ST000001.HTM')
  t.strictSame(await allLoaded(), [true, true])

  const viewer = page.locator('.viewer').first()
  const shown = async (): Promise<string> => await viewer.locator('output').innerText()
  await viewer.focus()
  t.equal(await shown(), '1 / 12')
  for (const [key, position] of [['ArrowRight', 2], ['ArrowDown', 3], ['ArrowLeft', 2], ['End', 12], ['ArrowRight', 12], ['PageUp', 2], ['Home', 1]] as const) {
    await page.keyboard.press(key)
    t.equal(await shown(), `${position} / 12`, key)
  }
  await viewer.hover()
  await page.mouse.wheel(0, 100)
  await page.waitForFunction(() => document.querySelector('.viewer output')?.textContent === '2 / 12')
  t.match(await viewer.locator('img').getAttribute('src'), 'ST000001/SE000001/IM000002.JPG')
  await page.waitForFunction(() => Array.from(document.images).every(image => image.complete && image.naturalWidth > 0))
  t.strictSame(requests.filter(url => !url.startsWith('file://')), [], 'no network')
  t.strictSame(errors, [])

  const plain = await browser.newContext({ javaScriptEnabled: false })
  const still = await plain.newPage()
  await still.goto(pathToFileURL(join(disc.root, 'IHE_PDI/ST000001.HTM')).href)
  t.equal(await still.locator('.strip a').count(), 24, 'without script every picture has its link')
})
