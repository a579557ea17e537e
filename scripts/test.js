/** `npm test`: set-up, lint, types, tests; the last line tells how many passed and failed. */
import { spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { bootstrap } from './bootstrap.js'

const ROOT = join(import.meta.dirname, '..')
const bin = name => join(ROOT, 'node_modules/.bin', name)

await bootstrap('test')

let passed = 0
let failed = 0
const CHECKS = [
  ['eslint', bin('eslint'), ['.']],
  ['directions of imports', 'npm', ['run', '--silent', 'directions']],
  ['tsc', bin('tsc'), ['--noEmit']],
  ['packages run on the Node that is promised', process.execPath, ['scripts/check-engines.js']],
  ['the drawing of the folders is current', process.execPath, ['scripts/architecture.js', '--check']]
]
for (const [name, program, args] of CHECKS) {
  const { status } = spawnSync(program, args, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] })
  console.log(`${status === 0 ? 'ok' : 'not ok'} - ${name}`)
  if (status === 0) passed++
  else failed++
}

// `npm test -- test/disc/pages.test.ts` runs that file only
const wanted = process.argv.slice(2)

// the files run two at a time; each starts the programs that it needs on free ports
const tap = spawn(bin('tap'), ['--disable-coverage', '--jobs=2', '--timeout=900', '--reporter=tap', ...(wanted.length > 0 ? wanted : ['test/**/*.test.ts'])], { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] })
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
    const suite = /^(not )?ok \d+ - /.test(line)
    // subtests are counted by their assertions
    if (assertion !== null && !/# time=/.test(line)) {
      if (/# (SKIP|TODO)/i.test(line)) skipped++
      else if (assertion[1] === undefined) passed++
      else failed++
    }
    if (suite || line.includes('not ok') || failed > 0) console.log(line)
  }
})
tap.on('close', code => {
  // a file that crashes has no failed assertion of its own
  if (code !== 0 && failed === 0) failed++
  if (skipped > 0) console.log(`${skipped} skipped`)
  if (faults > 0) console.log(`${faults} faults provoked`)
  console.log(`${passed} passed, ${failed} failed`)
  process.exitCode = failed > 0 ? 1 : 0
})
