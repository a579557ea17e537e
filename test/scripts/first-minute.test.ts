/** What a newcomer's machine may lack: each time one sentence that says what to do, and no stack. */
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { RunResult } from '../../src/process.ts'
import { programsOf, temporaryFolder } from '../world.ts'

const ROOT = join(import.meta.dirname, '../..')
/** Run before the script: another machine, as far as the script can tell. */
const nodeOf = (version: string): string => `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "${version}" } })`
const NOT_ROOT = 'process.getuid = () => 1000'

/** A clone without anything installed. */
function clone (t: Test): string {
  const folder = temporaryFolder(t, 'clone')
  for (const name of ['package.json', 'package-lock.json', 'scripts']) cpSync(join(ROOT, name), join(folder, name), { recursive: true })
  return folder
}

interface Machine { machine?: string, env?: Record<string, string> }

async function run (t: Test, folder: string, script: string[], { machine = '', env = {} }: Machine): Promise<RunResult> {
  const [file = '', ...args] = script
  return await programsOf(t).run(process.execPath, ['--import', `data:text/javascript,${encodeURIComponent(machine)}`, join(folder, file), ...args], {
    cwd: folder, timeoutMs: 120_000, env: { npm_config_cache: join(folder, 'cache'), ...env }
  })
}

/** One sentence, and nothing that looks like a crash. */
function said (t: Test, { exitCode, stderr }: RunResult, sentence: RegExp): void {
  t.equal(exitCode, 1)
  t.match(stderr, sentence)
  t.notMatch(stderr, /^ {4}at /m, 'no stack')
  t.notMatch(stderr, /npm (ERR!|error)/, 'none of npm\'s')
}

t.test('a Node that is too old', async t => {
  for (const script of ['bootstrap.js', 'test.js', 'build-if-needed.js']) {
    await t.test(script, async t => {
      said(t, await run(t, clone(t), [`scripts/${script}`], { machine: nodeOf('18.19.0') }), /This is Node 18\.19\.0; needed is 20\.19 or later/)
    })
  }
  const folder = clone(t)
  for (const [version, exitCode] of [['20.18.3', 1], ['20.19.0', 0], ['22.0.0', 0], ['24.11.1', 0]] as const) {
    t.equal((await run(t, folder, ['scripts/node-version.js'], { machine: nodeOf(version) })).exitCode, exitCode, version)
  }
})

t.test('an option that there is not: the usage, and nothing starts', async t => {
  for (const [script, name] of [['test.js', 'npm test'], ['coverage.js', 'npm run coverage']] as const) {
    for (const args of [['--help'], ['-h'], ['--al'], ['test/a.test.ts', '--grep=b'], ['--all', '--jobs=1']]) {
      await t.test(`${script} ${args.join(' ')}`, async t => {
        const folder = clone(t)
        // whoever went on would say that something is missing
        const result = await run(t, folder, [`scripts/${script}`, ...args], { machine: NOT_ROOT, env: { PATH: join(folder, 'bin'), npm_config_registry: 'http://127.0.0.1:9/' } })
        said(t, result, new RegExp(`usage: ${name}`))
        t.equal(result.stdout, '')
        t.notMatch(result.stderr, /missing|npm packages/)
        t.equal(/there is no --/.test(result.stderr), !/^-{1,2}h/.test(args[0] ?? ''), 'who asks for help has made no mistake')
        t.notOk(existsSync(join(folder, 'node_modules')))
      })
    }
  }
})

t.test('a registry of npm that cannot be reached: the cause is said, also to who runs it by "npm run --silent"', async t => {
  for (const [registry, cause, loglevel] of [
    ['http://127.0.0.1:9/', /ECONNREFUSED/, 'notice'], ['http://127.0.0.1:9/', /ECONNREFUSED/, 'silent'], ['http://registry.invalid/', /ENOTFOUND|EAI_AGAIN/, 'silent']
  ] as const) {
    await t.test(`${registry}, log level ${loglevel}`, async t => {
      const folder = clone(t)
      const result = await run(t, folder, ['scripts/bootstrap.js', 'demo'], { env: { npm_config_registry: registry, npm_config_loglevel: loglevel } })
      said(t, result, /The npm packages could not be installed: npm's registry does not answer \(.*\)\. Is there a network, and is a proxy needed/)
      t.match(result.stderr, cause)
      t.notOk(existsSync(join(folder, 'node_modules/fastify')))
    })
  }
})

t.test('packages that are installed are not installed again, however new the lock file is, and not thrown away for others that cannot be had', async t => {
  const folder = clone(t)
  const lockFile = join(folder, 'package-lock.json')
  const kept = join(folder, 'node_modules/kept')
  const { packages: { '': root, ...packages } } = JSON.parse(readFileSync(lockFile, 'utf8')) as { packages: Record<string, { version: string }> }
  mkdirSync(kept, { recursive: true })
  writeFileSync(join(folder, 'node_modules/.package-lock.json'), JSON.stringify({ packages }))
  const env = { npm_config_registry: 'http://127.0.0.1:9/' }
  t.notMatch((await run(t, folder, ['scripts/bootstrap.js', 'demo'], { env })).stdout, /installing/)
  writeFileSync(lockFile, JSON.stringify({ packages: { '': root, ...packages, 'node_modules/new': { version: '1.0.0' } } }))
  said(t, await run(t, folder, ['scripts/bootstrap.js', 'demo'], { env }), /registry does not answer/)
  t.ok(existsSync(kept), 'what is there stays')
})

t.test('Debian packages that are missing, and a user who may not install them: the command, before anything is downloaded', async t => {
  const folder = clone(t)
  mkdirSync(join(folder, 'bin'))
  symlinkSync(process.execPath, join(folder, 'bin/node'))
  const env = { PATH: join(folder, 'bin'), npm_config_registry: 'http://127.0.0.1:9/' }
  const result = await run(t, folder, ['scripts/bootstrap.js', 'demo'], { machine: NOT_ROOT, env })
  said(t, result, /Run this once, .*:\n\n {2}sudo sh -c 'apt-get update && apt-get install -y --no-install-recommends dcmtk genisoimage'/)
  t.equal(result.stdout, '')
  t.notOk(existsSync(join(folder, 'node_modules')))
})

t.test('no npm', async t => {
  const folder = clone(t)
  mkdirSync(join(folder, 'bin'))
  for (const program of ['findscu', 'genisoimage']) symlinkSync(process.execPath, join(folder, 'bin', program))
  said(t, await run(t, folder, ['scripts/bootstrap.js', 'demo'], { env: { PATH: join(folder, 'bin') } }), /npm is missing: apt-get install npm/)
})
