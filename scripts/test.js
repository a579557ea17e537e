/**
 * `npm test`: set-up, lint, types, and the tests of what can go wrong in daily work. `npm run test:all`: these, and those that take long: provoked faults,
 * generated archives over the wire, nginx, browsers, and two minutes of soak. `npm test -- FILE ...`: these files only. The last line tells how many
 * passed and failed; before it stand the ten files that took longest.
 */
import './node-version.js'
import { spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { bootstrap } from './bootstrap.js'
import { isThorough, testFiles } from './test-files.js'

const ROOT = join(import.meta.dirname, '..')
const bin = name => join(ROOT, 'node_modules/.bin', name)
const args = process.argv.slice(2)
const all = args.includes('--all')
const named = args.filter(one => one !== '--all')

await bootstrap('test')

let passed = 0
let failed = 0
const check = (name, program, options) => {
  const { status } = spawnSync(program, options, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] })
  console.log(`${status === 0 ? 'ok' : 'not ok'} - ${name}`)
  if (status === 0) passed++
  else failed++
}
check('eslint', bin('eslint'), ['.'])
check('directions of imports', 'npm', ['run', '--silent', 'directions'])
check('tsc', bin('tsc'), ['--noEmit'])
check('packages run on the Node that is promised', process.execPath, ['scripts/check-engines.js'])
check('the drawing of the folders is current', process.execPath, ['scripts/architecture.js', '--check'])

const files = named.length > 0 ? named : testFiles(ROOT).filter(file => all || !isThorough(file))
const seconds = []
// the files run two at a time; each starts the programs that it needs on free ports
const tap = spawn(bin('tap'), ['--disable-coverage', '--jobs=2', '--timeout=900', '--reporter=tap', ...files], { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] })
let rest = ''
let skipped = 0
let faults = 0
tap.stdout.setEncoding('utf8')
tap.stdout.on('data', text => {
  const lines = (rest + text).split('\n')
  rest = lines.pop()
  for (const line of lines) {
    const assertion = /^\s+(not )?ok \d+ - /.exec(line)
    faults += Number(/# faults provoked: (\d+)/.exec(line)?.[1] ?? 0)
    const suite = /^(?:not )?ok (\d+) - (\S+)(?:.*# time=([\d.]+)ms)?/.exec(line)
    if (suite !== null) seconds.push({ file: suite[2], seconds: Number(suite[3] ?? 0) / 1_000 })
    // subtests are counted by their assertions
    if (assertion !== null && !/# time=/.test(line)) {
      if (/# (SKIP|TODO)/i.test(line)) skipped++
      else if (assertion[1] === undefined) passed++
      else failed++
    }
    if (suite !== null) console.log(`${line} (${seconds.length} of ${files.length})`)
    else if (line.includes('not ok') || failed > 0) console.log(line)
  }
})
tap.on('close', code => {
  // a file that crashes has no failed assertion of its own
  if (code !== 0 && failed === 0) failed++
  if (all && named.length === 0) {
    check('the service is built', 'npm', ['run', '--silent', 'build'])
    check('two minutes of soak', process.execPath, ['--import', 'tsx', 'test/soak/main.ts', '--minutes', '2'])
  }
  console.log('The slowest:')
  for (const { file, seconds: took } of seconds.sort((a, b) => b.seconds - a.seconds).slice(0, 10)) console.log(`  ${took.toFixed(1).padStart(6)} s  ${file}`)
  if (skipped > 0) console.log(`${skipped} skipped`)
  if (faults > 0) console.log(`${faults} faults provoked`)
  console.log(`${passed} passed, ${failed} failed`)
  process.exitCode = failed > 0 ? 1 : 0
})
