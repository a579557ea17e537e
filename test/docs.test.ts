/** The documentation says what is: its links lead somewhere, and every error has a remedy. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { ERRORS } from '../src/errors.ts'

const ROOT = join(import.meta.dirname, '..')
const pages = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', 'packaging/README.md', ...readdirSync(join(ROOT, 'docs')).filter(name => name.endsWith('.md')).map(name => join('docs', name))]
const text = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

t.test('every error code has its line in the table of symptoms', async t => {
  const rows = text('docs/troubleshooting.md').split('\n').map(line => /^\| `([A-Z_]+)` \| (\d+) \| (.+) \| (.+) \|$/.exec(line)).filter(row => row !== null)
  for (const [code, { status }] of Object.entries(ERRORS)) {
    const row = rows.find(row => row[1] === code)
    t.ok(row, code)
    t.equal(Number(row?.[2]), status, code)
  }
  const own = new Set(['SERVICE_UNAVAILABLE'])
  t.strictSame(rows.map(row => row[1] ?? '').filter(code => !(code in ERRORS) && !own.has(code)), [], 'no code that the service does not know')
})

t.test('every link to a file of the project leads there', async t => {
  for (const page of pages) {
    for (const [, target = ''] of text(page).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      t.ok(existsSync(join(ROOT, dirname(page), target)), `${page}: ${target}`)
    }
  }
})

t.test('what docker-compose.yml mounts is there', async t => {
  for (const [, path = ''] of text('docker-compose.yml').matchAll(/- (\.\/[^:\s]+):/g)) t.ok(existsSync(join(ROOT, path)), path)
})
