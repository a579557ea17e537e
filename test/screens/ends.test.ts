/** How pages end, and what they ask, in Chromium and in Firefox, through the real nginx: what a person must see, hear and find again. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import axe from 'axe-core'
import t from 'tap'
import { startBrowser } from '../../demo/browser.ts'
import type { PhantomStudy } from '../../demo/phantoms/catalogue.ts'
import { demoStudies, oddStudies } from '../../demo/phantoms/studies.ts'
import { freePort } from '../../demo/ports.ts'
import { hisPatientsOf } from '../../demo/patient-api.ts'
import { startPublisher } from '../../demo/publisher.ts'
import { CAPACITY_BYTES } from '../../src/disc/disc-set.ts'
import { eventually } from '../eventually.ts'
import { startEngine } from '../disc/viewer/engines.ts'
import { startNginx } from '../nginx/nginx.ts'
import { patientApi, service, world } from '../world.ts'
import { startGate } from './gate.ts'

const KEY = 'the-key-of-the-site'
/** Names one for who reads, and gives Firefox what its own WebDriver lacks: waiting. */
const MANY = Array.from({ length: 20 }, (_, index) => `CR.MANY.${String(index).padStart(3, '0')}`)

const chest = (accessionNumber: string): PhantomStudy => ({
  accessionNumber, patient: { patientId: 'MANY.1', patientName: 'SANTOSO^BUDI', birthDate: '19700101', sex: 'M' }, studyDate: '20240410', studyDescription: 'Chest', series: [{ kind: 'CR', count: 1, rows: 64, columns: 64 }]
})

t.test('how pages end', async t => {
  const [gatePort, receiverPort] = [await freePort(), await freePort()]
  const gate = await startGate(t, gatePort, receiverPort)
  const arabic = oddStudies().filter(({ accessionNumber }) => accessionNumber === 'ODD.2024.016')
  const [first] = arabic
  if (first === undefined) throw new Error('no Arabic phantom')
  // an archive that has lost the name, which the HIS still has
  const nameless: PhantomStudy = { ...first, accessionNumber: 'ODD.2024.099', patient: { ...first.patient, patientId: 'ODD.99', patientName: '' } }
  const studies = [...demoStudies().filter(({ accessionNumber }) => /^(MR\.2024\.001|CT\.2024\.200)/.test(accessionNumber)), ...arabic, nameless, ...MANY.map(chest)]
  const here = await world(t, 'dcmqrscp', { studies, receiverPort: gatePort })
  const his = await patientApi(t, { ...Object.fromEntries(hisPatientsOf(studies)), 'ODD.2024.099': { name: 'نزار قباني', medrecId: 'ODD.99' } })
  const dir = join(here.folder, 'publisher')
  mkdirSync(dir)
  const publisher = await startPublisher({ programs: here.programs, dir })
  const mkiso = await service(t, here.pacs, receiverPort, {
    auth: { enabled: true, api_key: KEY },
    patient_api: { base_url: his.baseUrl },
    cd_publisher: { host: publisher.host, port: publisher.port, name: 'in the radiology office' },
    disc: { capacity: 'cd', web_content: 'none' },
    iso: { keep_for: '5m' }
  })
  const real = CAPACITY_BYTES.cd
  // a real CD would need 2 GB of phantoms; the plan does not know the difference
  CAPACITY_BYTES.cd = 20_000_000
  t.teardown(() => { CAPACITY_BYTES.cd = real })
  const nginx = await startNginx(t, { upstreams: [new URL(mkiso.url).host], key: KEY })

  await t.test('done on a phone: nothing to burn there', async t => {
    const browser = await startBrowser()
    t.teardown(async () => { await browser.close() })
    const context = await browser.newContext({ acceptDownloads: true, locale: 'en-GB', isMobile: true, hasTouch: true, viewport: { width: 390, height: 780 }, userAgent: 'Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/126.0.0.0 Mobile Safari/537.36' })
    const page = await context.newPage()
    await page.goto(`${nginx.url}/download?accession_number=MR.2024.001`)
    await page.getByRole('heading', { name: 'The disc has been downloaded' }).waitFor()
    t.match(await page.locator('#finished-text').innerText(), /phone can neither burn nor open it: keep it for a computer/)
  })

  for (const name of ['chromium', 'firefox'] as const) {
    await t.test(name, async t => {
      const engine = await startEngine(name, here.programs)
      t.teardown(async () => { await engine.close() })
      const evaluate = async <T> (expression: string): Promise<T> => await engine.evaluate<T>(expression)
      const open = async (path: string): Promise<void> => { await engine.open(`${nginx.url}${path}${path.includes('?') ? '&' : '?'}lang=en`) }
      const seen = async (expression: string, what: string): Promise<void> => {
        const met = await eventually(async () => await evaluate<boolean>(`Boolean(${expression})`).catch(() => false), 50)
        t.ok(met, met ? what : `${what}; the page says: ${await evaluate<string>('document.querySelector("main").innerText')}`)
      }
      const text = async (id: string): Promise<string> => await evaluate<string>(`document.getElementById('${id}').innerText`)
      const heading = async (words: string): Promise<void> => {
        await seen(`[...document.querySelectorAll('h2')].some(one => one.textContent === ${JSON.stringify(words)} && one.checkVisibility())`, words)
      }
      const click = async (id: string): Promise<void> => { await evaluate(`document.getElementById('${id}').click()`) }
      /** Said to a screen reader, and where the focus is. */
      const isNews = async (words: string): Promise<void> => {
        t.equal(await evaluate<string>('document.getElementById("news").textContent'), words, 'it is said')
        t.equal(await evaluate<string>('document.activeElement.textContent'), words, 'the focus is there')
      }
      const clean = async (what: string): Promise<void> => {
        await evaluate(`(() => { ${axe.source}; window.axe = axe })()`)
        const found = await evaluate<string[]>(`axe.run({ resultTypes: ['violations'] }).then(({ violations }) => violations
          .filter(({ impact }) => ['serious', 'critical'].includes(impact)).map(({ id, nodes }) => id + ' ' + nodes[0].html.slice(0, 200)))`)
        t.strictSame(found, [], what)
      }

      await t.test('a print asks about a person, and takes a No', async t => {
        await open('/print?accession_number=ODD.2024.016')
        await seen('!document.getElementById("asked-person").hidden', 'the person is shown')
        t.match(await text('asked-patient'), /قباني/)
        t.match(await text('asked-person'), /born 1 January 1950 · Patient ID ODD\.16(?: · 1 images)?$/)
        t.match(await text('ask'), /The robot in the radiology office makes one disc/)
        await clean('the question')
        await click('no')
        await heading('Nothing was sent')
        await isNews('Nothing was sent')
        t.notOk(await evaluate('document.getElementById("finished").classList.contains("good")'), 'it is not green')
        await clean('after No')
        await click('more')
        await heading('Send these studies to the disc robot?')
        await open('/print?accession_number=ODD.2024.099')
        await seen('!document.getElementById("asked-patient").hidden', 'the patient is shown')
        t.match(await text('asked-patient'), /^نزار قباني \(as the hospital system has it/)
      })

      await t.test('done: whose, which file, how large, and what to do with it', async t => {
        await open('/download?accession_number=MR.2024.001')
        await heading('The disc has been downloaded')
        await isNews('The disc has been downloaded')
        t.equal(await text('finished-patient'), 'RAHAYU SITI')
        t.match(await text('finished-file'), /^MR\.2024\.001\.iso, [\d.]+ MB$/)
        t.match(await text('finished-text'), /burn disc image.*copy everything in it to a stick/)
        t.ok(await evaluate('document.getElementById("finished").classList.contains("good")'))
        await clean('done')
      })

      await t.test('under way: nothing is drawn full while nothing is known, nothing makes a second file; cancelled is not green', async t => {
        gate.allow(0)
        await open('/download?accession_number=ODD.2024.016')
        await seen('!document.getElementById("work").hidden && !document.getElementById("bar").hasAttribute("value")', 'nothing is known')
        const box = await evaluate<{ x: number, y: number, width: number, height: number }>('(() => { const { x, y, width, height } = document.getElementById("bar").getBoundingClientRect(); return { x, y, width, height } })()')
        const picture = await engine.screenshot()
        const row = Array.from({ length: Math.floor(box.width) - 40 }, (_, index) => picture.at(Math.round(box.x) + 20 + index, Math.round(box.y + box.height / 2)))
        // --accent of the light theme
        t.equal(row.filter(([red, green, blue]) => red < 60 && green < 120 && blue > 120).length, 0, 'no part of the bar says that something is done')
        t.notOk(await evaluate('document.getElementById("direct").checkVisibility()'), 'no second file')
        await clean('under way')
        await click('cancel')
        await heading('Cancelled')
        await isNews('Cancelled')
        t.notOk(await evaluate('document.getElementById("finished").classList.contains("good")'))
        await clean('cancelled')
        gate.open()
      })

      await t.test('what stays wrong is not tried again', async t => {
        await open('/download?accession_number=NONE.1')
        await seen('!document.getElementById("problem").hidden', 'the problem is shown')
        t.notOk(await evaluate('document.getElementById("again").checkVisibility()'), 'no "Try again"')
        t.notOk(await evaluate('document.getElementById("direct").checkVisibility()'), 'no "Download without this page"')
        await clean('a problem')
      })

      await t.test('twenty numbers: the progress is above the fold', async t => {
        await open(`/download?accession_number=${MANY.join(',')}`)
        await seen('document.querySelector("details.numbers")', 'the list is folded')
        t.match(await evaluate<string>('document.querySelector("details.numbers summary").innerText'), /CR\.MANY\.000, CR\.MANY\.001, CR\.MANY\.002 and 17 more/)
        await heading('The disc has been downloaded')
        t.match(await text('finished-file'), /^SANTOSO BUDI-CR\.MANY\.000_.*_CR\.MANY\.\d{3}_and_\d+_more\.iso, /, 'no number is cut in the middle')
        const bottom = await evaluate<number>('document.getElementById("finished-title").getBoundingClientRect().bottom')
        t.ok(bottom < 500, `at ${bottom}`)
      })

      await t.test('a set: what is on each disc, its size, and which have been taken', async t => {
        await open('/download?accession_number=CT.2024.200,MR.2024.001')
        await heading('The images need 3 discs')
        const list = await text('discs')
        t.match(list, /Disc 1 of 3[\s\S]*images · about [\d.]+ MB[\s\S]*CT\.2024\.200 · 5 March 2024 · CT Thorax · CT Thorax 5 mm \(\d+ images\)/)
        t.notMatch(list, /taken/)
        await clean('a set')
        await evaluate('(() => { document.querySelector("#discs a").click() })()')
        await heading('The disc has been downloaded')
        await evaluate('(() => { history.back() })()')
        await seen('/taken/.test(document.getElementById("discs")?.innerText)', 'the first is marked')
        t.equal((await text('discs')).match(/taken/g)?.length, 1)
      })

      await t.test('the operator: who, a search, a set that is no failure, a test of everything, what to type elsewhere', async t => {
        await open('/status')
        await evaluate(`(() => { sessionStorage.setItem('mkiso operator key', '${KEY}') })()`)
        await open('/status')
        await seen('document.querySelectorAll("#finished tr").length > 3', 'the results')
        const rows = await text('finished')
        t.match(rows, /several discs offered/)
        t.match(rows, /\tapi_key\t/, 'who it was')
        await evaluate('(() => { const search = document.getElementById("search"); search.value = "none.1"; search.dispatchEvent(new Event("input")) })()')
        t.ok((await evaluate<string[]>('[...document.querySelectorAll("#finished tr:not([hidden])")].map(row => row.innerText)')).every(row => row.includes('NONE.1')))
        await evaluate('(() => { document.getElementById("test-number").value = "ODD.2024.016" })()')
        await evaluate('(() => { document.getElementById("test").requestSubmit() })()')
        await seen('/to change\\.$/.test(document.getElementById("test-state").textContent)', 'the test has ended')
        const findings = await text('findings')
        t.match(findings, /ok PACS C-MOVE/, 'an image was sent to the running receiver')
        t.match(findings, /ok HIS record/)
        await evaluate('(() => { document.getElementById("snippets").open = true })()')
        await seen('document.querySelectorAll("#snippet-list pre").length > 3', 'the snippets')
        const snippets = await text('snippet-list')
        t.match(snippets, /mkiso = \(CDRECORD, 127\.0\.0\.1, \d+\)/)
        t.match(snippets, new RegExp(`server 127\\.0\\.0\\.1:${new URL(mkiso.url).port}|server 127\\.0\\.0\\.1:\\d+`))
        t.notMatch(snippets, KEY, 'no secret')
        await clean('the operator\'s page')
      })
    })
  }
})
