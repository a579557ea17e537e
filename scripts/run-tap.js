/**
 * Runs test files, two at a time: each starts the programs that it needs on free ports. Tells of each file when it ends, and of what failed at once. By
 * itself (`node scripts/run-tap.js FILE ...`): the files of this folder, and the report.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { describe, TapLog } from './tap-log.js'

const TAP = join(import.meta.dirname, '../node_modules/.bin/tap')
const AT_ONCE = 2
/** Of one file: longer is no test any more. */
const TIMEOUT_S = 900
/** To end by itself after that. */
const GRACE_S = 30
/** A crash is told on standard error. */
const MOST_STDERR_LINES = 30
/** So many are told of again at the end. */
const MOST_FAILURES = 20

/** Test files under way: none outlives this process. */
const running = new Set()
process.on('exit', () => { for (const child of running) child.kill('SIGTERM') })
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1))

/**
 * Each file in a process of its own, by node itself: tap's command line costs two seconds of a processor for each (measured), a quarter of all.
 * @param {string[]} files
 * @param {{ cwd: string }} where
 * @returns {Promise<TapLog>}
 */
export async function runFiles (files, { cwd }) {
  const log = new TapLog()
  const waiting = [...files]
  const work = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const { lines, stderr, milliseconds, fault } = await runFile(file, cwd)
      // as tap nests the tests of a file
      log.add(`# Subtest: ${file}`)
      for (const line of lines) log.add(`    ${line}`)
      if (fault !== undefined) stderr.push(fault)
      tell(log.add(`${fault === undefined ? 'ok' : 'not ok'} ${log.files.length + 1} - ${file} # time=${milliseconds}ms`), stderr, log, files.length)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return log
}

async function runFile (file, cwd) {
  const startedAt = performance.now()
  const child = spawn(process.execPath, ['--import', 'tsx', file], { cwd, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, TAP: '1', TAP_TIMEOUT: String(TIMEOUT_S) } })
  running.add(child)
  const lines = []
  eachLine(child.stdout, line => { lines.push(line) })
  const stderr = passOn(child.stderr)
  const timer = setTimeout(() => { child.kill('SIGKILL') }, (TIMEOUT_S + GRACE_S) * 1_000)
  const [code, signal] = await new Promise(resolve => { child.on('close', (...end) => { resolve(end) }) })
  clearTimeout(timer)
  running.delete(child)
  return { lines, stderr, milliseconds: Math.round(performance.now() - startedAt), fault: faultOf(code, signal, lines) }
}

function faultOf (code, signal, lines) {
  if (code !== 0) return signal === null ? `it ended with ${code}` : `it was ended by ${signal}`
  return lines.some(line => /^1\.\.[1-9]/.test(line)) ? undefined : 'it has tested nothing'
}

/**
 * By tap's command line, which measures coverage.
 * @param {string[]} files
 * @param {{ cwd: string, options: string[] }} where
 * @returns {Promise<TapLog>} with at least one failure when tap failed
 */
export async function runTap (files, { cwd, options }) {
  const log = new TapLog()
  const tap = spawn(TAP, [...options, `--timeout=${TIMEOUT_S}`, '--reporter=tap', ...files], { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(tap)
  const stderr = passOn(tap.stderr)
  eachLine(tap.stdout, line => {
    const ended = log.add(line)
    if (ended === undefined) return
    tell(ended, stderr, log, files.length)
    stderr.length = 0
  })
  const code = await new Promise(resolve => { tap.on('close', resolve) })
  running.delete(tap)
  // tap itself failed
  if (code !== 0 && log.failed === 0) log.failed += 1
  return log
}

/** @returns its last lines, as they come */
function passOn (stream) {
  const last = []
  eachLine(stream, line => {
    console.error(line)
    last.push(line)
    if (last.length > MOST_STDERR_LINES) last.shift()
  })
  return last
}

/** A file has ended. */
function tell ({ line, failures }, stderr, log, count) {
  for (const failure of failures) {
    if (failure.path.length === 0) failure.detail.push(...stderr)
    console.log(describe(failure))
  }
  console.log(`${line} (${log.files.length} of ${count})`)
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
  const log = await runFiles(process.argv.slice(2), { cwd: process.cwd() })
  tellEnd(log)
  process.exitCode = log.failed > 0 ? 1 : 0
}
