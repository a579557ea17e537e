/** The network between service, PACS and receiver fails. Several services stand side by side, each with a network of its own. */
import t, { type Test } from 'tap'
import type { Pacs } from '../../demo/pacs.ts'
import { writeStudy, type PhantomInstance } from '../../demo/phantoms/catalogue.ts'
import { freePort } from '../../demo/ports.ts'
import { programsOf, service, temporaryFolder, world, type Service } from '../world.ts'
import { faultStudy, linkTo, nothingRemains, rightAnswer, SHORT_LIMITS, tellFaults, type Expected } from './harness.ts'
import { startLyingPacs } from './lying-pacs.ts'
import { Proxy, type NetworkFault } from './proxy.ts'

interface NetworkCase {
  name: string
  /** Where the fault is: between service and PACS, or between PACS and receiver. */
  to: 'pacs' | 'receiver'
  fault: NetworkFault
  expected: Expected
}

const STUDY_ROOT_MOVE = '1.2.840.10008.5.1.4.1.2.2.2'
const STUDY_ROOT_GET = '1.2.840.10008.5.1.4.1.2.2.3'
/** In the second image: one has 130 kB. */
const IN_AN_IMAGE = 200_000

const unreachable: Expected = { codes: ['PACS_UNREACHABLE'] }
const timedOut: Expected = { codes: ['PACS_TIMEOUT'] }
/** PACS tell differently that they could send nothing. */
const nothingCame: Expected = { codes: ['PACS_REFUSED_MOVE', 'INCOMPLETE_RETRIEVAL'] }
const stuck: Expected = { codes: ['PACS_TIMEOUT', 'PACS_REFUSED_MOVE', 'INCOMPLETE_RETRIEVAL'] }

const TO_PACS: NetworkCase[] = [
  { name: 'no connection', to: 'pacs', fault: { kind: 'refuse' }, expected: unreachable },
  { name: 'cut at once', to: 'pacs', fault: { kind: 'cut', afterBytes: 0 }, expected: unreachable },
  { name: 'cut in the association request', to: 'pacs', fault: { kind: 'cut', afterBytes: 100 }, expected: unreachable },
  { name: 'cut in the query', to: 'pacs', fault: { kind: 'cut', afterBytes: 500 }, expected: unreachable },
  { name: 'stalls at once', to: 'pacs', fault: { kind: 'stall', afterBytes: 0 }, expected: unreachable },
  { name: 'stalls in the association request', to: 'pacs', fault: { kind: 'stall', afterBytes: 100 }, expected: unreachable },
  { name: 'stalls in the query', to: 'pacs', fault: { kind: 'stall', afterBytes: 500 }, expected: timedOut },
  { name: 'slow', to: 'pacs', fault: { kind: 'slow', delayMs: 60 }, expected: 'disc' },
  { name: 'no connection for the move', to: 'pacs', fault: { kind: 'refuse', only: STUDY_ROOT_MOVE }, expected: unreachable },
  { name: 'cut in the move, once', to: 'pacs', fault: { kind: 'cut', afterBytes: 700, only: STUDY_ROOT_MOVE, times: 1 }, expected: 'disc' },
  { name: 'stalls before the move', to: 'pacs', fault: { kind: 'stall', afterBytes: 450, only: STUDY_ROOT_MOVE }, expected: timedOut },
  { name: 'slow for the move', to: 'pacs', fault: { kind: 'slow', delayMs: 100, only: STUDY_ROOT_MOVE }, expected: 'disc' }
]

const TO_RECEIVER: NetworkCase[] = [
  { name: 'no connection', to: 'receiver', fault: { kind: 'refuse' }, expected: nothingCame },
  { name: 'no connection once', to: 'receiver', fault: { kind: 'refuse', times: 1 }, expected: 'disc' },
  { name: 'cut at once', to: 'receiver', fault: { kind: 'cut', afterBytes: 0 }, expected: nothingCame },
  { name: 'cut in the association', to: 'receiver', fault: { kind: 'cut', afterBytes: 100 }, expected: nothingCame },
  { name: 'cut in an image', to: 'receiver', fault: { kind: 'cut', afterBytes: 20_000 }, expected: nothingCame },
  { name: 'cut in an image, once', to: 'receiver', fault: { kind: 'cut', afterBytes: 20_000, times: 1 }, expected: 'disc' },
  { name: 'cut in the second image, twice', to: 'receiver', fault: { kind: 'cut', afterBytes: IN_AN_IMAGE, times: 2 }, expected: 'disc' },
  { name: 'stalls in an image', to: 'receiver', fault: { kind: 'stall', afterBytes: 20_000 }, expected: stuck },
  { name: 'slow', to: 'receiver', fault: { kind: 'slow', delayMs: 20 }, expected: 'disc' }
]

/** A PACS that notices the end of the association tells of it in time. */
const STALLS_ONCE: NetworkCase = { name: 'stalls in an image, once', to: 'receiver', fault: { kind: 'stall', afterBytes: IN_AN_IMAGE, times: 1 }, expected: 'disc' }

const BY_GET: NetworkCase[] = [
  { name: 'C-GET: cut once', to: 'pacs', fault: { kind: 'cut', afterBytes: 9_000, only: STUDY_ROOT_GET, times: 1 }, expected: 'disc' },
  { name: 'C-GET: cut, each time', to: 'pacs', fault: { kind: 'cut', afterBytes: 9_000, only: STUDY_ROOT_GET }, expected: unreachable },
  { name: 'C-GET: stalls', to: 'pacs', fault: { kind: 'stall', afterBytes: 9_000, only: STUDY_ROOT_GET }, expected: { codes: ['PACS_TIMEOUT', 'PACS_UNREACHABLE'] } },
  { name: 'C-GET: slow', to: 'pacs', fault: { kind: 'slow', delayMs: 20, only: STUDY_ROOT_GET }, expected: 'disc' }
]

const LANES = 4

interface Lane { receiver: Proxy, toPacs: Proxy, receiverPort: number }

/** Networks side by side; each test takes the next case. */
async function inLanes (t: Test, table: readonly NetworkCase[], lanes: readonly Lane[], pacs: Pick<Pacs, 'aeTitle' | 'host'>, instances: readonly PhantomInstance[]): Promise<void> {
  const programs = programsOf(t)
  t.teardown(async () => { await Promise.all(lanes.flatMap(({ receiver, toPacs }) => [receiver.close(), toPacs.close()])) })
  const waiting = [...table]
  t.jobs = lanes.length
  await Promise.all(lanes.map(async ({ receiver, toPacs, receiverPort }, lane) => {
    const start = async (retrieve: 'move' | 'get'): Promise<Service> => await service(t, { ...pacs, port: toPacs.port }, receiverPort, {
      ...SHORT_LIMITS, pacs: { ...SHORT_LIMITS['pacs'], retrieve }, our_ae: { ae_title: `LANE${lane}` }
    })
    const mkiso = await start(table === BY_GET ? 'get' : 'move')
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
      const { name, to, fault, expected } = one
      const proxy = to === 'pacs' ? toPacs : receiver
      await t.test(`${to === 'pacs' ? 'service and PACS' : 'PACS and receiver'}: ${name}`, async t => {
        proxy.fault = fault
        await rightAnswer(t, programs, await mkiso.get(linkTo('NET.1')), expected, instances)
        t.ok(proxy.hits > 0, 'the fault happened')
        proxy.fault = undefined
        await nothingRemains(t, mkiso)
      })
    }
    await t.test(`lane ${lane}: after all of that`, async t => {
      await rightAnswer(t, programs, await mkiso.get(linkTo('NET.1')), 'disc', instances)
      await nothingRemains(t, mkiso)
    })
  }))
  tellFaults(t, table.length)
}

const STUDY = faultStudy('NET.1', { images: 4, size: 256 })

async function receivers (): Promise<Array<Pick<Lane, 'receiver' | 'receiverPort'>>> {
  return await Promise.all(Array.from({ length: LANES }, async () => {
    const receiverPort = await freePort()
    return { receiverPort, receiver: await Proxy.start(receiverPort) }
  }))
}

t.test('a PACS that serves many at once', async t => {
  const pacs = await startLyingPacs(0)
  t.teardown(async () => { await pacs.close() })
  const instances = await writeStudy(STUDY, temporaryFolder(t, 'net'), programsOf(t))
  pacs.add(STUDY.patient, instances)
  const lanes = await Promise.all((await receivers()).map(async (one, lane) => {
    pacs.destinations.set(`LANE${lane}`, one.receiver.port)
    return { ...one, toPacs: await Proxy.start(pacs.port) }
  }))
  await inLanes(t, [...TO_PACS, ...TO_RECEIVER], lanes, pacs, instances)
})

t.test('Orthanc', async t => {
  const some = await receivers()
  const here = await world(t, 'orthanc', { studies: [STUDY], destinations: some.map(({ receiver }, lane) => ({ aeTitle: `LANE${lane}`, host: '127.0.0.1', port: receiver.port })) })
  await inLanes(t, [...TO_RECEIVER, STALLS_ONCE], await Promise.all(some.map(async one => ({ ...one, toPacs: await Proxy.start(here.pacs.port) }))), here.pacs, here.instances)
})

t.test('C-GET from dcmqrscp', async t => {
  const here = await world(t, 'dcmqrscp', { studies: [STUDY] })
  const receiverPort = await freePort()
  // it serves nobody else while one is stalled (measured)
  await inLanes(t, BY_GET, [{ receiverPort, receiver: await Proxy.start(receiverPort), toPacs: await Proxy.start(here.pacs.port) }], here.pacs, here.instances)
})
