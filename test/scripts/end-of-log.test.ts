/** What `npm test` says at its end: the middle of a long log may be cut, and what failed must be known all the same. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { temporaryFolder } from '../world.ts'

const ROOT = join(import.meta.dirname, '../..')

/** Runs them in a project of their own. */
function endOf (folder: string, files: Record<string, string>): { end: string, exitCode: number | null } {
  writeFileSync(join(folder, 'package.json'), '{"type": "module"}')
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  mkdirSync(join(folder, 'test'))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, 'test', name), text)
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/TAP|^NODE_OPTIONS$/.test(name)))
  const names = Object.keys(files).map(name => `test/${name}`)
  const { stdout, stderr, status } = spawnSync(process.execPath, [join(ROOT, 'scripts/run-tap.js'), ...names], { cwd: folder, env, encoding: 'utf8' })
  const at = stdout.indexOf('The slowest:')
  if (at < 0) throw new Error(`${stdout}\n${stderr}`)
  return { end: stdout.slice(at), exitCode: status }
}

t.test('what failed', async t => {
  const { end, exitCode } = endOf(temporaryFolder(t, 'log'), {
    'outer.test.ts': `import t from 'tap'
import fc from 'fast-check'
t.test('outer', async t => {
  t.pass()
  await t.test('inner', async t => { t.strictSame({ a: 'is' }, { a: 'wanted' }, 'the same') })
  t.equal(1, 2, 'left out', { todo: 'later' })
})
t.test('generated', async () => { fc.assert(fc.property(fc.integer(), n => n < 100)) })
t.test('its own seed', async t => {
  t.comment('MKISO_SEED=413')
  t.strictSame(Array.from({ length: 100 }, (_, n) => n), [])
})`,
    'crash.test.ts': `import t from 'tap'
t.test('one', async t => { t.pass(); setTimeout(() => { throw new Error('after the end') }, 50) })`,
    'good.test.ts': 'import t from \'tap\'\nt.test(\'one\', async t => { t.pass(\'it is\') })'
  })
  t.equal(exitCode, 1)
  t.match(end, /What failed:[^]*\n3 passed, 4 failed\n$/, 'before the counts')
  t.match(end, /outer\.test\.ts > outer > inner\n {2}not ok 1 - the same\n[^]*- {2}"a": "wanted",\n[^]*\+ {2}"a": "is",/, 'with its subtests, and the difference')
  t.match(end, /outer\.test\.ts > generated\n {2}not ok 1 - Property failed after .*seed: -?\d+, path: .*Counterexample: \[100\]/, 'with what was generated')
  t.match(end, /outer\.test\.ts > its own seed\n[^]*\[\.\.\.\]\n {2}# MKISO_SEED=413\n/, 'with the seed, and no more than can be read')
  t.match(end, /crash\.test\.ts\n {2}not ok [^]*after the end/, 'what crashes after its end says so on standard error')
  t.notMatch(end, /left out|it is/, 'and nothing else')
  t.ok(end.split('\n').length < 150, `${end.split('\n').length} lines`)
})

t.test('a file that tests nothing, and one that cannot be loaded', async t => {
  const { end, exitCode } = endOf(temporaryFolder(t, 'log'), {
    'good.test.ts': 'import t from \'tap\'\nt.test(\'one\', async t => { t.pass(\'it is\') })',
    'lost.test.ts': 'import t from \'tap\'\nimport \'./nowhere.ts\'\nt.pass(\'it is not\')',
    'nothing.test.ts': 'import t from \'tap\'\nif (process.argv.length > 99) t.pass(\'never\')'
  })
  t.equal(exitCode, 1)
  t.match(end, /nothing\.test\.ts\n {2}not ok [^]*it has tested nothing/)
  t.match(end, /lost\.test\.ts\n {2}not ok [^]*nowhere\.ts/)
  t.match(end, /\n1 passed, 2 failed\n$/)
})

t.test('nothing failed', async t => {
  const { end, exitCode } = endOf(temporaryFolder(t, 'log'), { 'good.test.ts': 'import t from \'tap\'\nt.test(\'one\', async t => { t.pass(\'it is\') })' })
  t.equal(exitCode, 0)
  t.match(end, /^The slowest:\n.*good\.test\.ts\n1 passed, 0 failed\n$/)
})
