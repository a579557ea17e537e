import { mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { silentLog } from '../src/process.ts'
import { createWorkDir, sweepStaleWorkDirs } from '../src/work-dir.ts'
import { temporaryFolder } from './world.ts'

t.test('the sweep takes what is stale, and nothing else', async t => {
  const folder = temporaryFolder(t)
  const mine = await createWorkDir(folder)
  const mark = readFileSync(join(mine, 'owner'), 'utf8')
  const [pid = '', startTime = '', namespace = ''] = mark.split(' ')
  const ended = spawn('true')
  await once(ended, 'exit')
  const add = (name: string, owner: string | undefined, ageMinutes = 0): void => {
    const path = join(folder, `dicomdir_${name}`)
    mkdirSync(path)
    if (owner === undefined) return
    writeFileSync(join(path, 'owner'), owner)
    const at = new Date(Date.now() - ageMinutes * 60_000)
    utimesSync(join(path, 'owner'), at, at)
  }
  add('of-one-that-has-ended', `${ended.pid ?? 0} 1 ${namespace}`)
  add('of-one-whose-process-id-another-has', `${pid} 1 ${namespace}`)
  add('of-a-living-earlier-version', `${pid} ${startTime}`, 60)
  add('of-an-ended-earlier-version', `${ended.pid ?? 0} 1`)
  add('of-a-living-one-in-another-container', '1 77 pid:[1]@another', 2)
  add('of-an-ended-one-in-another-container', '1 77 pid:[1]@another', 20)
  add('without-a-mark', undefined)
  mkdirSync(join(folder, 'something-else'))
  t.equal(await sweepStaleWorkDirs(folder, silentLog), 4)
  t.strictSame(readdirSync(folder).filter(name => join(folder, name) !== mine).sort(), [
    'dicomdir_of-a-living-earlier-version', 'dicomdir_of-a-living-one-in-another-container', 'dicomdir_without-a-mark', 'something-else'
  ])
  t.ok(readdirSync(folder).includes(mine.split('/').at(-1) ?? ''))
})
