/**
 * The archives of test/studies/generated-archive.ts, played over the wire to the real service: the one promise again, with C-FIND, C-MOVE, C-STORE and
 * the disc that comes of it. The seed is printed; MKISO_SEED=N plays it again, MKISO_RUNS=N plays more, MKISO_ONLY=N one of them.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import pLimit from 'p-limit'
import t, { type Test } from 'tap'
import { request } from 'undici'
import { freePort } from '../../demo/ports.ts'
import type { PhantomInstance } from '../../demo/phantoms/catalogue.ts'
import type { Programs } from '../../src/process.ts'
import { eventually } from '../eventually.ts'
import { dataSetOf, pixelsSha256, writeImages, type MadeImage } from '../made-images.ts'
import {
  contentOf, describe, generatedArchive, list, numberOf, PATIENT, truthOf, type GeneratedArchive, type HeldImage, type HeldSeries
} from '../studies/generated-archive.ts'
import { couldBeTold, differences, mustSucceed } from '../studies/promise.ts'
import { nothingLeft, pixelDataSha256, programsOf, readDisc, readZip, service, temporaryFolder, type Overrides, type Service } from '../world.ts'
import { linkTo } from './harness.ts'
import { later, startLyingPacs, type Elements, type FindAnswer, type Level, type Lie, type LyingPacs, type Move } from './lying-pacs.ts'
import { sendRaw, type RawImage, type RawSender } from './raw-images.ts'

const RUNS = Number(process.env['MKISO_RUNS'] ?? 200)
const SEED = Number(process.env['MKISO_SEED'] ?? Date.now() % 0x7FFF_FFFF)
const ONLY = process.env['MKISO_ONLY'] === undefined ? undefined : Number(process.env['MKISO_ONLY'])
/** Services whose archive marks what it sends: what they have learnt of that belongs to one archive at a time. */
const MARKED_AT_ONCE = 3
const UNMARKED_AT_ONCE = 5
/** An archive that answers before it sends begins so much later. */
const EARLY_MS = 20
const SETTINGS: Overrides = {
  pacs: {
    connect_timeout: '20s', find_timeout: '20s', idle_timeout: '4s', move_timeout: '60s', settle_timeout: '300ms', queue_timeout: '60s', max_moves: 32, max_associations: 64
  },
  disc: { web_content: 'none' }
}
const CUT_OFF = 0xFE00
const REFUSED = 0xA702

/** An archive under an accession number. */
interface Playing {
  generated: GeneratedArchive
  accessionNumber: string
  studyInstanceUid: string
  /** Of the service that asks. */
  aeTitle: string
}

function imageOf ({ accessionNumber, studyInstanceUid }: Playing, { uid }: HeldSeries, image: HeldImage): MadeImage {
  return {
    accessionNumber, studyInstanceUid, patient: PATIENT, seriesInstanceUid: image.seriesInFile, sopInstanceUid: image.sopInstanceUid, content: contentOf(uid, image)
  }
}

const rawOf = (image: MadeImage): RawImage => ({ sopInstanceUid: image.sopInstanceUid, dataSet: dataSetOf(image) })

/** Its answers to C-FIND. */
function finding (playing: Playing): (level: Level, answers: Elements[], keys: Record<string, string>) => FindAnswer {
  const { generated, studyInstanceUid } = playing
  const { instanceCount, seriesCount, seriesListing, series } = describe(generated)
  const optional = (name: string, value: number | undefined): Elements => value === undefined ? {} : { [name]: String(value) }
  return (level, answers, keys) => {
    if (level === 'STUDY') {
      return { answers: answers.map(one => ({ ...one, ...optional('NumberOfStudyRelatedSeries', seriesCount), ...optional('NumberOfStudyRelatedInstances', instanceCount) })) }
    }
    const own = { QueryRetrieveLevel: level, StudyInstanceUID: studyInstanceUid }
    if (level === 'SERIES') {
      return {
        answers: series.map(({ seriesInstanceUid, modality, seriesNumber, instanceCount }) => ({
          ...own, SeriesInstanceUID: seriesInstanceUid, Modality: modality, SeriesNumber: String(seriesNumber), ...optional('NumberOfSeriesRelatedInstances', instanceCount)
        })),
        ...(seriesListing === 'cut' ? { status: CUT_OFF } : {})
      }
    }
    const held = generated.series.find(({ uid }) => uid === keys['SeriesInstanceUID'])
    const described = series.find(({ seriesInstanceUid }) => seriesInstanceUid === held?.uid)
    if (held === undefined || described === undefined) return { answers: [] }
    const { listing, instances } = list(described, held)
    if (listing === 'none') return { answers: [], status: 0xA900 }
    return {
      answers: instances.map(({ sopInstanceUid }) => ({ ...own, SeriesInstanceUID: held.uid, SOPInstanceUID: sopInstanceUid })),
      ...(listing === 'cut' ? { status: CUT_OFF } : {})
    }
  }
}

/** Its answers to C-MOVE. */
function moving (playing: Playing): (move: Move) => Promise<void> {
  const { generated, aeTitle } = playing
  const { stranger, claims, answers, provenance } = generated
  const lost = new Map(generated.series.flatMap(({ images }) => images.map(image => [image, image.lost])))
  const refused = new Map(generated.series.map(series => [series, series.refused]))
  const sender: RawSender = { callingAeTitle: provenance === 'unknown' ? 'ROUTER' : 'LIAR', moveOriginatorAeTitle: provenance === 'ours' ? aeTitle : undefined }
  let broken = !generated.breaks
  let strangerCame = false

  const strange = async (port: number, now: boolean): Promise<void> => {
    if (stranger === undefined || !now || (stranger.when === 'first' && strangerCame)) return
    strangerCame = true
    const series = generated.series[stranger.series % generated.series.length]
    const image = series?.images[stranger.image % series.images.length]
    if (series === undefined || image === undefined) return
    const made = imageOf(playing, series, stranger.kind === 'fake' ? image : { ...image, sopInstanceUid: '9.99', seriesInFile: series.uid })
    await sendRaw(port, [rawOf({ ...made, content: 'strange' })], { callingAeTitle: 'STRANGER' })
  }
  const send = async (port: number, wanted: ReadonlyArray<[HeldSeries, HeldImage]>): Promise<number> => {
    await strange(port, stranger?.before === true)
    let sent = 0
    let onTheWay: RawImage[] = []
    for (const [series, image] of wanted) {
      const raw = rawOf(imageOf(playing, series, image))
      const left = lost.get(image) ?? 0
      if (left > 0) {
        lost.set(image, left - 1)
        if (!image.cut) continue
        // its association ends with it; what follows comes on another one
        await sendRaw(port, [...onTheWay, { ...raw, cutAfterBytes: raw.dataSet.length - 40 }], sender)
        onTheWay = []
        continue
      }
      onTheWay.push(...image.twice ? [raw, raw] : [raw])
      sent++
    }
    await sendRaw(port, onTheWay, sender)
    await strange(port, stranger?.before === false)
    return sent
  }

  return async move => {
    const { receiverPort: port } = move
    const wanted = generated.series.flatMap(series => series.images
      .filter(({ sopInstanceUid }) => move.wanted.some(one => one.seriesInstanceUid === series.uid && one.sopInstanceUid === sopInstanceUid))
      .map((image): [HeldSeries, HeldImage] => [series, image]))
    const refusing = wanted.map(([series]) => series).find(series => (refused.get(series) ?? 0) > 0)
    if (refusing !== undefined) {
      refused.set(refusing, (refused.get(refusing) ?? 0) - 1)
      move.final(REFUSED)
      return
    }
    if (!broken) {
      broken = true
      await send(port, wanted.slice(0, Math.floor(wanted.length / 2)))
      move.cut()
      return
    }
    if (answers === 'early') {
      move.final(0)
      await later(EARLY_MS)
      await send(port, wanted)
      return
    }
    const sent = await send(port, wanted)
    if (answers === 'never') return
    const failed = wanted.length - sent
    move.final(failed > 0 ? 0xB000 : 0, claims === 'absent' ? {} : { completed: numberOf(claims, sent) ?? 0, failed })
  }
}

/** What the archive would answer for, with what it says. */
function addTo (pacs: LyingPacs, playing: Playing, folder: string): void {
  const { generated } = playing
  const instances = generated.series.flatMap(series => writeImages(join(folder, playing.accessionNumber), series.images.map(image => imageOf(playing, series, image)))
    // as the archive holds it, whatever its file says
    .map((instance): PhantomInstance => ({ ...instance, seriesInstanceUid: series.uid })))
  const lie: Lie = { find: finding(playing), move: moving(playing) }
  pacs.add(PATIENT, instances, lie)
}

const HONEST: GeneratedArchive = {
  series: [{ uid: '5.1', images: [{ sopInstanceUid: '9.1', seriesInFile: '5.1', lost: 0, cut: false, twice: false }], listing: 'whole', count: 'right', refused: 0 }],
  seriesListing: 'whole', seriesCount: 'right', instanceCount: 'right', claims: 'right', answers: 'after', breaks: false, provenance: 'ours', stranger: undefined
}

const tally = { discs: 0, errors: 0, required: 0, brokenOff: 0 }

/**
 * Every second one as a ZIP, which goes out while images come: it is whole, or no reader opens it.
 * @returns whether there was a disc, and what is wrong, or nothing
 */
async function promiseOf (t: Test, playing: Playing, mkiso: Service, programs: Programs, zip: boolean): Promise<{ isDisc: boolean, wrong: string | undefined }> {
  const { generated, accessionNumber } = playing
  const answer = zip ? await zipOf(mkiso, accessionNumber) : { ...await mkiso.get(linkTo(accessionNumber)), brokenOff: false }
  if (answer.brokenOff) {
    tally.brokenOff++
    const file = join(temporaryFolder(t), 'broken.zip')
    writeFileSync(file, answer.body)
    const opened = (await programs.run('unzip', ['-tq', file])).exitCode === 0
    // an image that went out may be taken back: a stranger's came under its UIDs, or the archive did not say that it had sent it
    return { isDisc: false, wrong: opened ? 'an archive that was broken off opens' : undefined }
  }
  if (answer.status !== 200) {
    tally.errors++
    return { isDisc: false, wrong: mustSucceed(generated) ? `an error where every witness was satisfied: ${answer.body.toString()}` : undefined }
  }
  tally.discs++
  if (mustSucceed(generated)) tally.required++
  const disc = zip ? await readZip(t, answer.body, programs) : await readDisc(t, answer.body, programs)
  const known = new Map(['strange', ...truthOf(generated)].map(content => [pixelsSha256(content), content.replace(/^.* content/, 'content')]))
  const held = new Set(disc.objects.map(({ path, object }) =>
    `${object.seriesInstanceUid} ${object.sopInstanceUid} ${known.get(pixelDataSha256(join(disc.root, path)) ?? '') ?? 'something unknown'}`))
  if (disc.objects.length !== held.size) return { isDisc: true, wrong: 'a disc with one object twice' }
  const differs = couldBeTold(generated) ? differences(truthOf(generated), held) : []
  return { isDisc: true, wrong: differs.length === 0 ? undefined : `a wrong disc: ${differs.join('; ')}` }
}

/** What of it came, and whether the answer ended as it should. */
async function zipOf ({ url }: Service, accessionNumber: string): Promise<{ status: number, body: Buffer, brokenOff: boolean }> {
  const answer = await request(`${url}${linkTo(accessionNumber)}&format=zip`, { headersTimeout: 120_000, bodyTimeout: 120_000 })
  const pieces: Buffer[] = []
  let brokenOff = false
  try {
    for await (const piece of answer.body as AsyncIterable<Buffer>) pieces.push(piece)
  } catch {
    brokenOff = true
  }
  return { status: answer.statusCode, body: Buffer.concat(pieces), brokenOff }
}

t.test('never a disc that differs from the truth, never an error where every witness was satisfied', { timeout: 600_000 }, async t => {
  t.comment(`MKISO_SEED=${SEED}`)
  const programs = programsOf(t)
  const folder = temporaryFolder(t, 'generated')
  const pacs = await startLyingPacs(await freePort())
  t.teardown(async () => { await pacs.close() })
  const serviceOf = async (aeTitle: string): Promise<Service> => {
    const port = await freePort()
    pacs.destinations.set(aeTitle, port)
    return await service(t, pacs, port, { ...SETTINGS, our_ae: { ae_title: aeTitle, port_range: 100 } })
  }
  const archives = fc.sample(generatedArchive, { numRuns: RUNS, seed: SEED })
    // silence costs pacs.idle_timeout each time: in memory it is played too
    .map((generated, index) => ({ index, generated: { ...generated, answers: generated.answers === 'never' ? 'after' as const : generated.answers } }))
    .filter(({ index }) => ONLY === undefined || index === ONLY)
  const failures: string[] = []
  let played = 0
  const play = async (generated: GeneratedArchive, name: string, aeTitle: string, mkiso: Service): Promise<boolean> => {
    const playing: Playing = { generated, accessionNumber: `GEN.${++played}`, studyInstanceUid: `2.25.9.${played}`, aeTitle }
    addTo(pacs, playing, folder)
    const { isDisc, wrong } = await promiseOf(t, playing, mkiso, programs, played % 2 === 0)
    if (wrong !== undefined) failures.push(`archive ${name}: ${wrong}\n${fc.stringify(generated)}`)
    return isDisc
  }

  const marked = archives.filter(({ generated }) => generated.provenance === 'ours')
  const markedServices = Array.from({ length: MARKED_AT_ONCE }, async (_, n) => {
    const aeTitle = `CDMARKED${n}`
    const mkiso = await serviceOf(aeTitle)
    let known = false
    for (let next = marked.shift(); next !== undefined; next = marked.shift()) {
      // that it marks what it sends is known from studies before; one that failed, and had nothing of its own, makes that forgotten
      if (!known) await play(HONEST, `honest ${n}.${next.index}`, aeTitle, mkiso)
      known = await play(next.generated, String(next.index), aeTitle, mkiso)
    }
    return mkiso
  })
  const unmarked = archives.filter(({ generated }) => generated.provenance !== 'ours')
  const mkiso = await serviceOf('CDUNMARKED')
  const limit = pLimit(UNMARKED_AT_ONCE)
  await Promise.all(unmarked.map(async ({ generated, index }) => await limit(async () => { await play(generated, String(index), 'CDUNMARKED', mkiso) })))
  const services = [mkiso, ...await Promise.all(markedServices)]

  t.strictSame(failures, [], `MKISO_SEED=${SEED}`)
  t.comment(`${archives.length} archives, ${pacs.queries.length} queries: ${tally.discs} discs, of which ${tally.required} had to be, ${tally.errors} errors, ${tally.brokenOff} ZIPs that broke off`)
  if (ONLY === undefined) {
    t.ok(tally.required > RUNS / 50, 'enough of them are as they should be')
    t.ok(tally.errors + tally.brokenOff > RUNS / 50, 'enough of them go wrong')
  }
  for (const one of services) t.strictSame(await nothingLeft(one), [], 'nothing is left')
  await eventually(() => services.every(({ app }) => app.studyStore.running === 0))
})
