/** Takes the pictures of the documentation: `npx tsx scripts/screenshots.ts`, or only those of the `disc` or of the service (`screens`). */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { startBrowser } from '../demo/browser.ts'
import { startOrthanc } from '../demo/orthanc.ts'
import { writeStudy } from '../demo/phantoms/catalogue.ts'
import { demoStudies } from '../demo/phantoms/studies.ts'
import { freePort } from '../demo/ports.ts'
import { startPublisher } from '../demo/publisher.ts'
import { buildApp } from '../src/app.ts'
import { parseConfig } from '../src/config/load.ts'
import { Programs, until } from '../src/process.ts'
import { startGate } from '../test/screens/gate.ts'

const DOCS = join(import.meta.dirname, '../docs')
const KEY = 'key-of-the-operator'
const [only] = process.argv.slice(2)
const folder = await mkdtemp(join(tmpdir(), 'mkiso-screenshots-'))
const programs = new Programs()
const teardowns: Array<() => unknown> = []

async function discPages (browser: Browser, url: string): Promise<void> {
  const iso = join(folder, 'disc.iso')
  const answer = await fetch(`${url}/api/iso/download-multiple?accession_numbers=CT.2024.200,MR.2024.001`, { headers: { 'x-api-key': KEY } })
  await writeFile(iso, Buffer.from(await answer.arrayBuffer()))
  await programs.run('xorriso', ['-osirrox', 'on', '-indev', iso, '-extract', '/', join(folder, 'disc')])
  const page = await browser.newPage({ viewport: { width: 1100, height: 900 } })
  await page.goto(pathToFileURL(join(folder, 'disc/INDEX.HTM')).href)
  await page.screenshot({ path: join(DOCS, 'disc-index.png') })
  await page.goto(pathToFileURL(join(folder, 'disc/IHE_PDI/ST000001.HTM')).href)
  await page.locator('.viewer').first().focus()
  await page.keyboard.press('PageDown')
  await page.waitForFunction(() => Array.from(document.images).every(image => image.complete && image.naturalWidth > 0))
  await page.screenshot({ path: join(DOCS, 'disc-study.png') })
}

async function screens (browser: Browser, url: string, gate: { allow (bytes: number): void, open (): void }, stopPacs: () => Promise<void>): Promise<void> {
  // the key that nginx would add
  const context = await browser.newContext({ viewport: { width: 860, height: 640 }, locale: 'en-GB', extraHTTPHeaders: { 'x-api-key': KEY } })
  context.setDefaultTimeout(90_000)
  const page = await context.newPage()
  const shoot = async (name: string, from: Page = page): Promise<void> => { await from.screenshot({ path: join(DOCS, `screen-${name}.png`), fullPage: name === 'status' }) }

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

  await page.goto(`${url}/print?accession_number=CT.2024.200`)
  await page.getByText('CT Thorax').waitFor()
  await shoot('print')
  gate.open()

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
  const app = await buildApp(parseConfig(JSON.stringify({
    auth: { enabled: true, api_key: KEY },
    pacs: { ae_title: pacs.aeTitle, host: pacs.host, port: pacs.port },
    our_ae: { base_port: receiverPort },
    patient_api: { required: false, base_url: 'http://127.0.0.1:9', retries: 0 },
    cd_publisher: { host: publisher.host, port: publisher.port },
    // what is kept has no progress to show
    iso: { temp_dir: join(folder, 'work'), microdicom_path: '', keep_for: '0' },
    disc: { web_content: 'all', institution: 'Rumah Sakit Demo', contact: 'Radiology, telephone 021-0000' }
  }), 'screenshots', { env: {} }))
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  await until(() => app.receiverFault() === undefined, 5_000)
  const browser = await startBrowser()
  teardowns.push(async () => { await browser.close() })
  if (only !== 'screens') await discPages(browser, url)
  if (only !== 'disc') await screens(browser, url, gate, pacs.stop)
  await app.close()
} finally {
  for (const end of teardowns.reverse()) await end()
  await programs.stopAll()
  await rm(folder, { recursive: true, force: true })
}
