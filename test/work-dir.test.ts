import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { listenIn } from '../src/alive.ts'
import { silentLog } from '../src/process.ts'
import { createWorkDir, WorkDirSweep } from '../src/work-dir.ts'
import { temporaryFolder } from './world.ts'

const MINUTE_MS = 60_000
const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()

/** A folder as a service leaves it, with a mark. */
function add (folder: string, name: string, owner?: string): string {
  const path = join(folder, `dicomdir_${name}`)
  mkdirSync(path, { mode: 0o700 })
  if (owner !== undefined) writeFileSync(join(path, 'owner'), owner)
  return path
}

t.test('the sweep takes what is stale, and nothing else', async t => {
  const folder = temporaryFolder(t)
  const mine = await createWorkDir(folder, silentLog)
  const mark = readFileSync(join(mine.path, 'owner'), 'utf8')
  const [pid = '', startTime = '', namespace = ''] = mark.split(' ')
  const ended = spawn('true')
  await once(ended, 'exit')
  add(folder, 'of-one-that-has-ended', `${ended.pid ?? 0} 1 ${namespace}`)
  add(folder, 'of-one-whose-process-id-another-has', `${pid} 1 ${namespace}`)
  add(folder, 'of-a-living-earlier-version', `${pid} ${startTime}`)
  add(folder, 'of-an-ended-earlier-version', `${ended.pid ?? 0} 1`)
  const inContainer = add(folder, 'of-a-living-one-in-another-container', `1 77 pid:[1]@${boot}`)
  const die = await listenIn(inContainer)
  t.teardown(die)
  const left = add(folder, 'of-an-ended-one-in-another-container', `1 77 pid:[1]@${boot}`)
  leaveSocket(left)
  add(folder, 'without-a-mark')
  mkdirSync(join(folder, 'something-else'))
  t.equal(await new WorkDirSweep(folder, silentLog).run(), 4)
  t.strictSame(readdirSync(folder).filter(name => join(folder, name) !== mine.path).sort(), [
    'dicomdir_of-a-living-earlier-version', 'dicomdir_of-a-living-one-in-another-container', 'dicomdir_without-a-mark', 'something-else'
  ])
  t.ok(existsSync(mine.path))
  await mine.remove()
  t.notOk(existsSync(mine.path))
})

/** As kill -9 leaves it. */
function leaveSocket (path: string): void {
  const { status } = spawnSync('python3', ['-c', 'import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.bind(sys.argv[1])', join(path, 'alive')])
  if (status !== 0) throw new Error('no socket')
}

t.test('a clock that is set never removes the folder of a living service: its age says nothing', async t => {
  const folder = temporaryFolder(t)
  const inContainer = add(folder, 'in-another-container', `1 77 pid:[1]@${boot}`)
  t.teardown(await listenIn(inContainer))
  const elsewhere = add(folder, 'on-another-machine', '1 77 pid:[1]@another')
  const gone = add(folder, 'of-an-earlier-boot', '1 78 pid:[1]@another')
  const longAgo = new Date(Date.now() - 365 * 24 * 60 * MINUTE_MS)
  for (const path of [inContainer, elsewhere, gone]) utimesSync(join(path, 'owner'), longAgo, longAgo)
  let minutes = 0
  const sweep = new WorkDirSweep(folder, silentLog, () => minutes * MINUTE_MS)
  for (; minutes < 20; minutes++) {
    // its clock stands still in the past, and it beats
    utimesSync(join(elsewhere, 'owner'), longAgo, new Date(longAgo.getTime() + minutes))
    await sweep.run()
    t.strictSame([inContainer, elsewhere, gone].map(path => existsSync(path)), [true, true, minutes < 10], `after ${minutes} minutes`)
  }
})

t.test('what another user of the machine puts into iso.temp_dir does not keep the service from starting', { skip: process.getuid?.() !== 0 && 'needs root' }, async t => {
  const folder = temporaryFolder(t)
  chmodSync(folder, 0o1777)
  const nobody = 65_534
  const outside = temporaryFolder(t, 'outside')
  writeFileSync(join(outside, 'owner'), '1 1 unknown')
  const theirs = add(folder, 'theirs', '999999 1')
  for (const path of [theirs, join(theirs, 'owner')]) chownSync(path, nobody, nobody)
  const unreadable = add(folder, 'x')
  writeFileSync(join(folder, 'dicomdir_file'), '')
  symlinkSync(outside, join(folder, 'dicomdir_link'))
  symlinkSync('/nowhere', join(folder, 'dicomdir_broken'))
  // the mark is a pipe that nobody writes to: reading it would wait for ever
  const waiting = add(folder, 'pipe')
  spawnSync('mkfifo', [join(waiting, 'owner')])
  chownSync(waiting, nobody, nobody)
  const before = readdirSync(folder)
  chownSync(unreadable, nobody, nobody)
  // they may be read, and not removed
  for (const path of [theirs, waiting]) chmodSync(path, 0o755)
  t.equal(await new WorkDirSweep(folder, silentLog).run(), 0)
  t.strictSame(readdirSync(folder), before)
  t.strictSame(readdirSync(outside), ['owner'])
  // as a user that is not root the folders of others cannot even be opened
  const somebody = ['--reuid', '65533', '--clear-groups', '--regid', '65533']
  if (spawnSync('setpriv', [...somebody, 'test', '-r', join(import.meta.dirname, '../package.json')]).status !== 0) {
    t.pass('this checkout is for root only (a home folder of mode 0700): nobody else can start the service from it', { skip: true })
    return
  }
  const asUser = spawnSync('setpriv', [...somebody, process.execPath, '--import', 'tsx', '-e',
    `import(${JSON.stringify(join(import.meta.dirname, '../src/work-dir.ts'))}).then(async ({ createWorkDir, WorkDirSweep }) => {
      const log = { debug () {}, info () {}, warn () {}, error () {} }
      await new WorkDirSweep(${JSON.stringify(folder)}, log).run()
      const made = await createWorkDir(${JSON.stringify(folder)}, log)
      await made.remove()
      console.log('it starts')
    })`], { encoding: 'utf8', cwd: join(import.meta.dirname, '..'), env: { ...process.env, TSX_DISABLE_CACHE: '1' } })
  t.match(asUser.stdout, /it starts/, asUser.stderr.slice(0, 500))
})
