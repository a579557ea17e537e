/** What only `npm run test:all` runs has its counterpart in `npm test`, and both are there. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const ROOT = join(import.meta.dirname, '../..')

t.test('the thorough tests and their daily counterparts', async t => {
  const text = readFileSync(join(ROOT, 'scripts/test-files.js'), 'utf8')
  const entries = [...text.matchAll(/^ {2}'(test\/[^']+)': '([^']+)',?$/gm)].map(([, path = '', why = '']) => ({ path, why }))
  t.ok(entries.length > 10)
  t.strictSame(entries.filter(({ path }) => !existsSync(join(ROOT, path))).map(({ path }) => path), [], 'all are there')
  const isThorough = (file: string): boolean => entries.some(({ path }) => path.endsWith('/') ? file.startsWith(path) : file === path)
  const daily = [...text.matchAll(/[\w/-]+\.test\.ts/g)].map(([name]) => name).filter(name => !name.startsWith('test/')).map(name => `test/${name}`)
  t.strictSame(daily.filter(file => !existsSync(join(ROOT, file)) || isThorough(file)), [], 'what is named as daily is run daily')
})
