/**
 * Runs test files with tap, two at a time: each starts the programs that it needs on free ports. Tells of each file when it ends, and of what failed at
 * once. By itself (`node scripts/run-tap.js FILE ...`): the files of this folder, and the report.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { describe, TapLog } from './tap-log.js'

const TAP = join(import.meta.dirname, '../node_modules/.bin/tap')
/** A crash is told on standard error, between the files. */
const MOST_STDERR_LINES = 30
/** So many are told of again at the end. */
const MOST_FAILURES = 20

/**
 * @param {string[]} files
 * @param {{ cwd: string, options?: string[] }} where
 * @returns {Promise<TapLog>} with at least one failure when tap failed
 */
export async function runTap (files, { cwd, options = ['--disable-coverage', '--jobs=2'] }) {
  const log = new TapLog()
  const tap = spawn(TAP, [...options, '--timeout=900', '--reporter=tap', ...files], { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  let stderr = []
  eachLine(tap.stderr, line => {
    console.error(line)
    stderr.push(line)
    if (stderr.length > MOST_STDERR_LINES) stderr.shift()
  })
  eachLine(tap.stdout, line => {
    const ended = log.add(line)
    if (ended === undefined) return
    for (const failure of ended.failures) {
      if (failure.path.length === 0) failure.detail.push(...stderr)
      console.log(describe(failure))
    }
    stderr = []
    console.log(`${ended.line} (${log.files.length} of ${files.length})`)
  })
  const code = await new Promise(resolve => { tap.on('close', resolve) })
  // tap itself failed
  if (code !== 0 && log.failed === 0) log.failed += 1
  return log
}

/**
 * The slowest, what failed, and the counts: the end of the log says it all, since its middle may be cut.
 * @param {TapLog} log
 */
export function tellEnd (log) {
  console.log('The slowest:')
  for (const { file, seconds } of [...log.files].sort((a, b) => b.seconds - a.seconds).slice(0, 10)) console.log(`  ${seconds.toFixed(1).padStart(6)} s  ${file}`)
  if (log.failures.length > 0) {
    console.log('What failed:')
    for (const failure of log.failures.slice(0, MOST_FAILURES)) console.log(describe(failure))
    for (const { file, path, line } of log.failures.slice(MOST_FAILURES)) console.log([file, ...path, line].join(' > ').slice(0, 200))
  }
  if (log.skipped > 0) console.log(`${log.skipped} skipped`)
  if (log.faults > 0) console.log(`${log.faults} faults provoked`)
  console.log(`${log.passed} passed, ${log.failed} failed`)
}

function eachLine (stream, take) {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', text => {
    const lines = (rest + text).split('\n')
    rest = lines.pop()
    for (const line of lines) take(line)
  })
  stream.on('end', () => { if (rest !== '') take(rest) })
}

if (process.argv[1] === import.meta.filename) {
  const log = await runTap(process.argv.slice(2), { cwd: process.cwd() })
  tellEnd(log)
  process.exitCode = log.failed > 0 ? 1 : 0
}
