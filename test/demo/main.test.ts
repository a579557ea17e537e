/** `npm run demo`, as a user runs it. */
import { existsSync, readdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { basename, dirname, join } from 'node:path'
import t from 'tap'
import type { Child, Programs } from '../../src/process.ts'
import { eventually } from '../eventually.ts'
import { programsOf, temporaryFolder } from '../world.ts'

const ROOT = join(import.meta.dirname, '../..')

/** The demo with a folder of its own for temporary files, so that what it leaves can be seen. */
function demo (programs: Programs, tmp: string, onLine: (line: string) => void, ...args: string[]): Child {
  return programs.start(process.execPath, ['--import', 'tsx', join(ROOT, 'demo/main.ts'), ...args], { cwd: ROOT, env: { TMPDIR: tmp, MKISO_DEMO_PORT_OFFSET: '10000' }, timeoutMs: 90_000, onLine })
}

t.test('--once: one disc with all images, which is left, and nothing else', async t => {
  const programs = programsOf(t)
  const lines: string[] = []
  const folder = temporaryFolder(t, 'demo')
  const result = await demo(programs, folder, line => { lines.push(line) }, '--once').ended
  t.equal(result.exitCode, 0, result.stderr)
  t.match(result.stdout, /200 of 200 images/)
  const disc = lines.find(line => line.endsWith('CT.2024.200.iso'))?.trim()
  t.ok(disc)
  t.ok(existsSync(disc ?? ''), 'it is where it says')
  t.strictSame(readdirSync(folder).filter(name => name.startsWith('mkiso-demo-')), [basename(dirname(disc ?? ''))])
  t.strictSame(readdirSync(dirname(disc ?? ROOT)), ['CT.2024.200.iso'])
})

t.test('Ctrl-C while it starts ends it without a stack of errors', async t => {
  const programs = programsOf(t)
  let started = false
  const child = demo(programs, temporaryFolder(t, 'demo'), line => { if (line.startsWith('making phantoms')) started = true })
  t.ok(await eventually(() => started))
  process.kill(child.pid, 'SIGINT')
  const result = await child.ended
  t.match(result, { exitCode: 1, stderr: '' })
  t.match(result.stdout, /stopped before the disc was complete/)
})

t.test('the same ports each time; the next free one, said, where one is taken', async t => {
  const taken = createServer()
  const holds = await new Promise<boolean>(resolve => {
    taken.once('error', () => { resolve(false) })
    taken.listen(18080, '127.0.0.1', () => { resolve(true) })
  })
  t.teardown(() => { taken.close() })
  const lines: string[] = []
  const child = demo(programsOf(t), temporaryFolder(t, 'demo'), line => { lines.push(line) }, '--no-open')
  t.ok(await eventually(() => lines.includes('Ctrl-C ends everything.')))
  const [, port] = /^port 18080 \(service\) is taken: (\d+) instead$/m.exec(lines.join('\n')) ?? []
  t.ok(port, holds ? 'it says so' : 'somebody else has it already')
  t.match(lines.join('\n'), new RegExp(`The service: http://127.0.0.1:${port}`))
  process.kill(child.pid, 'SIGINT')
  t.match(await child.ended, { exitCode: 0, stderr: '' })
})

t.test('Ctrl-C when it is up is the way to end it', async t => {
  const programs = programsOf(t)
  let up = false
  const child = demo(programs, temporaryFolder(t, 'demo'), line => { if (line.includes('Ctrl-C ends everything')) up = true })
  t.ok(await eventually(() => up))
  process.kill(child.pid, 'SIGINT')
  t.match(await child.ended, { exitCode: 0, stderr: '' })
})
