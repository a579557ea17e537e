/**
 * The one promise over DICOMweb servers that nobody has thought of: what they hold, how their pages fit together, what they count, and what goes wrong
 * while they send; over real HTTP, with the real judge. The seed of a failure is printed; MKISO_SEED=N plays it again, MKISO_RUNS=N plays more.
 */
import { readdirSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { createDicomwebArchive } from '../../../src/archive/dicomweb/dicomweb-archive.ts'
import { dicomwebServerOf } from '../../../src/archive/dicomweb/server.ts'
import { AssociationLimit } from '../../../src/archive/dimse/association-limit.ts'
import { PortPool } from '../../../src/archive/dimse/port-pool.ts'
import { parseConfig } from '../../../src/config/load.ts'
import { MkisoError } from '../../../src/errors.ts'
import { silentLog } from '../../../src/process.ts'
import { fetchStudy } from '../../../src/studies/fetch-study.ts'
import { HeldStudy } from '../../../src/studies/held-study.ts'
import { json, moreWarning, multipart, startLyingDicomweb, type Json, type LyingDicomweb, type LyingPart, type Reply, type Searched, type WebLie } from '../../faults/lying-dicomweb.ts'
import { bytesOf, pixelsSha256, type MadeImage } from '../../made-images.ts'
import { numberOf, PATIENT } from '../../studies/generated-archive.ts'
import { differences } from '../../studies/promise.ts'
import { pixelDataSha256, temporaryFolder } from '../../world.ts'

const RUNS = Number(process.env['MKISO_RUNS'] ?? 300)
const AT_ONCE = 6

type CountLie = 'right' | 'absent' | 'low' | 'high'

interface Image {
  /** So often it is left out, or spoilt; Infinity for ever. */
  lost: number
  how: 'absent' | 'junk' | 'short'
}

interface Series {
  images: Image[]
  count: CountLie
  /** `short`: one image stands in no list. `none`: it is not listed. */
  listing: 'right' | 'short' | 'none'
  /** So often it answers 500 instead of images. */
  refused: number
}

interface Server {
  series: Series[]
  seriesCount: CountLie
  instanceCount: CountLie
  /** Answers in a page at most, whatever is asked for. */
  pageCap: number
  offset: 'right' | 'ignored' | 'skips' | 'overlaps'
  /** Beyond so many answers nothing is given, whatever the offset (Orthanc). */
  hiddenBeyond: number | undefined
  /** What it says of a page that is not the last. */
  tells: 'warning' | '206' | 'nothing'
  /** The first of a list goes to its end after the first question. */
  changes: boolean
  /** What becomes of a body of several images, so often. */
  body: 'right' | 'unclosed' | 'broken' | 'followed' | '206'
  bodyTimes: number
  foreign: boolean
}

const counts = (good: boolean): fc.Arbitrary<CountLie> => good ? fc.constantFrom('right', 'absent') : fc.constantFrom('right', 'right', 'absent', 'absent', 'low', 'high')

const series = (good: boolean): fc.Arbitrary<Series> => fc.record({
  images: fc.array(fc.record({ lost: good ? fc.constantFrom(0, 0, 0, 0, 0, 0, 1) : fc.constantFrom(0, 0, 0, 0, 1, Infinity), how: fc.constantFrom<Image['how']>('absent', 'junk', 'short') }), { minLength: 1, maxLength: 5 }),
  count: counts(good),
  listing: good ? fc.constantFrom('right', 'right', 'right', 'none') : fc.constantFrom('right', 'right', 'short', 'none'),
  refused: good ? fc.constantFrom(0, 0, 0, 1) : fc.constantFrom(0, 0, 1, Infinity)
})

const server = (good: boolean): fc.Arbitrary<Server> => fc.record({
  series: fc.array(series(good), { minLength: 1, maxLength: 3 }),
  seriesCount: counts(good),
  instanceCount: counts(good),
  pageCap: fc.constantFrom(1, 2, 3, 100),
  offset: good ? fc.constant('right') : fc.constantFrom('right', 'right', 'ignored', 'skips', 'overlaps'),
  hiddenBeyond: good ? fc.constant(undefined) : fc.constantFrom(undefined, undefined, 1, 2, 3),
  tells: fc.constantFrom('warning', '206', 'nothing'),
  changes: good ? fc.constant(false) : fc.boolean(),
  body: fc.constantFrom('right', 'right', 'right', 'unclosed', 'broken', 'followed', '206'),
  bodyTimes: good ? fc.constant(1) : fc.constantFrom(1, Infinity),
  foreign: fc.boolean()
})

const generatedServer: fc.Arbitrary<Server> = fc.oneof(server(true), server(false))

const contentOf = ({ seriesInstanceUid, sopInstanceUid }: Pick<MadeImage, 'seriesInstanceUid' | 'sopInstanceUid'>): string => `${seriesInstanceUid} ${sopInstanceUid}`

function imagesOf ({ series }: Server, n: number): MadeImage[] {
  return series.flatMap(({ images }, s) => images.map((_, i): MadeImage => {
    const uids = { studyInstanceUid: `1.3.${n}`, seriesInstanceUid: `1.3.${n}.${s + 1}`, sopInstanceUid: `1.3.${n}.${s + 1}.${i + 1}` }
    return { ...uids, accessionNumber: `GEN.${n}`, patient: PATIENT, content: contentOf(uids) }
  }))
}

function paging (generated: Server): (searched: Pick<Searched, 'limit' | 'offset'>, all: readonly Json[], attempt: number) => Reply {
  return ({ limit, offset }, all, attempt) => {
    const held = generated.changes && attempt > 1 ? [...all.slice(1), ...all.slice(0, 1)] : all
    const given = held.slice(0, generated.hiddenBeyond)
    const start = { right: offset, ignored: 0, skips: offset === 0 ? 0 : offset + 1, overlaps: Math.max(0, offset - 1) }[generated.offset]
    const answers = given.slice(start, start + Math.min(limit, generated.pageCap))
    const left = held.length - start - answers.length
    return json(answers, left > 0 && generated.tells === 'warning' ? { warning: moreWarning(left) } : {}, left > 0 && generated.tells === '206' ? 206 : 200)
  }
}

function lieOf (generated: Server, images: readonly MadeImage[]): WebLie {
  const byUid = new Map<string, [Series, Image]>(generated.series.flatMap((one, s) => one.images.map((image, i): [string, [Series, Image]] =>
    [images.find(({ sopInstanceUid }) => sopInstanceUid.endsWith(`.${s + 1}.${i + 1}`))?.sopInstanceUid ?? '', [one, image]])))
  const lost = new Map([...byUid].map(([uid, [, image]]) => [uid, image.lost]))
  const refused = new Map(generated.series.map(one => [one, one.refused]))
  const asked = new Map<string, number>()
  let spoils = generated.bodyTimes
  const answer = paging(generated)
  const seriesOfUid = (uid: string): Series | undefined => byUid.get(images.find(image => image.seriesInstanceUid === uid)?.sopInstanceUid ?? '')?.[0]
  const partOf = (image: MadeImage): LyingPart[] => {
    const bytes = bytesOf(image)
    const left = lost.get(image.sopInstanceUid) ?? 0
    if (left <= 0) return [{ bytes, headers: { 'Content-Length': String(bytes.length) } }]
    lost.set(image.sopInstanceUid, left - 1)
    const how = byUid.get(image.sopInstanceUid)?.[1].how
    if (how === 'absent') return []
    return how === 'junk' ? [{ bytes: Buffer.from('no image') }] : [{ bytes: bytes.subarray(0, bytes.length - 140), headers: { 'Content-Length': String(bytes.length) } }]
  }
  return {
    counts: {
      series: numberOf(generated.seriesCount, generated.series.length) ?? null,
      instances: numberOf(generated.instanceCount, images.length) ?? null,
      bySeries: Object.fromEntries(generated.series.map((one, s) => [`${images[0]?.studyInstanceUid ?? ''}.${s + 1}`, numberOf(one.count, one.images.length) ?? null]))
    },
    search: ({ level, all, limit, offset, request }) => {
      if (level === 'studies') return undefined
      const path = (request.url ?? '').split('?')[0] ?? ''
      asked.set(path, (asked.get(path) ?? 0) + 1)
      const one = level === 'instances' ? seriesOfUid(path.split('/')[5] ?? '') : undefined
      if (one?.listing === 'none') return { status: 404 }
      return answer({ limit, offset }, one?.listing === 'short' ? all.slice(0, -1) : all, asked.get(path) ?? 1)
    },
    retrieve: ({ images: wanted }) => {
      const refusing = [...new Set(wanted.flatMap(({ sopInstanceUid }) => byUid.get(sopInstanceUid)?.[0] ?? []))].find(one => (refused.get(one) ?? 0) > 0)
      if (refusing !== undefined) {
        refused.set(refusing, (refused.get(refusing) ?? 0) - 1)
        return { status: 500 }
      }
      const parts = wanted.flatMap(partOf)
      const [first] = images
      if (generated.foreign && first !== undefined) parts.push({ bytes: bytesOf({ ...first, studyInstanceUid: '1.4', sopInstanceUid: '1.4.1' }) })
      if (generated.body === 'right' || spoils <= 0 || wanted.length < 2) return multipart(parts)
      spoils--
      const few = parts.slice(0, Math.floor(parts.length / 2))
      switch (generated.body) {
        case 'unclosed': return multipart(few, { closed: false })
        case '206': return multipart(few, { status: 206 })
        case 'followed': return multipart(few, { epilogue: '--parts-of-a-lie\r\n\r\nmore\r\n--parts-of-a-lie--' })
        case 'broken': return { ...multipart(parts), breakAfter: 1_000 }
      }
    }
  }
}

/** A list that is not all shows that it is not: by what it says, or by pages that do not fit together. */
function showsWhatIsMissing ({ hiddenBeyond, tells, offset, pageCap, changes }: Server, length: number): boolean {
  const isHidden = hiddenBeyond !== undefined && hiddenBeyond < length
  // a server that gives one answer at a time has nothing to compare, and one that hides what follows is at its end sooner
  const skips = offset === 'skips' && (pageCap === 1 || hiddenBeyond === 1)
  return (!isHidden || tells !== 'nothing') && !skips && !(changes && isHidden)
}

/** Somebody who does not lie could have told of a missing image. */
function couldBeTold (generated: Server): boolean {
  const { series, instanceCount, hiddenBeyond = Infinity, pageCap, offset } = generated
  const counted = (count: CountLie): boolean => count === 'right' || count === 'high'
  if (counted(instanceCount)) return true
  // a series that is not listed counts for nobody: then only the study's own count is left
  const allListed = hiddenBeyond >= series.length && (offset === 'right' || pageCap >= series.length)
  return allListed && series.every(one => counted(one.count) || (one.listing === 'right' && showsWhatIsMissing(generated, one.images.length)))
}

/** Nobody lies, somebody can tell, and everything comes sooner or later. */
function mustSucceed ({ series, seriesCount, instanceCount, offset, hiddenBeyond, changes, body, bodyTimes }: Server): boolean {
  const honest = [seriesCount, instanceCount, ...series.map(({ count }) => count)].every(count => count === 'right' || count === 'absent') &&
    offset === 'right' && hiddenBeyond === undefined && !changes && series.every(({ listing }) => listing !== 'short')
  const known = instanceCount === 'right' || series.every(({ listing, count }) => listing === 'right' || count === 'right')
  const troubles = series.reduce((sum, one) => sum + one.refused + one.images.reduce((lost, image) => lost + image.lost, 0), 0) + (body === 'right' ? 0 : 1)
  return honest && known && troubles <= 1 && bodyTimes === 1
}

const tally = { discs: 0, errors: 0, required: 0 }

t.test('never a disc that differs from the truth, never an error where every witness was satisfied', { timeout: 400_000 }, async t => {
  const web = await startLyingDicomweb()
  t.teardown(async () => { await web.close() })
  const workDir = temporaryFolder(t, 'generated-web')
  const pacs = { retrieve: 'wado', dicomweb: { url: web.url }, max_associations: 64, max_moves: 32 }
  const [settings] = parseConfig(JSON.stringify({ iso: { temp_dir: '/tmp' }, pacs }), 'test', { env: {} }).archives
  const limit = new AssociationLimit({ section: 'pacs', associations: 64, moves: 32 })
  const archive = createDicomwebArchive({
    server: dicomwebServerOf(settings), limit, slots: new PortPool(100), workDir, maxUnwantedBytes: 1e6
  })
  t.teardown(async () => { await archive.close() })
  const options = { numRuns: Math.ceil(RUNS / AT_ONCE), ...(process.env['MKISO_SEED'] === undefined ? {} : { seed: Number(process.env['MKISO_SEED']) }) }
  let played = 0
  await fc.assert(fc.asyncProperty(fc.array(generatedServer, { minLength: AT_ONCE, maxLength: AT_ONCE }), async servers => {
    await Promise.all(servers.map(async generated => { await promise(generated, ++played, web) }))
  }), options)

  async function promise (generated: Server, n: number, web: LyingDicomweb): Promise<void> {
    const images = imagesOf(generated, n)
    web.add(images, lieOf(generated, images))
    const result = await fetched(n)
    const shown = fc.stringify(generated)
    if (result instanceof MkisoError) {
      tally.errors++
      if (mustSucceed(generated)) throw new Error(`an error where every witness was satisfied: ${result.message}\n${shown}`)
      return
    }
    tally.discs++
    if (mustSucceed(generated)) tally.required++
    const truth = new Set(images.map(contentOf))
    const differs = differences(truth, result)
    // whatever is on a disc is the archive's
    const wrong = couldBeTold(generated) ? differs : differs.filter(one => one.startsWith('holds'))
    if (wrong.length > 0) throw new Error(`a wrong disc: ${wrong.join('; ')}\n${shown}`)
  }

  /** What a disc would hold, or why there is none. */
  async function fetched (n: number): Promise<Set<string> | MkisoError> {
    const signal = new AbortController().signal
    const asking = { signal, log: silentLog }
    let held: HeldStudy | undefined
    const session = await archive.open(asking)
    try {
      const [study] = await archive.findStudies([`GEN.${n}`], asking)
      if (study === undefined) throw new Error('no study')
      const holding = held = new HeldStudy(study, { workDir, log: silentLog }, false)
      const listing = archive.listInstances(study, asking).then(listed => { holding.list(listed) })
      const limits = { idleTimeoutMs: 20_000, settleTimeoutMs: 20, queueTimeoutMs: 60_000 }
      await fetchStudy(held, { archive, session, limits, allowIncomplete: false, listing, isDiskFull: async () => false, ...asking })
      return new Set([...held.files.values()].map(({ path, object }) => {
        const content = contentOf(object)
        return pixelDataSha256(path) === pixelsSha256(content) ? content : `${content} with other pixels`
      }))
    } catch (error) {
      if (error instanceof MkisoError) return error
      throw error
    } finally {
      await session.close()
      await held?.removeFiles()
    }
  }

  t.comment(`${played} servers, ${web.requests.length} requests: ${tally.discs} discs, of which ${tally.required} had to be, ${tally.errors} errors`)
  t.ok(tally.required > RUNS / 50, 'enough of them are as they should be')
  t.ok(tally.errors > RUNS / 50, 'enough of them go wrong')
  t.strictSame(readdirSync(workDir), [], 'nothing is left')
})
