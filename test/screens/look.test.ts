/** "Look at the images": the viewer over a kept disc, through the real service. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import axe from 'axe-core'
import type { Page } from 'playwright-core'
import t from 'tap'
import { startBrowser } from '../../demo/browser.ts'
import { oddStudies } from '../../demo/phantoms/studies.ts'
import { signatureOf } from '../../src/auth/signed-links.ts'
import { eventually } from '../eventually.ts'
import { nothingLeft, service, temporaryFolder, world } from '../world.ts'
import { readPng } from '../disc/viewer/engines.ts'

const KEY = 'the-key-of-the-site'
const NUMBER = 'ODD.2024.001'
const QUERY = `accession_number=${NUMBER}`

async function violations (page: Page): Promise<string[]> {
  await page.evaluate(axe.source)
  return await page.evaluate(async () => {
    const { violations } = await (globalThis as unknown as { axe: typeof axe }).axe.run({ resultTypes: ['violations'] })
    return violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html }) => html.slice(0, 200)).join(' ')}`)
  })
}

t.test('over a kept disc', async t => {
  const here = await world(t, 'orthanc', { studies: oddStudies().filter(({ accessionNumber }) => accessionNumber === NUMBER) })
  const audit = join(temporaryFolder(t), 'audit.jsonl')
  const secret = 'a-secret-of-at-least-thirty-two-characters'
  const mkiso = await service(t, here.pacs, here.receiverPort, {
    auth: { enabled: true, api_key: KEY, signed_links: { secret } }, audit: { file: audit }, iso: { keep_for: '10m' }
  })
  const key = { 'x-api-key': KEY }
  // good for the page, for its download, and for the look that it leads to
  const expires = String(Math.floor(Date.now() / 1_000) + 600)
  const signed = `${QUERY}&expires=${expires}&signature=${signatureOf(secret, { path: '/api/iso/download', accessionNumbers: NUMBER, expires })}`
  const browser = await startBrowser()
  t.teardown(async () => { await browser.close() })
  const context = await browser.newContext({ acceptDownloads: true, locale: 'en-GB', viewport: { width: 1_280, height: 900 } })
  const complaints: string[] = []
  const strangers: string[] = []
  context.on('console', message => { if (message.type() === 'error') complaints.push(message.text()) })
  context.on('weberror', error => { complaints.push(error.error().message) })
  context.on('request', request => {
    // the reader of PDF is the browser's own
    if (!/^(?:data|blob|chrome|chrome-extension):/.test(request.url()) && !request.url().startsWith(mkiso.url)) strangers.push(request.url())
  })

  await t.test('nothing is kept yet: a page that says so, and leads to the download', async t => {
    const page = await context.newPage()
    const answer = await page.goto(`${mkiso.url}/look?${signed}`)
    t.equal(answer?.status(), 410)
    t.match(await page.locator('main').innerText(), /not kept here any more/)
    t.equal(await page.getByRole('link', { name: 'Download again' }).getAttribute('href'), `/download?${signed}`)
    t.equal(here.pacs.moves(), 0, 'nothing is fetched for it')
    complaints.length = 0
  })

  await t.test('from the page of a finished download', async t => {
    const page = await context.newPage()
    const [download] = await Promise.all([page.waitForEvent('download'), page.goto(`${mkiso.url}/download?${signed}`)])
    await download.path()
    const [viewer] = await Promise.all([context.waitForEvent('page'), page.getByRole('link', { name: 'Look at the images' }).click()])
    await viewer.locator('.mv-stage').first().waitFor()
    t.match(new URL(viewer.url()).pathname, /^\/look\/[0-9a-f]{24}\/INDEX\.HTM$/)
    t.notMatch(viewer.url(), NUMBER, 'no number in an address that logs hold')
    const tile = (text: string) => viewer.locator('.mv-list .mv-tile', { hasText: text })
    await viewer.waitForFunction(() => document.querySelectorAll('.mv-list .mv-drawn').length >= 7)
    // uncompressed CT, and one that the page decodes
    const pictures = await viewer.evaluate(() => performance.getEntriesByType('resource').map(({ name }) => name.replace(/.*\/look\/[^/]*\//, '')))
    t.ok(pictures.some(name => name.endsWith('.BMP')) && pictures.some(name => name.endsWith('.TXT')), 'bitmaps and scripts')
    await tile('CT 13').click()
    await viewer.locator('.mv-tr').first().filter({ hasText: 'CT 13' }).waitFor()
    const stage = viewer.locator('.mv-stage').first()
    await viewer.waitForFunction(() => document.querySelector('.mv-br')?.textContent?.includes('%'))
    const shot = readPng(await stage.screenshot())
    const [left, top] = [Math.floor(shot.width / 2) - 100, Math.floor(shot.height / 2) - 100]
    const greys = new Set(Array.from({ length: 400 }, (_, n) => shot.at(left + (n % 20) * 10, top + Math.floor(n / 20) * 10)[0]))
    t.ok(greys.size > 5, 'a picture stands there')
    await stage.hover()
    await viewer.locator('.mv-br').first().filter({ hasText: /%\s*-?\d/ }).waitFor({ state: 'attached' })
    t.strictSame(await violations(viewer), [])
    await tile('PDF').click()
    await viewer.locator('dialog iframe').waitFor()
    await viewer.keyboard.press('Escape')
    t.equal(await viewer.locator('main a[href="DICOM/"]').count(), 0, 'what is not beside the page has no link')
    t.strictSame(complaints, [])
    t.strictSame(strangers, [])
    await viewer.close()
    await page.reload()
    await page.getByRole('link', { name: 'Look at the images' }).waitFor()
    const lines = readFileSync(audit, 'utf8').trim().split('\n').map(line => JSON.parse(line) as Record<string, unknown>)
    t.match(lines.find(({ event }) => event === 'look'), { phase: 'begin', key: 'signed link', accession_numbers: [NUMBER], address: '127.0.0.1' })
  })

  await t.test('only who may download, and only what is shown', async t => {
    t.equal((await fetch(`${mkiso.url}/look?${QUERY}`, { redirect: 'manual' })).status, 401)
    const opened = await fetch(`${mkiso.url}/look?${QUERY}`, { redirect: 'manual', headers: key })
    t.equal(opened.status, 303)
    const folder = new URL(opened.headers.get('location') ?? '', mkiso.url).href.replace('INDEX.HTM', '')
    const cookie = opened.headers.getSetCookie().map(one => one.split(';')[0]).join('; ')
    for (const one of opened.headers.getSetCookie()) t.match(one, /; Path=\/look\/[0-9a-f]{24}\/; HttpOnly; SameSite=Lax$/)
    const get = async (path: string, headers: Record<string, string> = { cookie }): Promise<Response> => await fetch(`${folder}${path}`, { headers })
    const index = await get('INDEX.HTM')
    t.equal(index.status, 200)
    t.match(index.headers.get('cache-control'), 'no-store')
    t.match(index.headers.get('content-security-policy'), /default-src 'none'.*frame-ancestors 'self'/)
    const text = await index.text()
    const bitmap = /IHE_PDI\/PIXELS\/[A-Z0-9/]+\.BMP/.exec(text)?.[0] ?? 'none'
    t.equal((await get(bitmap)).headers.get('content-type'), 'image/bmp')
    for (const headers of [{}, key, { cookie: 'mkiso_look=wrong' }]) t.equal((await get(bitmap, headers)).status, 410, 'not by its address alone')
    for (const path of ['DICOMDIR', 'DICOM/PT000001/ST000001/SE000001/IM000001', 'README.TXT', 'IHE_PDI/NONE.TXT', '../../etc/passwd', '..%2f..%2fetc%2fpasswd', 'IHE_PDI/..%2f..%2fhead', '']) {
      t.equal((await get(path)).status, 404, path)
    }
  })

  await t.test('when the studies go, the look ends with a page that says so', async t => {
    const page = await context.newPage()
    await page.goto(`${mkiso.url}/look?${signed}`)
    await page.locator('.mv-stage').first().waitFor()
    await mkiso.app.studyStore.close()
    await eventually(() => mkiso.app.studyStore.kept === 0)
    const answer = await page.reload()
    t.equal(answer?.status(), 410)
    t.match(await page.locator('main').innerText(), /not kept here any more/)
    await context.close()
  })
  t.strictSame(await nothingLeft(mkiso), [])
})
