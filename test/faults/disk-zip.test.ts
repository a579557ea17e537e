/**
 * The disk fills while a ZIP goes out: in the middle, while images come and leave, and at the end, where what speaks of all of them is written. The
 * answer breaks off without a central directory; log, audit and page say why; nothing is left; and with room again there is a disc.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { request } from 'undici'
import { writeStudy, type PhantomInstance } from '../../demo/phantoms/catalogue.ts'
import { freePort } from '../../demo/ports.ts'
import type { Programs } from '../../src/process.ts'
import { eventually } from '../eventually.ts'
import { programsOf, readZip, service, temporaryFolder, type Service } from '../world.ts'
import { faultStudy, linkTo, nothingRemains, PATIENT, SHORT_LIMITS, tellFaults } from './harness.ts'
import { startLyingPacs, type LyingPacs } from './lying-pacs.ts'

const MIB = 1_024 ** 2
const DISK_MIB = 40
const IMAGES = 12
const PASSWORD = 'Merapi-2930 m'
const CODE = 'INSUFFICIENT_DISK_SPACE'

interface Here {
  pacs: LyingPacs
  programs: Programs
  phantoms: string
  disk: string
  mkiso: Service
  /** Lines of the audit. */
  audit (): Array<Record<string, unknown>>
}

async function start (t: Test, iso: Record<string, unknown>): Promise<Here> {
  const programs = programsOf(t)
  const receiverPort = await freePort()
  const pacs = await startLyingPacs(receiverPort)
  t.teardown(async () => { await pacs.close() })
  const disk = temporaryFolder(t, 'disk')
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MIB}m`, 'tmpfs', disk])
  t.teardown(() => { execFileSync('umount', ['-l', disk]) })
  const audit = join(temporaryFolder(t), 'audit.jsonl')
  const mkiso = await service(t, pacs, receiverPort, {
    ...SHORT_LIMITS, disc: { web_content: 'none' }, audit: { file: audit }, iso: { temp_dir: disk, microdicom_path: '', keep_for: '0', checksums: true, ...iso }
  })
  return {
    pacs, programs, disk, mkiso, phantoms: temporaryFolder(t, 'phantoms'),
    audit: () => !existsSync(audit) ? [] : readFileSync(audit, 'utf8').split('\n').filter(line => line !== '').map(line => JSON.parse(line) as Record<string, unknown>)
  }
}

const freeKib = (disk: string): number => { const { bavail, bsize } = statfsSync(disk); return bavail * bsize / 1_024 }

/** Another program takes the disk but for so much. */
function fill (disk: string, leavesKib: number): void {
  writeFileSync(join(disk, 'another-program'), Buffer.alloc(Math.max(0, Math.floor(freeKib(disk) - leavesKib)) * 1_024))
}

/** A study with something that happens after the so-manieth image of it has been taken. */
async function study ({ pacs, phantoms, programs }: Here, accessionNumber: string, after: number, happens: () => Promise<void> | void): Promise<PhantomInstance[]> {
  const instances = await writeStudy(faultStudy(accessionNumber, { images: IMAGES, size: 512 }), phantoms, programs)
  let happened = false
  pacs.add(PATIENT, instances, {
    move: async move => {
      const { wanted } = move
      const first = await move.send(wanted.slice(0, after))
      if (!happened) await happens()
      happened = true
      const rest = await move.send(wanted.slice(after))
      move.final(first + rest === wanted.length ? 0 : 0xB000, { completed: first + rest, failed: wanted.length - first - rest })
    }
  })
  return instances
}

interface Client { bytes (): number, ended: Promise<Error | undefined>, archive (): Buffer }

function download (mkiso: Service, path: string, headers: Record<string, string>): Client {
  const pieces: Buffer[] = []
  let length = 0
  const ended = (async () => {
    const answer = await request(mkiso.url + path, { headers })
    if (answer.statusCode !== 200) throw new Error(`${answer.statusCode} ${await answer.body.text()}`)
    for await (const piece of answer.body as AsyncIterable<Buffer>) {
      pieces.push(piece)
      length += piece.length
    }
    return undefined
  })().catch((error: unknown) => error instanceof Error ? error : new Error(String(error)))
  return { bytes: () => length, ended, archive: () => Buffer.concat(pieces) }
}

interface State { outcome?: string, link?: string, error?: { code: string } }

/** The page: has its ZIP made, downloads it by the link that it gets, and tells how it ended. */
function page (mkiso: Service, accessionNumber: string, headers: Record<string, string>): { client: Promise<Client>, ended: Promise<State> } {
  let begin = (_: Client): void => {}
  const client = new Promise<Client>(resolve => { begin = resolve })
  const ended = (async () => {
    const events = await request(`${mkiso.url}/api/iso/progress?accession_number=${accessionNumber}&format=zip`)
    let rest = ''
    let state: State = {}
    let begun = false
    for await (const text of events.body.setEncoding('utf8') as AsyncIterable<string>) {
      const whole = (rest + text).split('\n\n')
      rest = whole.pop() ?? ''
      for (const event of whole.filter(one => one.startsWith('data: '))) {
        state = JSON.parse(event.slice('data: '.length)) as State
        if (state.link !== undefined && !begun) begin(download(mkiso, state.link, headers))
        begun ||= state.link !== undefined
      }
    }
    return state
  })()
  return { client, ended }
}

const CLIENTS = [
  ['one', [{}]], ['one, with a password', [{ 'x-zip-password': PASSWORD }]], ['two, one of them with a password', [{}, { 'x-zip-password': PASSWORD }]]
] as const satisfies ReadonlyArray<readonly [string, ReadonlyArray<Record<string, string>>]>

interface Broken {
  clients: readonly Client[]
  pages: ReadonlyArray<Promise<State>>
  /** Lines that were there before. */
  since: { log: number, audit: number }
}

/** Nobody has a ZIP, and everybody who asks is told why. */
async function brokeOff (t: Test, { mkiso, audit, programs }: Here, { clients, pages, since }: Broken): Promise<void> {
  for (const client of clients) {
    t.ok(await client.ended, 'the client sees it break')
    const file = join(temporaryFolder(t), 'broken.zip')
    writeFileSync(file, client.archive())
    t.notOk(client.archive().includes('PK\x01\x02'), 'no central directory')
    t.not((await programs.run('7z', ['t', `-p${PASSWORD}`, file])).exitCode, 0, 'and no reader opens it')
  }
  for (const state of pages) t.match(await state, { outcome: 'failed', error: { code: CODE } }, 'the page says why')
  t.ok(await eventually(() => audit().slice(since.audit).filter(({ phase }) => phase === 'end').length === clients.length))
  for (const record of audit().slice(since.audit).filter(({ phase }) => phase === 'end')) t.match(record, { outcome: 'failed', code: CODE }, 'and the audit')
  const lines = mkiso.log.slice(since.log).filter(({ msg }) => msg === 'a disc broke off on its way out')
  t.strictSame(lines.map(({ code }) => code), clients.map(() => CODE), 'and the log')
  await nothingRemains(t, mkiso)
}

async function againWhole (t: Test, { mkiso, programs, disk }: Here, accessionNumber: string, instances: readonly PhantomInstance[]): Promise<void> {
  rmSync(join(disk, 'another-program'))
  const answer = await mkiso.get(`${linkTo(accessionNumber)}&format=zip`)
  t.equal(answer.status, 200)
  const zip = await readZip(t, answer.body, programs)
  t.strictSame([...zip.instances.keys()].sort(), instances.map(({ sopInstanceUid }) => sopInstanceUid).sort(), 'with room again there is a whole one')
  await nothingRemains(t, mkiso)
}

let faults = 0

interface Fault {
  accessionNumber: string
  /** So many images have been taken when the disk fills. */
  after: number
  /** Of each client. */
  headers: ReadonlyArray<Record<string, string>>
  leavesKib: number
}

async function provoke (t: Test, here: Here, { accessionNumber, after, headers, leavesKib }: Fault): Promise<void> {
  faults++
  const clients: Client[] = []
  const instances = await study(here, accessionNumber, after, async () => {
    t.ok(await eventually(() => clients.length === headers.length && clients.every(({ bytes }) => bytes() > MIB)), 'images have left')
    fill(here.disk, leavesKib)
    // what is to stay free is looked after now and then: the last images would be here before anybody has looked
    if (leavesKib > 0 && after < IMAGES) await Promise.all(clients.map(async ({ ended }) => await ended))
  })
  const since = { log: here.mkiso.log.length, audit: here.audit().length }
  const pages = headers.map(one => page(here.mkiso, accessionNumber, one))
  for (const { client } of pages) clients.push(await client)
  await brokeOff(t, here, { clients, pages: pages.map(({ ended }) => ended), since })
  await againWhole(t, here, accessionNumber, instances)
}

t.test('while images come and leave', async t => {
  const reserveMib = 8
  const here = await start(t, { disk_reserve: `${reserveMib}M` })
  for (const [name, headers] of CLIENTS) {
    for (const [what, leavesKib] of [['what is to stay free is taken', (reserveMib - 2) * 1_024], ['there is nothing left', 0]] as const) {
      await t.test(`${name}: ${what}`, async t => {
        await provoke(t, here, { accessionNumber: `MID.${faults}`, after: IMAGES / 2, headers, leavesKib })
      })
    }
  }
  await here.mkiso.app.close()
  t.strictSame(readdirSync(here.disk), [], 'nothing is left on the disk')
})

t.test('at the end: every image has left, and what speaks of them cannot be written', async t => {
  const here = await start(t, { disk_reserve: '0' })
  for (const [name, headers] of CLIENTS) {
    // first the directory, and the checksums last
    for (const leavesKib of [0, 40]) {
      await t.test(`${name}: ${leavesKib} KiB left`, async t => {
        await provoke(t, here, { accessionNumber: `END.${faults}`, after: IMAGES, headers, leavesKib })
      })
    }
  }
  await here.mkiso.app.close()
  t.strictSame(readdirSync(here.disk), [], 'nothing is left on the disk')
  tellFaults(t, faults)
})
