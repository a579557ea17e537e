/** The process: its arguments, its configuration, its end. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { demoStudies } from '../../demo/phantoms/studies.ts'
import { freePort } from '../../demo/ports.ts'
import { listeningSockets, type Child, type Programs, type RunResult } from '../../src/process.ts'
import { eventually } from '../eventually.ts'
import { startGate } from '../screens/gate.ts'
import { descendants, nameOf } from '../soak/troubles.ts'
import { programsOf, temporaryFolder, world } from '../world.ts'

const ROOT = join(import.meta.dirname, '../..')
const TSX = join(ROOT, 'node_modules/.bin/tsx')

async function run (programs: Programs, ...args: string[]): Promise<RunResult> {
  return await programs.run(process.execPath, [TSX, join(ROOT, 'src/main.ts'), ...args], { timeoutMs: 30_000 })
}

interface Started { child: Child, url: string, tempDir: string, lines: string[] }

/** The real process with the original's configuration, of which only paths and ports are changed. */
async function start (t: Test, programs: Programs, pacsPort: number, receiverPort: number): Promise<Started> {
  const folder = temporaryFolder(t, 'process')
  const port = await freePort()
  const file = join(folder, 'mkiso.yaml')
  writeFileSync(file, readFileSync(join(ROOT, 'test/config/original.yaml'), 'utf8')
    .replace('TEMP_DIR', folder).replace('port: 8080', `port: ${port}`).replace('port: 11112', `port: ${pacsPort}`).replace('base_port: 10104', `base_port: ${receiverPort}`))
  const lines: string[] = []
  // tsx starts a second process: node itself, so that a signal reaches the service
  const child = programs.start(process.execPath, ['--import', 'tsx', join(ROOT, 'src/main.ts'), '--config', file], { cwd: ROOT, onLine: line => { lines.push(line) } })
  const url = `http://127.0.0.1:${port}`
  const up = await eventually(async () => await fetch(`${url}/api/health/live`).then(answer => answer.ok, () => false), 50)
  if (!up) throw new Error(`the service does not come up: ${lines.join('\n')}`)
  return { child, url, tempDir: folder, lines }
}

t.test('arguments', async t => {
  const programs = programsOf(t)
  t.match((await run(programs, '--help')).stdout, /--check-config/)
  t.match((await run(programs, '--version')).stdout, /^\d+\.\d+\.\d+\n$/)
  t.equal((await run(programs, '--nonsense')).exitCode, 2)
})

t.test('four faults: four lines, exit 1, nothing listens', async t => {
  const programs = programsOf(t)
  const folder = temporaryFolder(t)
  const file = join(folder, 'mkiso.yaml')
  writeFileSync(file, 'server:\n  prot: 80\npacs:\n  port: 0\n  ae_title: ""\niso:\n  temp_dir: /nowhere\n')
  for (const args of [['--config', file], ['--config', file, '--check-config']]) {
    const result = await run(programs, ...args)
    t.equal(result.exitCode, 1)
    t.strictSame(result.stderr.trimEnd().split('\n'), [
      `${file}:2: unknown key server.prot; did you mean port?`,
      `${file}:4: pacs.port: 0 is not a whole number from 1 to 65535`,
      `${file}:5: pacs.ae_title: "" is not an AE title: 1 to 16 characters, no backslash`,
      `${file}:7: iso.temp_dir /nowhere is not a folder in which this user may write`
    ])
  }
  writeFileSync(file, `iso: {temp_dir: ${folder}}`)
  const result = await run(programs, '--config', file, '--check-config')
  t.equal(result.exitCode, 0)
  t.match(result.stdout, /is right/)
})

t.test('the original configuration: start, a disc, SIGTERM', async t => {
  const here = await world(t, 'dcmqrscp', { studies: demoStudies().filter(({ accessionNumber }) => accessionNumber === 'MR.2024.001') })
  const { child, url, tempDir, lines } = await start(t, here.programs, here.pacs.port, here.receiverPort)
  const answer = await fetch(`${url}/api/iso/download?accession_number=MR.2024.001`)
  t.equal(answer.status, 200)
  t.equal((await answer.arrayBuffer()).byteLength, Number(answer.headers.get('content-length')))
  process.kill(child.pid, 'SIGTERM')
  const result = await child.ended
  t.equal(result.exitCode, 0)
  t.strictSame(readdirSync(tempDir), ['mkiso.yaml'], 'no folder is left')
  const log = lines.flatMap(line => { try { return [JSON.parse(line) as Record<string, unknown>] } catch { return [] } })
  const point = (msg: string): Record<string, unknown> | undefined => log.find(line => line['msg'] === msg)
  t.match(point('starting storescp'), { port: Number, dir: String, pid: Number })
  t.match(point('running movescu'), { accession: 'MR.2024.001', pacs: 'ABPACS' })
  t.match(point('iso created'), { path: String, size_bytes: Number, duration_ms: Number, request_id: String })
  t.notMatch(lines.join('\n'), /RAHAYU/, 'no patient name in the log')
})

t.test('SIGTERM while a disc is on its way; and a second signal', async t => {
  const here = await world(t, 'dcmqrscp', { studies: demoStudies().filter(({ accessionNumber }) => accessionNumber === 'CT.2024.200') })
  const { child, url } = await start(t, here.programs, here.pacs.port, here.receiverPort)
  const answer = await fetch(`${url}/api/iso/download?accession_number=CT.2024.200`)
  process.kill(child.pid, 'SIGTERM')
  t.equal((await answer.arrayBuffer()).byteLength, Number(answer.headers.get('content-length')), 'the disc is finished')
  t.equal((await child.ended).exitCode, 0)
})

t.test('kill -9: the children go too, and the next start sweeps', async t => {
  const [toReceiver, receiverPort] = [await freePort(), await freePort()]
  const gate = await startGate(t, toReceiver, receiverPort)
  const here = await world(t, 'dcmqrscp', { studies: demoStudies().filter(({ accessionNumber }) => accessionNumber === 'MR.2024.001'), receiverPort: toReceiver })
  const first = await start(t, here.programs, here.pacs.port, receiverPort)
  t.ok(await eventually(() => listeningSockets(receiverPort).length > 0), 'the receiver listens')
  gate.allow(0)
  const answer = fetch(`${first.url}/api/iso/download?accession_number=MR.2024.001`).then(() => 'answered', () => 'cut off')
  const running = (): number[] => descendants(first.child.pid)
  t.ok(await eventually(() => running().some(pid => nameOf(pid) === 'movescu')), 'a program works for a request, which cannot be answered yet')
  const family = running()
  process.kill(first.child.pid, 'SIGKILL')
  await first.child.ended
  t.equal(await answer, 'cut off')
  t.ok(await eventually(() => family.every(pid => nameOf(pid) === '')), 'no program is left')
  t.ok(await eventually(() => listeningSockets(receiverPort).length === 0), 'nor the receiver')
  gate.open()
  const stale = readdirSync(first.tempDir).filter(name => name.startsWith('dicomdir_'))
  t.equal(stale.length, 1, 'its folder is left')
  const child = here.programs.start(process.execPath, ['--import', 'tsx', join(ROOT, 'src/main.ts'), '--config', join(first.tempDir, 'mkiso.yaml')], { cwd: ROOT })
  t.ok(await eventually(() => readdirSync(first.tempDir).every(name => !stale.includes(name))), 'the next start removes it')
  t.ok(await eventually(async () => await fetch(`${first.url}/api/health/live`).then(answer => answer.ok, () => false), 50), 'and it answers')
  const next = await fetch(`${first.url}/api/iso/download?accession_number=MR.2024.001`)
  t.equal(next.status, 200, 'and the next disc is right')
  await next.arrayBuffer()
  await child.stop()
})
