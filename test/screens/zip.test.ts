/** The page of a ZIP in Chromium: what it offers, what a browser saves, and a password that is shown once and stands in no address. */
import { readFileSync } from 'node:fs'
import type { Download } from 'playwright-core'
import t from 'tap'
import { startBrowser } from '../../demo/browser.ts'
import { demoStudies } from '../../demo/phantoms/studies.ts'
import { nothingLeft, readDisc, readZip, service, world } from '../world.ts'

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
