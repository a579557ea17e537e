/**
 * A PACS that answers C-FIND with more than anybody reads: more lines, longer lines, at each level. Each ends in an error that says what to change;
 * the memory of the service stays bounded, and others are answered meanwhile.
 */
import t from 'tap'
import { freePort } from '../../demo/ports.ts'
import { linkTo } from '../faults/harness.ts'
import { serve } from '../served.ts'
import { programsOf, temporaryFolder } from '../world.ts'
import { startFloodingPacs, type Answer, type Flood, type Level } from './flooding-pacs.ts'
import { during, tell } from './measured.ts'

const ACCESSION_NUMBER = 'FLOOD.1'
/** Over what the service has before; 200,000 answers once took 1.2 GB. */
const MOST_MIB = 250

/** An honest answer, with a number in its UID. */
function one (level: Level, n = 0): Answer {
  const uids: Array<[number, string]> = [[0x0020000D, level === 'STUDY' ? `2.25.1${n}` : '2.25.10']]
  if (level !== 'STUDY') uids.push([0x0020000E, level === 'SERIES' ? `2.25.2${n}` : '2.25.20'])
  if (level === 'IMAGE') uids.push([0x00080018, `2.25.3${n}`], [0x00200013, String(n)])
  const study: Array<[number, string]> = [
    [0x00080005, 'ISO_IR 100'], [0x00080050, ACCESSION_NUMBER], [0x00100010, 'FLOOD^ONE'], [0x00100020, 'FLOOD'], [0x00100030, '19700101'],
    [0x00080020, '20240501'], [0x00081030, 'A flood of answers']
  ]
  return new Map([[0x00080052, level], ...uids, ...level === 'STUDY' ? study : []])
}

const flooded = (at: Level, count: number, change: (answer: Answer, n: number) => Answer = answer => answer): Flood => function * (level) {
  for (let n = 0; n < (level === at ? count : 1); n++) yield level === at ? change(one(level, n), n) : one(level)
}
const withMore = (more: ReadonlyArray<readonly [number, string]>) => (answer: Answer): Answer => new Map([...answer, ...more])

const MANY = 200_000
const FLOODS: ReadonlyArray<{ name: string, flood: Flood, detail: RegExp }> = [
  { name: `${MANY} studies`, flood: flooded('STUDY', MANY), detail: /FLOOD gives more than 100000 answers to C-FIND at STUDY level.*match by Accession Number/ },
  { name: `${MANY} studies with other accession numbers`, flood: flooded('STUDY', MANY, withMore([[0x00080050, 'OTHER']])), detail: /more than 100000 answers to C-FIND at STUDY level/ },
  { name: `${MANY} series`, flood: flooded('SERIES', MANY), detail: /more than 100000 answers to C-FIND at SERIES level.*match by Study Instance UID/ },
  { name: `${MANY} images`, flood: flooded('IMAGE', MANY), detail: /more than 100000 answers to C-FIND at IMAGE level.*match by Series Instance UID/ },
  { name: `${MANY} times the same study`, flood: flooded('STUDY', MANY, () => one('STUDY')), detail: /more than 100000 answers to C-FIND at STUDY level/ },
  { name: '90000 studies, which are not too many to be read', flood: flooded('STUDY', 90_000), detail: /FLOOD gives more than 500 answers to C-FIND at STUDY level: all of them match.*correct Accession Number/ },
  { name: '90000 series', flood: flooded('SERIES', 90_000), detail: /FLOOD gives more than 5000 answers to C-FIND at SERIES level: all of them match.*correct Study Instance UID/ },
  { name: '90000 images of which none can be moved', flood: flooded('IMAGE', 90_000), detail: /./ },
  {
    name: '30000 answers of 10 kB each',
    flood: flooded('SERIES', 30_000, withMore([[0x0008103E, 'x'.repeat(10_000)]])),
    detail: /C-FIND at SERIES level: \d+ answers have more than 262144 KiB, which is more than is read; .*Study Instance UID.*answer with the attributes only/
  },
  // it does not even reach the disk; the images cannot be moved
  { name: '30000 answers with 10 kB each that nobody asked for', flood: flooded('IMAGE', 30_000, withMore([[0x00204000, 'x'.repeat(10_000)]])), detail: /does not offer the service/ },
  {
    name: 'an answer with a value of 20 MB',
    flood: flooded('STUDY', 1, withMore([[0x00081030, 'x'.repeat(20_000_000)]])),
    detail: /STUDY level: an answer has a value of more than a megabyte, which is more than is read/
  },
  { name: '90000 answers that are no XML', flood: flooded('STUDY', 90_000, withMore([[0x00081030, 'a\x01b']])), detail: /more than 10000 answers to C-FIND at STUDY level/ },
  { name: 'answers of 100 kB that are no XML', flood: flooded('STUDY', 5, withMore([[0x00081030, `a\x01b${'x'.repeat(100_000)}`]])), detail: /answers have more than 64 KiB/ }
]

t.test('a PACS that answers without end', async t => {
  const programs = programsOf(t)
  const pacs = await startFloodingPacs()
  t.teardown(async () => { await pacs.close() })
  const { pid, url, lines } = await serve(programs, temporaryFolder(t, 'flood'), pacs, await freePort(), { pacs: { ae_title: pacs.aeTitle, host: pacs.host, port: pacs.port, find_timeout: '120s' } })
  for (const { name, flood, detail } of FLOODS) {
    await t.test(name, async t => {
      pacs.flood = flood
      pacs.sent = 0
      const { result: { status, body }, seen } = await during({ pid, url }, async () => {
        const answer = await fetch(url + linkTo(ACCESSION_NUMBER))
        const body: unknown = await answer.json()
        return { status: answer.status, body }
      })
      t.equal(status, 502)
      t.match(body, { code: 'PACS_REFUSED', detail })
      t.notMatch(JSON.stringify(body), /broken|FLOOD\^ONE/)
      t.strictSame(seen.bad, [], 'the process is alive all the time')
      t.ok(seen.peakMib < seen.before.memoryMib + MOST_MIB, `memory is bounded: ${seen.before.memoryMib} MiB before, at most ${seen.peakMib} MiB`)
      t.comment(`${pacs.sent} answers in ${Math.round(seen.tookMs)} ms; ${seen.before.memoryMib} MiB before, at most ${seen.peakMib} MiB; its event loop stood still for ${seen.standstillMs} ms at most; ${tell(seen)}`)
    })
  }
  t.strictSame(lines.filter(line => line.includes('"level":60') || line.includes('INTERNAL')), [])
})
