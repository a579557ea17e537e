/** The pages in Chromium, through the real nginx with config/nginx.conf, in stage 2. One PACS, one service, one nginx, one browser. */
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import axe from 'axe-core'
import type { Download, Page } from 'playwright-core'
import t from 'tap'
import { startBrowser } from '../../demo/browser.ts'
import { demoStudies } from '../../demo/phantoms/studies.ts'
import { freePort } from '../../demo/ports.ts'
import { startPublisher } from '../../demo/publisher.ts'
import { CAPACITY_BYTES } from '../../src/disc/disc-set.ts'
import { eventually } from '../eventually.ts'
import { startNginx } from '../nginx/nginx.ts'
import { nothingLeft, readDisc, service, world } from '../world.ts'
import { startGate } from './gate.ts'

const STUDIES = demoStudies().filter(({ accessionNumber }) => /^(MR\.2024\.001|CT\.2024\.200|DUP)/.test(accessionNumber))
const KEY = 'the-key-of-the-site'

t.test('pages in Chromium', async t => {
  const [gatePort, receiverPort] = [await freePort(), await freePort()]
  const gate = await startGate(t, gatePort, receiverPort)
  const [ct] = STUDIES
  if (ct === undefined) throw new Error('the demo has no studies')
  const chest: typeof ct = { ...ct, accessionNumber: 'CR.2024.002', studyDescription: 'Chest', series: [{ kind: 'CR', count: 2 }] }
  const here = await world(t, 'dcmqrscp', { studies: [...STUDIES, chest], receiverPort: gatePort })
  const dir = join(here.folder, 'publisher')
  mkdirSync(dir)
  const publisher = await startPublisher({ programs: here.programs, dir })
  const mkiso = await service(t, here.pacs, receiverPort, {
    auth: { enabled: true, api_key: KEY, signed_links: { secret: 'that of the links, which nobody else knows' } }, cd_publisher: { host: publisher.host, port: publisher.port }, disc: { institution: 'Rumah Sakit Uji', capacity: 'cd', web_content: 'none' }
  })
  const upstreams = [new URL(mkiso.url).host]
  const nginx = await startNginx(t, { upstreams, key: KEY, links: 'direct' })
  const browser = await startBrowser()
  t.teardown(async () => { await browser.close() })
  const context = await browser.newContext({ acceptDownloads: true, locale: 'en-GB' })
  const complaints: string[] = []
  const strangers: string[] = []
  context.on('console', message => { if (message.type() === 'error') complaints.push(message.text()) })
  context.on('weberror', error => { complaints.push(error.error().message) })
  context.on('request', request => { if (!request.url().startsWith(nginx.url) && !request.url().startsWith('data:')) strangers.push(request.url()) })
  const page = await context.newPage()
  const uids = (accessionNumber: string): string[] => here.of(accessionNumber).map(({ sopInstanceUid }) => sopInstanceUid).sort()

  /** What is on the disc that a browser has saved. */
  const contentOf = async (download: Download): Promise<string[]> => [...(await readDisc(t, readFileSync(await download.path()), here.programs)).instances.keys()].sort()
  /** A link of the HIS opens a download, not a page. */
  const click = async (page: Page, url: string): Promise<Download> => {
    const [download] = await Promise.all([page.waitForEvent('download'), page.goto(url).catch(() => {})])
    return download
  }
  /** Serious violations, by what they are and where. */
  const violations = async (page: Page): Promise<string[]> => {
    // not by a script element, which the pages' policy refuses
    await page.evaluate(axe.source)
    return await page.evaluate(async () => {
      const { violations } = await (globalThis as unknown as { axe: typeof axe }).axe.run({ resultTypes: ['violations'] })
      return violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html }) => html.slice(0, 200)).join(' ')}`)
    })
  }

  t.test('the three links of the PHP scripts, which download and print at once by choice', async t => {
    const single = await click(page, `${nginx.url}/mkiso.php?accession_number=MR.2024.001`)
    t.equal(single.suggestedFilename(), 'MR.2024.001.iso')
    t.strictSame(await contentOf(single), uids('MR.2024.001'))
    const multiple = await click(page, `${nginx.url}/mkiso_multiple.php?accession_number=MR.2024.001,CR.2024.002`)
    t.equal(multiple.suggestedFilename(), 'RAHAYU SITI-MR.2024.001_CR.2024.002.iso')
    t.strictSame(await contentOf(multiple), [...uids('MR.2024.001'), ...uids('CR.2024.002')].sort())
    await page.goto(`${nginx.url}/send_rimage_multiple.php?accession_number=MR.2024.001`)
    await page.getByRole('heading', { name: 'The disc robot has all images' }).waitFor()
    t.match(await page.locator('main').innerText(), /24 images were sent/)
    t.strictSame((await publisher.received()).sort(), uids('MR.2024.001'))
    t.strictSame(await violations(page), [])
  })

  t.test('as shipped they open the pages, which download by themselves and ask before a print', async t => {
    const shipped = await startNginx(t, { upstreams, key: KEY })
    const inside = await browser.newContext({ acceptDownloads: true, locale: 'en-GB' })
    const tab = await inside.newPage()
    const download = await click(tab, `${shipped.url}/mkiso_multiple.php?accession_number=MR.2024.001,CR.2024.002`)
    t.equal(new URL(tab.url()).pathname, '/download')
    t.equal(download.suggestedFilename(), 'RAHAYU SITI-MR.2024.001_CR.2024.002.iso')
    t.strictSame(await contentOf(download), [...uids('MR.2024.001'), ...uids('CR.2024.002')].sort())
    await tab.goto(`${shipped.url}/send_rimage_multiple.php?accession_number=CR.2024.002`)
    t.equal(new URL(tab.url()).pathname, '/print')
    await tab.getByRole('button', { name: 'Send to the robot' }).waitFor()
    await inside.close()
  })

  t.test('the progress page counts up, survives a reload, and saves the disc', async t => {
    gate.allow(1_500_000)
    await page.goto(`${nginx.url}/download?accession_number=CT.2024.200`)
    const counted = async (atLeast: number): Promise<number> => {
      await page.waitForFunction(least => Number(/^(\d+)/.exec(document.getElementById('images')?.textContent ?? '')?.[1] ?? 0) >= least, atLeast)
      return Number(/^\d+/.exec(await page.locator('#images').innerText())?.[0])
    }
    const first = await counted(1)
    t.ok(first < 200, `${first} of 200`)
    t.equal(await page.locator('#patient').innerText(), 'RAHAYU SITI')
    t.match(await page.locator('#studies').innerText(), /5 March 2024 · CT Thorax · CT · CT.2024.200/)
    t.match(await page.title(), /Fetching the images/)
    t.strictSame(await violations(page), [])
    const moves = here.pacs.moves()

    await page.reload()
    t.ok(await counted(first) < 200, 'after a reload it goes on from there')
    t.equal(here.pacs.moves(), moves, 'with the retrieval that runs')
    gate.allow(1_500_000)
    t.ok(await counted(first + 1) > first, 'it counts up')
    t.equal(mkiso.app.activities.running.length, 1)
    const saving = page.waitForEvent('download')
    gate.open()
    const download = await saving
    t.equal(download.suggestedFilename(), 'CT.2024.200.iso')
    t.strictSame(await contentOf(download), uids('CT.2024.200'))
    await page.getByRole('heading', { name: 'The disc has been downloaded' }).waitFor()
    t.match(mkiso.app.activities.finished[0], { kind: 'download', outcome: { kind: 'success' }, images: { received: 200 } }, 'one click, one activity')
    t.strictSame(await nothingLeft(mkiso), [])
    await page.reload()
    await page.getByRole('link', { name: 'Download again' }).waitFor()
    t.equal(mkiso.app.activities.running.length, 0, 'a reload does not download it again by itself')
    t.strictSame(await violations(page), [])
  })

  t.test('cancel leaves nothing', async t => {
    gate.allow(1_000_000)
    await page.goto(`${nginx.url}/download?accession_number=CT.2024.200`)
    await page.locator('#images', { hasText: /^[1-9]/ }).waitFor()
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.getByRole('heading', { name: 'Cancelled' }).waitFor()
    gate.open()
    t.strictSame(await nothingLeft(mkiso), [])
    t.match(mkiso.app.activities.finished[0], { outcome: { kind: 'cancelled', by: 'client' } })
  })

  t.test('a part of the study: ticks, all of them at first', async t => {
    gate.allow(1_000_000)
    await page.goto(`${nginx.url}/download?accession_number=CT.2024.200`)
    await page.locator('#images', { hasText: /^[1-9]/ }).waitFor()
    await page.getByText('Only a part of the study').click()
    const second = page.getByLabel(/CT · Series 2/)
    await second.waitFor()
    t.equal(await page.locator('#choices input').count(), 2)
    t.equal(await page.locator('#choices input:checked').count(), 2)
    t.strictSame(await violations(page), [])
    await page.getByRole('button', { name: 'Make a disc of these' }).click()
    await page.getByText('This is the whole study').waitFor()
    await second.uncheck()
    await page.getByLabel(/CT · Series 1/).uncheck()
    await page.getByRole('button', { name: 'Make a disc of these' }).click()
    await page.getByText('Tick at least one series.').waitFor()
    await second.check()
    const saving = page.waitForEvent('download')
    await page.getByRole('button', { name: 'Make a disc of these' }).click()
    await page.getByText('Part of the study · 1 series').waitFor()
    t.strictSame(await violations(page), [])
    gate.open()
    const download = await saving
    t.equal(download.suggestedFilename(), 'CT.2024.200-part.iso')
    t.equal((await contentOf(download)).length, 100)
    await page.getByRole('link', { name: 'The whole study' }).waitFor()
    t.strictSame(await nothingLeft(mkiso), [])
  })

  t.test('a QR code for a phone, which has no key', async t => {
    gate.allow(1_000_000)
    await page.goto(`${nginx.url}/download?accession_number=CT.2024.200`)
    await page.getByText('For a phone: QR code').click()
    await page.getByText(/^Good until/).waitFor()
    t.equal(await page.getByAltText('QR code of the link').evaluate(image => 'naturalWidth' in image && Number(image.naturalWidth) > 0), true, 'it can be seen')
    t.strictSame(await violations(page), [])
    const link = await page.getByRole('link', { name: 'The same as a link' }).getAttribute('href') ?? ''
    t.ok(link.startsWith(`${nginx.url}/download?accession_number=CT.2024.200&expires=`), link)
    // past nginx, so that no key is added
    const asked = link.replace(`${nginx.url}/download`, `${mkiso.url}/api/iso/link`)
    const answer = await fetch(asked)
    t.equal(answer.status, 200)
    t.match(await answer.json(), { link: /signature=/ })
    t.equal((await fetch(asked.replace('CT.2024.200', 'MR.2024.001'))).status, 401, 'for nobody else')
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.getByRole('heading', { name: 'Cancelled' }).waitFor()
    gate.open()
    t.strictSame(await nothingLeft(mkiso), [])
  })

  t.test('a set of discs: a link for each', async t => {
    const whole = CAPACITY_BYTES.cd
    t.teardown(() => { CAPACITY_BYTES.cd = whole })
    CAPACITY_BYTES.cd = 8 * 1_024 ** 2 + here.of('CT.2024.200').reduce((sum, { path }) => sum + readFileSync(path).length + 6_144, 0) / 2 + 100_000
    await page.goto(`${nginx.url}/download?accession_number=CT.2024.200`)
    await page.getByRole('link', { name: 'Disc 1 of 2' }).waitFor()
    t.strictSame(await violations(page), [])
    const saving = page.waitForEvent('download')
    await page.getByRole('link', { name: 'Disc 2 of 2' }).click()
    const download = await saving
    t.equal(download.suggestedFilename(), 'CT.2024.200-2of2.iso')
    t.equal((await contentOf(download)).length, 100)
    await page.goto(`${nginx.url}/mkiso.php?accession_number=CT.2024.200`)
    t.equal(await page.getByRole('link', { name: /Disc . of 2/ }).count(), 2, 'the old link tells the same')
  })

  t.test('without script it is a plain link; in Indonesian', async t => {
    const plain = await browser.newContext({ javaScriptEnabled: false, acceptDownloads: true, locale: 'id-ID' })
    const still = await plain.newPage()
    await still.goto(`${nginx.url}/download?accession_number=MR.2024.001`)
    t.equal(await still.locator('h1').innerText(), 'Unduh cakram')
    t.equal(await still.locator('html').getAttribute('lang'), 'id')
    const [download] = await Promise.all([still.waitForEvent('download'), still.getByRole('link', { name: 'Unduh tanpa halaman ini' }).click()])
    t.strictSame(await contentOf(download), uids('MR.2024.001'))
    await still.getByRole('link', { name: 'English' }).click()
    t.equal(await still.locator('h1').innerText(), 'Download a disc')
    await still.goto(`${nginx.url}/print?accession_number=CR.2024.002`)
    await still.getByRole('button', { name: 'Kirim ke robot' }).click()
    await still.getByRole('heading', { name: 'Robot cakram sudah menerima semua citra' }).waitFor()
    t.match(await still.locator('main').innerText(), /2 citra dikirim/)
    await plain.close()
  })

  t.test('print asks, shows what comes, and tells what the robot has confirmed', async t => {
    const before = (await publisher.received()).length
    await page.goto(`${nginx.url}/print?accession_number=CT.2024.200`)
    await page.getByText('CT Thorax').waitFor()
    t.equal(await page.locator('#asked-patient').innerText(), 'RAHAYU SITI')
    t.strictSame(await violations(page), [])
    t.equal((await publisher.received()).length, before, 'nothing goes out before somebody says yes')
    await page.getByRole('button', { name: 'Send to the robot' }).click()
    await page.getByRole('heading', { name: 'The disc robot has all images' }).waitFor()
    t.match(await page.locator('#finished-text').innerText(), `200 images were sent to the robot ${publisher.host}:${publisher.port}`)
    t.equal((await publisher.received()).length, before + 200)
    t.ok(await eventually(() => mkiso.app.activities.finished[0]?.kind === 'print'), 'the activity ends after the job')
    t.match(mkiso.app.activities.finished[0], { kind: 'print', outcome: { kind: 'success' }, sentImages: 200 })
    await page.goto(`${nginx.url}/print?accession_number=DUP.2024.001`)
    await page.getByRole('heading', { name: 'These images belong to more than one patient.' }).waitFor()
    t.equal(await page.getByRole('button', { name: 'Send to the robot' }).isVisible(), false)
  })

  t.test('the operator sees what runs and what has ended, and cancels', async t => {
    await page.goto(`${nginx.url}/status`)
    t.strictSame(await violations(page), [])
    await page.getByLabel('Key of the operator').fill('wrong')
    await page.getByRole('button', { name: 'Show' }).click()
    await page.getByText('This key is not valid.').waitFor()
    await page.getByLabel('Key of the operator').fill(KEY)
    await page.getByRole('button', { name: 'Show' }).click()
    await page.getByText('Nothing is running.').waitFor()
    t.match(await page.locator('#finished tr').first().innerText(), /Print CT.2024.200.*RAHAYU SITI.*200 of 200 images.*done/)
    t.match(await page.locator('#finished').innerText(), /left by the client/)
    await page.locator('#checks li', { hasText: /^PACS ok/ }).waitFor()
    t.match(await page.locator('#checks').innerText(), /Patient API \(HIS\) warning[\s\S]*check patient_api/, 'with what to do')

    gate.allow(1_000_000)
    const other = await context.newPage()
    await other.goto(`${nginx.url}/download?accession_number=CT.2024.200`)
    const row = page.locator('#running li', { hasText: /CT.2024.200.*RAHAYU SITI[\s\S]*Fetching the images · \d+ (of 200 )?images/ })
    await row.waitFor()
    t.strictSame(await violations(page), [])
    await row.getByRole('button', { name: 'Cancel' }).click()
    await page.getByText('Nothing is running.').waitFor()
    t.match(await page.locator('#finished tr').first().innerText(), /Download CT.2024.200.*cancelled by the operator/)
    await other.getByRole('heading', { name: 'The operator has cancelled this.' }).waitFor()
    gate.open()
    t.strictSame(await nothingLeft(mkiso), [])
    await other.close()
  })

  t.test('Swagger UI executes a call with the key', async t => {
    await page.goto(`${nginx.url}/docs`)
    await page.getByRole('button', { name: 'Authorize' }).first().click()
    await page.locator('.auth-container input').fill(KEY)
    await page.locator('.auth-container').getByRole('button', { name: 'Apply credentials' }).click()
    await page.locator('.modal-ux').getByRole('button', { name: 'Close' }).first().click()
    const operation = page.locator('.opblock-get', { hasText: '/status/state' })
    await operation.locator('.opblock-summary-control').click()
    await operation.getByRole('button', { name: 'Execute' }).click()
    await operation.locator('.live-responses-table .response .response-col_status', { hasText: '200' }).waitFor()
    t.match(await operation.locator('.live-responses-table').innerText(), /"running": \[\]/)
    t.strictSame(await violations(page), [])
  })

  t.test('a PACS that fails: a sentence, what to do, the request id', async t => {
    await here.pacs.stop()
    await page.goto(`${nginx.url}/download?accession_number=MR.2024.001`)
    await page.getByRole('heading', { name: 'The picture archive (PACS) does not answer.' }).waitFor()
    t.match(await page.locator('#problem').innerText(), /Try again in a few minutes, or tell the administrator\.[\s\S]*Request id: [0-9a-f]{32}/)
    t.strictSame(await violations(page), [])
    const answer = await page.goto(`${nginx.url}/mkiso.php?accession_number=MR.2024.001`)
    t.equal(answer?.status(), 502)
    t.match(await page.locator('main').innerText(), /The picture archive \(PACS\) does not answer\.[\s\S]*Request id: [0-9a-f]{32}/)
    t.strictSame(await violations(page), [])
    const program = await fetch(`${nginx.url}/mkiso.php?accession_number=MR.2024.001`)
    t.match(await program.json(), { error: 'PACS unreachable', code: 'PACS_UNREACHABLE' }, 'a program gets JSON as before')
  })

  // what the tests provoke is said by the browser too
  t.strictSame(complaints.filter(text => !/status of (401|404|409|413|502)/.test(text)), [], 'no script failed, and nothing broke the policy')
  t.strictSame(strangers, [], 'no other host')
})
