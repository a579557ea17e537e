/** `mkiso make`: the file is the disc, or there is no file. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { demoStudies } from '../../demo/phantoms/studies.ts'
import { freePort } from '../../demo/ports.ts'
import { ProgressLine } from '../../src/cli/progress.ts'
import type { RunResult } from '../../src/process.ts'
import { eventually } from '../eventually.ts'
import { command, readDisc, readZip, service, world, type CommandRun, type Overrides } from '../world.ts'

const CT = 'CT.2024.200'
const CR = 'CR.2024.010'
/** As a pattern: to the end of the line. */
const CLEAR = '\u001b\\[K'
const ROOT = join(import.meta.dirname, '../..')

/** Ctrl-C, once: a second one would end the tests. */
function interrupter (): () => void {
  let done = false
  return () => {
    if (!done) process.emit('SIGINT')
    done = true
  }
}

t.test('make', async t => {
  const here = await world(t, 'dcmqrscp', { studies: demoStudies().filter(({ accessionNumber }) => [CT, CR].includes(accessionNumber)) })
  const { pacs, receiverPort, folder, programs } = here
  const tempDir = join(folder, 'work')
  const files = join(folder, 'files')
  for (const path of [tempDir, files]) mkdirSync(path)
  const port = await freePort()
  const settings = (overrides: Overrides = {}): Overrides => {
    const base: Overrides = {
      server: { host: '127.0.0.1', port },
      pacs: { ae_title: pacs.aeTitle, host: pacs.host, port: pacs.port },
      our_ae: { base_port: receiverPort },
      patient_api: { required: false, base_url: 'http://127.0.0.1:9/api', retries: 0 },
      cd_publisher: { host: '127.0.0.1', port: 9 },
      iso: { temp_dir: tempDir, microdicom_path: '' }
    }
    for (const [section, keys] of Object.entries(overrides)) base[section] = { ...base[section], ...keys }
    return base
  }
  const config = (name: string, overrides?: Overrides): string => {
    const path = join(folder, `${name}.yaml`)
    writeFileSync(path, JSON.stringify(settings(overrides)))
    return path
  }
  const plain = config('plain')
  const nothingLeft = (t: Test): void => {
    t.strictSame(readdirSync(files).filter(name => name.endsWith('.part')), [], 'no part of a file')
    t.strictSame(readdirSync(tempDir), [], 'no folder')
  }
  const uids = (accessionNumber: string): string[] => here.of(accessionNumber).map(({ sopInstanceUid }) => sopInstanceUid).sort()

  t.test('a ZIP, in the clear and with a password', async t => {
    const passwordFile = join(folder, 'password')
    writeFileSync(passwordFile, 'a long password\n')
    for (const password of [undefined, 'a long password']) {
      const file = join(files, 'own.zip')
      const { code, out, err } = await command(t, ['make', CT, '-f', '-o', file, ...(password === undefined ? [] : ['--password-file', passwordFile]), '--config', plain])
      t.equal(code, 0, err)
      t.match(out, new RegExp(`^${file}  200 images, [\\d.]+ MB, [\\d.]+ s\n$`))
      t.strictSame([...(await readZip(t, readFileSync(file), programs, password)).instances.keys()].sort(), uids(CT))
    }
    for (const args of [['-o', 'x.zip', '--disc', '1'], ['-o', 'x.iso', '--password-file', passwordFile], ['-o', 'x.zip', '--password-file', plain]]) t.equal((await command(t, ['make', CT, ...args, '--config', plain])).code, 2, args.join(' '))
    nothingLeft(t)
  })

  t.test('without a service: every image, lines that count up', async t => {
    const file = join(files, 'own.iso')
    const audit = join(folder, 'audit.jsonl')
    const { code, out, err } = await command(t, ['make', CT, '-o', file, '--config', config('audited', { audit: { file: audit } })])
    t.equal(code, 0, err)
    t.match(out, new RegExp(`^${file}  200 images, [\\d.]+ MB, [\\d.]+ s\n$`))
    t.match(err, /the disc is ready {2}200 of 200 images/)
    t.match(err, /writing {2}([\d.]+ MB) of \1/)
    t.match(readFileSync(audit, 'utf8'), new RegExp(`"mkiso make".*"${userInfo().username}"|"${userInfo().username}".*"mkiso make"`), 'the audit trail names the person')
    t.equal(statSync(file).mode & 0o777, 0o600, 'for this user only')
    t.strictSame([...(await readDisc(t, readFileSync(file), programs)).instances.keys()].sort(), uids(CT))
    nothingLeft(t)
    t.match(await command(t, ['make', CT, '-o', file, '--config', plain]), { code: 1, err: /exists; --force replaces it/ })
    t.match(await command(t, ['make', CR, '-o', file, '--force', '--config', plain]), { code: 0, out: / 3 images/ })
  })

  t.test('on a terminal: a bar, and the exit code', async t => {
    const file = join(files, 'terminal.iso')
    const terminal = async (args: string): Promise<RunResult> => await programs.run('script', ['-qec',
      `${process.execPath} --import ${join(ROOT, 'node_modules/tsx/dist/loader.mjs')} ${join(ROOT, 'src/main.ts')} make ${args} -o ${file} --config ${plain}`, '/dev/null'
    ], { timeoutMs: 60_000 })
    const { exitCode, stdout } = await terminal(CT)
    t.equal(exitCode, 0)
    t.match(stdout, new RegExp(`\r${CLEAR}CT\\.2024\\.200  \\[#{24}\\] the disc is ready  200 of 200 images`))
    t.match(stdout, new RegExp(`\r${CLEAR}\\S+terminal\\.iso  200 images`), 'the bar is gone in the end')
    const verbose = await terminal('NONE --force --verbose')
    t.equal(verbose.exitCode, 3)
    t.match(verbose.stdout, /\d\d:\d\d:\d\d\.\d+.*INFO.*starting storescp/, 'the log in lines for people')
    t.notMatch(verbose.stdout, new RegExp(CLEAR), 'and no bar between them')
    nothingLeft(t)
  })

  t.test('Ctrl-C leaves nothing', async t => {
    const file = join(files, 'interrupted.iso')
    const interrupt = interrupter()
    const { code, err } = await command(t, ['make', CT, '-o', file, '--config', plain], text => { if (/waiting|receiving|making|ready/.test(text)) interrupt() })
    t.equal(code, 130)
    t.match(err, /interrupted; nothing is left/)
    t.notOk(existsSync(file))
    nothingLeft(t)
  })

  t.test('what cannot be had', async t => {
    const file = join(files, 'none.iso')
    const make = async (path: string, ...args: string[]): Promise<CommandRun> => await command(t, ['make', ...args, '-o', file, '--config', path])
    t.match(await make(plain, 'A*'), { code: 2, err: /wildcards/ })
    t.match(await make(plain), { code: 2, err: /accession_number is empty/ })
    t.match(await make(plain, CT, '--disc', '0'), { code: 2 })
    t.match(await make(plain, CT, '--disc', '2'), { code: 3, err: /there is no disc 2/ })
    t.match(await make(plain, 'NONE'), { code: 3, err: /the PACS holds no study for NONE/ })
    t.match(await make(config('down', { pacs: { port: await freePort() } }), CT), { code: 4, err: /PACS unreachable.*\n.*mkiso doctor/ })
    t.match(await make(config('missing', { iso: { temp_dir: '/nowhere' } }), CT), { code: 1, err: /temp_dir/ })
    t.match(await command(t, ['make', CT, '-o', '/nowhere/x.iso', '--config', plain]), { code: 1, err: /there is no folder/ })
    t.match(await command(t, ['make', CT, '-o', files, '--config', plain]), { code: 1, err: /is a folder/ })
    writeFileSync(`${file}.part`, 'of another')
    t.match(await make(plain, CT), { code: 1, err: /none\.iso\.part exists/ })
    t.equal(readFileSync(`${file}.part`, 'utf8'), 'of another')
    rmSync(`${file}.part`)
    t.notOk(existsSync(file))
  })

  t.test('the receiver is another program\'s', async t => {
    const squatter = createServer()
    await new Promise<void>(resolve => { squatter.listen(receiverPort, resolve) })
    t.match(await command(t, ['make', CR, '-o', join(files, 'squatter.iso'), '--config', plain]), { code: 4, err: /the receiver on port \d+: .*another program listens there/ })
    await new Promise(resolve => { squatter.close(resolve) })
  })

  t.test('beside a running service: it is asked, with its key', async t => {
    const key = 'k'.repeat(32)
    const auth = { enabled: true, api_key: key }
    const running = await service(t, pacs, receiverPort, { auth })
    const server = { port: (running.app.server.address() as AddressInfo).port }
    const file = join(files, 'asked.iso')
    const { code, err } = await command(t, ['make', CT, '-o', file, '--config', config('keyed', { auth, server })])
    t.equal(code, 0, err)
    t.strictSame([...(await readDisc(t, readFileSync(file), programs)).instances.keys()].sort(), uids(CT))
    t.ok(await eventually(() => running.app.activities.finished[0]?.outcome?.kind === 'success'), 'the service made it')
    const hashed = config('hashed', { auth: { enabled: true, keys: [{ name: 'his', sha256: '0'.repeat(64) }] }, server })
    t.match(await command(t, ['make', CR, '-o', join(files, 'b.iso'), '--config', hashed]), { code: 3, err: /needs a key .* --key-file FILE/ })
    const keyFile = join(folder, 'key')
    writeFileSync(keyFile, `${key}\n`)
    t.match(await command(t, ['make', CR, '-o', join(files, 'b.iso'), '--key-file', keyFile, '--config', hashed]), { code: 0 })
    const interrupt = interrupter()
    await command(t, ['make', CT, '-o', join(files, 'c.iso'), '--config', config('keyed', { auth, server })], () => { if (running.app.activities.running.length > 0) interrupt() })
      .then(({ code }) => { t.equal(code, 130) })
    t.ok(await eventually(() => running.leftovers().length === 0), 'the service has given it up')
    t.notOk(existsSync(join(files, 'c.iso')))
    nothingLeft(t)
  })

  t.test('a service whose disc is not what it promised', async t => {
    const ready = 'data: {"id":"x","phase":"ready","link":"/api/iso/download"}\n\n'
    let answer = (_response: ServerResponse): void => {}
    const server = createServer((request, response) => {
      if (request.url === '/api/health/live') response.setHeader('content-type', 'application/json').end('{"status":"ok","service":"mkiso-server"}')
      else if (request.url?.startsWith('/api/iso/progress') === true) response.setHeader('content-type', 'text/event-stream').end(ready)
      else answer(response)
    })
    await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
    t.teardown(() => { server.closeAllConnections(); server.close() })
    const path = config('false', { server: { port: (server.address() as AddressInfo).port } })
    const image = readFileSync(join(files, 'asked.iso'))
    const make = async (): Promise<CommandRun> => await command(t, ['make', CT, '-o', join(files, 'false.iso'), '--config', path])
    answer = response => { response.writeHead(200, { 'content-length': image.length, 'x-mkiso-images': '201' }).end(image) }
    t.match(await make(), { code: 4, err: /200 of 201 images are on the disc/ })
    answer = response => { response.writeHead(200, { 'content-length': 300_000, 'x-mkiso-images': '200' }).end(image.subarray(0, 300_000)) }
    t.match(await make(), { code: 4, err: /the image has 300000 bytes and says \d+|cannot be read back/ })
    answer = response => { response.writeHead(200, { 'content-length': image.length }); response.write(image.subarray(0, 1_000_000), () => { response.destroy() }) }
    t.match(await make(), { code: 4, err: /the disc broke off after/ })
    answer = response => { response.destroy() }
    t.match(await make(), { code: 4, err: /does not answer any more/ })
    answer = response => { response.writeHead(502).end('<html>a proxy</html>') }
    t.match(await make(), { code: 4, err: /the service answered 502/ })
    t.notOk(existsSync(join(files, 'false.iso')))
    nothingLeft(t)
    for (const [missing, warning] of [['3', /warning: 3 images are missing, which disc.allow_incomplete/], ['unknown', /warning: nobody can tell whether images are missing, which disc.allow_incomplete/]] as const) {
      answer = response => { response.writeHead(200, { 'content-length': image.length, 'x-mkiso-images': '200', 'x-mkiso-missing': missing }).end(image) }
      t.match(await make(), { code: 0, err: warning }, missing)
      rmSync(join(files, 'false.iso'))
    }
  })
})

t.test('the bar', async t => {
  const written: string[] = []
  const line = new ProgressLine('X', { write: text => written.push(text), isTTY: true, columns: 60 })
  const at = (done: number, nowMs: number): void => { line.update({ phase: 'receiving', done, of: 100, unit: 'images', bytes: done * 1e6 }, nowMs) }
  at(0, 1_000)
  at(1, 1_050)
  at(50, 2_000)
  at(100, 2_010)
  t.equal(written.length, 3, 'it is not drawn again at once, except at the end')
  t.equal(written[1], '\r\u001b[KX  [############------------] receiving  50 of 100 images  50.0'.slice(0, 4 + 59), 'it does not wrap')
  line.clear()
  t.equal(written.at(-1), '\r\u001b[K')
})
