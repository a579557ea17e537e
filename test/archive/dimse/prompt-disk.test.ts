/** Writing at once while the disk is quick, and by the thread pool once it was slow. */
import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { closeSync, existsSync, open, openSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { PromptDisk } from '../../../src/archive/dimse/association/prompt-disk.ts'
import { temporaryFolder } from '../../world.ts'

/** A clock that stands, and takes a step within the next operation when it is told to. */
function clock (): { nowMs: () => number, step: (ms: number) => void, slowNext: (ms: number) => void } {
  let now = 0
  let next = 0
  let asked = 0
  return {
    nowMs: () => {
      // an operation asks before and after
      if (++asked % 2 === 0) {
        now += next
        next = 0
      }
      return now
    },
    step: ms => { now += ms },
    slowNext: ms => { next = ms }
  }
}

const openFile = promisify(open)
const POOL_THREADS = Number(process.env['UV_THREADPOOL_SIZE'] ?? 4)

/** Keeps every thread of the pool waiting for somebody who writes into a pipe. @returns what lets them go */
function blockPool (folder: string): () => Promise<void> {
  const pipes = Array.from({ length: POOL_THREADS }, () => join(folder, `pipe-${randomUUID()}`))
  execFileSync('mkfifo', pipes)
  const opened = pipes.map(async pipe => { closeSync(await openFile(pipe, 'r')) })
  return async () => {
    // one that has not begun to wait yet finds a writer too
    const writers = pipes.map(pipe => openSync(pipe, 'r+'))
    await Promise.all(opened)
    writers.forEach(closeSync)
  }
}

/** Whether the disk creates a file while the pool does nothing. */
async function isAtOnce (disk: PromptDisk, folder: string): Promise<boolean> {
  const path = join(folder, randomUUID())
  const release = blockPool(folder)
  const created = disk.create(path)
  const isThere = existsSync(path)
  await release()
  await disk.close(await created)
  return isThere
}

t.test('at once; after an operation that took long by the pool for ten seconds; then at once again', async t => {
  const folder = temporaryFolder(t)
  const { nowMs, step, slowNext } = clock()
  const disk = new PromptDisk(nowMs)
  t.equal(await isAtOnce(disk, folder), true)
  slowNext(19)
  t.equal(await isAtOnce(disk, folder), true)
  t.equal(await isAtOnce(disk, folder), true, '19 ms are nothing')
  slowNext(50)
  await isAtOnce(disk, folder)
  t.equal(await isAtOnce(disk, folder), false)
  step(9_000)
  t.equal(await isAtOnce(disk, folder), false)
  step(2_000)
  t.equal(await isAtOnce(disk, folder), true)
})

t.test('a disk that stays slow is not tried at once again: what the pool did slowly counts too', async t => {
  const folder = temporaryFolder(t)
  const { nowMs, step, slowNext } = clock()
  const disk = new PromptDisk(nowMs)
  slowNext(50)
  await isAtOnce(disk, folder)
  for (let n = 2; n < 6; n++) {
    step(9_000)
    slowNext(50)
    t.equal(await isAtOnce(disk, folder), false)
  }
})

t.test('the same bytes either way, and the same errors', async t => {
  const folder = temporaryFolder(t)
  for (const isSlow of [false, true]) {
    const { nowMs, slowNext } = clock()
    const disk = new PromptDisk(nowMs)
    if (isSlow) slowNext(50)
    await disk.close(await disk.create(join(folder, `first-${isSlow}`)))
    const path = join(folder, `written-${isSlow}`)
    const descriptor = await disk.create(path)
    t.equal(await disk.write(descriptor, [Buffer.from('DI'), Buffer.from('CO')], 0), 4)
    t.equal(await disk.write(descriptor, [Buffer.from('M')], 4), 1)
    await disk.close(descriptor)
    t.equal(readFileSync(path, 'latin1'), 'DICOM')
    t.equal(statSync(path).mode & 0o777, 0o600)
    await t.rejects(disk.create(path), { code: 'EEXIST' })
    await t.rejects(disk.close(descriptor), { code: 'EBADF' })
  }
})
