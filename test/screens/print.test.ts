/** The page of a print in Chromium, through the real nginx: whatever a person does with the browser, one disc; a second one only on purpose. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import axe from 'axe-core'
import type { Page } from 'playwright-core'
import t from 'tap'
import { startBrowser } from '../../demo/browser.ts'
import { eventually } from '../eventually.ts'
import { faultStudy } from '../faults/harness.ts'
import { startNginx } from '../nginx/nginx.ts'
import { startRobot } from '../print/robot.ts'
import { service, temporaryFolder, world } from '../world.ts'

const KEY = 'the-key-of-the-site'
const NUMBERS = ['RELOAD.1', 'BACK.1', 'TAB.1', 'DOUBLE.1', 'LATE.1', 'OLD.1', 'UNKNOWN.1', 'CANCEL.1', 'HIS.1']
const IMAGES = 6
const HAS_ALL = { name: 'The disc robot has all images' }
const SEND = { name: 'Send to the robot' }
const AGAIN = { name: 'Send once more' }

t.test('a print in Chromium', async t => {
  const here = await world(t, 'dcmqrscp', { studies: NUMBERS.map(accessionNumber => faultStudy(accessionNumber, { images: IMAGES })) })
  const robot = await startRobot(t)
  const stateDir = temporaryFolder(t, 'state')
  const mkiso = await service(t, here.pacs, here.receiverPort, {
    auth: { enabled: true, api_key: KEY },
    cd_publisher: { host: '127.0.0.1', port: robot.port },
    relay: { state_dir: unknownPrint(stateDir, `127.0.0.1:${robot.port}`) }
  })
  const nginx = await startNginx(t, { upstreams: [new URL(mkiso.url).host], key: KEY, links: 'direct' })
  const browser = await startBrowser()
  t.teardown(async () => { await browser.close() })
  const context = await browser.newContext({ locale: 'en-GB' })
  const complaints: string[] = []
  context.on('console', message => { if (message.type() === 'error') complaints.push(message.text()) })
  context.on('weberror', error => { complaints.push(error.error().message) })
  const open = async (path: string): Promise<Page> => {
    const page = await context.newPage()
    await page.goto(nginx.url + path)
    return page
  }
  const discs = (accessionNumber: string): number[] => robot.discsOf(here.of(accessionNumber)[0]?.studyInstanceUid ?? '').map(({ images }) => images.size)
  const begun = async (accessionNumber: string): Promise<boolean> => await eventually(() => discs(accessionNumber).length > 0, 5)
  const violations = async (page: Page): Promise<string[]> => {
    await page.evaluate(axe.source)
    return await page.evaluate(async () => {
      const { violations } = await (globalThis as unknown as { axe: typeof axe }).axe.run({ resultTypes: ['violations'] })
      return violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join(' ')}`)
    })
  }

  await t.test('a reload while the images go out, and after', async t => {
    robot.hold()
    const page = await open('/print?accession_number=RELOAD.1')
    await page.getByRole('button', SEND).click()
    t.ok(await begun('RELOAD.1'))
    await page.reload()
    await page.locator('#phase', { hasText: 'Sending to the disc robot' }).waitFor()
    t.ok(await page.locator('#cancel').isDisabled(), 'it cannot be cancelled any more')
    t.strictSame(await violations(page), [])
    robot.letGo()
    await page.getByRole('heading', HAS_ALL).waitFor()
    await page.reload()
    await page.getByRole('heading', HAS_ALL).waitFor()
    t.strictSame(await violations(page), [])
    t.strictSame(discs('RELOAD.1'), [IMAGES])
    await page.close()
  })

  await t.test('back', async t => {
    robot.hold()
    const page = await open('/print?accession_number=BACK.1')
    await page.getByRole('button', SEND).click()
    t.ok(await begun('BACK.1'))
    await page.goto(`${nginx.url}/download?accession_number=BACK.1`)
    await page.goBack()
    await page.locator('#phase', { hasText: 'Sending to the disc robot' }).waitFor()
    robot.letGo()
    await page.getByRole('heading', HAS_ALL).waitFor()
    t.strictSame(discs('BACK.1'), [IMAGES])
    await page.close()
  })

  await t.test('a second tab', async t => {
    robot.hold()
    const page = await open('/print?accession_number=TAB.1')
    await page.getByRole('button', SEND).click()
    t.ok(await begun('TAB.1'))
    const second = await open('/print?accession_number=TAB.1')
    await second.locator('#phase', { hasText: 'Sending to the disc robot' }).waitFor()
    robot.letGo()
    for (const one of [page, second]) await one.getByRole('heading', HAS_ALL).waitFor()
    t.strictSame(discs('TAB.1'), [IMAGES])
    for (const one of [page, second]) await one.close()
  })

  await t.test('a double click, and two tabs at once', async t => {
    const [page, second] = [await open('/print?accession_number=DOUBLE.1'), await open('/print?accession_number=DOUBLE.1')]
    await Promise.all([page, second].map(async one => { await one.getByRole('button', SEND).dblclick({ noWaitAfter: true }).catch(() => {}) }))
    for (const one of [page, second]) await one.locator('#finished, #before').filter({ visible: true }).first().waitFor()
    t.strictSame(discs('DOUBLE.1'), [IMAGES])
    for (const one of [page, second]) await one.close()
  })

  await t.test('a tab that was opened before: it asks, and a second disc is made on purpose', async t => {
    const [late, page] = [await open('/print?accession_number=LATE.1'), await open('/print?accession_number=LATE.1')]
    await page.getByRole('button', SEND).click()
    await page.getByRole('heading', HAS_ALL).waitFor()
    await late.getByRole('button', SEND).click()
    await late.getByRole('heading', { name: 'Send these studies once more?' }).waitFor()
    t.match(await late.locator('#before').innerText(), new RegExp(`They were sent on .* by api_key: ${IMAGES} images\\.`))
    t.strictSame(await violations(late), [])
    t.strictSame(discs('LATE.1'), [IMAGES])
    await late.getByRole('button', AGAIN).click()
    await late.getByRole('heading', HAS_ALL).waitFor()
    t.strictSame(discs('LATE.1'), [IMAGES, IMAGES])
    for (const one of [late, page]) await one.close()
  })

  await t.test('F5 on the old link, while it prints and after', async t => {
    robot.hold()
    const old = `${nginx.url}/send_rimage_multiple.php?accession_number=OLD.1`
    const page = await context.newPage()
    const opening = page.goto(old).catch(() => {})
    t.ok(await begun('OLD.1'))
    // as F5 does: the first request is given up
    await (await context.newCDPSession(page)).send('Page.stopLoading')
    await opening
    const joining = page.goto(old)
    t.ok(await eventually(() => [...mkiso.app.prints.jobs[0]?.audience ?? []].length === 2, 20), 'it joins what is under way')
    robot.letGo()
    await joining
    await page.getByRole('heading', HAS_ALL).waitFor()
    await page.reload()
    await page.getByRole('heading', { name: /Send these studies once more\?|The disc robot has all images/ }).filter({ visible: true }).first().waitFor()
    t.strictSame(discs('OLD.1'), [IMAGES])
    await page.goto('about:blank')
    await page.goBack()
    await page.locator('#before').filter({ visible: true }).waitFor()
    t.strictSame(discs('OLD.1'), [IMAGES])
    await page.getByRole('link', { name: 'Bahasa Indonesia' }).click()
    await page.getByRole('heading', { name: 'Kirim pemeriksaan ini sekali lagi?' }).waitFor()
    t.strictSame(discs('OLD.1'), [IMAGES], 'the other language prints nothing')
    await page.close()
  })

  await t.test('without script the old link asks with a form', async t => {
    const plain = await browser.newContext({ javaScriptEnabled: false, locale: 'en-GB' })
    const page = await plain.newPage()
    await page.goto(`${nginx.url}/send_rimage_multiple.php?accession_number=OLD.1`)
    t.match(await page.locator('main').innerText(), /Send these studies once more\?[\s\S]*They were sent on/)
    await page.getByRole('button', AGAIN).click()
    await page.getByRole('heading', HAS_ALL).waitFor()
    t.strictSame(discs('OLD.1'), [IMAGES, IMAGES])
    await plain.close()
  })

  await t.test('a click in a HIS on another host opens the page that asks', async t => {
    const old = `${nginx.url}/send_rimage_multiple.php?accession_number=HIS.1`
    let asked = 0
    const his = createServer((_request, response) => {
      asked++
      response.setHeader('content-type', 'text/html').end(`<!doctype html><title>HIS</title><a id="old" href="${old}">print</a><img src="${old}" alt=""><script src="${old}"></script>`)
    })
    t.teardown(() => { his.close() })
    await new Promise<void>(resolve => { his.listen(0, 'localhost', resolve) })
    const page = await context.newPage()
    // another host than 127.0.0.1 for the browser
    await page.goto(`http://localhost:${(his.address() as AddressInfo).port}/`)
    t.ok(asked > 0)
    await page.locator('#old').click()
    await page.getByRole('button', SEND).waitFor()
    t.strictSame(discs('HIS.1'), [], 'neither the link nor the picture has printed')
    await page.getByRole('button', SEND).click()
    await page.getByRole('heading', HAS_ALL).waitFor()
    t.strictSame(discs('HIS.1'), [IMAGES])
    await page.close()
  })

  await t.test('cancel, while the robot is off', async t => {
    await robot.off()
    const page = await open('/print?accession_number=CANCEL.1')
    await page.getByRole('button', SEND).click()
    await page.locator('#phase', { hasText: 'The disc robot does not answer; it is tried again' }).waitFor()
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.getByRole('heading', { name: 'Cancelled' }).waitFor()
    await robot.on()
    await page.reload()
    await page.getByRole('heading', { name: 'Send these studies to the disc robot?' }).waitFor()
    t.strictSame(discs('CANCEL.1'), [])
    await page.close()
  })

  await t.test('a print that was cut off: the page and the operator are told to look at the robot', async t => {
    const page = await open('/print?accession_number=UNKNOWN.1')
    await page.getByRole('heading', { name: 'Send these studies once more?' }).waitFor()
    t.match(await page.locator('#before').innerText(), /The service stopped while it sent them \(.*, ward-7\): 2 of 6 images were confirmed\. Look at the robot/)
    t.strictSame(await violations(page), [])
    await page.goto(`${nginx.url}/status`)
    await page.getByLabel('Key of the operator').fill(KEY)
    await page.getByRole('button', { name: 'Show' }).click()
    const row = page.locator('#unknown li', { hasText: /UNKNOWN\.1 · DOE JANE[\s\S]*ward-7: 2 of 6 images were confirmed/ })
    await row.waitFor()
    await page.locator('#checks li', { hasText: /^Prints warning[\s\S]*look at the robot/ }).waitFor()
    t.strictSame(await violations(page), [])
    await row.getByRole('button', { name: 'I have looked' }).click()
    await page.locator('#unknown-card').waitFor({ state: 'hidden' })
    t.strictSame(discs('UNKNOWN.1'), [])
    await page.close()
  })

  // what the tests provoke is said by the browser too
  t.strictSame(complaints.filter(text => !/status of (403|404|409)|BLOCKED_BY_RESPONSE/.test(text)), [], 'no script failed, and nothing broke the policy')
})

/** A journal as a service leaves it that was killed while it sent. @returns the folder */
function unknownPrint (stateDir: string, destination: string): string {
  const folder = join(stateDir, 'prints', '0badcafe')
  mkdirSync(folder, { recursive: true })
  const id = '3f0c1f9e-6f5b-4d0e-9a52-2b7a4f1d1c11'
  const now = new Date().toISOString()
  writeFileSync(join(folder, `${id}.json`), JSON.stringify({
    id, createdAt: now, accessionNumbers: ['UNKNOWN.1'], caller: { address: '10.0.0.1', credential: 'ward-7' }, requestId: 'killed', again: false, detached: true, state: 'sending',
    times: { queued: now, sending: now }, destination, patientName: 'DOE JANE', studyInstanceUids: ['1.2.3'], images: 6, sentImages: 0
  }))
  writeFileSync(join(folder, `${id}.sent`), '2           ')
  return stateDir
}
