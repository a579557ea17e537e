/**
 * `npm run architecture` draws the folders and the imports between them into docs/architecture.md, from the code itself; with `--check` it only
 * tells whether the drawing is current. What an arrow says that others say already is left out: cli needs config, but through doctor too.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const DOCUMENT = join(ROOT, 'docs/architecture.md')
const BEGIN = '<!-- drawn by npm run architecture -->'
const END = '<!-- end of the drawing -->'

/** Files of src/ by themselves belong to no room: errors, processes, small tools, which any room may import. */
function roomOf (path) {
  if (path === 'src/app.ts') return 'app'
  return /^src\/([^/]+)\//.exec(path)?.[1] ?? /^(routes|plugins)\//.exec(path)?.[1]
}

function roomsAndImports () {
  const options = ['--config', '.dependency-cruiser.js', '--include-only', '^(src|plugins|routes)/', '--output-type', 'json']
  const program = join(ROOT, 'node_modules/.bin/depcruise')
  const { stdout, status, stderr } = spawnSync(program, [...options, 'src', 'plugins', 'routes'], { cwd: ROOT, encoding: 'utf8', maxBuffer: 2 ** 28 })
  if (status !== 0 && stdout === '') throw new Error(stderr)
  const imports = new Map()
  for (const { source, dependencies } of JSON.parse(stdout).modules) {
    const from = roomOf(source)
    if (from === undefined) continue
    const reached = imports.get(from) ?? new Set()
    imports.set(from, reached)
    for (const { resolved } of dependencies) {
      const to = roomOf(resolved)
      if (to !== undefined && to !== from) reached.add(to)
    }
  }
  // these are loaded by their folder, which no import tells
  imports.get('app').add('routes').add('plugins')
  return imports
}

/** The arrows that no way around says. */
function withoutImplied (imports) {
  const reaches = (from, to, seen = new Set()) => [...imports.get(from) ?? []].some(next => {
    if (next === to) return true
    if (seen.has(next)) return false
    seen.add(next)
    return reaches(next, to, seen)
  })
  return [...imports].flatMap(([from, reached]) => [...reached]
    .filter(to => ![...reached].some(other => other !== to && reaches(other, to)))
    .map(to => [from, to]))
}

function draw () {
  const imports = roomsAndImports()
  for (const [from, reached] of imports) {
    for (const to of reached) if (imports.get(to)?.has(from)) throw new Error(`${from} and ${to} import each other`)
  }
  const arrows = withoutImplied(imports).map(([from, to]) => `  ${from} --> ${to}`).sort()
  return ['```mermaid', 'flowchart TD', ...arrows, '```'].join('\n')
}

const document = readFileSync(DOCUMENT, 'utf8')
const [before, rest = ''] = document.split(BEGIN)
const [, after = ''] = rest.split(END)
const drawn = `${before}${BEGIN}\n${draw()}\n${END}${after}`
if (drawn !== document) {
  if (process.argv.includes('--check')) {
    console.error('docs/architecture.md does not show the folders as they are: npm run architecture draws them')
    process.exitCode = 1
  } else writeFileSync(DOCUMENT, drawn)
}
