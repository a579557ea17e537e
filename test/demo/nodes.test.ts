/** The PACS, the publisher and the HIS of demo and tests: strict where a real one is, and gone when they are stopped. */
import { rmSync } from 'node:fs'
import { mkdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { request } from 'undici'
import { startOrthanc } from '../../demo/orthanc.ts'
import { startDcmqrscp, type Pacs } from '../../demo/pacs.ts'
import { startPatientApi } from '../../demo/patient-api.ts'
import { writeStudy, type PhantomInstance } from '../../demo/phantoms/catalogue.ts'
import { demoStudies } from '../../demo/phantoms/studies.ts'
import { freePort, freePortRange } from '../../demo/ports.ts'
import { startPublisher, type Publisher } from '../../demo/publisher.ts'
import { processesOfGroup, type Programs, type RunResult } from '../../src/process.ts'
import { eventually } from '../eventually.ts'
import { programsOf, temporaryFolder } from '../world.ts'

interface Nodes { folder: string, programs: Programs, instances: PhantomInstance[], publisher: Publisher, study: string }

/** The phantoms of one accession number, and a publisher that a PACS may be told to move to. */
async function nodes (t: Test): Promise<Nodes> {
  const folder = temporaryFolder(t, 'nodes')
  const programs = programsOf(t)
  for (const name of ['pacs', 'publisher', 'got']) mkdirSync(join(folder, name))
  const studies = demoStudies().filter(({ accessionNumber }) => accessionNumber === 'MR.2024.001')
  const instances = (await Promise.all(studies.map(async study => await writeStudy(study, join(folder, 'phantoms'), programs)))).flat()
  const publisher = await startPublisher({ programs, dir: join(folder, 'publisher') })
  return { folder, programs, instances, publisher, study: instances[0]?.studyInstanceUid ?? '' }
}

const keys = (values: Record<string, string>): string[] => Object.entries(values).flatMap(([key, value]) => ['-k', `${key}=${value}`])

async function move (programs: Programs, pacs: Pacs, to: string, query: Record<string, string>): Promise<RunResult> {
  return await programs.run('movescu', ['-d', '-S', '-aet', 'CDRECORD', '-aec', pacs.aeTitle, '-aem', to, ...keys({ QueryRetrieveLevel: 'STUDY', ...query }), pacs.host, String(pacs.port)])
}

/** Whether the port can be taken: nobody listens on it. */
async function isFree (port: number): Promise<boolean> {
  return await new Promise(resolve => {
    const server = createServer()
    server.once('error', () => { resolve(false) })
    server.listen(port, () => { server.close(() => { resolve(true) }) })
  })
}

/** Stops it twice and looks for what is left. */
async function endsCleanly (t: Test, node: { pid: number, stop (): Promise<void> }, ports: readonly number[]): Promise<void> {
  for (const port of ports) t.notOk(await isFree(port), `port ${port} is taken while it is up`)
  await Promise.all([node.stop(), node.stop()])
  await node.stop()
  t.strictSame(processesOfGroup(node.pid), [], 'no process')
  for (const port of ports) t.ok(await isFree(port), `port ${port} is free again`)
}

/** What every PACS has to do, whoever made it. */
async function answers (t: Test, pacs: Pacs, { programs, instances, publisher, study, folder }: Nodes): Promise<void> {
  const uids = instances.map(({ sopInstanceUid }) => sopInstanceUid).sort()
  await pacs.store(instances.map(({ path }) => path))
  const found = await programs.run('findscu', ['-S', '-aec', pacs.aeTitle,
    ...keys({ QueryRetrieveLevel: 'IMAGE', StudyInstanceUID: study, SeriesInstanceUID: instances[0]?.seriesInstanceUid ?? '', SOPInstanceUID: '' }), pacs.host, String(pacs.port)])
  t.equal(found.exitCode, 0)
  t.equal(`${found.stdout}${found.stderr}`.match(/\bSOPInstanceUID$/gm)?.length, 12, 'one answer for each image of the series')

  t.equal((await move(programs, pacs, publisher.aeTitle, { StudyInstanceUID: study })).exitCode, 0)
  t.strictSame((await publisher.received()).sort(), uids, 'all are where they were moved to')
  t.ok(await eventually(() => publisher.associations() === 1), 'in one association')
  t.not((await move(programs, pacs, 'NOBODY', { StudyInstanceUID: study })).exitCode, 0, 'an unknown destination is refused')
  t.ok(await eventually(() => pacs.moves() === 2), `it counts C-MOVE requests: ${pacs.moves()}`)

  const got = await programs.run('getscu', ['-S', '+B', '-aec', pacs.aeTitle, '-od', join(folder, 'got'), ...keys({ QueryRetrieveLevel: 'STUDY', StudyInstanceUID: study }), pacs.host, String(pacs.port)])
  t.equal(got.exitCode, 0, `C-GET: ${got.stderr}`)

  const victim = await pacs.pathOf(uids[0] ?? '')
  if (victim === undefined) throw new Error('no path')
  rmSync(victim)
  t.not((await move(programs, pacs, publisher.aeTitle, { StudyInstanceUID: study })).exitCode, 0, 'a file that was taken away is missed')
  t.equal(await pacs.pathOf('1.2.3'), undefined, 'no path for what it does not have')
}

t.test('dcmqrscp', async t => {
  const here = await nodes(t)
  const { programs, publisher, folder, instances } = here
  const pacs = await startDcmqrscp({ programs, dir: join(folder, 'pacs'), destinations: [publisher] })
  await answers(t, pacs, here)
  const refused = await move(programs, pacs, publisher.aeTitle, { AccessionNumber: 'MR.2024.001' })
  t.equal(refused.exitCode, 69, 'a C-MOVE by accession number is refused (PS3.4 C.4.2.1.4)')
  t.match(refused.stdout + refused.stderr, /0xa900/i)
  // several associations at the same time, each in a process of its own
  const moves = await Promise.all(Array.from({ length: 4 }, async () => await programs.run('findscu',
    ['-S', '-aec', pacs.aeTitle, ...keys({ QueryRetrieveLevel: 'STUDY', AccessionNumber: 'MR.2024.001', StudyInstanceUID: '' }), pacs.host, String(pacs.port)])))
  t.strictSame(moves.map(({ exitCode }) => exitCode), [0, 0, 0, 0])
  t.equal(instances.length, 24)
  await endsCleanly(t, pacs, [pacs.port])
  await endsCleanly(t, publisher, [publisher.port])
  t.equal(programs.size, 0)
})

t.test('Orthanc', async t => {
  const here = await nodes(t)
  const pacs = await startOrthanc({ programs: here.programs, dir: join(here.folder, 'pacs'), destinations: [here.publisher] })
  await answers(t, pacs, here)
  t.match(await pacs.get('/statistics'), { CountInstances: 24, CountStudies: 1 })
  await t.rejects(pacs.store([import.meta.filename]), /did not take/, 'what is no DICOM file')
  await endsCleanly(t, pacs, [pacs.port, pacs.httpPort])
})

t.test('a PACS that cannot have its port says so, and leaves nothing', async t => {
  const programs = programsOf(t)
  const folder = temporaryFolder(t, 'nodes')
  const server = createServer()
  await new Promise<void>(resolve => { server.listen(0, resolve) })
  t.teardown(() => { server.close() })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  await t.rejects(startDcmqrscp({ programs, dir: folder, port, destinations: [] }), /dcmqrscp/)
  t.ok(await eventually(() => programs.size === 0), 'no process')
})

t.test('patient API', async t => {
  const api = await startPatientApi(new Map([['MR.2024.001', 'SITI RAHAYU']]))
  const ask = async (accessionNumber: string): Promise<{ status: number, text: string }> => {
    const { statusCode, body } = await request(`${api.baseUrl}/patient/by-accession?accession_number=${accessionNumber}`, { headers: { authorization: 'Bearer x' } })
    return { status: statusCode, text: await body.text() }
  }
  const known = await ask('MR.2024.001')
  t.equal(known.status, 200)
  t.match(JSON.parse(known.text), { accession_number: 'MR.2024.001', patient_name: 'SITI RAHAYU' })
  t.strictSame(await ask('X'), { status: 404, text: '{"error":"accession_number not found"}' })
  api.mode = 'error'
  t.equal((await ask('MR.2024.001')).status, 500)
  t.strictSame(api.requests, ['MR.2024.001', 'X', 'MR.2024.001'])
  t.strictSame(api.authorizations, ['Bearer x', 'Bearer x', 'Bearer x'])
  api.mode = 'hang'
  const hanging = t.rejects(ask('MR.2024.001'), 'a request that hangs is cut off by close')
  await eventually(() => api.requests.length === 4)
  await api.close()
  await api.close()
  await hanging
  t.ok(await isFree(api.port))
})

t.test('ports', async t => {
  const ports = await Promise.all(Array.from({ length: 20 }, async () => await freePort()))
  t.equal(new Set(ports).size, 20, 'none twice')
  const first = await freePortRange(5)
  for (let port = first; port < first + 5; port++) t.ok(await isFree(port))
  const [ours = 0] = ports
  const asking = `import { portFrom } from '${join(import.meta.dirname, '../../demo/ports.ts')}'; console.log(await portFrom(${ours}))`
  const { stdout } = await programsOf(t).run(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', asking], { cwd: join(import.meta.dirname, '../..') })
  t.ok(Number(stdout) > ours, `another process gets another one, though nobody listens on ${ours} yet: ${stdout}`)
})
