/** A study that lacks an image: a site may allow discs of it (disc.allow_incomplete), and never gets a print of it. The robot is not even asked. */
import { copyFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { request } from 'undici'
import { freePort } from '../../demo/ports.ts'
import { writeStudy } from '../../demo/phantoms/catalogue.ts'
import { eventually } from '../eventually.ts'
import { heldProgram } from '../held-program.ts'
import { faultStudy, linkTo, nothingRemains, PATIENT } from '../faults/harness.ts'
import { startLyingPacs } from '../faults/lying-pacs.ts'
import { programsOf, service, temporaryFolder, world } from '../world.ts'
import { startRobot } from './robot.ts'

const PRINT = '/api/iso/print?accession_number='
const JOBS = '/api/iso/print/jobs?accession_number='
const DISC = { web_content: 'none', allow_incomplete: true }
const LACKS_ONE = 'images of accession number HALF are missing: 1; a print is never made of an incomplete study'

t.test('a study of which the archive has lost an image', async t => {
  const here = await world(t, 'dcmqrscp', { studies: [faultStudy('HALF'), faultStudy('WHOLE')] })
  const robot = await startRobot(t)
  const movescu = heldProgram(t, 'movescu')
  const mkiso = await service(t, here.pacs, here.receiverPort, { cd_publisher: { host: '127.0.0.1', port: robot.port }, disc: DISC, dcmtk: { movescu: movescu.path } })
  const lost = await here.pacs.pathOf(here.of('HALF')[1]?.sopInstanceUid ?? '') ?? ''
  const elsewhere = join(here.folder, 'lost.dcm')
  renameSync(lost, elsewhere)

  await t.test('who waits for the answer', async t => {
    const answer = await mkiso.get(`${PRINT}HALF`)
    t.equal(answer.status, 502)
    t.match(answer.json(), { code: 'INCOMPLETE_RETRIEVAL', error: 'incomplete retrieval', detail: LACKS_ONE, request_id: answer.headers['x-request-id'] })
    t.match((await mkiso.get(`${JOBS}HALF`)).json(), { jobs: [{ state: 'failed', sent_images: 0, error: { code: 'INCOMPLETE_RETRIEVAL' } }] })
    const { finished } = (await mkiso.get('/status/state')).json() as { finished: unknown[] }
    t.match(finished[0], { kind: 'print', outcome: 'failed', error: { code: 'INCOMPLETE_RETRIEVAL' } })
    t.match(mkiso.log.find(({ code }) => code === 'INCOMPLETE_RETRIEVAL'), { detail: LACKS_ONE, level: 50 })
    t.notOk(mkiso.log.some(({ msg }) => msg === 'study complete'), 'and the log calls it complete nowhere')
  })

  await t.test('who has a page', async t => {
    const page = await request(`${mkiso.url}${PRINT}HALF&lang=en`, { headers: { accept: 'text/html' } })
    t.equal(page.statusCode, 502)
    t.match(await page.body.text(), /Not all images arrived/)
  })

  await t.test('a job that goes on by itself fails, and is not tried again', async t => {
    const asked = await request(`${mkiso.url}${PRINT}HALF`, { method: 'POST', headers: { prefer: 'respond-async' } })
    t.equal(asked.statusCode, 202)
    await asked.body.dump()
    const job = async (): Promise<Record<string, unknown>> => (await mkiso.get(String(asked.headers['location']))).json()
    await eventually(async () => !['queued', 'fetching'].includes(String((await job())['state'])), 20)
    t.match(await job(), { state: 'failed', sent_images: 0, error: { code: 'INCOMPLETE_RETRIEVAL' } })
  })

  await t.test('with one that is whole: neither is sent', async t => {
    t.match((await mkiso.get(`${PRINT}WHOLE,HALF`)).json(), { code: 'INCOMPLETE_RETRIEVAL', detail: /accession number WHOLE, HALF are missing: 1/ })
  })

  await t.test('that a download is taking as it is: the print that joins it is refused all the same', async t => {
    const before = mkiso.log.length
    movescu.hold()
    const disc = mkiso.get(linkTo('HALF'))
    t.ok(await eventually(() => mkiso.app.studyStore.running === 1, 5))
    const joining = mkiso.get(`${PRINT}HALF`)
    t.ok(await eventually(() => mkiso.log.slice(before).some(({ msg }) => msg === 'the study is being fetched already; this request joins')))
    movescu.letGo()
    const print = await joining
    t.match(print.json(), { code: 'INCOMPLETE_RETRIEVAL', detail: LACKS_ONE })
    t.match(await disc, { status: 200, headers: { 'x-mkiso-missing': '1' } }, 'a disc is allowed, and says so')
  })

  t.equal(robot.images(), 0, 'the robot got nothing')
  await t.test('the image is there again: printed without a question', async t => {
    copyFileSync(elsewhere, lost)
    t.match((await mkiso.get(`${PRINT}HALF`)).json(), { status: 'success', files_sent: 3 })
    t.strictSame(robot.discs().map(({ images }) => images.size), [3])
  })
  await nothingRemains(t, mkiso)
})

t.test('a study of which nobody can tell whether it is whole', async t => {
  const receiverPort = await freePort()
  const pacs = await startLyingPacs(receiverPort)
  t.teardown(async () => { await pacs.close() })
  const images = await writeStudy(faultStudy('UNKNOWN'), temporaryFolder(t), programsOf(t))
  pacs.add(PATIENT, images, {
    find: (level, answers) => level === 'IMAGE' ? { answers: [], status: 0xA900 } : { answers },
    move: async move => { await move.send(move.wanted); move.final(0) }
  })
  const robot = await startRobot(t)
  const mkiso = await service(t, pacs, receiverPort, { cd_publisher: { host: '127.0.0.1', port: robot.port }, disc: DISC })
  t.match((await mkiso.get(linkTo('UNKNOWN'))).headers, { 'x-mkiso-missing': 'unknown' }, 'a disc is allowed')
  const answer = await mkiso.get(`${PRINT}UNKNOWN`)
  t.equal(answer.status, 502)
  t.match(answer.json(), { code: 'INCOMPLETE_RETRIEVAL', detail: 'nobody can tell whether all images of accession number UNKNOWN have come; a print is never made of an incomplete study' })
  t.equal(robot.images(), 0)
  await nothingRemains(t, mkiso)
})
