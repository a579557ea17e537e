/** Hundreds of requests in one moment, each for another study: the sign of life comes all the while, each gets a disc or is told to come again. */
import t from 'tap'
import { Agent, request } from 'undici'
import { freePort } from '../../demo/ports.ts'
import { eventually } from '../eventually.ts'
import { faultStudy, linkTo } from '../faults/harness.ts'
import { serve } from '../served.ts'
import { nothingLeft, readDisc, service, temporaryFolder, world } from '../world.ts'
import { startFloodingPacs } from './flooding-pacs.ts'
import { during, tell } from './measured.ts'

const REQUESTS = 200
/** Studies that there are; the others exist nowhere. */
const STUDIES = 40
const SLOTS = 20

t.test(`${REQUESTS} requests in one moment, each for another study`, async t => {
  const numbers = Array.from({ length: REQUESTS }, (_, index) => `CROWD.${index}`)
  const here = await world(t, 'orthanc', { studies: numbers.slice(0, STUDIES).map(accessionNumber => ({ ...faultStudy(accessionNumber, { images: 2, size: 16 }), seed: accessionNumber })) })
  const { pid, url } = await serve(here.programs, temporaryFolder(t, 'crowd'), here.pacs, here.receiverPort, { our_ae: { port_range: SLOTS }, disc: { web_content: 'none' } })
  const dispatcher = new Agent({ connections: null, pipelining: 1 })
  t.teardown(async () => { await dispatcher.destroy() })
  const ask = async (accessionNumber: string): Promise<{ accessionNumber: string, status: number, body: Buffer }> => {
    const { statusCode, body } = await request(url + linkTo(accessionNumber), { dispatcher, headersTimeout: 0, bodyTimeout: 0 })
    return { accessionNumber, status: statusCode, body: Buffer.from(await body.arrayBuffer()) }
  }
  const { result: answers, seen } = await during({ pid, url }, async () => await Promise.all(numbers.map(ask)))
  t.strictSame(seen.bad, [], 'the process is alive all the time')
  t.equal(answers.filter(({ status }) => status === 404).length, REQUESTS - STUDIES, 'what is nowhere')
  const discs = answers.filter(({ status }) => status === 200)
  const later = answers.filter(({ status }) => status === 503)
  t.equal(discs.length + later.length, STUDIES, 'what is there')
  t.ok(discs.length >= SLOTS, `${discs.length} discs; as many may receive at once, the others are told to come again`)
  for (const { body } of later) t.match(JSON.parse(body.toString()), { code: 'TOO_MANY_CONCURRENT', detail: `all ${SLOTS} receive slots are in use` })
  for (const { accessionNumber, body } of discs.filter((_, index) => index % 8 === 0)) {
    const { instances } = await readDisc(t, body, here.programs)
    t.strictSame([...instances.keys()].sort(), here.of(accessionNumber).map(({ sopInstanceUid }) => sopInstanceUid).sort(), accessionNumber)
  }
  t.comment(`${Math.round(seen.tookMs)} ms, ${seen.cpuSeconds.toFixed(1)} s of processor; its event loop stood still for ${seen.standstillMs} ms at most; ${tell(seen)}`)
  t.comment(`${seen.before.memoryMib} MiB before, at most ${seen.peakMib} MiB`)
})

t.test('no more wait than may (pacs.max_waiting), and their places are free again', async t => {
  const MOST = 10
  const pacs = await startFloodingPacs()
  t.teardown(async () => { await pacs.close() })
  let answering = (): void => {}
  const answers = new Promise<void>(resolve => { answering = resolve })
  pacs.before = async () => { await answers }
  const mkiso = await service(t, pacs, await freePort(), { pacs: { max_waiting: MOST, max_associations: 2, find_timeout: '60s' } })
  const waiting = Array.from({ length: MOST }, async (_, index) => await mkiso.get(linkTo(`WAIT.${index}`)))
  t.ok(await eventually(() => mkiso.app.archives[0]?.limit.queries.waiting === MOST - 2), 'two ask, the others wait')
  const more = await mkiso.get(linkTo('WAIT.MORE'))
  t.match(more, { status: 503, headers: { 'retry-after': '30' } })
  t.match(more.json(), { code: 'TOO_MANY_CONCURRENT', detail: '10 requests ask FLOOD already what it has (pacs.max_waiting)', retry_after: 30 })
  t.equal((await mkiso.get('/api/health/live')).status, 200)
  answering()
  t.strictSame((await Promise.all(waiting)).map(({ status }) => status), Array(MOST).fill(404), 'those that were let in have their answer')
  t.equal((await mkiso.get(linkTo('WAIT.MORE'))).status, 404, 'and there is room again')
  t.strictSame(await nothingLeft(mkiso), [])
})
