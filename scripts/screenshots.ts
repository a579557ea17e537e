/** Takes the pictures of the documentation: `npx tsx scripts/screenshots.ts`. */
import { mkdtemp, rm } from 'node:fs/promises'
import { mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { startBrowser } from '../demo/browser.ts'
import { startDcmqrscp } from '../demo/pacs.ts'
import { writeStudy } from '../demo/phantoms/catalogue.ts'
import { demoStudies } from '../demo/phantoms/studies.ts'
import { freePort } from '../demo/ports.ts'
import { buildApp } from '../src/app.ts'
import { parseConfig } from '../src/config/load.ts'
import { Programs, until } from '../src/process.ts'

const DOCS = join(import.meta.dirname, '../docs')
const folder = await mkdtemp(join(tmpdir(), 'mkiso-screenshots-'))
const programs = new Programs()
try {
  for (const name of ['phantoms', 'pacs', 'work']) mkdirSync(join(folder, name))
  const receiverPort = await freePort()
  const pacs = await startDcmqrscp({ programs, dir: join(folder, 'pacs'), destinations: [{ aeTitle: 'CDRECORD', host: '127.0.0.1', port: receiverPort }] })
  const wanted = demoStudies().filter(({ accessionNumber }) => ['CT.2024.200', 'MR.2024.001'].includes(accessionNumber))
  const instances = (await Promise.all(wanted.map(async study => await writeStudy(study, join(folder, 'phantoms'), programs)))).flat()
  await pacs.store(instances.map(({ path }) => path))
  const app = await buildApp(parseConfig(JSON.stringify({
    pacs: { ae_title: pacs.aeTitle, host: pacs.host, port: pacs.port },
    our_ae: { base_port: receiverPort },
    patient_api: { required: false, base_url: 'http://127.0.0.1:9', retries: 0 },
    iso: { temp_dir: join(folder, 'work'), microdicom_path: '' },
    disc: { web_content: 'all', institution: 'Rumah Sakit Demo', contact: 'Radiology, telephone 021-0000' }
  }), 'screenshots', { env: {} }))
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  await until(() => app.receiverFault() === undefined, 5_000)
  const iso = join(folder, 'disc.iso')
  const answer = await fetch(`${url}/api/iso/download-multiple?accession_numbers=CT.2024.200,MR.2024.001`)
  const { writeFile } = await import('node:fs/promises')
  await writeFile(iso, Buffer.from(await answer.arrayBuffer()))
  await app.close()
  await programs.run('xorriso', ['-osirrox', 'on', '-indev', iso, '-extract', '/', join(folder, 'disc')])
  const browser = await startBrowser()
  const page = await browser.newPage({ viewport: { width: 1100, height: 900 } })
  await page.goto(pathToFileURL(join(folder, 'disc/INDEX.HTM')).href)
  await page.screenshot({ path: join(DOCS, 'disc-index.png') })
  await page.goto(pathToFileURL(join(folder, 'disc/IHE_PDI/ST000001.HTM')).href)
  await page.locator('.viewer').first().focus()
  await page.keyboard.press('PageDown')
  await page.waitForFunction(() => Array.from(document.images).every(image => image.complete && image.naturalWidth > 0))
  await page.screenshot({ path: join(DOCS, 'disc-study.png') })
  await browser.close()
} finally {
  await programs.stopAll()
  await rm(folder, { recursive: true, force: true })
}
