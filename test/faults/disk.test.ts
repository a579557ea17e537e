/** The disk fills, and strangers send: neither may stop the others. */
import { execFileSync } from 'node:child_process'
import { readdirSync, statfsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { writeStudy } from '../../demo/phantoms/catalogue.ts'
import { freePort } from '../../demo/ports.ts'
import { eventually } from '../eventually.ts'
import { programsOf, service, temporaryFolder } from '../world.ts'
import { faultStudy, linkTo, nothingRemains, PATIENT, rightAnswer, SHORT_LIMITS, tellFaults } from './harness.ts'
import { honest, startLyingPacs } from './lying-pacs.ts'
import { Proxy } from './proxy.ts'

const MIB = 1_024 ** 2

/** A disk of its own, of so many MiB. */
function disk (t: Parameters<typeof temporaryFolder>[0], mib: number): string {
  const folder = temporaryFolder(t, 'disk')
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mib}m`, 'tmpfs', folder])
  t.teardown(() => { execFileSync('umount', ['-l', folder]) })
  return folder
}

t.test('the disk', async t => {
  const programs = programsOf(t)
  const receiverPort = await freePort()
  const toReceiver = await Proxy.start(receiverPort)
  const pacs = await startLyingPacs(toReceiver.port)
  t.teardown(async () => { await Promise.all([pacs.close(), toReceiver.close()]) })
  const folder = disk(t, 34)
  const phantoms = temporaryFolder(t, 'phantoms')
  const mkiso = await service(t, pacs, receiverPort, { ...SHORT_LIMITS, iso: { temp_dir: folder, disk_reserve: '8M', keep_for: '10m', microdicom_path: '' } })
  const add = async (accessionNumber: string, images: number): Promise<Awaited<ReturnType<typeof writeStudy>>> => {
    const instances = await writeStudy(faultStudy(accessionNumber, { images, size: 512 }), phantoms, programs)
    pacs.add(PATIENT, instances)
    return instances
  }
  const freeMib = (): number => { const { bavail, bsize } = statfsSync(folder); return bavail * bsize / MIB }

  await t.test('kept studies go when a new one needs the room', async t => {
    // 10 MiB each; the disk holds two beside the reserve, and what a disc needs
    for (const accessionNumber of ['DISK.1', 'DISK.2', 'DISK.3']) {
      const instances = await add(accessionNumber, 20)
      await rightAnswer(t, programs, await mkiso.get(linkTo(accessionNumber)), 'disc', instances)
      t.ok(await eventually(() => freeMib() >= 8), 'the reserve is free')
    }
    t.ok(mkiso.app.studyStore.kept < 3, 'not all are kept')
  })

  await t.test('a study that will not fit is refused before it is moved', async t => {
    await add('DISK.4', 60)
    await rightAnswer(t, programs, await mkiso.get(linkTo('DISK.4')), { codes: ['INSUFFICIENT_DISK_SPACE'], detail: /iso.disk_reserve/ }, [])
  })

  await t.test('the disk fills while images arrive: the retrieval ends, the reserve is there again', async t => {
    await add('DISK.5', 20)
    toReceiver.fault = { kind: 'slow', delayMs: 60 }
    const answer = mkiso.get(linkTo('DISK.5'))
    t.ok(await eventually(() => toReceiver.bytes > 1 * MIB, 5))
    const filler = join(folder, 'another-program')
    writeFileSync(filler, Buffer.alloc(Math.max(0, Math.floor((freeMib() - 4) * MIB))))
    await rightAnswer(t, programs, await answer, { codes: ['INSUFFICIENT_DISK_SPACE'] }, [])
    toReceiver.fault = undefined
    execFileSync('rm', [filler])
    const instances = await add('DISK.6', 10)
    await rightAnswer(t, programs, await mkiso.get(linkTo('DISK.6')), 'disc', instances)
  })

  await mkiso.app.close()
  t.strictSame(readdirSync(folder), [], 'nothing is left on the disk')
  tellFaults(t, 3)
})

t.test('strangers', async t => {
  const programs = programsOf(t)
  const receiverPort = await freePort()
  const pacs = await startLyingPacs(receiverPort)
  t.teardown(async () => { await pacs.close() })
  const phantoms = temporaryFolder(t, 'phantoms')
  const foreign = await writeStudy(faultStudy('STRANGE.1', { images: 12, size: 512 }), phantoms, programs)
  const [large] = await writeStudy(faultStudy('STRANGE.2', { images: 1, size: 4_096 }), phantoms, programs)
  const wanted = await writeStudy(faultStudy('WANTED.1'), phantoms, programs)
  pacs.add(PATIENT, wanted, { move: async move => { await pacs.send(foreign); await honest(move) } })
  const mkiso = await service(t, pacs, receiverPort, { ...SHORT_LIMITS, our_ae: { max_unwanted: '2M' } })
  const folder = join(mkiso.app.workDir, readdirSync(mkiso.app.workDir).find(name => name.startsWith('receive_')) ?? '')
  const dropped = (): number => mkiso.app.sharedReceiver?.dropped ?? 0

  const bytesInFolder = (): number => readdirSync(folder).reduce((sum, name) => sum + (statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0), 0)

  await t.test('6 MiB while nobody waits for anything', async t => {
    let most = 0
    let looks = 0
    let isLooking = true
    // in each turn of the event loop, since the receiver is of this process
    const look = (): void => {
      most = Math.max(most, bytesInFolder())
      looks++
      if (isLooking) setImmediate(look)
    }
    look()
    await pacs.send(foreign).finally(() => { isLooking = false })
    t.ok(most <= 2 * MIB && looks > foreign.length, `no more than 2 MiB stand there: ${most} bytes, in ${looks} looks`)
    t.ok(await eventually(() => readdirSync(folder).length === 0), 'and nothing stays')
    t.ok(dropped() >= 3 && dropped() < foreign.length, `${dropped()} are counted, then the association is ended`)
  })
  await t.test('6 MiB beside a request', async t => {
    await rightAnswer(t, programs, await mkiso.get(linkTo('WANTED.1')), 'disc', wanted)
  })
  await t.test('one image of 32 MiB, slowly: its association is ended', async t => {
    const slow = await Proxy.start(receiverPort)
    t.teardown(async () => { await slow.close() })
    slow.fault = { kind: 'slow', delayMs: 20 }
    const sent = programs.run('dcmsend', ['-nh', '127.0.0.1', String(slow.port), large?.path ?? ''], { timeoutMs: 20_000 })
    t.ok(await eventually(() => mkiso.log.some(({ msg }) => String(msg).includes('our_ae.max_unwanted'))))
    await sent
    t.ok(slow.bytes < 32 * MIB, 'it did not arrive')
    t.ok(mkiso.app.receiverFault() === undefined, 'the receiver stands')
  })
  await rightAnswer(t, programs, await mkiso.get(linkTo('WANTED.1')), 'disc', wanted)
  await nothingRemains(t, mkiso)
  tellFaults(t, 3)
})
