/** Where the journal lies: as configured, else the best place that there is; a service never fails to start for want of one. */
import { chmodSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ConfigError, parseConfig } from '../../src/config/load.ts'
import { openJournal } from '../../src/print/state-folder.ts'
import { silentLog } from '../../src/process.ts'
import { DEFAULTS, temporaryFolder } from '../world.ts'

const folders = (path: string): number => readdirSync(path).filter(name => /^[0-9a-f]{8}$/.test(name)).length

async function opened (t: Test, stateDir: string, tempDir: string): Promise<{ warnings: string[], workDir: string }> {
  const warnings: string[] = []
  const workDir = join(tempDir, 'work')
  mkdirSync(workDir)
  const config = { ...DEFAULTS, iso: { ...DEFAULTS.iso, temp_dir: tempDir }, relay: { ...DEFAULTS.relay, state_dir: stateDir } }
  const journal = await openJournal(config, workDir, { ...silentLog, warn: (_fields, message) => { warnings.push(message) } })
  t.teardown(async () => { await journal.close() })
  return { warnings, workDir }
}

t.test('keys of the configuration', async t => {
  t.match(DEFAULTS, { relay: { state_dir: '', retryForMs: 600_000, askAgainWithinMs: 86_400_000 }, server: { trusted_origins: [] } })
  const own = parseConfig('relay: {retry_for: "0", ask_again_within: 1h, state_dir: /tmp}\nserver: {trusted_origins: ["https://HIS.example/", "http://10.0.0.5:8000"]}\niso: {temp_dir: /tmp}', 'mkiso.yaml', { env: {} })
  t.match(own, { relay: { state_dir: '/tmp', retryForMs: 0, askAgainWithinMs: 3_600_000 }, server: { trusted_origins: ['https://his.example', 'http://10.0.0.5:8000'] } })
  try {
    parseConfig('relay: {retry_for: soon, state_dir: /nowhere}\nserver: {trusted_origins: [his.example, "https://his.example/list"]}\niso: {temp_dir: /tmp}', 'mkiso.yaml', { env: {} })
    t.fail('it loads')
  } catch (error) {
    t.strictSame(error instanceof ConfigError && [...error.faults].sort(), [
      'mkiso.yaml:1: relay.retry_for: "soon" is not a duration such as 10s, 5m or 1h30m',
      'mkiso.yaml:1: relay.state_dir /nowhere is not a folder in which this user may write',
      'mkiso.yaml:2: server.trusted_origins: "his.example" is not the address of a web site without a path (https://his.example)',
      'mkiso.yaml:2: server.trusted_origins: "https://his.example/list" is not the address of a web site without a path (https://his.example)'
    ])
  }
})

t.test('as configured', async t => {
  const stateDir = temporaryFolder(t)
  const { warnings } = await opened(t, stateDir, temporaryFolder(t))
  t.strictSame(warnings, [])
  t.equal(folders(join(stateDir, 'prints')), 1)
})

// a machine on which the package is installed has the default
const usesDefault = await import('../../src/config/load.ts').then(({ writableDirectory }) => writableDirectory('/var/lib/mkiso'))

t.test('nothing configured: in iso.temp_dir, with a warning', { skip: usesDefault }, async t => {
  const tempDir = temporaryFolder(t)
  const { warnings } = await opened(t, '', tempDir)
  t.match(warnings, [/relay.state_dir/])
  t.equal(folders(join(tempDir, 'mkiso-state', 'prints')), 1)
})

t.test('what somebody else has put there is not used', { skip: usesDefault }, async t => {
  for (const [name, put] of [
    ['a link', (path: string) => { symlinkSync(temporaryFolder(t), path) }], ['open to all', (path: string) => { mkdirSync(path); chmodSync(path, 0o777) }]
  ] as const) {
    const tempDir = temporaryFolder(t)
    put(join(tempDir, 'mkiso-state'))
    const { warnings, workDir } = await opened(t, '', tempDir)
    t.match(warnings, [/goes with this service/], name)
    t.equal(folders(join(workDir, 'prints')), 1)
  }
})

t.test('a folder that is there and holds something else under the name of the journal is not used: the next one is', { skip: usesDefault }, async t => {
  const tempDir = temporaryFolder(t)
  const state = join(tempDir, 'mkiso-state')
  mkdirSync(state, { mode: 0o700 })
  writeFileSync(join(state, 'prints'), 'no folder')
  const { warnings, workDir } = await opened(t, '', tempDir)
  t.match(warnings, [/cannot lie here/, /goes with this service/])
  t.equal(folders(join(workDir, 'prints')), 1)
})
