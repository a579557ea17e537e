/** Health does what a disc needs: it said "ok" while the receiver's folder was gone, and while no file could be written. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { freePort } from '../../demo/ports.ts'
import { NO_ROOM } from '../../src/archive/dimse/association/echo.ts'
import { writeFault } from '../../src/disk.ts'
import { createProbes, type Check } from '../../src/health/probes.ts'
import { silentLog } from '../../src/process.ts'
import { eventually } from '../eventually.ts'
import { receiving } from '../archive/dimse/receiving.ts'
import { Sender } from '../archive/dimse/sender.ts'
import { DEFAULTS, programsOf, service, temporaryFolder } from '../world.ts'

t.test('the receiver answers ourselves, whoever else may send; and its folder takes a file', async t => {
  const mkiso = await service(t, { aeTitle: 'NOBODY', host: '127.0.0.1', port: await freePort() }, await freePort(), { our_ae: { allow_from: ['10.99.0.0/16'] } })
  const seen = async (name: 'receiver' | 'disk'): Promise<Check> => (await mkiso.app.health.check()).checks[name]
  t.strictSame(await seen('receiver'), { status: 'ok' })
  t.strictSame(await seen('disk'), { status: 'ok' })
  t.notOk(mkiso.log.some(({ msg }) => /turned away/.test(String(msg))), 'it is no stranger')
  const stranger = new Sender(mkiso.app.config.our_ae.base_port)
  t.equal(await stranger.associate(), 0, 'another of this machine still is')
  const [folder = ''] = readdirSync(mkiso.app.workDir).filter(name => name.startsWith('receive_'))
  t.strictSame(readdirSync(join(mkiso.app.workDir, folder)), [], 'what was written is removed')
  rmSync(join(mkiso.app.workDir, folder), { recursive: true })
  let receiver = await seen('receiver')
  t.ok(await eventually(() => {
    void seen('receiver').then(check => { receiver = check })
    return receiver.status === 'down'
  }, 200))
  t.match(receiver, { status: 'down', detail: /receive_.*ENOENT.*iso.temp_dir/ })
  t.equal((await mkiso.get('/api/health')).status, 503)
  t.equal((await mkiso.get('/api/health/live')).status, 200)
})

t.test('a C-ECHO to ourselves: no room, nobody there', async t => {
  let open = false
  const { scp, port } = await receiving(t, { mostAssociations: 1, allowed: { allows: async () => open } })
  t.equal(await scp.echo(2_000), undefined)
  open = true
  const sender = new Sender(port)
  await sender.associate()
  t.equal(await scp.echo(2_000), NO_ROOM)
  sender.abort()
  await scp.stop()
  t.match(await scp.echo(2_000), /nobody takes a connection/)
})

t.test('a folder for temporary files that takes no file', async t => {
  const folder = temporaryFolder(t)
  const programs = programsOf(t)
  const probe = async (workDir: string): Promise<Check> => await createProbes({
    config: { ...DEFAULTS, iso: { ...DEFAULTS.iso, diskReserveBytes: 0 } },
    dcmtk: { programs, dcmtk: DEFAULTS.dcmtk, log: silentLog },
    patientClient: { probe: async () => undefined },
    workDir
  }).disk()
  t.match(await probe(folder), { status: 'ok' })
  t.strictSame(readdirSync(folder), [])
  t.equal(await writeFault(join(folder, 'gone')), 'ENOENT')
  await t.test('read-only, and without inodes', async t => {
    const mounted = join(folder, 'mounted')
    mkdirSync(mounted)
    const mount = async (options: string): Promise<boolean> => (await programs.run('mount', ['-t', 'tmpfs', '-o', options, 'none', mounted])).exitCode === 0
    if (!await mount('size=64m,nr_inodes=30')) {
      t.comment('no right to mount')
      t.pass()
      return
    }
    t.teardown(async () => { await programs.run('umount', [mounted]) })
    t.match(await probe(mounted), { status: 'down', detail: /2\d more files can be made in iso.temp_dir/ })
    for (let n = 0; n < 40; n++) try { writeFileSync(join(mounted, String(n)), '') } catch { break }
    t.equal(await writeFault(mounted), 'ENOSPC')
    await programs.run('umount', [mounted])
    await mount('size=64m')
    await programs.run('mount', ['-o', 'remount,ro', mounted])
    t.match(await probe(mounted), { status: 'down', detail: /EROFS.*read-only/ })
  })
})
