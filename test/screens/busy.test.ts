/** Busy is a place and no wall, and an archive that sends nothing says so while it is asked again: in Chromium, with a real PACS. */
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import axe from 'axe-core'
import type { Page } from 'playwright-core'
import t from 'tap'
import { startBrowser } from '../../demo/browser.ts'
import { listening } from '../../demo/pacs.ts'
import { freePort } from '../../demo/ports.ts'
import { eventually, PATIENCE_MS } from '../eventually.ts'
import { heldProgram } from '../held-program.ts'
import { faultStudy } from '../faults/harness.ts'
import { startRobot } from '../print/robot.ts'
import { readDisc, service, world, type Overrides } from '../world.ts'
import { PATIENT_ORTHANC, startGate } from './gate.ts'

/** What a service says where it says nothing else, and a little more. */
const WAIT_MS = 31_000

t.test('a busy service, and an archive that sends nothing', async t => {
  const browser = await startBrowser()
  t.teardown(async () => { await browser.close() })
  const [gatePort, receiverPort] = [await freePort(), await freePort()]
  const gate = await startGate(t, gatePort, receiverPort)
  const large = { ...faultStudy('LARGE.1'), series: [{ kind: 'CR', count: 4, rows: 1024, columns: 1024 } as const] }
  // dcmqrscp answers no query while it sends
  const here = await world(t, 'orthanc', { studies: [large, faultStudy('SECOND.1'), faultStudy('THIRD.1')], receiverPort: gatePort, orthanc: PATIENT_ORTHANC })
  const robot = await startRobot(t)
  const violations = async (page: Page): Promise<string[]> => {
    await page.evaluate(axe.source)
    return await page.evaluate(async () => {
      const { violations } = await (globalThis as unknown as { axe: typeof axe }).axe.run({ resultTypes: ['violations'] })
      return violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join(' ')}`)
    })
  }
  /** A person, with a clock of their own: it belongs to the context. */
  const open = async (url: string): Promise<Page> => {
    const context = await browser.newContext({ acceptDownloads: true, locale: 'en-GB' })
    const page = await context.newPage()
    await page.clock.install()
    await page.goto(url)
    return page
  }
  const leave = async (): Promise<void> => { for (const context of browser.contexts()) await context.close() }
  const settings = (more: Overrides): Overrides => ({ cd_publisher: { host: '127.0.0.1', port: robot.port }, disc: { web_content: 'none' }, ...more })

  await t.test('who waits for a turn sees the place, and moves up', async t => {
    const mkiso = await service(t, here.pacs, receiverPort, settings({ pacs: { max_moves: 1 } }))
    gate.allow(500_000)
    const first = await open(`${mkiso.url}/download?accession_number=LARGE.1`)
    t.ok(await eventually(() => mkiso.app.activities.running[0]?.phase === 'receiving'))
    const second = await open(`${mkiso.url}/download?accession_number=SECOND.1`)
    await second.getByText('Place 1 in the queue').waitFor()
    const third = await open(`${mkiso.url}/download?accession_number=THIRD.1`)
    await third.getByText('Place 2 in the queue').waitFor()
    t.strictSame(await violations(third), [])
    t.match((await mkiso.get('/status/state')).json(), { running: [{ phase: 'receiving' }, { phase: 'queued', place: 1 }, { phase: 'queued', place: 2 }] })
    await second.getByRole('button', { name: 'Cancel' }).click()
    await third.getByText('Place 1 in the queue').waitFor()
    gate.open()
    for (const page of [first, third]) await page.getByRole('heading', { name: 'The disc has been downloaded' }).waitFor()
    await leave()
  })

  await t.test('503 counts down and goes on by itself: page, link, print', async t => {
    const mkiso = await service(t, here.pacs, receiverPort, settings({ our_ae: { port_range: 1 } }))
    gate.allow(500_000)
    const first = await open(`${mkiso.url}/download?accession_number=LARGE.1`)
    t.ok(await eventually(() => mkiso.app.activities.running[0]?.phase === 'receiving'))
    /** Looked at once: the next page, and axe, may take longer than a step of the count. */
    const countsDown = async (page: Page): Promise<Page> => {
      await page.getByText(/It goes on by itself: about (30|25) s\./).waitFor()
      return page
    }
    const page = await countsDown(await open(`${mkiso.url}/download?accession_number=SECOND.1`))
    await page.clock.fastForward(12_000)
    await page.getByText(/It goes on by itself: about (20|15|10) s\./).waitFor()
    const link = await countsDown(await open(`${mkiso.url}/api/iso/download?accession_number=SECOND.1`))
    const print = await open(`${mkiso.url}/print?accession_number=THIRD.1`)
    await print.getByRole('button', { name: 'Send to the robot' }).click()
    await countsDown(print)
    const given = await countsDown(await open(`${mkiso.url}/download?accession_number=THIRD.1`))
    const all = [page, link, print, given]
    for (const one of all) {
      await one.getByText('Many discs are being made just now.').waitFor()
      t.strictSame(await violations(one), [])
    }
    const answer = await mkiso.get('/api/iso/download?accession_number=SECOND.1')
    t.match(answer, { status: 503, headers: { 'retry-after': '30' } }, 'a program is told as ever')
    t.match(answer.json(), { code: 'TOO_MANY_CONCURRENT', retry_after: 30 })
    await given.getByRole('button', { name: 'Cancel' }).click()
    await given.getByRole('heading', { name: 'Cancelled' }).waitFor()

    // each may have its turn by itself before its clock is put forward
    const [taking, takingAgain] = [page, link].map(async one => await one.waitForEvent('download', { timeout: PATIENCE_MS }))
    gate.open()
    await first.getByRole('heading', { name: 'The disc has been downloaded' }).waitFor()
    t.ok(await eventually(() => mkiso.app.portPool.inUse === 0))
    await page.clock.fastForward(WAIT_MS)
    const download = await taking
    if (download === undefined) throw new Error('no download')
    const disc = await readDisc(t, readFileSync(await download.path()), here.programs)
    t.strictSame([...disc.instances.keys()].sort(), here.of('SECOND.1').map(({ sopInstanceUid }) => sopInstanceUid).sort())
    await page.getByRole('heading', { name: 'The disc has been downloaded' }).waitFor()
    t.ok(await eventually(() => mkiso.app.portPool.inUse === 0))
    await link.clock.fastForward(WAIT_MS)
    const again = await takingAgain
    t.equal(again?.suggestedFilename(), 'SECOND.1.iso')
    await again?.path()
    t.ok(await eventually(() => mkiso.app.portPool.inUse === 0))
    t.equal(robot.discs().length, 0)
    await print.clock.fastForward(WAIT_MS)
    await print.getByRole('heading', { name: 'The disc robot has all images' }).waitFor()
    t.equal(robot.discsOf(here.of('THIRD.1')[0]?.studyInstanceUid ?? '').length, 1, 'once')
    await given.clock.fastForward(2 * WAIT_MS)
    t.equal(await given.getByRole('heading', { name: 'Cancelled' }).isVisible(), true, 'what was cancelled does not go on')
    t.equal(mkiso.app.activities.running.length, 0)
    await leave()
  })

  await t.test('without a script the page of a link asks again; that of a print does not', async t => {
    const mkiso = await service(t, here.pacs, receiverPort, settings({ our_ae: { port_range: 1 } }))
    gate.allow(500_000)
    const gone = new AbortController()
    const first = fetch(`${mkiso.url}/api/iso/download?accession_number=LARGE.1`, { signal: gone.signal }).catch(() => {})
    t.ok(await eventually(() => mkiso.app.activities.running[0]?.phase === 'receiving'))
    const page = async (path: string): Promise<string> => await (await fetch(mkiso.url + path, { headers: { accept: 'text/html' } })).text()
    t.match(await page('/api/iso/download?accession_number=SECOND.1'), /<noscript><meta http-equiv="refresh" content="30"><\/noscript>/)
    const print = await page('/api/iso/print?accession_number=SECOND.1')
    t.match(print, /Many discs are being made just now/)
    t.notMatch(print, /http-equiv="refresh"|busy\.js/, 'a print never goes on by itself behind a link')
    gone.abort()
    await first
    gate.open()
  })

  await t.test('images that go to another machine: who sends nothing to whom', async t => {
    const programs = here.programs
    const elsewhere = await freePort()
    const folder = join(here.folder, 'elsewhere')
    mkdirSync(folder)
    await listening(programs.start('storescp', ['-od', folder, String(elsewhere)], { cwd: folder }), elsewhere, 'storescp')
    const lost = await world(t, 'dcmqrscp', { studies: [faultStudy('LOST.1')], receiverPort: elsewhere })
    const movescu = heldProgram(t, 'movescu')
    const mkiso = await service(t, lost.pacs, receiverPort, settings({ dcmtk: { movescu: movescu.path } }))
    // nothing comes of the first question, and the second one is asked for as long as somebody looks
    movescu.hold(2)
    const page = await open(`${mkiso.url}/download?accession_number=LOST.1`)
    const operator = await open(`${mkiso.url}/status`)
    const sentence = `ABPACS sends nothing to CDRECORD at 127.0.0.1:${receiverPort}.`
    await page.getByText(sentence).waitFor()
    t.strictSame(await violations(page), [])
    t.match((await mkiso.get('/status/state')).json(), { running: [{ stuck: { archive: 'ABPACS', ae_title: 'CDRECORD', address: `127.0.0.1:${receiverPort}` } }] })
    await operator.getByText(sentence).waitFor()
    t.equal(mkiso.app.activities.running.length, 1, 'while it is still tried')
    movescu.letGo()
    await page.getByRole('heading', { name: 'refuses to send the images' }).waitFor()
    t.equal(mkiso.app.activities.finished[0]?.stuck, undefined)
    await leave()
  })
})
