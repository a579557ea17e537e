/**
 * The one promise, over archives that nobody has thought of: never a disc that differs from what the archive holds, and never an error where every
 * witness was satisfied. The seed of a failure is printed; MKISO_SEED=N plays it again, MKISO_RUNS=N plays more.
 */
import fc from 'fast-check'
import t from 'tap'
import { silentLog } from '../../src/process.ts'
import { MkisoError } from '../../src/errors.ts'
import { fetchStudy } from '../../src/studies/fetch-study.ts'
import { HeldStudy } from '../../src/studies/held-study.ts'
import { describe, generatedArchive, LIMITS, play, truthOf, type GeneratedArchive } from './generated-archive.ts'
import { couldBeTold, differences, mustSucceed } from './promise.ts'
import { VirtualClock } from './virtual-clock.ts'

const RUNS = Number(process.env['MKISO_RUNS'] ?? 10_000)

interface Result {
  /** What a disc would hold. */
  disc: Set<string>
  missing: number | undefined
}

/** @returns what comes of it, or why nothing does */
async function fetched (generated: GeneratedArchive, allowIncomplete = false): Promise<Result | MkisoError> {
  const clock = new VirtualClock()
  const archive = play(generated, clock)
  const files = {
    createFolder: () => {},
    move: (from: string, to: string) => { archive.contents.set(to, archive.contents.get(from) ?? '') },
    // whatever takes time gives others time to come in between
    same: async (a: { path: string }, b: { path: string }) => {
      await clock.wait(20)
      return archive.contents.get(a.path) === archive.contents.get(b.path)
    },
    remove: async () => { await clock.wait(40) }
  }
  const held = new HeldStudy(describe(generated), { workDir: '/nowhere', log: silentLog, clock, files, marks: { known: generated.provenance === 'ours' } }, false)
  const signal = new AbortController().signal
  const session = await archive.open({ signal, log: silentLog })
  const listing = archive.listInstances(held.study, { signal, log: silentLog }).then(study => { held.list(study) })
  let missing: number | undefined
  try {
    ({ missing } = await clock.run(fetchStudy(held, { archive, session, limits: LIMITS, allowIncomplete, listing, isDiskFull: async () => false, signal, log: silentLog })))
  } catch (error) {
    if (error instanceof MkisoError) return error
    throw error
  }
  // what comes after the verdict must change nothing
  await clock.pass(1_000)
  const disc = new Set([...held.files.values()].map(({ path, object }) => `${object.seriesInstanceUid} ${object.sopInstanceUid} ${(archive.contents.get(path) ?? '').replace(/^.* content/, 'content')}`))
  return { disc, missing }
}

/** Of some series nobody says how many images there are: no list that ends well, no count, and nothing counted while it sends. */
function nobodyTells ({ series, seriesListing, instanceCount, claims, answers }: GeneratedArchive): boolean {
  // an early answer counts one image: what it had sent by then
  return instanceCount === 'absent' && seriesListing === 'whole' && (claims === 'absent' || answers !== 'after') &&
    series.some(({ listing, count, images }) => (listing === 'none' || listing === 'cut') && count === 'absent' && (claims === 'absent' || images.filter(({ lost }) => lost === 0).length > 1))
}

const tally = { discs: 0, errors: 0, required: 0 }
const options = { numRuns: RUNS, ...(process.env['MKISO_SEED'] === undefined ? {} : { seed: Number(process.env['MKISO_SEED']) }) }

t.test('never a disc that differs from the truth, never an error where every witness was satisfied', { timeout: 600_000 }, async t => {
  await fc.assert(fc.asyncProperty(generatedArchive, async generated => {
    const result = await fetched(generated)
    if (result instanceof MkisoError) {
      tally.errors++
      if (mustSucceed(generated)) throw new Error(`an error where every witness was satisfied: ${result.message}`)
      return
    }
    tally.discs++
    if (mustSucceed(generated)) tally.required++
    const { disc } = result
    if (nobodyTells(generated)) throw new Error('a disc though nobody could tell of a missing image')
    // one that is listed may be empty, for all that anybody says
    const absent = generated.series.slice(generated.seriesListing === 'whole' ? generated.series.length : -1).filter(({ uid }) => ![...disc].some(one => one.endsWith(`content of ${uid}`)))
    if (generated.stranger === undefined && absent.length > 0 && ['right', 'high'].includes(generated.seriesCount)) throw new Error('a disc that lacks a series, though the archive counts them')
    if (!couldBeTold(generated)) return
    const differs = differences(truthOf(generated), disc)
    if (differs.length > 0) throw new Error(`a wrong disc: ${differs.join('; ')}`)
  }), options)
  t.comment(`${RUNS} archives: ${tally.discs} discs, of which ${tally.required} had to be, ${tally.errors} errors`)
  t.ok(tally.required > RUNS / 50, 'enough of them are as they should be')
  t.ok(tally.errors > RUNS / 50, 'enough of them go wrong')
})

t.test('where a disc may lack images (disc.allow_incomplete): nobody else\'s stands on it, and one that lacks some says so', { timeout: 600_000 }, async t => {
  let [incomplete, whole] = [0, 0]
  await fc.assert(fc.asyncProperty(generatedArchive, async generated => {
    const result = await fetched(generated, true)
    if (result instanceof MkisoError || !couldBeTold(generated)) return
    const truth = truthOf(generated)
    const differs = differences(truth, result.disc)
    if (result.missing === 0) {
      whole++
      if (differs.length > 0) throw new Error(`it is said to be whole: ${differs.join('; ')}`)
      return
    }
    incomplete++
    const strange = [...result.disc].filter(one => !truth.has(one))
    // without a mark, a stranger's is known only when everything is here
    if (generated.provenance === 'ours' && strange.length > 0) throw new Error(`it holds ${strange.join(', ')}`)
  }), options)
  t.comment(`${whole} whole, ${incomplete} that lack some`)
  t.ok(whole > RUNS / 50, 'some are whole')
  t.ok(incomplete > RUNS / 50, 'some are not')
})
