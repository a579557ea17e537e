/** The registry of running and finished work, fed by real downloads and prints. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { request } from 'undici'
import t from 'tap'
import { demoStudies } from '../../demo/phantoms/studies.ts'
import { startPublisher } from '../../demo/publisher.ts'
import type { Activity, Phase } from '../../src/work/activity.ts'
import { eventually } from '../eventually.ts'
import { nothingLeft, service, world } from '../world.ts'

t.test('activities', async t => {
  const here = await world(t, 'dcmqrscp', { studies: demoStudies().filter(({ accessionNumber }) => /^(MR\.2024\.001|CT\.2024\.200)/.test(accessionNumber)) })
  const dir = join(here.folder, 'publisher')
  mkdirSync(dir)
  const publisher = await startPublisher({ programs: here.programs, dir })
  const mkiso = await service(t, here.pacs, here.receiverPort, { cd_publisher: { host: publisher.host, port: publisher.port } })
  const { activities } = mkiso.app
  const phases = new Map<Activity, Phase[]>()
  const note = (activity: Activity): void => {
    const seen = phases.get(activity) ?? []
    phases.set(activity, seen)
    if (seen.at(-1) !== activity.phase) seen.push(activity.phase)
  }
  activities.on('started', note).on('changed', note).on('ended', note)
  const last = async (): Promise<Activity> => {
    await eventually(() => activities.running.length === 0)
    const [activity] = activities.finished
    if (activity === undefined) throw new Error('nothing has ended')
    return activity
  }

  t.test('a download, from finding to done', async t => {
    const answer = await mkiso.get('/api/iso/download?accession_number=MR.2024.001')
    const activity = await last()
    // there may be no wait for a turn
    t.strictSame(phases.get(activity)?.filter(phase => phase !== 'queued'), ['finding', 'receiving', 'making', 'streaming', 'done'])
    t.equal(activity.requestId, answer.headers['x-request-id'])
    t.match(activity, { kind: 'download', patientName: 'RAHAYU SITI', images: { received: 24, expected: 24 }, sizeBytes: answer.body.length, sentBytes: answer.body.length, outcome: { kind: 'success' } })
    t.strictSame(activity.studies.map(({ modalities }) => modalities), [['MR']])
    t.ok(activity.receivedBytes > 100_000)
  })

  t.test('a failure has its code; a question with HEAD is no activity', async t => {
    await mkiso.get('/api/iso/download?accession_number=NONE')
    t.match((await last()).outcome, { kind: 'failed', code: 'NO_DICOM_DATA', detail: /NONE/ })
    const before = activities.finished.length
    await request(`${mkiso.url}/api/iso/download?accession_number=MR.2024.001`, { method: 'HEAD' })
    t.equal(activities.finished.length + activities.running.length, before)
  })

  t.test('the operator cancels', async t => {
    const waiting = mkiso.get('/api/iso/download?accession_number=CT.2024.200')
    t.ok(await eventually(() => activities.running.some(({ phase }) => phase === 'receiving'), 1))
    t.ok(activities.cancel(activities.running[0]?.id ?? '', 'operator'))
    t.match((await waiting).json(), { code: 'CANCELLED' })
    t.match((await last()).outcome, { kind: 'cancelled', by: 'operator' })
    t.strictSame(await nothingLeft(mkiso), [])
    t.notOk(activities.cancel(activities.finished[0]?.id ?? '', 'operator'), 'what has ended cannot be cancelled')
  })

  t.test('a cancelled answer is cut, not ended', async t => {
    const answer = await request(`${mkiso.url}/api/iso/download?accession_number=CT.2024.200`)
    t.ok(await eventually(() => activities.running.some(({ phase }) => phase === 'streaming'), 1))
    activities.cancel(activities.running[0]?.id ?? '', 'operator')
    await t.rejects(answer.body.arrayBuffer())
    t.strictSame(await nothingLeft(mkiso), [])
  })

  t.test('a client that leaves', async t => {
    const answer = await request(`${mkiso.url}/api/iso/download?accession_number=CT.2024.200`)
    answer.body.on('error', () => {}).destroy()
    t.match((await last()).outcome, { kind: 'cancelled', by: 'client' })
  })

  t.test('a print that a second one joins; the first leaves while the images go out', async t => {
    const leaving = new AbortController()
    const path = '/api/iso/print?accession_number=CT.2024.200'
    const first = request(mkiso.url + path, { method: 'POST', signal: leaving.signal }).catch((error: Error) => error.name)
    t.ok(await eventually(() => activities.running.some(({ phase }) => phase === 'receiving'), 1))
    const second = mkiso.post(path)
    t.ok(await eventually(() => activities.running.length === 2 && activities.running.every(({ committed, sentImages }) => committed && sentImages > 0), 1), 'both hear of it')
    t.notOk(activities.cancel(activities.running[0]?.id ?? '', 'operator'), 'half a disc at the robot helps nobody')
    leaving.abort()
    t.equal(await first, 'AbortError')
    t.match((await second).json(), { files_sent: 200 })
    await last()
    for (const activity of activities.finished.slice(0, 2)) t.match(activity, { kind: 'print', sentImages: 200, outcome: { kind: 'success' } })
    t.strictSame(phases.get(await last())?.slice(-3), ['receiving', 'sending', 'done'])
  })
})
