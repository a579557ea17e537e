/** A log that cannot be written stops neither the start nor the end of the service. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { request } from 'undici'
import { freePort } from '../../demo/ports.ts'
import { LogStream } from '../../src/cli/log-stream.ts'
import { eventually } from '../eventually.ts'
import { temporaryFolder } from '../world.ts'

t.test('a disk that is full, and has room again; a pipe that is slow', async t => {
  let mode: 'works' | 'full' | 'half' | 'slow' = 'works'
  let out = ''
  const stream = new LogStream(bytes => {
    if (mode === 'full') throw Object.assign(new Error('no space'), { code: 'ENOSPC' })
    if (mode === 'slow') throw Object.assign(new Error('later'), { code: 'EAGAIN' })
    const taken = mode === 'half' ? Math.ceil(bytes.length / 2) : bytes.length
    out += bytes.toString('utf8', 0, taken)
    return taken
  })
  stream.write('{"a":1}\n')
  mode = 'half'
  stream.write('{"b":2}\n')
  mode = 'full'
  for (let n = 0; n < 3; n++) stream.write('{"lost":true}\n')
  mode = 'works'
  stream.write('{"c":3}\n')
  const lines = out.split('\n').filter(line => line !== '')
  t.match(lines.map(line => JSON.parse(line) as object), [{ a: 1 }, { b: 2 }, { lost: 3, reason: 'ENOSPC', level: 50 }, { c: 3 }])
  out = ''
  mode = 'slow'
  stream.write('{"d":4}\n')
  const megabyte = `${JSON.stringify({ x: 'x'.repeat(1024 ** 2) })}\n`
  stream.write(megabyte)
  t.equal(out, '')
  mode = 'works'
  t.ok(await eventually(() => out === '{"d":4}\n'), 'what waited comes by itself; what was too much is lost')
  stream.write('{"e":5}\n')
  t.match(out, /"d":4.*"lost":1.*"e":5/s)
})

t.test('the service with its log on a full disk: it starts, answers, and ends at SIGTERM', async t => {
  const folder = temporaryFolder(t)
  const port = await freePort()
  const config = join(folder, 'mkiso.yaml')
  writeFileSync(config, JSON.stringify({
    server: { host: '127.0.0.1', port }, iso: { temp_dir: folder, microdicom_path: '' }, our_ae: { base_port: await freePort() }, relay: { state_dir: folder }, log: { pretty: false }
  }))
  const full = openSync('/dev/full', 'w')
  const main = join(import.meta.dirname, '../../src/main.ts')
  const service = spawn(process.execPath, ['--import', 'tsx', main, 'serve', '--config', config], { stdio: ['ignore', full, full], cwd: join(import.meta.dirname, '../..') })
  closeSync(full)
  t.teardown(() => { service.kill('SIGKILL') })
  let live = false
  const ask = async (): Promise<void> => {
    const answer = await request(`http://127.0.0.1:${port}/api/health/live`).catch(() => undefined)
    await answer?.body.dump()
    live = answer?.statusCode === 200
  }
  t.ok(await eventually(() => { void ask(); return live }, 250), 'it answers')
  service.kill('SIGTERM')
  const [code] = await once(service, 'exit') as [number | null]
  t.equal(code, 0, 'and ends by itself')
})
