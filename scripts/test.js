/**
 * `npm test`: set-up, lint, types, and the tests of what can go wrong in daily work. `npm run test:all`: these, and those that take long: provoked faults,
 * generated archives over the wire, nginx, browsers, and two minutes of soak. `npm test -- FILE ...`: these files only. The last line tells how many
 * passed and failed; before it stand the ten files that took longest, and what failed.
 */
import './node-version.js'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { bootstrap } from './bootstrap.js'
import { namedFiles } from './named-files.js'
import { runFiles, tellEnd } from './run-tap.js'
import { MOST_LINES } from './tap-log.js'
import { isThorough, testFiles } from './test-files.js'

const ROOT = join(import.meta.dirname, '..')
const bin = name => join(ROOT, 'node_modules/.bin', name)
const USAGE = `npm test                what can go wrong in daily work
npm run test:all        and what takes long
npm test -- FILE ...    these test files only`
const { files: named, options } = namedFiles(USAGE, ['--all'])
const all = options.has('--all')

await bootstrap('test')

let passed = 0
/** As {@link TapLog.failures}. */
const failed = []
const check = async (name, program, programArgs) => {
  // both streams on one: what it says is told again at the end
  const child = spawn('sh', ['-c', 'exec "$@" 2>&1', 'sh', program, ...programArgs], { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] })
  child.stdout.setEncoding('utf8')
  let said = ''
  child.stdout.on('data', text => { said += text })
  const status = await new Promise(resolve => { child.on('close', resolve) })
  if (said.trim() !== '') console.log(said.trimEnd())
  console.log(`${status === 0 ? 'ok' : 'not ok'} - ${name}`)
  if (status === 0) passed++
  else failed.push({ file: name, path: [], line: `not ok - ${name}`, detail: said.trimEnd().split('\n').slice(-MOST_LINES), seeds: [] })
}

async function checkAll () {
  await check('eslint', bin('eslint'), ['.'])
  await check('directions of imports', 'npm', ['run', '--silent', 'directions'])
  await check('tsc', bin('tsc'), ['--noEmit'])
  await check('packages run on the Node that is promised', process.execPath, ['scripts/check-engines.js'])
  await check('the drawing of the folders is current', process.execPath, ['scripts/architecture.js', '--check'])
}

const files = named.length > 0 ? named : testFiles(ROOT).filter(file => all || !isThorough(file))
// beside the tests, which wait for their programs a third of their time
const [log] = await Promise.all([runFiles(files, { cwd: ROOT }), checkAll()])
if (all && named.length === 0) {
  await check('the service is built', 'npm', ['run', '--silent', 'build'])
  await check('two minutes of soak', process.execPath, ['--import', 'tsx', 'test/soak/main.ts', '--minutes', '2'])
}
log.passed += passed
log.failed += failed.length
log.failures.push(...failed)
tellEnd(log)
process.exitCode = log.failed > 0 ? 1 : 0
