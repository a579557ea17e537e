/** The one place that spawns: nothing outlives its owner. */
import t from 'tap'
import { processesOfGroup, Programs, ToolMissingError } from '../src/process.ts'
import { eventually } from './eventually.ts'

t.test('output, exit code, input', async t => {
  const programs = new Programs()
  const lines: string[] = []
  const result = await programs.run('sh', ['-c', 'cat; echo err >&2; exit 3'], { input: 'a\nb', onLine: line => { lines.push(line) } })
  t.match(result, { exitCode: 3, stdout: 'a\nb', stderr: 'err\n', stopCause: undefined })
  t.strictSame(lines.sort(), ['a', 'b', 'err'])
  t.equal(programs.size, 0)
})

t.test('arguments are not for a shell', async t => {
  t.equal((await new Programs().run('printf', ['%s', '$(id) `id` ; x'])).stdout, '$(id) `id` ; x')
})

t.test('a program that is not there', async t => {
  const programs = new Programs()
  await t.rejects(programs.run('/nowhere/findscu', []), ToolMissingError)
  t.equal(programs.size, 0)
})

t.test('a sandbox that forbids setpriv something is not a missing program (seen under a system call filter)', async t => {
  t.equal(new ToolMissingError('/usr/bin/findscu', undefined, 'setpriv: activate capabilities: Operation not permitted\n').message,
    'cannot run /usr/bin/findscu: setpriv: activate capabilities: Operation not permitted')
  t.match(await new Programs().run('/nowhere/findscu', []).catch((error: unknown) => error), { message: /is it installed/ })
})

t.test('timeout, abort and stop end the whole group, also what does not want to', async t => {
  const programs = new Programs()
  const stubborn = ['-c', 'trap "" TERM; sleep 60 & sleep 60 & wait; sleep 60']
  const timedOut = programs.start('sh', stubborn, { timeoutMs: 50 })
  t.equal((await timedOut.ended).stopCause, 'timeout')
  t.strictSame(processesOfGroup(timedOut.pid), [])
  const controller = new AbortController()
  const child = programs.start('sh', stubborn, { signal: controller.signal })
  t.ok(await eventually(() => processesOfGroup(child.pid).length === 3), 'three processes')
  controller.abort(new Error('gone'))
  t.match(await child.ended, { stopCause: 'aborted', exitCode: -1 })
  t.strictSame(processesOfGroup(child.pid), [])
  await t.rejects(programs.run('sleep', ['60'], { signal: controller.signal }), { message: 'gone' })
  const last = programs.start('sleep', ['60'])
  await programs.stopAll()
  t.match(await last.ended, { stopCause: 'stopped' })
  t.equal(programs.size, 0)
})

t.test('many programs at once: the event loop turns between them, so that new connections have theirs', async t => {
  const programs = new Programs()
  let turns = 0
  let counting = true
  const count = (): void => {
    turns++
    if (counting) setImmediate(count)
  }
  setImmediate(count)
  const startedAt: number[] = []
  const look = (): void => {
    if (startedAt.length < programs.started) startedAt.push(turns)
    if (counting) setImmediate(look)
  }
  setImmediate(look)
  await Promise.all(Array.from({ length: 30 }, async () => await programs.run('true', [])))
  counting = false
  t.equal(startedAt.length, 30, 'one a turn')
  t.ok(startedAt.every((at, index) => at - (startedAt[index - 1] ?? 0) >= 15), `turns between them: ${startedAt.map((at, index) => at - (startedAt[index - 1] ?? 0)).join(' ')}`)
  const gone = new AbortController()
  const waiting = programs.run('true', [], { signal: gone.signal })
  gone.abort(new Error('gone'))
  await t.rejects(waiting, { message: 'gone' })
  t.equal(programs.started, 30, 'who leaves before its turn starts nothing')
})
