/** our_ae.allow_from: a receiver for the PACS only. */
import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { freePort } from '../../demo/ports.ts'
import { ConfigError, parseConfig } from '../../src/config/load.ts'
import { until } from '../../src/process.ts'
import { descendants, nameOf } from '../soak/troubles.ts'
import { service, world } from '../world.ts'
import { faultStudy, linkTo, nothingRemains, rightAnswer, SHORT_LIMITS, tellFaults } from './harness.ts'
import { Proxy } from './proxy.ts'

const storescps = (): number[] => descendants(process.pid).filter(pid => nameOf(pid) === 'storescp')

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
    t.strictSame(storescps(), [], 'a storescp lives as long as its association')

    const stranger = connect({ host: '127.0.0.1', port: receiverPort, localAddress: '127.0.0.2' })
    const [error] = await once(stranger, 'error') as [NodeJS.ErrnoException]
    t.equal(error.code, 'ECONNRESET', 'another address is cut off')
    t.strictSame(storescps(), [], 'and no program is started for it')
    t.ok(mkiso.log.some(({ address, msg }) => address === '127.0.0.2' && /our_ae.allow_from/.test(String(msg))), 'the log names it')

    toReceiver.fault = { kind: 'slow', delayMs: 15 }
    const answer = mkiso.get(link)
    t.ok(await until(() => toReceiver.bytes > 300_000 && storescps().length > 0, 20_000, 2))
    for (const pid of storescps()) process.kill(pid, 'SIGKILL')
    await rightAnswer(t, here.programs, await answer, 'disc', here.instances)
    toReceiver.fault = undefined
    await nothingRemains(t, mkiso)
    await mkiso.app.close()
    t.ok(await until(() => storescps().length === 0, 2_000))
  })

  await t.test('the PACS is not', async t => {
    const mkiso = await service(t, here.pacs, receiverPort, { ...SHORT_LIMITS, our_ae: { allow_from: ['10.0.0.0/8'] } })
    await rightAnswer(t, here.programs, await mkiso.get(link), { codes: ['PACS_REFUSED_MOVE'] }, [])
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
