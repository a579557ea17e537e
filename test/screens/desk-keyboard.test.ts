/** A patient's disc from the desk by the keyboard alone, in Chromium and in Firefox, through the real nginx: found by a part of the name at two archives, then printed. */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { demoStudies, oldStudy } from '../../demo/phantoms/studies.ts'
import { freePort } from '../../demo/ports.ts'
import { eventually } from '../eventually.ts'
import { startNginx } from '../nginx/nginx.ts'
import { startRobot } from '../print/robot.ts'
import { nothingLeft, pixelDataSha256, readDisc, serviceOf, temporaryFolder, world } from '../world.ts'
import { BROWSERS, visitor } from './visitor.ts'

const KEY = 'the-key-of-the-site'
const NUMBERS = ['MR.2024.001', 'OLD.2019.001']

t.test('a disc by the keyboard alone', async t => {
  const receiverPort = await freePort()
  const main = await world(t, 'dcmqrscp', { studies: demoStudies().filter(({ accessionNumber }) => ['MR.2024.001', 'US.2024.001'].includes(accessionNumber)), receiverPort })
  const old = await world(t, 'orthanc', { studies: [{ ...oldStudy(), series: [{ kind: 'CT', count: 3 }] }], receiverPort })
  const robot = await startRobot(t)
  const mkiso = await serviceOf(t, {
    archives: [main, old].map(({ pacs }, index) => ({ name: ['main', 'old'][index], ae_title: pacs.aeTitle, host: pacs.host, port: pacs.port, settle_timeout: '500ms' }))
  }, receiverPort, {
    auth: { enabled: true, api_key: KEY },
    audit: { file: join(temporaryFolder(t, 'audit'), 'audit.jsonl'), user_header: 'X-Remote-User' },
    cd_publisher: { host: '127.0.0.1', port: robot.port, name: 'in the radiology office' },
    disc: { web_content: 'none' }
  })
  const nginx = await startNginx(t, { upstreams: [new URL(mkiso.url).host], key: KEY })
  // a site that knows its people by something else than a password
  for (const name of ['desk.conf', 'access.conf']) {
    const path = join(nginx.folder, 'mkiso', name)
    writeFileSync(path, `${readFileSync(path, 'utf8').replace(/^deny all;/m, '')}\nset $mkiso_user dewi;\n`)
  }
  nginx.reload()
  t.ok(await eventually(async () => (await fetch(`${nginx.url}/desk`)).status === 200))
  const phantoms = new Map(NUMBERS.flatMap(number => [...main.of(number), ...old.of(number)]).map(instance => [instance.sopInstanceUid, instance.pixelDataSha256]))

  for (const name of BROWSERS) {
    await t.test(name, async t => {
      const downloads = temporaryFolder(t, 'downloads')
      const { engine, evaluate, open, seen, text, clean } = await visitor(t, name, main.programs, { downloads })
      /** Goes with Tab to what fits; nothing else moves the focus. */
      const tabTo = async (selector: string): Promise<void> => {
        for (let step = 0; step < 80; step++) {
          if (await evaluate<boolean>(`document.activeElement?.matches(${JSON.stringify(selector)}) === true`)) return
          await engine.press('Tab')
        }
        throw new Error(`Tab never comes to ${selector}`)
      }
      const type = async (words: string): Promise<void> => { for (const key of words) await engine.press(key) }

      await open(`${nginx.url}/desk?lang=en`)
      await seen(t, '!document.getElementById("nothing").hidden', 'the desk is there')
      await tabTo('#patient_name')
      await type('ahayu sit')
      await engine.press('Enter')
      await seen(t, 'document.getElementById("found").textContent === "2 studies, 1 person(s)."', 'two studies of one person, by parts of two words')
      t.match(await text('#studies'), /MR\.2024\.001\s+main[\s\S]*OLD\.2019\.001\s+old/)
      for (const row of [1, 2]) {
        await tabTo(`#studies tr:nth-child(${row}) input`)
        await engine.press(' ')
        await seen(t, `document.querySelector("#studies tr:nth-child(${row}) input").checked`, `row ${row} is ticked`)
      }
      t.equal(await text('#chosen'), `RAHAYU SITI · ${NUMBERS.join(', ')}`)
      await clean(t, 'two are ticked')
      await tabTo('#take-iso')
      await engine.press('Enter')
      const file = join(downloads, `RAHAYU SITI-${NUMBERS.join('_')}.iso`)
      // Firefox keeps the place, and writes beside it
      const isSaved = (): boolean => existsSync(file) && statSync(file).size > 0 && !readdirSync(downloads).some(one => one.endsWith('.part'))
      t.ok(await eventually(isSaved), `it is saved: ${readdirSync(downloads).join()}`)
      await seen(t, '/MR\\.2024\\.001, OLD\\.2019\\.001[^]*dewi[^]*Download · done/.test(document.querySelector("#history tr")?.innerText)', 'who has had what')
      const disc = await readDisc(t, readFileSync(file), main.programs)
      const onDisc = new Map([...disc.instances].map(([uid, path]) => [uid, pixelDataSha256(join(disc.root, path))]))
      t.strictSame([...onDisc].sort(), [...phantoms].sort(), 'every image of both archives, with its own pixels')

      await tabTo('#take-print')
      await engine.press('Enter')
      t.equal(await evaluate<string>('document.activeElement.id'), 'question', 'the question is where the focus is')
      t.match(await text('#ask'), /RAHAYU SITI · MR\.2024\.001, OLD\.2019\.001[\s\S]*The robot in the radiology office makes one disc/)
      if (name === 'firefox') {
        // the other browser has printed them
        await tabTo('#send')
        await engine.press('Enter')
        await seen(t, 'document.getElementById("question").textContent === "Send these studies once more?"', 'it was printed a moment ago')
        await clean(t, 'once more?')
        await tabTo('#not-now')
        await engine.press(' ')
        t.equal(await evaluate<string>('document.activeElement.id'), 'take-print', 'the focus goes back')
      } else {
        await tabTo('#send')
        await engine.press(' ')
        await seen(t, '/Print · done · \\d+ images/.test(document.querySelector("#history tr")?.innerText)', 'it is printed')
      }
      t.equal(robot.discs().flatMap(({ images }) => [...images]).length, phantoms.size, 'one disc at the robot')
    })
  }
  t.strictSame(await nothingLeft(mkiso, /^folder/), [])
})
