/** The page of a signed link that expires while its disc is made, and that loses its connection in the middle and at the end, in Chromium. */
import { readFileSync, statSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import t from 'tap'
import { startBrowser } from '../../demo/browser.ts'
import { demoStudies } from '../../demo/phantoms/studies.ts'
import { freePort } from '../../demo/ports.ts'
import { signedLink } from '../../src/auth/signed-links.ts'
import { eventually } from '../eventually.ts'
import { nothingLeft, readDisc, readZip, service, world } from '../world.ts'
import { startGate } from './gate.ts'

const SECRET = '0123456789abcdef0123456789abcdef'
const MR = 'MR.2024.001'

t.test('a page whose link expires while its disc is made, and whose connection breaks', async t => {
  const target = await freePort()
  const here = await world(t, 'orthanc', { studies: demoStudies().filter(({ accessionNumber }) => accessionNumber === MR), receiverPort: await freePort() })
  const gate = await startGate(t, here.receiverPort, target)
  const mkiso = await service(t, here.pacs, target, { auth: { enabled: true, signed_links: { secret: SECRET } }, disc: { web_content: 'none' } })
  const browser = await startBrowser()
  t.teardown(async () => { await browser.close() })
  const uids = here.of(MR).map(({ sopInstanceUid }) => sopInstanceUid).sort()
  const halfBytes = here.of(MR).reduce((sum, { path }) => sum + statSync(path).size, 0) / 2
  const following = new Set<ServerResponse>()
  const breakConnection = (): void => { for (const response of following) response.destroy() }
  /** The page cannot reach its progress. */
  let isAway = false
  mkiso.app.server.on('request', ({ url = '' }, response: ServerResponse) => {
    if (url.startsWith('/api/iso/download')) {
      isAway = true
      breakConnection()
    }
    if (!url.startsWith('/api/iso/progress')) return
    following.add(response)
    response.once('close', () => { following.delete(response) })
  })

  for (const format of ['iso', 'zip']) {
    for (const once of [undefined, format === 'iso' ? 'a'.repeat(32) : 'b'.repeat(32)]) {
      await t.test(`${format}${once === undefined ? '' : ', good once'}`, async t => {
        gate.allow(halfBytes)
        const expires = String(Math.floor(Date.now() / 1_000) + 6)
        const link = signedLink(SECRET, { path: '/download', accessionNumbers: MR, expires, ...(once === undefined ? {} : { once }) }, { format })
        const page = await (await browser.newContext({ acceptDownloads: true, locale: 'en-GB' })).newPage()
        isAway = false
        await page.route('**/api/iso/progress*', async route => { await (isAway ? route.abort() : route.continue()) })
        const saving = page.waitForEvent('download')
        await page.goto(mkiso.url + link)
        t.ok(await eventually(() => mkiso.app.activities.running.some(({ images }) => images.received > 0)), 'it has begun in time')
        t.ok(await eventually(() => Date.now() > Number(expires) * 1_000), 'and its link has expired')
        // the download of a ZIP runs by now
        if (format === 'iso') {
          const [first] = following
          breakConnection()
          t.ok(await eventually(() => first !== undefined && following.size === 1 && !following.has(first)), 'in the middle it finds its disc again')
        }
        gate.open()
        const download = await saving
        const bytes = readFileSync(await download.path())
        const disc = format === 'iso' ? await readDisc(t, bytes, here.programs) : await readZip(t, bytes, here.programs)
        t.strictSame([...disc.instances.keys()].sort(), uids)
        t.ok(await eventually(() => mkiso.app.activities.running.length === 0), 'it has gone out while the page was away')
        t.equal(following.size, 0)
        t.equal(await page.getByRole('heading', { name: 'The disc has been downloaded' }).isVisible(), false, 'it has not heard of it')
        isAway = false
        await page.getByRole('heading', { name: 'The disc has been downloaded' }).waitFor()
        t.equal(await page.getByText('This link has expired').isVisible(), false)
        t.strictSame(await nothingLeft(mkiso), [], 'no second disc is made')
        await page.context().close()
      })
    }
  }
})
