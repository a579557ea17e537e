/** The demo's own page in Chromium, and how it looks in Firefox: every button breaks what it says, the service says so, and it can be mended. */
import { join } from 'node:path'
import axe from 'axe-core'
import type { Page } from 'playwright-core'
import t from 'tap'
import { startBrowser } from '../../demo/browser.ts'
import { eventually } from '../eventually.ts'
import { visitor } from '../screens/visitor.ts'
import { programsOf, temporaryFolder } from '../world.ts'

const ROOT = join(import.meta.dirname, '../..')

t.test('the page of the demo', async t => {
  const lines: string[] = []
  const programs = programsOf(t)
  const child = programs.start(process.execPath, ['--import', 'tsx', join(ROOT, 'demo/main.ts'), '--no-open'], {
    cwd: ROOT, env: { TMPDIR: temporaryFolder(t, 'demo'), MKISO_DEMO_PORT_OFFSET: '20000' }, onLine: line => { lines.push(line) }
  })
  t.ok(await eventually(() => lines.includes('Ctrl-C ends everything.')), lines.join('\n'))
  const front = /^Open {2}(http:\S+)$/m.exec(lines.join('\n'))?.[1] ?? ''
  const service = /^The service: (http:\S+)/m.exec(lines.join('\n'))?.[1] ?? ''
  const browser = await startBrowser()
  t.teardown(async () => { await browser.close() })
  const context = await browser.newContext({ locale: 'en-GB', acceptDownloads: true })
  const page = await context.newPage()
  const violations = async (page: Page): Promise<string[]> => {
    await page.evaluate(axe.source)
    return await page.evaluate(async () => {
      const { violations } = await (globalThis as unknown as { axe: typeof axe }).axe.run({ resultTypes: ['violations'] })
      return violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join(' ')}`)
    })
  }
  /** In a tab of its own, as its links open. */
  const open = async (click: () => Promise<void>): Promise<Page> => {
    const [tab] = await Promise.all([context.waitForEvent('page'), click()])
    return tab
  }

  await t.test('sample patients: download, print, look', async t => {
    await page.goto(front)
    for (const path of ['his', 'robot']) {
      await page.goto(`${front}${path}`)
      t.strictSame(await violations(page), [], path)
    }
    await page.goto(front)
    t.strictSame(await violations(page), [])
    const download = await open(async () => { await page.getByRole('link', { name: 'Download OLD.2019.001' }).click() })
    t.match((await download.waitForEvent('download')).suggestedFilename(), /OLD\.2019\.001.*\.iso/)
    await download.close()
    const print = await open(async () => { await page.getByRole('link', { name: 'Print US.2024.001', exact: true }).click() })
    await print.getByRole('button', { name: 'Send to the robot' }).click()
    await print.getByRole('heading', { name: 'The disc robot has all images' }).waitFor()
    await print.close()
    await page.goto(`${front}robot`)
    t.match(await page.locator('main').innerText(), /US\.2024\.001: 3 of 3 images/)
    await page.goto(`${front}his`)
    t.match(await page.locator('main').innerText(), /accession_number=US\.2024\.001/)
    await page.goto(front)
    const look = await open(async () => { await page.getByRole('link', { name: 'Look at the images of MR.2024.001' }).click() })
    await look.waitForURL(/\/look\//)
    await look.close()
  })

  await t.test('the same pages in Firefox, in light and in the dark', async t => {
    for (const dark of [false, true]) {
      const { open, clean, seen, click } = await visitor(t, 'firefox', programs, { dark })
      for (const path of ['', 'his', 'robot']) {
        await open(`${front}${path}`)
        await clean(t, path)
      }
      await open(front)
      await click('#lost button')
      await seen(t, '/Try it, then mend it/.test(document.body.innerText)', 'an image is lost')
      await clean(t, 'something is broken')
      await click('#lost button')
      await seen(t, '/that is mended/.test(document.body.innerText)', 'it is found again')
    }
  })

  const FAULTS: Array<[string, string, string, RegExp]> = [
    ['Switch the PACS off', 'Switch it on again', 'download MR.2024.001', /The picture archive \(PACS\) does not answer/],
    ['Lose an image', 'Find it again', 'download LOST.2024.001', /Not all images arrived/],
    ['Mix two patients up', 'Correct it in the PACS', 'download TWO.2024.001', /belong to more than one patient/],
    ['Fill the disk', 'Make room', 'download US.2024.001', /no room left on its disk/],
    ['Break the HIS', 'Mend it', 'print CR.2024.001', /hospital system \(HIS\) does not answer/]
  ]
  for (const [breakIt, mendIt, link, sentence] of FAULTS) {
    await t.test(breakIt, async t => {
      await page.goto(front)
      await page.getByRole('button', { name: breakIt, exact: true }).click()
      await page.getByText('Try it, then mend it').waitFor()
      t.strictSame(await violations(page), [])
      const tab = await open(async () => { await page.getByRole('link', { name: `Try it: ${link}` }).click() })
      const isPrint = link.startsWith('print')
      if (isPrint) await tab.getByRole('button', { name: 'Send to the robot' }).click()
      await tab.locator('#problem').getByText(sentence).waitFor()
      await tab.close()
      await page.getByRole('button', { name: mendIt, exact: true }).click()
      await page.getByText('that is mended').waitFor()
      const [, number = ''] = link.split(' ')
      if (!isPrint) t.equal((await fetch(`${service}/api/iso/download?accession_number=${number}`)).status, 200, 'mended')
    })
  }

  await t.test('a robot that is off, and comes back while the page waits', async () => {
    await page.goto(front)
    await page.getByRole('button', { name: 'Switch the robot off' }).click()
    await page.getByText('Try it, then mend it').waitFor()
    const tab = await open(async () => { await page.getByRole('link', { name: 'Print MR.2024.001', exact: true }).click() })
    await tab.getByRole('button', { name: 'Send to the robot' }).click()
    await tab.getByText('The disc robot does not answer; it is tried again').waitFor()
    await page.locator('#robot').getByRole('button', { name: 'Switch it on again' }).click()
    await tab.getByRole('heading', { name: 'The disc robot has all images' }).waitFor()
  })

  await t.test('another web site switches nothing off', async t => {
    const answer = await fetch(`${front}faults/pacs`, { method: 'POST', headers: { origin: 'http://evil.example' }, body: new URLSearchParams({ do: 'break' }) })
    t.equal(answer.status, 403)
    t.equal((await fetch(`${service}/api/iso/download?accession_number=US.2024.001`)).status, 200)
  })

  process.kill(child.pid, 'SIGINT')
  t.match(await child.ended, { exitCode: 0, stderr: '' })
})
