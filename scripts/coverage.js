/**
 * `npm run coverage [-- FILE ...]`: the daily tests, those of archives, studies and prints, or the files that are named, one at a time with coverage; then the
 * lines of src/studies, src/archive and src/print that none of them has run. What runs only in a process of its own, as the whole service does, is not seen.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'
import { bootstrap } from './bootstrap.js'
import { namedFiles } from './named-files.js'
import { runTap, tellEnd } from './run-tap.js'
import { isThorough, testFiles } from './test-files.js'

const ROOT = join(import.meta.dirname, '..')
const MEASURED = /^src\/(?:studies|archive|print)\//
const TOO = /^test\/(?:studies|archive|print)\//
const REPORT = ['--coverage-report=json', '--allow-incomplete-coverage']
const USAGE = `npm run coverage                what the daily tests, and those of archives, studies and prints, do not run
npm run coverage -- FILE ...    what these test files do not run`
const { files: named } = namedFiles(USAGE)

await bootstrap('test')
const files = named.length > 0 ? named : testFiles(ROOT).filter(file => !isThorough(file) || TOO.test(file))
const log = await runTap(files, { cwd: ROOT, options: [...REPORT, '--jobs=1'] })
leaveOutServices()
// tap keeps what it has measured, and reports it when it is asked
spawnSync(join(ROOT, 'node_modules/.bin/tap'), ['report', 'json', '--allow-incomplete-coverage'], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] })
const report = JSON.parse(readFileSync(join(ROOT, '.tap/report/coverage-final.json'), 'utf8'))

let statements = 0
let run = 0
for (const [path, { statementMap, s: counts }] of Object.entries(report).sort(([a], [b]) => a < b ? -1 : 1)) {
  const file = relative(ROOT, path)
  if (!MEASURED.test(file)) continue
  if (Object.keys(statementMap).length < 2) throw new Error(`${file} was measured as one line: nothing is known of it`)
  const never = new Set()
  for (const [id, { start, end }] of Object.entries(statementMap)) {
    statements += 1
    if (counts[id] > 0) run += 1
    else for (let line = start.line; line <= end.line; line++) never.add(line)
  }
  if (never.size > 0) console.log(`${file}: ${rangesOf([...never].sort((a, b) => a - b))}`)
}
tellEnd(log)
console.log(`${run} of ${statements} statements of src/studies, src/archive and src/print (${statements === 0 ? 0 : (100 * run / statements).toFixed(1)} %)`)
process.exitCode = log.failed > 0 ? 1 : 0

/**
 * A service that a test starts as a program of its own is measured too, but compiled by another loader, whose source maps lack the source. c8 takes one source
 * map for all processes: with such a one among them, every file had one line, and that was run (seen: "48 of 48").
 */
function leaveOutServices () {
  const folder = join(ROOT, '.tap/coverage')
  for (const name of readdirSync(folder)) {
    const { 'source-map-cache': maps = {} } = JSON.parse(readFileSync(join(folder, name), 'utf8'))
    if (Object.entries(maps).some(([url, { data }]) => MEASURED.test(relative(ROOT, url.replace('file://', ''))) && typeof data?.sourcesContent?.[0] !== 'string')) rmSync(join(folder, name))
  }
}

/** @param {number[]} lines in order */
function rangesOf (lines) {
  const ranges = []
  for (const line of lines) {
    const last = ranges.at(-1)
    if (last !== undefined && last.to === line - 1) last.to = line
    else ranges.push({ from: line, to: line })
  }
  return ranges.map(({ from, to }) => from === to ? from : `${from}-${to}`).join(', ')
}
