/** Takes the pictures of the documentation: `npx tsx scripts/screenshots.ts`, or only those of the `disc`, of the service (`screens`) or of the `demo`. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { startBrowser } from '../demo/browser.ts'
import { startFront } from '../demo/front.ts'
import { startOrthanc } from '../demo/orthanc.ts'
import { writeStudy } from '../demo/phantoms/catalogue.ts'
import { demoStudies } from '../demo/phantoms/studies.ts'
import { freePort } from '../demo/ports.ts'
import { startPublisher } from '../demo/publisher.ts'
import { startSite } from '../demo/site.ts'
import { buildApp } from '../src/app.ts'
import { parseConfig } from '../src/config/load.ts'
import { CAPACITY_BYTES } from '../src/disc/disc-set.ts'
import { Programs, until } from '../src/process.ts'
import { startGate } from '../test/screens/gate.ts'

const DOCS = join(import.meta.dirname, '../docs')
const KEY = 'key-of-the-operator'
const [only] = process.argv.slice(2)
const folder = await mkdtemp(join(tmpdir(), 'mkiso-screenshots-'))
const programs = new Programs()
const teardowns: Array<() => unknown> = []

/** The disc, from file://, as a patient opens it. */
async function discPages (browser: Browser, url: string, indonesian: string): Promise<void> {
  const extracted = async (from: string, name: string): Promise<string> => {
    const iso = join(folder, `${name}.iso`)
    const answer = await fetch(`${from}/api/iso/download-multiple?accession_numbers=CT.2024.200,MR.2024.001`, { headers: { 'x-api-key': KEY } })
    await writeFile(iso, Buffer.from(await answer.arrayBuffer()))
    await programs.run('xorriso', ['-osirrox', 'on', '-indev', iso, '-extract', '/', join(folder, name)])
    return pathToFileURL(join(folder, name, 'INDEX.HTM')).href
  }
  const shoot = async (name: string, address: string, options: Parameters<Browser['newContext']>[0], work: (page: Page) => Promise<void>): Promise<void> => {
    const context = await browser.newContext(options)
    const page = await context.newPage()
    await page.goto(address)
    await page.waitForFunction(() => document.querySelectorAll('.mv-list .mv-tile').length === document.querySelectorAll('.mv-list .mv-drawn').length)
    await work(page)
    await page.screenshot({ path: join(DOCS, `disc-${name}.png`) })
    await context.close()
  }
  const toMiddle = async (page: Page): Promise<void> => {
    await page.locator('.mv-bar input').first().fill('40')
    await page.locator('.mv-bar output').first().filter({ hasText: '40 /' }).waitFor()
    await page.locator('.mv-bar input').first().blur()
  }
  const [disc, cakram] = [await extracted(url, 'disc'), await extracted(indonesian, 'cakram')]
  const desk = { viewport: { width: 1_280, height: 800 } }
  await shoot('viewer', disc, desk, async page => {
    await toMiddle(page)
    await page.locator('.mv-stage').first().focus()
    await page.keyboard.press('s')
    await page.locator('.mv-viewport').nth(1).locator('.mv-br').filter({ hasText: '%' }).waitFor()
    await page.keyboard.press('m')
    const box = await page.locator('.mv-stage').first().boundingBox()
    if (box === null) return
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2]
    await page.mouse.move(x - 90, y - 20)
    await page.mouse.down()
    await page.mouse.move(x + 100, y + 20)
    await page.mouse.up()
    await page.mouse.move(x, y + 300)
  })
  await shoot('index', disc, desk, async page => { await page.locator('main').evaluate(main => { main.scrollIntoView() }) })
  await shoot('dark', disc, { ...desk, colorScheme: 'dark' }, async page => { await page.locator('main').evaluate(main => { main.scrollIntoView() }) })
  await shoot('phone', disc, { viewport: { width: 390, height: 780 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 }, toMiddle)
  await shoot('indonesian', cakram, desk, toMiddle)
}

async function demoPage (browser: Browser): Promise<void> {
  mkdirSync(join(folder, 'demo'))
  const site = await startSite({ programs, folder: join(folder, 'demo'), signal: new AbortController().signal, say: () => {} })
  teardowns.push(site.close)
  const front = await startFront(site, 0)
  teardowns.push(front.close)
  const page = await browser.newPage({ viewport: { width: 1000, height: 900 }, locale: 'en-GB' })
  await page.goto(front.url)
  await page.getByRole('button', { name: 'Lose an image' }).click()
  await page.getByText('Try it, then mend it').waitFor()
  await page.screenshot({ path: join(DOCS, 'demo.png'), fullPage: true })
}

/** @param keyless the same without a key: a download of a browser has no header of ours */
async function screens (browser: Browser, url: string, keyless: string, gate: { allow (bytes: number): void, open (): void }, stopPacs: () => Promise<void>): Promise<void> {
  // the key that nginx would add
  const context = await browser.newContext({ viewport: { width: 860, height: 640 }, locale: 'en-GB', extraHTTPHeaders: { 'x-api-key': KEY } })
  context.setDefaultTimeout(90_000)
  const page = await context.newPage()
  const long = ['status', 'test', 'set', 'demo', 'desk', 'dark']
  const shoot = async (name: string, from: Page = page): Promise<void> => { await from.screenshot({ path: join(DOCS, `screen-${name}.png`), fullPage: long.includes(name) }) }

  await fetch(`${url}/api/iso/download?accession_number=MR.2024.001`, { headers: { 'x-api-key': KEY } }).then(async answer => await answer.arrayBuffer())
  await fetch(`${url}/api/iso/download?accession_number=CR.2024.999`, { headers: { 'x-api-key': KEY } })
  await fetch(`${url}/api/iso/print?accession_number=US.2024.001`, { headers: { 'x-api-key': KEY } })

  gate.allow(10_000_000)
  await page.goto(`${url}/download?accession_number=CT.2024.200`)
  await page.waitForFunction(() => document.getElementById('patient')?.textContent !== '' && /^[1-9]/.test(document.getElementById('images')?.textContent ?? ''))
  // the speed is measured while images come
  for (let i = 0; i < 5; i++) {
    gate.allow(700_000)
    await page.waitForTimeout(500)
  }
  await shoot('download')

  const operator = await browser.newContext({ viewport: { width: 1180, height: 900 }, locale: 'en-GB' })
  operator.setDefaultTimeout(90_000)
  const status = await operator.newPage()
  await status.goto(`${url}/status`)
  await status.getByLabel('Key of the operator').fill(KEY)
  await status.getByRole('button', { name: 'Show' }).click()
  await status.locator('#checks li').first().waitFor()
  gate.allow(700_000)
  await status.locator('#running li').waitFor()
  await shoot('status', status)
  await status.locator('#test-number').fill('US.2024.001')
  await status.getByRole('button', { name: 'Test now' }).click()
  await status.getByText('to change.').waitFor()
  await status.locator('#snippets summary').click()
  await status.locator('#snippet-list pre').first().waitFor()
  await status.locator('section', { has: status.locator('#test') }).screenshot({ path: join(DOCS, 'screen-test.png') })

  const queued = await context.newPage()
  await queued.goto(`${url}/download?accession_number=MR.2024.001`)
  await queued.getByText('Place 1 in the queue').waitFor()
  await shoot('queue', queued)
  const desk = await context.newPage()
  await desk.setViewportSize({ width: 1180, height: 900 })
  await desk.goto(`${url}/desk`)
  await desk.getByLabel('Name (or a part of it)').fill('siti rah')
  await desk.locator('#find').getByRole('button').click()
  await desk.locator('#studies input').first().check()
  await desk.locator('#queue li').nth(1).waitFor()
  await shoot('desk', desk)
  await desk.emulateMedia({ colorScheme: 'dark' })
  await shoot('dark', desk)
  await queued.close()
  await desk.close()

  await page.goto(`${url}/print?accession_number=CT.2024.200`)
  await page.getByText('CT Thorax').waitFor()
  await shoot('print')
  gate.open()
  const real = CAPACITY_BYTES.dvd
  CAPACITY_BYTES.dvd = 20_000_000
  await page.goto(`${url}/download?accession_number=CT.2024.200,MR.2024.001`)
  await page.getByRole('heading', { name: 'The images need 3 discs' }).waitFor()
  await shoot('set')
  CAPACITY_BYTES.dvd = real

  await page.goto(`${url}/print?accession_number=MR.2024.001&lang=id`)
  await page.locator('#asked-person').filter({ visible: true }).waitFor()
  await shoot('indonesian')
  const phone = await browser.newContext({
    viewport: { width: 390, height: 780 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2, locale: 'en-GB',
    userAgent: 'Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/126.0.0.0 Mobile Safari/537.36'
  })
  const held = await phone.newPage()
  await held.goto(`${keyless}/download?accession_number=MR.2024.001`)
  await held.getByRole('heading', { name: 'The disc has been downloaded' }).waitFor({ timeout: 90_000 })
  await shoot('phone', held)

  const docs = await operator.newPage()
  await docs.goto(`${url}/docs`)
  await docs.locator('.opblock', { hasText: '/api/iso/print' }).first().locator('.opblock-summary-control').click()
  await docs.locator('.responses-inner').first().waitFor()
  await docs.locator('.opblock', { hasText: '/api/iso/print' }).first().scrollIntoViewIfNeeded()
  await shoot('swagger', docs)

  await stopPacs()
  await page.goto(`${url}/api/iso/download?accession_number=MR.2024.001`)
  await page.locator('details').evaluate(details => { details.setAttribute('open', '') })
  await shoot('error')
}

try {
  for (const name of ['phantoms', 'pacs', 'work', 'publisher']) mkdirSync(join(folder, name))
  const [gatePort, receiverPort] = [await freePort(), await freePort()]
  const gate = await startGate({ teardown: end => { teardowns.push(end) } }, gatePort, receiverPort)
  // dcmqrscp answers no query while it sends: there would be no "of 200" to show
  const pacs = await startOrthanc({ programs, dir: join(folder, 'pacs'), destinations: [{ aeTitle: 'CDRECORD', host: '127.0.0.1', port: gatePort }] })
  const publisher = await startPublisher({ programs, dir: join(folder, 'publisher') })
  const studies = demoStudies().filter(({ accessionNumber }) => ['CT.2024.200', 'MR.2024.001', 'US.2024.001'].includes(accessionNumber))
  const instances = (await Promise.all(studies.map(async study => await writeStudy(study, join(folder, 'phantoms'), programs)))).flat()
  await pacs.store(instances.map(({ path }) => path))
  const settings = {
    auth: { enabled: true, api_key: KEY },
    audit: { file: join(folder, 'audit.log') },
    pacs: { ae_title: pacs.aeTitle, host: pacs.host, port: pacs.port, max_moves: 1 },
    our_ae: { base_port: receiverPort },
    patient_api: { required: false, base_url: 'http://127.0.0.1:9', retries: 0 },
    cd_publisher: { host: publisher.host, port: publisher.port, name: 'RIMAGE-2' },
    // what is kept has no progress to show
    iso: { temp_dir: join(folder, 'work'), microdicom_path: '', keep_for: '0' },
    disc: { institution: 'Rumah Sakit Demo', contact: 'Radiology, telephone 021-0000', capacity: 'dvd' }
  }
  const app = await buildApp(parseConfig(JSON.stringify(settings), 'screenshots', { env: {} }))
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  await until(() => app.receiverFault() === undefined, 5_000)
  const browser = await startBrowser()
  teardowns.push(async () => { await browser.close() })
  if (only === undefined || only === 'demo') await demoPage(browser)
  if (only === undefined || only === 'disc') {
    // by C-GET: it needs no receiver of its own
    const other = await buildApp(parseConfig(JSON.stringify({ ...settings, pacs: { ...settings.pacs, retrieve: 'get' }, disc: { ...settings.disc, language: 'id' } }), 'screenshots', { env: {} }))
    gate.open()
    await discPages(browser, url, await other.listen({ host: '127.0.0.1', port: 0 }))
    await other.close()
  }
  if (only === undefined || only === 'screens') {
    // by C-GET, too
    const keyless = await buildApp(parseConfig(JSON.stringify({ ...settings, auth: { enabled: false }, pacs: { ...settings.pacs, retrieve: 'get' } }), 'screenshots', { env: {} }))
    await screens(browser, url, await keyless.listen({ host: '127.0.0.1', port: 0 }), gate, pacs.stop)
    await keyless.close()
  }
  await app.close()
} finally {
  for (const end of teardowns.reverse()) await end()
  await programs.stopAll()
  await rm(folder, { recursive: true, force: true })
}
