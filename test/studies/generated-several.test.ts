/**
 * The one promise, over several archives that nobody has thought of, which hold parts of one study and send to one receiver: never a disc that differs from
 * what they hold together, and never an error where every witness of each was satisfied. MKISO_SEED=N plays a failure again, MKISO_RUNS=N plays more.
 */
import fc from 'fast-check'
import t from 'tap'
import { severalArchives } from '../../src/archive/several.ts'
import { mergedStudies } from '../../src/dicom/merged-study.ts'
import { MkisoError } from '../../src/errors.ts'
import { silentLog } from '../../src/process.ts'
import { fetchFromSeveral } from '../../src/studies/fetch-from-several.ts'
import { HeldStudy } from '../../src/studies/held-study.ts'
import { LIMITS, oneOfSeveral, play, truthOf, type GeneratedArchive, type Receiver } from './generated-archive.ts'
import { couldBeTold, differences, mustSucceed } from './promise.ts'
import { VirtualClock } from './virtual-clock.ts'

const RUNS = Number(process.env['MKISO_RUNS'] ?? 2_000)

interface Several {
  archives: GeneratedArchive[]
  /** One after the other in the list: whether the receiver knows each by its title. */
  titlesKnown: boolean
  /** All send to one receiver, or each on what it was asked on. */
  shared: boolean
}

const several: fc.Arbitrary<Several> = fc.record({
  archives: fc.array(oneOfSeveral, { minLength: 2, maxLength: 3 }),
  titlesKnown: fc.boolean(),
  shared: fc.boolean()
})

interface Result {
  /** What a disc would hold. */
  disc: Set<string>
  missing: number | undefined
}

/** @returns what comes of it, or why nothing does */
async function fetched ({ archives: generated, titlesKnown, shared }: Several, allowIncomplete = false): Promise<Result | MkisoError> {
  const clock = new VirtualClock()
  const contents = new Map<string, string>()
  const one: Receiver = { sink: undefined, asked: undefined }
  const played = generated.map((archive, index) => play(archive, clock, {
    name: `archive ${index}`, contents, titleKnown: titlesKnown, receiver: shared ? one : { sink: undefined, asked: undefined }
  }))
  const archives = severalArchives(played.map(archive => ({ archive, optional: false, accessionPattern: undefined })))
  const files = {
    createFolder: () => {},
    move: (from: string, to: string) => { contents.set(to, contents.get(from) ?? '') },
    // whatever takes time gives others time to come in between
    same: async (a: { path: string }, b: { path: string }) => {
      await clock.wait(20)
      return contents.get(a.path) === contents.get(b.path)
    },
    remove: async () => { await clock.wait(40) }
  }
  const signal = new AbortController().signal
  const asking = { signal, log: silentLog }
  const marks = new Map(generated.map(({ provenance }, index) => [`archive ${index}`, { known: provenance === 'ours' }]))
  const [study] = mergedStudies(await archives.findStudies(['X'], asking))
  if (study === undefined) throw new Error('they all have it')
  const held = new HeldStudy(study, { workDir: '/nowhere', log: silentLog, clock, files }, false)
  const sourceOf = (name: string | undefined) => {
    const archive = archives.at(name)
    return { archive, limits: LIMITS, marks: marks.get(archive.name) ?? { known: false }, open: async () => await archive.open(asking) }
  }
  let missing: number | undefined
  try {
    const common = { allowIncomplete, isDiskFull: async () => false, signal, log: silentLog }
    await clock.run((async () => {
      held.list(await archives.listInstances(study, asking))
      ;({ missing } = await fetchFromSeveral(held, { ...common, sourceOf: ({ archive }) => sourceOf(archive) }))
    })())
  } catch (error) {
    if (error instanceof MkisoError) return error
    throw error
  }
  // what comes after the verdict must change nothing
  await clock.pass(1_000)
  const disc = new Set([...held.files.values()].map(({ path, object }) => `${object.seriesInstanceUid} ${object.sopInstanceUid} ${(contents.get(path) ?? '').replace(/^.* content/, 'content')}`))
  return { disc, missing }
}

/** As it would be if every list named everything, nobody counted otherwise, and no stranger disputed it: what is missing has a name. @param lost SOP Instance UID */
function naming (archive: GeneratedArchive, lost: string): GeneratedArchive {
  const images = (all: GeneratedArchive['series'][number]['images']) => all.map(image => image.sopInstanceUid === lost ? { ...image, lost: Infinity } : image)
  return {
    ...archive, series: archive.series.map(one => ({ ...one, images: images(one.images), listing: 'whole', count: 'right' })), seriesListing: 'whole', seriesCount: 'right', instanceCount: 'right', claims: 'right',
    answers: 'after', stranger: undefined
  }
}

/** An image stands under another series in its file than in the list: whether it is the one that another archive lists there cannot be told without both files. */
function moved ({ series }: GeneratedArchive): boolean {
  return series.some(({ images }) => images.some(({ seriesInFile }) => seriesInFile.startsWith('6.')))
}

/** What another archive sends late may be the stranger's to this one. */
function keepsQuiet ({ stranger, answers }: GeneratedArchive): boolean {
  return stranger === undefined && answers === 'after'
}

/** One that has an image and cannot send it, in whose place a stranger sends another; a second archive has more of the study. */
const STRANGER_FOR_ONE_THAT_IS_LOST: readonly Several[] = (() => {
  const archive = (sopInstanceUid: string, lost: number, stranger: GeneratedArchive['stranger']): GeneratedArchive => ({
    series: [{ uid: '5.1', images: [{ sopInstanceUid, seriesInFile: '5.1', lost, cut: false, twice: false }], listing: 'whole', count: 'right', refused: 0 }],
    seriesListing: 'whole', seriesCount: 'right', instanceCount: 'right', claims: 'right', answers: 'after', breaks: false, provenance: 'ours', stranger
  })
  const fake = { kind: 'fake', series: 0, image: 0, when: 'first', before: false } as const
  const archives = [archive('9.2', Infinity, fake), archive('9.1', 0, undefined)]
  return [archives, archives.toReversed()].map(archives => ({ archives, titlesKnown: false, shared: false }))
})()

const examples = STRANGER_FOR_ONE_THAT_IS_LOST.map((one): [Several] => [one])
const tally = { discs: 0, errors: 0, required: 0, told: 0 }
const options = { numRuns: RUNS, ...(process.env['MKISO_SEED'] === undefined ? {} : { seed: Number(process.env['MKISO_SEED']) }) }

t.test('never a disc that differs from what they hold together', { timeout: 300_000 }, async t => {
  await fc.assert(fc.asyncProperty(several, async generated => {
    const { archives } = generated
    const result = await fetched(generated)
    const must = archives.every(archive => mustSucceed(archive) && keepsQuiet(archive) && !moved(archive))
    if (must) tally.required++
    if (result instanceof MkisoError) {
      tally.errors++
      if (must) throw new Error(`an error where every witness was satisfied: ${result.message}`)
      return
    }
    tally.discs++
    if (!archives.every(couldBeTold) || archives.some(moved)) return
    tally.told++
    const differs = differences(new Set(archives.flatMap(archive => [...truthOf(archive)])), result.disc)
    if (differs.length > 0) throw new Error(`a wrong disc: ${differs.join('; ')}`)
  }), { ...options, examples })
  t.comment(`${RUNS} of several archives: ${tally.discs} discs, of which ${tally.required} had to be and ${tally.told} could be told, ${tally.errors} errors`)
  t.ok(tally.told > RUNS / 50, 'enough of them can be told')
  t.ok(tally.required > RUNS / 200, 'enough of them are as they should be')
})

t.test('where a disc may lack images (disc.allow_incomplete): nobody else\'s stands on it, and one that lacks some says so', { timeout: 300_000 }, async t => {
  let [whole, incomplete] = [0, 0]
  await fc.assert(fc.asyncProperty(several, async generated => {
    const { archives } = generated
    const result = await fetched(generated, true)
    if (result instanceof MkisoError || !archives.every(couldBeTold) || archives.some(moved)) return
    const truth = new Set(archives.flatMap(archive => [...truthOf(archive)]))
    if (result.missing === 0) {
      whole++
      const differs = differences(truth, result.disc)
      if (differs.length > 0) throw new Error(`it is said to be whole: ${differs.join('; ')}`)
      return
    }
    incomplete++
    const strange = [...result.disc].filter(one => !truth.has(one))
    if (archives.every(({ provenance }) => provenance === 'ours') && strange.length > 0) throw new Error(`it holds ${strange.join(', ')}`)
  }), { ...options, examples })
  t.comment(`${whole} whole, ${incomplete} that lack some`)
  t.ok(whole > RUNS / 100, 'some are whole')
  t.ok(incomplete > RUNS / 100, 'some are not')
})

t.test('where every list names everything, the number of missing images is right', { timeout: 300_000 }, async t => {
  let numbered = 0
  // whoever has this one has lost it
  const all = fc.tuple(several, fc.constantFrom('9.1', '9.2')).map(([one, lost]) => ({ ...one, archives: one.archives.map(archive => naming(archive, lost)) }))
  await fc.assert(fc.asyncProperty(all, async generated => {
    const result = await fetched(generated, true)
    if (result instanceof MkisoError || result.missing === 0 || generated.archives.some(moved)) return
    numbered++
    const truth = new Set(generated.archives.flatMap(archive => [...truthOf(archive)]))
    const lacks = [...truth].filter(one => !result.disc.has(one)).length
    if (result.missing !== lacks) throw new Error(`it lacks ${lacks}, and says ${result.missing ?? 'nothing'}`)
  }), { ...options, numRuns: RUNS / 2 })
  t.comment(`${numbered} lack some`)
  t.ok(numbered > RUNS / 200, 'enough of them lack some')
})
