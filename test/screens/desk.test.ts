/** The desk in Chromium, through the real nginx with a login: found by a part of the name at two archives, ticked, downloaded and printed by the keyboard alone. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import axe from 'axe-core'
import type { Page } from 'playwright-core'
import t from 'tap'
import { startBrowser } from '../../demo/browser.ts'
import { demoStudies, oldStudy } from '../../demo/phantoms/studies.ts'
import { freePort } from '../../demo/ports.ts'
import { eventually } from '../eventually.ts'
import { startNginx } from '../nginx/nginx.ts'
import { startRobot } from '../print/robot.ts'
import { nothingLeft, readDisc, serviceOf, temporaryFolder, world } from '../world.ts'
import { startGate } from './gate.ts'

const KEY = 'the-key-of-the-site'
const SEND = { name: 'Send to the robot' }
const NUMBERS = ['MR.2024.001', 'US.2024.001', 'DUP.2024.001']

t.test('the desk in Chromium', async t => {
  const [gatePort, receiverPort] = [await freePort(), await freePort()]
  const gate = await startGate(t, gatePort, receiverPort)
  const studies = demoStudies().filter(({ accessionNumber }) => NUMBERS.includes(accessionNumber))
  const main = await world(t, 'dcmqrscp', { studies, receiverPort: gatePort })
  const old = await world(t, 'orthanc', { studies: [{ ...oldStudy(), series: [{ kind: 'CT', count: 3 }] }], receiverPort: gatePort })
  const robot = await startRobot(t)
  const auditFile = join(temporaryFolder(t, 'audit'), 'audit.log')
  const mkiso = await serviceOf(t, {
    archives: [main, old].map(({ pacs }, index) => ({ name: ['main', 'old'][index], ae_title: pacs.aeTitle, host: pacs.host, port: pacs.port, settle_timeout: '500ms' }))
  }, receiverPort, {
    auth: { enabled: true, api_key: KEY },
    audit: { file: auditFile, user_header: 'X-Remote-User' },
    cd_publisher: { host: '127.0.0.1', port: robot.port },
    iso: { keep_for: '10m' },
    disc: { web_content: 'none' }
  })
  const nginx = await startNginx(t, { upstreams: [new URL(mkiso.url).host], key: KEY })
  // as an administrator does it
  const users = join(nginx.folder, 'desk.users')
  writeFileSync(users, 'dewi:{PLAIN}secret\n')
  t.equal((await fetch(`${nginx.url}/desk`)).status, 403, 'as shipped nobody')
  const edit = (name: string, change: (text: string) => string): void => {
    const path = join(nginx.folder, 'mkiso', name)
    writeFileSync(path, change(readFileSync(path, 'utf8')))
  }
  edit('desk.conf', text => text.replace('deny all;', '# deny all;'))
  // for downloads and prints too, so that they have a name
  edit('access.conf', text => text.replace(/^# (auth_basic|set )/gm, '$1').replace(/auth_basic_user_file .*/, `auth_basic_user_file ${users};`))
  const browser = await startBrowser()
  t.teardown(async () => { await browser.close() })
  nginx.reload()
  t.ok(await eventually(async () => (await fetch(`${nginx.url}/desk`)).status === 401))
  const context = await browser.newContext({ acceptDownloads: true, locale: 'en-GB', httpCredentials: { username: 'dewi', password: 'secret' } })
  const complaints: string[] = []
  // what a policy refuses, or a script throws; that an answer is an error is for the page to say
  context.on('console', message => { if (message.type() === 'error' && !message.text().includes('Failed to load resource')) complaints.push(message.text()) })
  context.on('weberror', error => { complaints.push(error.error().message) })
  const page = await context.newPage()
  const violations = async (page: Page): Promise<string[]> => {
    await page.evaluate(axe.source)
    return await page.evaluate(async () => {
      const { violations } = await (globalThis as unknown as { axe: typeof axe }).axe.run({ resultTypes: ['violations'] })
      return violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join(' ')}`)
    })
  }
  const uids = (...numbers: string[]): string[] => numbers.flatMap(number => [...main.of(number), ...old.of(number)]).map(({ sopInstanceUid }) => sopInstanceUid).sort()
  const audited = (event: string): Array<Record<string, unknown>> => readFileSync(auditFile, 'utf8').trim().split('\n').map(line => JSON.parse(line) as Record<string, unknown>).filter(line => line['event'] === event)
  /** Goes with Tab to what fits. */
  const tabTo = async (selector: string): Promise<void> => {
    for (let step = 0; step < 60; step++) {
      if (await page.evaluate(wanted => document.activeElement?.matches(wanted) === true, selector)) return
      await page.keyboard.press('Tab')
    }
    throw new Error(`Tab never comes to ${selector}`)
  }

  await t.test('empty, in light and dark, on a phone, in Indonesian', async t => {
    await page.goto(`${nginx.url}/desk`)
    await page.getByText('Nothing is running.').waitFor()
    await page.getByText('Nothing has ended yet.').waitFor()
    t.strictSame(await violations(page), [])
    await page.emulateMedia({ colorScheme: 'dark' })
    t.strictSame(await violations(page), [])
    await page.emulateMedia({ colorScheme: 'light' })
    await page.setViewportSize({ width: 360, height: 700 })
    t.strictSame(await violations(page), [])
    t.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, 'nothing is wider than a phone')
    await page.setViewportSize({ width: 1280, height: 900 })
    await page.goto(`${nginx.url}/desk?lang=id`)
    t.equal(await page.locator('h1').innerText(), 'Meja layanan')
    t.strictSame(await violations(page), [])
  })

  await t.test('a disc of one person from two archives, by the keyboard alone, the name typed in part', async t => {
    await page.goto(`${nginx.url}/desk`)
    await tabTo('#patient_name')
    await page.keyboard.type('siti rah')
    await page.keyboard.press('Enter')
    await page.getByText('3 studies, 1 person(s).').waitFor()
    t.equal(main.pacs.moves() + old.pacs.moves(), 0, 'nothing is moved')
    t.match(audited('query').at(-1), { user: 'dewi', patients: [{ id: 'MR.0001', name: 'RAHAYU^SITI' }] }, 'who has asked is recorded')
    t.strictSame(await violations(page), [])
    // newest first: DUP, whose number another patient has too, then MR, then what only the old archive has
    t.match(await page.locator('#studies tr').allInnerTexts(), [/DUP\.2024\.001\s+main/, /MR\.2024\.001\s+main/, /OLD\.2019\.001\s+old/])
    await tabTo('#studies tr:nth-child(2) input')
    await page.keyboard.press('Space')
    await tabTo('#studies tr:nth-child(3) input')
    await page.keyboard.press('Space')
    t.equal(await page.locator('#chosen').innerText(), 'RAHAYU SITI · MR.2024.001, OLD.2019.001')
    t.strictSame(await violations(page), [])
    await tabTo('#take-iso')
    const [tab] = await Promise.all([context.waitForEvent('page'), page.keyboard.press('Enter')])
    const download = await tab.waitForEvent('download')
    const disc = await readDisc(t, readFileSync(await download.path()), main.programs)
    t.strictSame([...disc.instances.keys()].sort(), uids('MR.2024.001', 'OLD.2019.001'))
    await tab.getByRole('heading', { name: 'The disc has been downloaded' }).waitFor()
    await tab.close()
    await page.locator('#history tr', { hasText: 'MR.2024.001, OLD.2019.001' }).filter({ hasText: 'done' }).waitFor()
    t.match(await page.locator('#history tr').first().innerText(), /RAHAYU SITI · MR\.0001[^]*dewi[^]*Download · done/)
    t.strictSame(await violations(page), [])
  })

  await t.test('what is kept can be looked at; the history gives it once more', async t => {
    await page.locator('#patient_name').fill('rahayu')
    await page.getByRole('button', { name: 'Search' }).first().click()
    await page.getByText('3 studies, 1 person(s).').waitFor()
    await page.locator('#studies tr', { hasText: 'MR.2024.001' }).locator('input').check()
    const [look] = await Promise.all([context.waitForEvent('page'), page.getByRole('link', { name: 'Look at the images' }).click()])
    await look.waitForURL(/\/look\/[0-9a-f]+\/INDEX\.HTM/)
    await look.close()
    const [zipTab] = await Promise.all([context.waitForEvent('page'), page.getByRole('link', { name: 'Download a ZIP' }).click()])
    t.match((await zipTab.waitForEvent('download')).suggestedFilename(), /\.zip$/)
    await zipTab.close()
    await page.getByLabel('Number, patient or person').fill('nobody at all')
    await page.getByLabel('Number, patient or person').press('Enter')
    await page.getByText('Nothing has ended yet.').waitFor()
    await page.getByLabel('Number, patient or person').fill('dewi')
    await page.getByLabel('Number, patient or person').press('Enter')
    const again = page.getByRole('link', { name: 'Download again: MR.2024.001, OLD.2019.001' })
    const [tab] = await Promise.all([context.waitForEvent('page'), again.click()])
    await tab.waitForEvent('download')
    await tab.close()
  })

  await t.test('two persons: the page says so before the service would', async t => {
    await page.locator('#patient_name').fill('')
    await page.locator('#from').fill('2024-03-01')
    await page.locator('#to').fill('2024-03-31')
    await page.locator('#find').getByRole('button').click()
    await page.getByText('4 studies, 2 person(s).').waitFor()
    const row = (text: string | RegExp) => page.locator('#studies tr', { hasText: text })
    t.equal(await row('DUP.2024.001').first().locator('input').isDisabled(), true)
    t.match(await row('DUP.2024.001').first().innerText(), /studies of others have the same number/)
    await row('US.2024.001').locator('input').check()
    t.equal(await row('MR.2024.001').locator('input').isDisabled(), true, 'another person\'s')
    await page.getByText('Only one person\'s studies go together on a disc.').waitFor()
    t.strictSame(await violations(page), [])
    await row('US.2024.001').locator('input').uncheck()
    t.equal(await row('MR.2024.001').locator('input').isEnabled(), true)
  })

  await t.test('print: a question, the queue, then the same once more on purpose', async t => {
    gate.allow(500_000)
    await page.locator('#studies tr', { hasText: 'US.2024.001' }).locator('input').check()
    await page.getByRole('button', { name: 'Print', exact: true }).click()
    await page.getByRole('heading', { name: 'Send these studies to the disc robot?' }).waitFor()
    t.equal(await page.evaluate(() => document.activeElement?.id), 'question', 'the question is where the focus is')
    t.strictSame(await violations(page), [])
    await page.getByRole('button', SEND).click()
    await page.getByText('It is in the queue below.').waitFor()
    await page.locator('#queue li', { hasText: 'Print · US.2024.001 · SANTOSO BUDI' }).waitFor()
    t.match(await page.locator('#queue').innerText(), /dewi/)
    t.strictSame(await violations(page), [])
    gate.open()
    await page.locator('#history tr', { hasText: 'Print · done' }).waitFor()
    t.match(await page.locator('#history tr').first().innerText(), /SANTOSO BUDI[^]*US\.2024\.001[^]*dewi[^]*3 images/)
    t.equal(robot.discsOf(main.of('US.2024.001')[0]?.studyInstanceUid ?? '').length, 1)
    await page.getByRole('button', { name: 'Print', exact: true }).click()
    await page.getByRole('button', SEND).click()
    await page.getByText(/They were sent on .* by dewi: 3 images\./).waitFor()
    t.strictSame(await violations(page), [])
    await page.getByRole('button', { name: 'No', exact: true }).click()
    t.equal(robot.discsOf(main.of('US.2024.001')[0]?.studyInstanceUid ?? '').length, 1)
  })

  await t.test('a wildcard, and an archive that does not answer, are sentences', async t => {
    await page.locator('#from').fill('')
    await page.locator('#to').fill('')
    await page.locator('#patient_name').fill('ra*')
    await page.locator('#find').getByRole('button').click()
    await page.getByText('holds a character that is a pattern').waitFor()
    t.strictSame(await violations(page), [])
    await old.pacs.stop()
    await page.locator('#patient_name').fill('rahayu')
    await page.locator('#find').getByRole('button').click()
    await page.getByText('The picture archive (PACS) does not answer.').waitFor()
    t.equal(await page.locator('#results').isVisible(), false, 'a list that may lack something is none')
  })

  await t.test('nobody without the login, and no signed link', async t => {
    for (const path of ['/desk', '/api/iso/search?patient_name=rahayu', '/api/iso/queue', '/api/iso/queue/events', '/api/iso/history']) {
      t.equal((await fetch(nginx.url + path)).status, 401, `${path} at nginx`)
    }
    for (const path of ['/api/iso/search?patient_name=rahayu', '/api/iso/queue', '/api/iso/history']) t.equal((await mkiso.get(path)).status, 401, `${path} without a key`)
    t.equal((await fetch(`${nginx.url}/api/health/live`)).status, 200, 'monitoring is asked for nothing')
  })

  t.strictSame(complaints, [])
  await page.close()
  t.ok(await eventually(() => mkiso.app.activities.running.length === 0))
  t.strictSame((await nothingLeft(mkiso)).filter(one => !one.startsWith('folder')), [])
})
