/** A download that is cancelled in the middle stays so: Chromium and Firefox, through nginx, with a disc that is kept for those whose connection broke. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Download, Page } from 'playwright-core'
import t from 'tap'
import { startBrowser } from '../../demo/browser.ts'
import { demoStudies } from '../../demo/phantoms/studies.ts'
import { freePort } from '../../demo/ports.ts'
import { eventually } from '../eventually.ts'
import { startNginx } from '../nginx/nginx.ts'
import { readDisc, service, temporaryFolder, world } from '../world.ts'
import { startNarrowWay } from './gate.ts'
import { visitor } from './visitor.ts'

const KEY = 'the-key-of-the-site'

t.test('cancelled in the middle of the download', async t => {
  const studies = demoStudies().filter(({ accessionNumber }) => accessionNumber === 'CT.2024.200')
  const here = await world(t, 'dcmqrscp', { studies })
  const mkiso = await service(t, here.pacs, here.receiverPort, { auth: { enabled: true, api_key: KEY }, iso: { keep_for: '5m' }, disc: { web_content: 'none' } })
  const browser = await startBrowser()
  t.teardown(async () => { await browser.close() })
  const uids = here.instances.map(({ sopInstanceUid }) => sopInstanceUid).sort()

  /** A browser on a way that is slow, past which there are pages as ever. */
  const begin = async (path: string): Promise<{ page: Page, download: Download, way: { open (): void }, accessLog: () => string }> => {
    const port = await freePort()
    const way = await startNarrowWay(t, port, Number(new URL(mkiso.url).port), 3_000_000)
    const nginx = await startNginx(t, { upstreams: [`127.0.0.1:${port}`], key: KEY })
    const page = await (await browser.newContext({ acceptDownloads: true, locale: 'en-GB' })).newPage()
    const [download] = await Promise.all([page.waitForEvent('download'), page.goto(nginx.url + path).catch(() => {})])
    return { page, download, way, accessLog: nginx.accessLog }
  }
  const streaming = async (): Promise<boolean> => await eventually(() => mkiso.app.activities.running.some(({ phase, sentBytes }) => phase === 'streaming' && sentBytes > 1_000_000))
  const codes = (from: number): unknown[] => mkiso.log.slice(from).filter(({ msg, route }) => msg === 'request ended' && route === '/api/iso/download').map(({ status, code }) => code ?? status)

  t.test('by its page', async t => {
    const before = mkiso.log.length
    const { page, download, way } = await begin('/download?accession_number=CT.2024.200')
    t.ok(await streaming())
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.getByRole('heading', { name: 'Cancelled' }).waitFor()
    t.equal(await page.locator('#download').isVisible(), false, 'no live "Download" after it')
    way.open()
    t.ok(await download.failure(), 'the browser has no disc')
    t.ok(await eventually(() => codes(before).length > 0), 'it has tried to go on')
    t.strictSame([...new Set(codes(before))], ['DOWNLOAD_CANCELLED'])
    t.equal(mkiso.app.activities.running.length, 0)

    const saving = page.waitForEvent('download')
    await page.getByRole('link', { name: 'Start again' }).click()
    t.strictSame([...(await readDisc(t, readFileSync(await (await saving).path()), here.programs)).instances.keys()].sort(), uids, 'a new click has the disc')
  })

  t.test('by its page, in Firefox', async t => {
    const port = await freePort()
    const way = await startNarrowWay(t, port, Number(new URL(mkiso.url).port), 3_000_000)
    const nginx = await startNginx(t, { upstreams: [`127.0.0.1:${port}`], key: KEY })
    const downloads = temporaryFolder(t, 'downloads')
    const { open, seen, heading, isNews, evaluate, click } = await visitor(t, 'firefox', here.programs, { downloads })
    await open(`${nginx.url}/download?accession_number=CT.2024.200&lang=en`)
    t.ok(await streaming())
    await seen(t, '!document.getElementById("download").checkVisibility()', 'no second "Download" beside it')
    await click('#cancel')
    await heading(t, 'Cancelled')
    await isNews(t, 'Cancelled')
    t.notOk(await evaluate('document.getElementById("download").checkVisibility()'), 'no live "Download" after it')
    way.open()
    t.ok(await eventually(() => mkiso.app.activities.running.length === 0))
    // Firefox keeps the place of a file that has no content yet, and writes beside it
    const saved = (): string[] => readdirSync(downloads).filter(name => name.endsWith('.iso') && statSync(join(downloads, name)).size > 0)
    t.strictSame(saved(), [], 'the browser has no disc')
    await click('#anew')
    await heading(t, 'The disc has been downloaded')
    t.ok(await eventually(() => saved().length === 1), `a new click has the disc: ${readdirSync(downloads).join()}`)
    t.strictSame([...(await readDisc(t, readFileSync(join(downloads, saved()[0] ?? '')), here.programs)).instances.keys()].sort(), uids)
  })

  t.test('by the operator, without a page', async t => {
    const before = mkiso.log.length
    const path = '/api/iso/download?accession_number=CT.2024.200'
    const { page, download, way } = await begin(path)
    t.ok(await streaming())
    t.ok(mkiso.app.activities.running[0]?.cancel('operator'))
    way.open()
    t.ok(await download.failure(), 'the browser has no disc')
    t.ok(await eventually(() => codes(before).length > 0), 'it has tried to go on')
    t.strictSame([...new Set(codes(before))], ['DOWNLOAD_CANCELLED'])
    const [again] = await Promise.all([page.waitForEvent('download'), page.goto(new URL(path, download.url()).href).catch(() => {})])
    t.strictSame([...(await readDisc(t, readFileSync(await again.path()), here.programs)).instances.keys()].sort(), uids, 'a new click has the disc')
  })

  t.test('a connection that breaks is no cancel: the browser goes on', async t => {
    const before = mkiso.log.length
    const { download, way } = await begin('/download?accession_number=CT.2024.200')
    t.ok(await streaming())
    way.open()
    mkiso.app.activities.running[0]?.leave()
    t.strictSame([...(await readDisc(t, readFileSync(await download.path()), here.programs)).instances.keys()].sort(), uids)
    t.ok(codes(before).includes(206), 'with the rest of the same disc')
  })
})
