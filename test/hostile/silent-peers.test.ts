/**
 * A thousand connections to the receiver that say nothing, or nothing more. Each would cost a process where the receiver forks: here they cost a
 * descriptor each, for a while. A study that is asked for meanwhile becomes a disc.
 */
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { request } from 'undici'
import { writeAssociateRequest } from '../../src/archive/dimse/association/pdu.ts'
import { until } from '../../src/process.ts'
import { faultStudy, linkTo } from '../faults/harness.ts'
import { serve } from '../served.ts'
import { readDisc, temporaryFolder, world, type World } from '../world.ts'
import { heldBy, peakMib, tell, watchLiveness } from './measured.ts'

const PEERS = 1_000
/** One whose connection is closed comes again, after a moment. */
const AGAIN_MS = 500
/** Longer than one may wait with its A-ASSOCIATE-RQ. */
const ARTIM_MS = 11_000
const ACCESSION_NUMBER = 'SILENT.1'
/** What 20,000 connections leave to the next collection of the heap; six times as many left no more (measured). */
const MOST_MIB = 256

const ASSOCIATE = writeAssociateRequest({
  calledAeTitle: 'CDRECORD',
  callingAeTitle: 'SILENT',
  contexts: [{ id: 1, abstractSyntax: '1.2.840.10008.5.1.4.1.1.2', transferSyntaxes: ['1.2.840.10008.1.2'] }],
  roles: []
})

/** What each says before it falls silent. */
const ATTACKS: Record<string, Buffer> = {
  'say nothing': Buffer.alloc(0),
  'say half an A-ASSOCIATE-RQ': ASSOCIATE.subarray(0, ASSOCIATE.length / 2),
  'announce a PDU of 4 GiB': Buffer.from([1, 0, 0xFF, 0xFF, 0xFF, 0xFF]),
  'open an association and say nothing more': ASSOCIATE,
  'begin a message and say nothing more': Buffer.concat([ASSOCIATE, Buffer.from([4, 0, 0, 0, 0, 100, 0, 0, 0, 90, 1, 1, 0, 0])])
}

class Peers {
  readonly #open = new Set<Socket>()
  readonly #timers = new Set<NodeJS.Timeout>()
  readonly #port: number
  readonly #says: Buffer
  #over = false
  connections = 0

  constructor (port: number, says: Buffer) {
    this.#port = port
    this.#says = says
    for (let index = 0; index < PEERS; index++) this.#come()
  }

  #come (): void {
    const socket = connect(this.#port, '127.0.0.1')
    this.#open.add(socket)
    socket.once('connect', () => {
      this.connections++
      if (this.#says.length > 0) socket.write(this.#says)
    })
    socket.on('error', () => {})
    socket.resume()
    socket.once('close', () => {
      this.#open.delete(socket)
      if (this.#over) return
      const timer = setTimeout(() => {
        this.#timers.delete(timer)
        this.#come()
      }, AGAIN_MS)
      this.#timers.add(timer)
    })
  }

  leave (): void {
    this.#over = true
    for (const timer of this.#timers) clearTimeout(timer)
    for (const socket of this.#open) socket.destroy()
  }
}

/** @param restMs how long they stay */
async function withstands (t: Test, here: World, says: Buffer, restMs: number): Promise<void> {
  const folder = temporaryFolder(t, 'silent')
  const { pid, url, lines } = await serve(here.programs, folder, here.pacs, here.receiverPort, { disc: { web_content: 'none' } })
  const disc = async (): Promise<void> => {
    const answer = await request(url + linkTo(ACCESSION_NUMBER), { headersTimeout: 120_000 })
    const body = Buffer.from(await answer.body.arrayBuffer())
    t.equal(answer.statusCode, 200, answer.statusCode === 200 ? 'a disc' : body.toString('utf8', 0, 600))
    if (answer.statusCode !== 200) return
    const { instances } = await readDisc(t, body, here.programs)
    t.strictSame([...instances.keys()].sort(), here.instances.map(({ sopInstanceUid }) => sopInstanceUid).sort(), 'with every image')
  }
  // what the first one makes stays: compiled code, buffers
  await disc()
  const before = heldBy(pid)

  const peers = new Peers(here.receiverPort, says)
  t.teardown(() => { peers.leave() })
  t.ok(await until(() => peers.connections >= PEERS, 30_000), `${PEERS} have come`)
  const liveness = watchLiveness(url)
  const most = heldBy(pid)
  const startedMs = performance.now()
  await disc()
  const discMs = performance.now() - startedMs
  if (restMs > 0) {
    await delay(restMs)
    await disc()
  }
  const seen = await liveness()
  const later = heldBy(pid)
  t.strictSame(seen.bad, [], 'the process is alive all the time')
  const health: unknown = await (await fetch(`${url}/api/health`)).json()
  t.match(health, { checks: { receiver: { status: 'ok' } } }, 'and its receiver answers a C-ECHO')
  const { connections } = peers
  peers.leave()

  t.ok(await until(() => heldBy(pid).descriptors <= before.descriptors, 15_000, 100), `descriptors come back: ${before.descriptors} before, ${heldBy(pid).descriptors} now`)
  const after = heldBy(pid)
  t.ok(peakMib(pid) <= before.memoryMib + MOST_MIB, `and memory is bounded: ${before.memoryMib} MiB before, at most ${peakMib(pid)} MiB`)
  t.strictSame(lines.filter(line => /"level":(?:50|60)/.test(line)), [], 'nobody saw an error')
  t.comment(`${connections} connections of ${PEERS} peers; the disc took ${Math.round(discMs)} ms; ${tell(seen)}`)
  t.comment(`descriptors: ${before.descriptors} before, ${most.descriptors} and ${later.descriptors} meanwhile, ${after.descriptors} after; memory: ${before.memoryMib} MiB before, at most ${peakMib(pid)} MiB, ${after.memoryMib} MiB after`)
}

t.test(`${PEERS} peers of the receiver`, async t => {
  for (const [what, says] of Object.entries(ATTACKS)) {
    await t.test(`that ${what}`, async t => {
      const here = await world(t, 'dcmqrscp', { studies: [faultStudy(ACCESSION_NUMBER, { series: 2, size: 128 })] })
      await withstands(t, here, says, says.length === 0 ? ARTIM_MS : 0)
    })
  }
})
