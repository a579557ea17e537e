/** HEAD never acts, on no route of the OpenAPI document: no program is started, nothing is moved, nothing is printed, nothing is begun. */
import type { OpenAPIV3 } from 'openapi-types'
import t from 'tap'
import { request } from 'undici'
import { eventually } from '../eventually.ts'
import { faultStudy } from '../faults/harness.ts'
import { startRobot } from '../print/robot.ts'
import { service, world } from '../world.ts'

t.test('HEAD', async t => {
  const here = await world(t, 'dcmqrscp', { studies: [faultStudy('HEAD.1')] })
  const robot = await startRobot(t)
  const mkiso = await service(t, here.pacs, here.receiverPort, { cd_publisher: { host: '127.0.0.1', port: robot.port }, iso: { keep_for: '5m' } })
  const api = (await mkiso.get('/docs/json')).json() as unknown as OpenAPIV3.Document
  const { programs } = mkiso.app.dcmtk
  const job = '3f0c1f9e-6f5b-4d0e-9a52-2b7a4f1d1c11'
  const head = async (path: string, headers: Record<string, string> = {}) => {
    const answer = await request(mkiso.url + path, { method: 'HEAD', headers, headersTimeout: 10_000 })
    await answer.body.dump()
    return answer
  }
  const before = { started: programs.started, moves: here.pacs.moves(), finished: mkiso.app.activities.finished.length }
  const paths = Object.entries(api.paths).filter(([, item]) => item?.get !== undefined).map(([path]) => path)
  t.ok(paths.length >= 16, `${paths.length} routes`)
  for (const path of paths) {
    const query = path.includes('download-multiple') ? 'accession_numbers=HEAD.1' : 'accession_number=HEAD.1'
    for (const accept of ['application/json', 'text/html', 'text/event-stream']) {
      const { statusCode } = await head(`${path.replace('{id}', job)}?${query}`, { accept })
      t.equal(statusCode, 200, `${path}, ${accept}`)
    }
  }
  // what would be begun is begun at once; a print and a preparation would show here
  t.equal(programs.started, before.started, 'no program is started')
  t.equal(here.pacs.moves(), before.moves, 'nothing is moved')
  t.strictSame([mkiso.app.activities.running.length, mkiso.app.activities.finished.length, mkiso.app.prints.jobs.length], [0, before.finished, 0], 'nothing is begun')
  t.equal(robot.images(), 0, 'nothing is printed')

  t.equal((await head('/api/iso/print')).statusCode, 400, 'what is wrong is wrong for HEAD too')
  await mkiso.get('/api/iso/download?accession_number=HEAD.1')
  t.ok(await eventually(() => mkiso.app.studyStore.kept === 1))
  const moves = here.pacs.moves()
  t.match((await head('/api/iso/download?accession_number=HEAD.1')).headers, { 'x-mkiso-images': '3' }, 'a disc that is here tells its size')
  t.equal(here.pacs.moves(), moves)
  await here.pacs.stop()
  t.ok(await eventually(async () => (await mkiso.get('/api/health')).status === 503, 100))
  t.equal((await head('/api/health')).statusCode, 503, 'health as it was seen last')
})
