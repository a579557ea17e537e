/**
 * Every page in every state that a person can meet, in Chromium and in Firefox, through the real nginx: axe finds nothing serious, what must be said is
 * said, and F5 forgets nothing. What pages show at their end stands in ends.test.ts.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { listening } from '../../demo/pacs.ts'
import { freePort } from '../../demo/ports.ts'
import { signatureOf } from '../../src/auth/signed-links.ts'
import { ERRORS } from '../../src/errors.ts'
import { eventually } from '../eventually.ts'
import { faultStudy } from '../faults/harness.ts'
import { heldProgram } from '../held-program.ts'
import { startNginx } from '../nginx/nginx.ts'
import { startRobot } from '../print/robot.ts'
import { service, temporaryFolder, world, type Overrides } from '../world.ts'
import { PATIENT_ORTHANC, startGate } from './gate.ts'
import { BROWSERS, visitor } from './visitor.ts'

const KEY = 'the-key-of-the-site'
const SECRET = 'that of the links, which nobody else knows'
/** Of the errors: one that stays, one that is tried again, the longest, one of a print. The others differ in words. */
const SHAPES = ['NO_DICOM_DATA', 'PACS_UNREACHABLE', 'PATIENT_MISMATCH', 'PRINT_UNKNOWN', 'INTERNAL']
const NUMBERS = ['LOST.1', ...BROWSERS.flatMap(name => [`A1.${name}`, `A2.${name}`, `A3.${name}`, `SENT.${name}`, `OFF.${name}`, `BAD.${name}`, `DESK.${name}`])]

t.test('pages in every state', async t => {
  const [gatePort, receiverPort, busyGatePort, busyPort, elsewhere] = [await freePort(), await freePort(), await freePort(), await freePort(), await freePort()]
  const gate = await startGate(t, gatePort, receiverPort)
  const busyGate = await startGate(t, busyGatePort, busyPort)
  const large = { ...faultStudy('LARGE.1'), series: [{ kind: 'CR', count: 4, rows: 1024, columns: 1024 } as const] }
  // dcmqrscp answers no query while it sends
  const here = await world(t, 'orthanc', {
    studies: [large, ...NUMBERS.map(number => faultStudy(number))], receiverPort: gatePort, orthanc: PATIENT_ORTHANC,
    destinations: [{ aeTitle: 'BUSY', host: '127.0.0.1', port: busyGatePort }, { aeTitle: 'LOST', host: '127.0.0.1', port: elsewhere }]
  })
  const swallowed = join(here.folder, 'elsewhere')
  mkdirSync(swallowed)
  await listening(here.programs.start('storescp', ['-od', swallowed, String(elsewhere)], { cwd: swallowed }), elsewhere, 'storescp')
  const robot = await startRobot(t)
  const stateDir = temporaryFolder(t, 'state')
  for (const name of BROWSERS) unknownPrint(stateDir, `UNKNOWN.${name}`, `127.0.0.1:${robot.port}`)
  const settings = (more: Overrides = {}): Overrides => ({
    auth: { enabled: true, api_key: KEY, signed_links: { secret: SECRET } },
    cd_publisher: { host: '127.0.0.1', port: robot.port, name: 'in the radiology office' },
    disc: { web_content: 'none' },
    audit: { file: join(temporaryFolder(t, 'audit'), 'audit.jsonl'), user_header: 'X-Remote-User' },
    ...more
  })
  const mkiso = await service(t, here.pacs, receiverPort, settings({ pacs: { max_moves: 1 }, iso: { keep_for: '10m' }, relay: { state_dir: stateDir } }))
  const full = await service(t, here.pacs, busyPort, settings({ our_ae: { ae_title: 'BUSY', port_range: 1 } }))
  const movescu = heldProgram(t, 'movescu')
  const lost = await service(t, here.pacs, await freePort(), settings({ our_ae: { ae_title: 'LOST' }, dcmtk: { movescu: movescu.path } }))
  const behind = async (url: string, key: string | undefined = KEY): Promise<string> => {
    const nginx = await startNginx(t, { upstreams: [new URL(url).host], ...(key === undefined ? {} : { key }) })
    // the desk for a site that knows its people by something else than a password
    writeFileSync(join(nginx.folder, 'mkiso', 'desk.conf'), 'set $mkiso_user dewi;\n')
    // a signal that comes while nginx still starts is lost (measured, on a loaded machine)
    const isReloaded = await eventually(async () => {
      nginx.reload()
      return (await fetch(`${nginx.url}/desk`)).status !== 403
    }, 500)
    if (!isReloaded) throw new Error('nginx does not read its configuration again')
    return nginx.url
  }
  const [site, fullSite, lostSite] = [await behind(mkiso.url), await behind(full.url), await behind(lost.url)]
  const keyless = await startNginx(t, { upstreams: [new URL(mkiso.url).host] })
  const dead = await startNginx(t, { upstreams: [`127.0.0.1:${await freePort()}`], key: KEY })
  const key = { headers: { 'x-api-key': KEY } }
  /** A program that has a disc made, and waits. @returns the way to end it */
  const holding = async (app: typeof mkiso, number: string): Promise<() => Promise<void>> => {
    const gone = new AbortController()
    const answer = fetch(`${app.url}/api/iso/download?accession_number=${number}`, { ...key, signal: gone.signal }).then(async one => { await one.arrayBuffer() }).catch(() => {})
    if (!await eventually(() => app.app.activities.running.some(({ phase }) => phase === 'receiving'))) throw new Error('nothing comes')
    return async () => {
      gone.abort()
      await answer
    }
  }

  for (const name of BROWSERS) {
    await t.test(name, async t => {
      const { engine, evaluate, open: goTo, seen, heading, text, click, fill, isNews, clean } = await visitor(t, name, here.programs)
      const open = async (path: string, of = site): Promise<void> => { await goTo(`${of}${path}${path.includes('?') ? '&' : '?'}lang=en`) }
      /** F5 */
      const reload = async (): Promise<void> => {
        await evaluate('(() => { window.isBefore = true; setTimeout(() => { location.reload() }, 0) })()')
        await seen(t, 'window.isBefore === undefined && document.readyState === "complete"', 'it is loaded again')
      }
      const idle = async (t: Test): Promise<void> => { t.ok(await eventually(() => [mkiso, full, lost].every(({ app }) => app.activities.running.length === 0)), 'nothing runs') }

      await t.test('download: counting, then a place in the queue, then the next', async t => {
        gate.allow(3_000_000)
        await open('/download?accession_number=LARGE.1')
        await seen(t, '/^[1-9] of 4/.test(document.getElementById("images").textContent)', 'it counts')
        await clean(t, 'counting')
        await click('#cancel')
        await heading(t, 'Cancelled')
        gate.open()
        await idle(t)
        gate.allow(500_000)
        const end = await holding(mkiso, 'LARGE.1')
        await open(`/download?accession_number=A1.${name}`)
        await seen(t, 'document.getElementById("place").textContent === "Place 1 in the queue"', 'its place')
        await clean(t, 'a place in the queue')
        await reload()
        await seen(t, 'document.getElementById("place").textContent === "Place 1 in the queue"', 'F5 keeps the place')
        await end()
        gate.open()
        await heading(t, 'The disc has been downloaded')
        await isNews(t, 'The disc has been downloaded')
        await idle(t)
      })

      await t.test('busy is a place: page, link and print count down and go on by themselves', async t => {
        busyGate.allow(500_000)
        const end = await holding(full, 'LARGE.1')
        await open(`/download?accession_number=A2.${name}`, fullSite)
        await seen(t, '/It goes on by itself: about/.test(document.body.innerText)', 'the page counts down')
        await clean(t, 'busy')
        await click('#cancel')
        await heading(t, 'Cancelled')
        await isNews(t, 'Cancelled')
        await open(`/print?accession_number=A3.${name}`, fullSite)
        await seen(t, '!document.getElementById("asked-patient").hidden', 'whose it is')
        await click('#send')
        await seen(t, '/It goes on by itself: about/.test(document.body.innerText)', 'the print counts down')
        await clean(t, 'a print that waits')
        await click('#cancel')
        await heading(t, 'Send these studies to the disc robot?')
        t.equal(robot.discsOf(here.of(`A3.${name}`)[0]?.studyInstanceUid ?? '').length, 0, 'and prints nothing')
        await open(`/api/iso/download?accession_number=A2.${name}`, fullSite)
        await seen(t, '/It goes on by itself: about/.test(document.body.innerText)', 'the link counts down')
        await clean(t, 'a link that waits')
        // for real: as long as Retry-After says
        await open(`/download?accession_number=A3.${name}`, fullSite)
        await seen(t, '/It goes on by itself: about/.test(document.body.innerText)', 'it waits')
        await end()
        busyGate.open()
        t.ok(await eventually(async () => await evaluate<boolean>('document.getElementById("finished-title").textContent === "The disc has been downloaded"'), 200), 'and has its turn without a click')
        await idle(t)
      })

      await t.test('stuck: who sends nothing to whom', async t => {
        // it is said once nothing has come of the first question, and as long as the second one is asked
        movescu.hold(2)
        await open('/download?accession_number=LOST.1', lostSite)
        await seen(t, '/sends nothing to LOST at 127\\.0\\.0\\.1:\\d+/.test(document.getElementById("stuck").textContent)', 'it is said while it is tried')
        await clean(t, 'stuck')
        await click('#cancel')
        await heading(t, 'Cancelled')
        await idle(t)
        movescu.letGo()
      })

      await t.test('every error: a sentence, an advice, its news; "Try again" only where that helps', async t => {
        await open('/download?accession_number=NONE.1')
        await seen(t, '!document.getElementById("problem").hidden', 'a problem')
        await isNews(t, ERRORS.NO_DICOM_DATA.sentence)
        for (const [code, { sentence, advice }] of Object.entries(ERRORS)) {
          // what the page's own script does with the answer of the service
          await evaluate(`import('/assets/progress.js').then(({ showProblem }) => { showProblem({ error: 'x', code: ${JSON.stringify(code)}, detail: 'what the administrator reads', request_id: 'r' }) })`)
          t.equal(await text('#sentence'), sentence, code)
          t.equal(await text('#advice'), advice, code)
          if (SHAPES.includes(code)) await clean(t, code)
        }
        for (const [path, words] of [
          ['/api/iso/download?accession_number=*', ERRORS.INVALID_ACCESSION_NUMBER.sentence], ['/api/iso/download?accession_number=NONE.1', ERRORS.NO_DICOM_DATA.sentence], ['/nowhere', ERRORS.NOT_FOUND.sentence],
          [`/download?accession_number=${Array.from({ length: 21 }, (_, n) => `A.${n}`).join()}`, ERRORS.TOO_MANY_ACCESSION_NUMBERS.sentence], [`/look?accession_number=DESK.${name}`, 'not kept here any more']
        ] as const) {
          await open(path)
          await seen(t, `document.querySelector("main").innerText.includes(${JSON.stringify(words)})`, path.slice(0, 60))
          await clean(t, path.slice(0, 60))
          t.notMatch(await text('main'), /must (?:match|NOT have)|querystring/, 'no text of a validator')
        }
      })

      await t.test('an expired link, and one that is none', async t => {
        const expires = '1700000000'
        const signature = signatureOf(SECRET, { path: '/api/iso/download', accessionNumbers: 'A', expires })
        await open(`/download?accession_number=A&expires=${expires}&signature=${signature}`, keyless.url)
        await seen(t, `document.body.innerText.includes(${JSON.stringify(ERRORS.LINK_EXPIRED.sentence)})`, 'it has expired')
        t.notMatch(await text('main'), /X-API-Key/i)
        await clean(t, 'an expired link')
        await open(`/download?accession_number=A1.${name}`, keyless.url)
        await seen(t, '!document.getElementById("problem").hidden', 'a problem')
        await clean(t, 'no link')
      })

      await t.test('nginx alone', async t => {
        await open('/mkiso.php?accession_number=A.1', dead.url)
        await seen(t, '/The disc service does not answer/.test(document.body.innerText)', 'a sentence')
        t.equal(await evaluate<string>('document.querySelector("main, body").querySelector("a").textContent'), 'Try again · Coba lagi')
        await clean(t, 'nginx\'s own 503')
        const before = await evaluate<number>('performance.timeOrigin')
        await seen(t, `performance.timeOrigin > ${before}`, 'it tries again by itself')
        await open(`/print?accession_number=A1.${name}`, dead.url)
        await seen(t, '/The disc service does not answer/.test(document.body.innerText)', 'a print too')
        await clean(t, 'of a print')
      })

      await t.test('print: F5 at the question forgets nothing; sending, done, once more', async t => {
        const number = `SENT.${name}`
        await open(`/print?accession_number=${number}`)
        const asked = async (t: Test): Promise<void> => {
          await seen(t, '!document.getElementById("asked-person").hidden', 'the person is shown')
          t.match(await text('#ask'), /FAULT PROVOKED[\s\S]*born [^·]+ · Patient ID [^·]+ · 3 images/)
        }
        await asked(t)
        await reload()
        await asked(t)
        await clean(t, 'the question')
        t.equal(robot.discsOf(here.of(number)[0]?.studyInstanceUid ?? '').length, 0, 'nothing is sent by it')
        robot.hold()
        await click('#send')
        await seen(t, 'document.getElementById("phase").textContent === "Sending to the disc robot"', 'it is being sent')
        await clean(t, 'sending')
        await reload()
        await seen(t, 'document.getElementById("phase").textContent === "Sending to the disc robot"', 'F5 finds it again')
        robot.letGo()
        await heading(t, 'The disc robot has all images')
        await isNews(t, 'The disc robot has all images')
        t.match(await text('#finished'), /FAULT PROVOKED[\s\S]*3 images were sent to the robot in the radiology office/)
        t.ok(await evaluate('document.getElementById("finished").classList.contains("good")'))
        await clean(t, 'printed')
        await reload()
        await heading(t, 'The disc robot has all images')
        await click('#more')
        await heading(t, 'Send these studies once more?')
        await clean(t, 'once more?')
        t.equal(robot.discsOf(here.of(number)[0]?.studyInstanceUid ?? '').length, 1, 'one disc')
      })

      await t.test('print: the robot is off; cancelled; refused; nobody knows', async t => {
        await robot.off()
        await open(`/print?accession_number=OFF.${name}`)
        await seen(t, '!document.getElementById("asked-person").hidden', 'the person is shown')
        await click('#send')
        await seen(t, '/The disc robot does not answer; it is tried again/.test(document.getElementById("phase").textContent)', 'it is tried again')
        await clean(t, 'the robot is off')
        await click('#cancel')
        await heading(t, 'Cancelled')
        await isNews(t, 'Cancelled')
        t.notOk(await evaluate('document.getElementById("finished").classList.contains("good")'), 'it is not green')
        await clean(t, 'cancelled')
        await robot.on()
        robot.status = 0xA700
        await open(`/print?accession_number=BAD.${name}`)
        await seen(t, '!document.getElementById("asked-person").hidden', 'the person is shown')
        await click('#send')
        await seen(t, '!document.getElementById("problem").hidden', 'it was refused')
        await isNews(t, ERRORS.CD_PUBLISHER_REFUSED.sentence)
        await clean(t, 'refused')
        robot.status = 0
        await open(`/print?accession_number=UNKNOWN.${name}`)
        await heading(t, 'Send these studies once more?')
        t.match(await text('#before'), /The service stopped while it sent them .*2 of 6 images were confirmed\. Look at the robot/)
        await clean(t, 'unknown')
      })

      await t.test('a ZIP with a password; a part; the code for a phone', async t => {
        gate.allow(500_000)
        await open('/download?accession_number=LARGE.1')
        await click('#phone summary')
        await seen(t, '!document.getElementById("qr").hidden', 'the code')
        await clean(t, 'the code')
        await click('#part summary')
        await seen(t, '!document.getElementById("choose").hidden', 'the series')
        await clean(t, 'the series')
        await click('#cancel')
        await heading(t, 'Cancelled')
        gate.open()
        await idle(t)
        await open(`/download?accession_number=A2.${name}`)
        await heading(t, 'The disc has been downloaded')
        await click('#as-protected')
        await seen(t, '/-/.test(document.getElementById("password")?.textContent)', 'a password')
        // what Firefox and WebKit break (download.js): the page did not hear of the end, and had a second disc made
        await heading(t, 'The disc has been downloaded')
        await isNews(t, 'The disc has been downloaded')
        t.strictSame(mkiso.app.activities.running, [], 'no second disc is made')
        await clean(t, 'a password')
        await open(`/look?accession_number=A2.${name}`)
        await seen(t, 'document.querySelector(".mv-stage")', 'the viewer')
        await clean(t, 'the viewer')
        await idle(t)
      })

      await t.test('a form that is refused, and a page that did not hear of the end of its download', async t => {
        const path = `/download?accession_number=A3.${name}&format=zip&protected=true`
        const posts = (): number => mkiso.log.filter(({ msg, method, route, status }) => msg === 'request ended' && method === 'POST' && route === '/api/iso/download' && status === 200).length
        const before = posts()
        // it must not be ready before the code is shown
        gate.allow(0)
        await open(path)
        // who shows the code does not want it here meanwhile
        await click('#phone summary')
        await seen(t, '!document.getElementById("qr").hidden', 'the code')
        gate.open()
        await seen(t, 'document.getElementById("download").checkVisibility()', 'it waits for a click')
        await evaluate('(() => { document.getElementById("password-form").action = "/api/iso/download?accession_number=NONE.1&format=zip" })()')
        await click('#download')
        await seen(t, '!document.getElementById("problem").hidden', 'why there is none')
        await isNews(t, ERRORS.NO_DICOM_DATA.sentence)
        t.equal(await evaluate<boolean>('document.getElementById("password").checkVisibility()'), true, 'on the same page')
        // somebody else's hand takes the disc, and this page hears nothing more
        const link = await evaluate<string>('document.getElementById("download").href')
        t.ok((await (await fetch(link)).arrayBuffer()).byteLength > 0)
        await idle(t)
        const session = await evaluate<string>('JSON.stringify(sessionStorage)')
        await reload()
        await heading(t, 'The disc has been downloaded')
        t.equal(await evaluate<boolean>('document.getElementById("password").checkVisibility()'), false, 'no password that does not open it')
        t.equal(posts(), before, 'F5 saves nothing again')
        await idle(t)
        await evaluate(`(() => { Object.assign(sessionStorage, ${session}) })()`)
        await open(path)
        await heading(t, 'The disc has been downloaded')
        t.equal(await evaluate<boolean>('document.getElementById("password").checkVisibility()'), true, 'its password')
        t.ok(await eventually(() => posts() === before + 1), 'who opens the page anew has it anew')
        await idle(t)
      })

      await t.test('the desk: nothing yet, none, a pattern, many; the queue, and a download that is cancelled there; the history', async t => {
        await open('/desk')
        await seen(t, `/UNKNOWN\\.${name}/.test(document.getElementById("queue").innerText)`, 'only what nobody knows')
        await clean(t, 'nothing yet')
        const search = async (value: string): Promise<void> => {
          await fill('#patient_name', value)
          await evaluate('(() => { document.getElementById("find").requestSubmit() })()')
        }
        await search('nobody')
        await seen(t, 'document.getElementById("found").textContent === "No archive has such a study."', 'none')
        await clean(t, 'none')
        await search('do*')
        await seen(t, '!document.getElementById("wrong").hidden', 'a pattern is refused')
        await clean(t, 'a pattern')
        await search('ault prov')
        await seen(t, '/studies, 1 person/.test(document.getElementById("found").textContent)', 'by two parts')
        await click('#studies tr input')
        await clean(t, 'results')
        gate.allow(500_000)
        const page = fetch(`${site}/api/iso/download?accession_number=LARGE.1`)
        await seen(t, '/LARGE\\.1/.test(document.getElementById("queue").innerText)', 'it is in the queue')
        await clean(t, 'the queue')
        await click('#queue button[aria-label="Cancel LARGE.1"]')
        await seen(t, '!/LARGE\\.1/.test(document.getElementById("queue").innerText)', 'it is gone')
        t.match(await (await page).json(), { code: 'CANCELLED' }, 'whoever waited for it is told')
        t.ok(await eventually(() => mkiso.app.activities.finished[0]?.outcome?.kind === 'cancelled'))
        t.match(mkiso.app.activities.finished[0], { outcome: { kind: 'cancelled', by: 'operator' } })
        t.ok(mkiso.log.some(({ msg, by }) => msg === 'cancelled at the desk' && by === 'dewi'), 'and who has done it')
        gate.open()
        await seen(t, '/LARGE\\.1/.test(document.getElementById("history").innerText)', 'the history has it')
        await clean(t, 'the history')
        await idle(t)
      })

      await t.test('the operator: no key, a wrong one, a print that nobody knows, each of several archives', async t => {
        await evaluate('(() => { sessionStorage.clear() })()')
        await open('/status')
        await seen(t, '!document.getElementById("key-form").hidden', 'a key is asked for')
        await clean(t, 'no key')
        await fill('#key', 'wrong')
        await evaluate('(() => { document.getElementById("key-form").requestSubmit() })()')
        await seen(t, '!document.getElementById("key-wrong").hidden', 'a wrong key')
        await clean(t, 'a wrong key')
        await fill('#key', KEY)
        await evaluate('(() => { document.getElementById("key-form").requestSubmit() })()')
        await seen(t, `/UNKNOWN\\.${name}/.test(document.getElementById("unknown").innerText)`, 'somebody must look at the robot')
        await seen(t, 'document.querySelectorAll("#finished tr").length > 3', 'the results')
        await clean(t, 'the operator\'s page')
        await goTo(`${site}/docs`)
        await seen(t, 'document.querySelectorAll(".opblock").length > 10', 'Swagger UI')
        await clean(t, 'Swagger UI')
      })
      void engine
    })

    await t.test(`${name}, which speaks French before Indonesian, in the dark`, async t => {
      const { open, seen, evaluate, clean } = await visitor(t, name, here.programs, { languages: 'fr,id;q=0.9', dark: true })
      await open(`${site}/download?accession_number=NONE.1`)
      t.equal(await evaluate<string>('document.documentElement.lang'), 'id')
      t.ok(await evaluate<boolean>('matchMedia("(prefers-color-scheme: dark)").matches'), 'it is dark')
      await seen(t, '!document.getElementById("problem").hidden', 'a problem')
      await clean(t, 'a problem')
      for (const path of [`/download?accession_number=A1.${name}`, `/print?accession_number=A1.${name}`, '/desk', '/status', '/api/iso/download?accession_number=*', '/nowhere']) {
        await open(site + path)
        await seen(t, 'document.querySelector("h1")', path)
        t.equal(await evaluate<string>('document.documentElement.lang'), 'id', path)
        await clean(t, path)
      }
      t.ok(await eventually(() => mkiso.app.activities.running.length === 0))
    })
  }
})

/** A journal as a service leaves it that was killed while it sent. */
function unknownPrint (stateDir: string, accessionNumber: string, destination: string): void {
  const folder = join(stateDir, 'prints', '0badcafe')
  mkdirSync(folder, { recursive: true })
  const id = `3f0c1f9e-6f5b-4d0e-9a52-2b7a4f1d1c${String(accessionNumber.length).padStart(2, '0')}`
  const now = new Date().toISOString()
  writeFileSync(join(folder, `${id}.json`), JSON.stringify({
    id, createdAt: now, accessionNumbers: [accessionNumber], caller: { address: '10.0.0.1', credential: 'ward-7' }, requestId: 'killed', again: false, detached: true, state: 'sending',
    times: { queued: now, sending: now }, destination, patientName: 'DOE JANE', studyInstanceUids: [`1.2.${accessionNumber.length}`], images: 6, sentImages: 0
  }))
  writeFileSync(join(folder, `${id}.sent`), '2           ')
}
