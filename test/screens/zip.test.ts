/** The page of a ZIP in Chromium and in Firefox: what it offers, what a browser saves, and a password that is shown once and stands in no address. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Download } from 'playwright-core'
import t from 'tap'
import { startBrowser } from '../../demo/browser.ts'
import { demoStudies } from '../../demo/phantoms/studies.ts'
import { eventually } from '../eventually.ts'
import { nothingLeft, readDisc, readZip, service, temporaryFolder, world } from '../world.ts'
import { visitor } from './visitor.ts'

const MR = 'MR.2024.001'

t.test('a ZIP from the page', async t => {
  const here = await world(t, 'orthanc', { studies: demoStudies().filter(({ accessionNumber }) => accessionNumber === MR) })
  const mkiso = await service(t, here.pacs, here.receiverPort, { disc: { format: 'zip', web_content: 'none' } })
  const browser = await startBrowser()
  t.teardown(async () => { await browser.close() })
  const page = await (await browser.newContext({ acceptDownloads: true, locale: 'en-GB' })).newPage()
  const addresses: string[] = []
  page.on('request', request => { addresses.push(request.url()) })
  const uids = here.of(MR).map(({ sopInstanceUid }) => sopInstanceUid).sort()
  const bytesOf = async (download: Download): Promise<Buffer> => readFileSync(await download.path())

  const [download] = await Promise.all([page.waitForEvent('download'), page.goto(`${mkiso.url}/download?accession_number=${MR}`)])
  t.equal(download.suggestedFilename(), `${MR}.zip`, 'the site has chosen (disc.format)')
  t.strictSame([...(await readZip(t, await bytesOf(download), here.programs)).instances.keys()].sort(), uids)
  await page.getByText('Unpack it, and open INDEX.HTM').waitFor()

  const [image] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'for burning' }).click()])
  t.equal(image.suggestedFilename(), `${MR}.iso`)
  t.strictSame([...(await readDisc(t, await bytesOf(image), here.programs)).instances.keys()].sort(), uids)

  const [secret] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'with a password' }).click()])
  t.match(secret.suggestedFilename(), /^studies-[0-9a-f]{6}\.zip$/)
  const password = await page.locator('#password').innerText()
  t.match(password, /^(?:[a-z2-9]{4}-){3}[a-z2-9]{4}$/)
  t.strictSame([...(await readZip(t, await bytesOf(secret), here.programs, password)).instances.keys()].sort(), uids)
  await page.getByText('Send the password by another way').waitFor()
  t.notOk(addresses.some(address => address.includes(password)), 'in no address')
  t.notOk(JSON.stringify(mkiso.log).includes(password), 'in no log')
  await page.reload()
  t.notOk((await page.content()).includes(password), 'shown once')
  t.strictSame(await nothingLeft(mkiso), [])
})

t.test('a second form from one page, and a second file with a password, in Firefox', async t => {
  const here = await world(t, 'orthanc', { studies: demoStudies().filter(({ accessionNumber }) => accessionNumber === MR) })
  const mkiso = await service(t, here.pacs, here.receiverPort, { disc: { web_content: 'none' } })
  const uids = here.of(MR).map(({ sopInstanceUid }) => sopInstanceUid).sort()
  const downloads = temporaryFolder(t, 'downloads')
  const { engine, evaluate, open, seen, heading, text } = await visitor(t, 'firefox', here.programs, { downloads })
  /** A link to another page, by the keyboard: that the browser takes for its user's act, unlike a click by script. */
  const press = async (selector: string): Promise<void> => {
    const before = await evaluate<number>(`(() => {
      addEventListener('click', ({ isTrusted }) => { sessionStorage.setItem('trusted', isTrusted) }, true)
      document.querySelector('${selector}').focus()
      return performance.timeOrigin
    })()`)
    await engine.press('Enter')
    await seen(t, `performance.timeOrigin > ${before}`, `${selector} opens another page`)
    t.equal(await evaluate('sessionStorage.getItem("trusted")'), 'true', 'by a click that counts as a person\'s')
    await evaluate('(() => { sessionStorage.removeItem("trusted") })()')
  }
  /** Firefox keeps the place of a file that has no content yet, and writes beside it. */
  const saved = (): string[] => readdirSync(downloads).map(name => join(downloads, name)).filter(path => !path.endsWith('.part') && statSync(path).size > 0)
  /** What the page that is open saves. */
  const saves = async (pattern: RegExp, earlier: readonly string[]): Promise<Buffer> => {
    await heading(t, 'The disc has been downloaded')
    t.strictSame(mkiso.app.activities.running, [], 'the page has heard of the end, and has no other disc made')
    t.ok(await eventually(() => saved().length > earlier.length), 'a file is saved')
    const [path = '', ...more] = saved().filter(path => !earlier.includes(path))
    t.match(basename(path), pattern)
    t.strictSame(more, [], 'and no other')
    return readFileSync(path)
  }

  await open(`${mkiso.url}/download?accession_number=${MR}&lang=en`)
  await saves(/\.iso$/, [])
  let earlier = saved()
  await press('#as-zip')
  t.strictSame([...(await readZip(t, await saves(/^MR.*\.zip$/, earlier), here.programs)).instances.keys()].sort(), uids)
  // "Download again" is the second form that is sent
  for (const link of ['#as-protected', '#anew']) {
    earlier = saved()
    await press(link)
    const secret = await saves(/^studies-[0-9a-f]{6}.*\.zip$/, earlier)
    t.strictSame([...(await readZip(t, secret, here.programs, await text('#password'))).instances.keys()].sort(), uids)
  }
  // a large disc is found again after half a second, a small one (states.test.ts) has gone out by then
  t.strictSame(mkiso.log.filter(({ msg, route }) => msg === 'client left' && route === '/api/iso/progress'), [], 'no download breaks the connection that tells its progress')
  t.strictSame(await nothingLeft(mkiso), [])
})
