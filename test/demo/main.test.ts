/** `npm run demo`, as a user runs it. */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { until, type Child, type Programs } from '../../src/process.ts'
import { programsOf, temporaryFolder } from '../world.ts'

const ROOT = join(import.meta.dirname, '../..')

/** The demo with a folder of its own for temporary files, so that what it leaves can be seen. */
function demo (programs: Programs, tmp: string, onLine: (line: string) => void, ...args: string[]): Child {
  return programs.start(process.execPath, ['--import', 'tsx', join(ROOT, 'demo/main.ts'), ...args], { cwd: ROOT, env: { TMPDIR: tmp }, timeoutMs: 60_000, onLine })
}

t.test('--once: one disc with all images, then nothing is left', async t => {
  const programs = programsOf(t)
  const lines: string[] = []
  const result = await demo(programs, temporaryFolder(t, 'demo'), line => { lines.push(line) }, '--once').ended
  t.equal(result.exitCode, 0, result.stderr)
  t.match(result.stdout, /200 of 200 images/)
  const disc = lines.find(line => line.endsWith('CT.2024.200.iso'))?.trim()
  t.ok(disc)
  t.notOk(existsSync(dirname(disc ?? ROOT)), 'its folder is gone')
})

t.test('Ctrl-C while it starts ends it without a stack of errors', async t => {
  const programs = programsOf(t)
  let started = false
  const child = demo(programs, temporaryFolder(t, 'demo'), line => { if (line.startsWith('making phantoms')) started = true })
  t.ok(await until(() => started, 20_000))
  process.kill(child.pid, 'SIGINT')
  const result = await child.ended
  t.match(result, { exitCode: 1, stderr: '' })
  t.match(result.stdout, /stopped before the disc was complete/)
})

t.test('Ctrl-C when it is up is the way to end it', async t => {
  const programs = programsOf(t)
  let up = false
  const child = demo(programs, temporaryFolder(t, 'demo'), line => { if (line.includes('Ctrl-C ends everything')) up = true })
  t.ok(await until(() => up, 40_000))
  process.kill(child.pid, 'SIGINT')
  t.match(await child.ended, { exitCode: 0, stderr: '' })
})
