/** our_ae.allow_from: a receiver for the PACS only, also where nothing is set. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import t from 'tap'
import { freePort } from '../../demo/ports.ts'
import { ConfigError, parseConfig } from '../../src/config/load.ts'
import { service, world } from '../world.ts'
import { faultStudy, linkTo, nothingRemains, rightAnswer, SHORT_LIMITS, tellFaults } from './harness.ts'
import { Proxy } from './proxy.ts'

/** Who connects from an address of ours. @returns how that ended */
async function strangerFrom (localAddress: string, host: string, port: number): Promise<string | undefined> {
  const stranger = connect({ host, port, localAddress })
  const [error] = await once(stranger, 'error') as [NodeJS.ErrnoException]
  return error.code
}

t.test('allow_from', async t => {
  const receiverPort = await freePort()
  const toReceiver = await Proxy.start(receiverPort)
  t.teardown(async () => { await toReceiver.close() })
  const here = await world(t, 'orthanc', { studies: [faultStudy('ALLOW.1', { images: 8, series: 2, size: 256 })], receiverPort: toReceiver.port })
  const link = linkTo('ALLOW.1')

  await t.test('the PACS is allowed', async t => {
    const mkiso = await service(t, here.pacs, receiverPort, { ...SHORT_LIMITS, our_ae: { allow_from: ['10.1.2.3', '127.0.0.1', 'fd00::/8'] } })
    await rightAnswer(t, here.programs, await mkiso.get(link), 'disc', here.instances)
    await nothingRemains(t, mkiso)
    const { started } = mkiso.app.dcmtk.programs
    t.equal(await strangerFrom('127.0.0.2', '127.0.0.1', receiverPort), 'ECONNRESET', 'another address is cut off')
    t.equal(mkiso.app.dcmtk.programs.started, started, 'and no program is started for it')
    t.ok(mkiso.log.some(({ address, msg }) => address === '127.0.0.2' && /our_ae.allow_from/.test(String(msg))), 'the log names it')
    await nothingRemains(t, mkiso)
    await rightAnswer(t, here.programs, await mkiso.get(link), 'disc', here.instances)
    await mkiso.app.close()
  })

  await t.test('nothing is set: the address of the PACS is allowed, and no other', async t => {
    const mkiso = await service(t, { ...here.pacs, host: 'localhost' }, receiverPort, SHORT_LIMITS)
    await rightAnswer(t, here.programs, await mkiso.get(link), 'disc', here.instances)
    const other = Object.values(networkInterfaces()).flatMap(one => one ?? []).find(({ internal, family }) => !internal && family === 'IPv4')?.address
    if (other === undefined) t.comment('this machine has no address but loopback')
    else {
      t.equal(await strangerFrom(other, other, receiverPort), 'ECONNRESET')
      t.ok(mkiso.log.some(({ address, msg }) => address === other && /our_ae.allow_from/.test(String(msg))), 'the log names it')
    }
    await nothingRemains(t, mkiso)
    await mkiso.app.close()
  })

  await t.test('the PACS is not', async t => {
    const mkiso = await service(t, here.pacs, receiverPort, { ...SHORT_LIMITS, our_ae: { allow_from: ['10.0.0.0/8'] } })
    await rightAnswer(t, here.programs, await mkiso.get(link), { codes: ['PACS_REFUSED_MOVE'], detail: /our_ae\.allow_from/ }, [])
    await nothingRemains(t, mkiso)
    await mkiso.app.close()
  })

  await t.test('a receiver for each request', async t => {
    const mkiso = await service(t, here.pacs, receiverPort, { ...SHORT_LIMITS, our_ae: { allow_from: ['127.0.0.0/8'], receiver: 'per-request', port_range: 1 } })
    await rightAnswer(t, here.programs, await mkiso.get(link), 'disc', here.instances)
    await nothingRemains(t, mkiso)
  })
  tellFaults(t, 3)
})

t.test('what is no address is a fault of the configuration', async t => {
  for (const address of ['pacs.hospital', '10.0.0.0/33', '10.0.0', '', '10.0.0.1/']) {
    t.throws(() => parseConfig(JSON.stringify({ our_ae: { allow_from: [address] }, iso: { temp_dir: '/tmp' } }), 'test', { env: {} }), new ConfigError([]), address)
  }
})
