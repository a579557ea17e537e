/**
 * Archives as fast-check makes them up: what they hold, what they say of it, and what goes wrong while they send. One of them is a value; an Archive in
 * memory plays it.
 */
import fc from 'fast-check'
import type { Archive, Delivery, FetchOptions, FetchOutcome, FetchSession, Provenance, StudySink } from '../../src/archive/archive.ts'
import type { DicomObject } from '../../src/dicom/part10.ts'
import type { FetchPart, Series, Study } from '../../src/dicom/study.ts'
import { MkisoError } from '../../src/errors.ts'
import type { VirtualClock } from './virtual-clock.ts'

export const STUDY = '1.2.3'

/** How a list ends, and whether it is all: `short` says that it is, and is not. */
type ListLie = 'whole' | 'cut' | 'short' | 'none' | 'empty'
type CountLie = 'right' | 'absent' | 'low' | 'high'

export interface HeldImage {
  sopInstanceUid: string
  /** In its file; the archive may hold it under another. */
  seriesInFile: string
  /** So often it is lost on its way before it comes; Infinity for ever. `cut`: it is cut off instead. */
  lost: number
  cut: boolean
  /** It comes twice each time. */
  twice: boolean
}

export interface HeldSeries {
  uid: string
  images: HeldImage[]
  listing: ListLie
  count: CountLie
  /** So often the archive refuses to send it. */
  refused: number
}

export interface Stranger {
  /** `fake`: under the UIDs of an image; `extra`: under a UID of its own. */
  kind: 'fake' | 'extra'
  series: number
  image: number
  when: 'first' | 'always'
  /** Before the archive's images, or after them. */
  before: boolean
}

export interface GeneratedArchive {
  series: HeldSeries[]
  /** How many series it lists: `cut` and `short` list one less. */
  seriesListing: 'whole' | 'cut' | 'short'
  seriesCount: CountLie
  instanceCount: CountLie
  /** What it counts while it sends. */
  claims: 'right' | 'absent' | 'low' | 'high'
  answers: 'after' | 'early' | 'never'
  /** The association that asks breaks once, in the middle. */
  breaks: boolean
  provenance: Provenance
  stranger: Stranger | undefined
}

/** How much goes wrong: an archive that means well, or one that does not. */
interface Mood {
  listing: ListLie[]
  count: CountLie[]
  lost: number[]
  refused: number[]
  claims: GeneratedArchive['claims'][]
  answers: GeneratedArchive['answers'][]
  seriesListing: GeneratedArchive['seriesListing'][]
  breaks: boolean[]
}

const GOOD: Mood = {
  listing: ['whole', 'whole', 'cut', 'none', 'empty'],
  count: ['right', 'absent'],
  lost: [0, 0, 0, 0, 0, 0, 0, 0, 1],
  refused: [0, 0, 0, 0, 0, 1],
  claims: ['right', 'right', 'absent'],
  answers: ['after', 'after', 'early', 'never'],
  seriesListing: ['whole', 'whole', 'cut'],
  breaks: [false, false, false, false, true]
}
/** Nearly nothing goes wrong in one, so that several at once can be right. */
const BEST: Mood = {
  ...GOOD,
  listing: ['whole', 'whole', 'whole', 'whole', 'cut'],
  count: ['right', 'right', 'absent'],
  lost: [...Array.from({ length: 40 }, () => 0), 1],
  refused: [...Array.from({ length: 20 }, () => 0), 1],
  answers: ['after', 'after', 'after', 'after', 'early'],
  seriesListing: ['whole', 'whole', 'whole', 'whole', 'cut'],
  breaks: [...Array.from({ length: 9 }, () => false), true]
}
const BAD: Mood = {
  listing: ['whole', 'whole', 'whole', 'cut', 'short', 'none', 'empty'],
  count: ['right', 'right', 'absent', 'absent', 'low', 'high'],
  lost: [0, 0, 0, 0, 0, 0, 1, 1, Infinity],
  refused: [0, 0, 0, 0, 1, Infinity],
  claims: ['right', 'right', 'absent', 'low', 'high'],
  answers: ['after', 'after', 'after', 'early', 'never'],
  seriesListing: ['whole', 'whole', 'whole', 'cut', 'short'],
  breaks: [false, false, false, true]
}

/** Of few UIDs, so that images share them over series. */
const image = (mood: Mood, series: number): fc.Arbitrary<HeldImage> => fc.record({
  sopInstanceUid: fc.integer({ min: 1, max: 8 }).map(n => `9.${n}`),
  seriesInFile: fc.oneof({ weight: 19, arbitrary: fc.constant(`5.${series}`) }, { weight: 1, arbitrary: fc.constant(`6.${series}`) }),
  lost: fc.constantFrom(...mood.lost),
  cut: fc.boolean(),
  twice: fc.constantFrom(false, false, false, true)
})

const series = (mood: Mood, number: number): fc.Arbitrary<HeldSeries> => fc.record({
  uid: fc.constant(`5.${number}`),
  images: fc.uniqueArray(image(mood, number), { minLength: 1, maxLength: 6, selector: ({ sopInstanceUid }) => sopInstanceUid }),
  listing: fc.constantFrom(...mood.listing),
  count: fc.constantFrom(...mood.count),
  refused: fc.constantFrom(...mood.refused)
})

const archive = (mood: Mood): fc.Arbitrary<GeneratedArchive> => fc.record({
  series: fc.integer({ min: 1, max: 3 }).chain(length => fc.tuple(...Array.from({ length }, (_, index) => series(mood, index + 1)))),
  seriesListing: fc.constantFrom(...mood.seriesListing),
  seriesCount: fc.constantFrom(...mood.count),
  instanceCount: fc.constantFrom(...mood.count),
  claims: fc.constantFrom(...mood.claims),
  answers: fc.constantFrom(...mood.answers),
  breaks: fc.constantFrom(...mood.breaks),
  provenance: fc.constantFrom<Provenance>('ours', 'archive', 'unknown'),
  stranger: fc.option(fc.record({
    kind: fc.constantFrom<Stranger['kind']>('fake', 'extra'),
    series: fc.nat({ max: 2 }),
    image: fc.nat({ max: 5 }),
    when: fc.constantFrom<Stranger['when']>('first', 'always'),
    before: fc.boolean()
  }), { nil: undefined, freq: 3 })
})

export const generatedArchive: fc.Arbitrary<GeneratedArchive> = fc.oneof(archive(GOOD), archive(BAD))

/** One of several: mostly well. */
export const oneOfSeveral: fc.Arbitrary<GeneratedArchive> = fc.oneof({ weight: 4, arbitrary: archive(BEST) }, { weight: 1, arbitrary: generatedArchive })

/** What a disc must hold: identity and content of each image. */
export function truthOf ({ series }: GeneratedArchive): Set<string> {
  return new Set(series.flatMap(({ uid, images }) => images.map(image => contentOf(uid, image))))
}

/** The content of an image names the series that holds it: a copy in another series is another object. */
export function contentOf (uid: string, { sopInstanceUid, seriesInFile }: HeldImage): string {
  return `${seriesInFile} ${sopInstanceUid} content of ${uid}`
}

export function numberOf (lie: CountLie, truth: number): number | undefined {
  if (lie === 'absent') return undefined
  return lie === 'right' ? truth : lie === 'low' ? Math.max(0, truth - 1) : truth + 1
}

export const PATIENT = { patientId: 'P1', issuerOfPatientId: '', patientName: 'DOE^JOHN', birthDate: '19700101', sex: 'M' }

/** The study as the archive answers it at STUDY and SERIES level. */
export function describe (archive: GeneratedArchive): Study {
  const all = archive.series
  const listed = archive.seriesListing === 'whole' ? all : all.slice(0, -1)
  return {
    studyInstanceUid: STUDY,
    accessionNumber: 'X',
    patient: PATIENT,
    studyDate: '20240101',
    studyTime: '',
    studyDescription: '',
    studyId: '',
    seriesCount: numberOf(archive.seriesCount, all.length),
    instanceCount: numberOf(archive.instanceCount, truthOf(archive).size),
    seriesListing: archive.seriesListing === 'cut' ? 'cut' : 'whole',
    series: listed.map(({ uid, images, count }, index): Series => ({
      seriesInstanceUid: uid, modality: 'CT', seriesNumber: index + 1, seriesDescription: '', instanceCount: numberOf(count, images.length), listing: 'none', instances: []
    }))
  }
}

export function list (series: Series, { images, listing }: HeldSeries): Series {
  const named = listing === 'whole' ? images : listing === 'cut' || listing === 'short' ? images.slice(0, -1) : []
  const end = listing === 'short' ? (named.length === 0 ? 'empty' : 'whole') : listing
  return { ...series, listing: end, instances: named.map(({ sopInstanceUid }) => ({ sopInstanceUid, sopClassUid: '', instanceNumber: undefined })) }
}

/** Milliseconds of the virtual clock. */
export const LIMITS = { idleTimeoutMs: 10_000, settleTimeoutMs: 500, queueTimeoutMs: 60_000 }

export interface Played extends Archive {
  /** What each file holds, by its path. */
  contents: Map<string, string>
}

/** Where all that is sent arrives: of one archive, or of several that send to one receiver. */
export interface Receiver {
  sink: StudySink | undefined
  /** Name of the archive that has been asked. */
  asked: string | undefined
}

export interface PlayOptions {
  name?: string
  receiver?: Receiver
  contents?: Map<string, string>
  /** The receiver knows it by its title; false for one that sends under a title of its own. */
  titleKnown?: boolean
}

/** Plays a generated archive. */
export function play (generated: GeneratedArchive, clock: VirtualClock, options: PlayOptions = {}): Played {
  const { name = 'GENERATED', receiver = { sink: undefined, asked: undefined }, contents = new Map<string, string>(), titleKnown = true } = options
  const lost = new Map(generated.series.flatMap(({ images }) => images.map(image => [image, image.lost])))
  const refused = new Map(generated.series.map(series => [series, series.refused]))
  let sending = 0
  let files = 0
  let broken = !generated.breaks
  let strangerCame = false

  const deliver = async (seriesInFile: string, sopInstanceUid: string, content: string, provenance: Provenance): Promise<void> => {
    await clock.wait(1)
    const path = `file ${name} ${++files}`
    contents.set(path, content)
    // what a receiver makes of one that sends, late, while another has been asked
    const sender = !titleKnown || content === 'strange' ? undefined : receiver.asked === name ? 'asked' : 'other'
    await receiver.sink?.offer({ ...deliveryOf(path, seriesInFile, sopInstanceUid, sender === 'other' ? 'unknown' : provenance), from: content === 'strange' ? 'stranger' : name, sender })
  }
  const strange = async (now: boolean): Promise<void> => {
    const { stranger } = generated
    if (stranger === undefined || !now || (stranger.when === 'first' && strangerCame)) return
    strangerCame = true
    const series = generated.series[stranger.series % generated.series.length]
    const image = series?.images[stranger.image % series.images.length]
    if (series === undefined || image === undefined) return
    const uid = stranger.kind === 'fake' ? image.sopInstanceUid : '9.99'
    await deliver(stranger.kind === 'fake' ? image.seriesInFile : series.uid, uid, 'strange', 'unknown')
  }
  /** @returns how many were sent */
  const send = async (wanted: ReadonlyArray<[HeldSeries, HeldImage]>): Promise<number> => {
    sending++
    let sent = 0
    try {
      await strange(generated.stranger?.before === true)
      for (const [series, image] of wanted) {
        const left = lost.get(image) ?? 0
        if (left > 0) {
          lost.set(image, left - 1)
          await clock.wait(1)
          if (image.cut) receiver.sink?.cutOff(image.sopInstanceUid, 'its association broke')
          continue
        }
        for (let n = 0; n < (image.twice ? 2 : 1); n++) await deliver(image.seriesInFile, image.sopInstanceUid, contentOf(series.uid, image), generated.provenance)
        sent++
      }
      await strange(generated.stranger?.before === false)
    } finally { sending-- }
    return sent
  }

  const fetch = async (part: FetchPart, { signal, onStart }: FetchOptions): Promise<FetchOutcome> => {
    onStart?.()
    const wanted = generated.series
      .filter(({ uid }) => part.seriesInstanceUid === undefined || part.seriesInstanceUid === uid)
      .flatMap(series => series.images
        .filter(({ sopInstanceUid }) => part.sopInstanceUids === undefined || part.sopInstanceUids.includes(sopInstanceUid))
        .map((image): [HeldSeries, HeldImage] => [series, image]))
    const outcome = (end: FetchOutcome['end'], sent = 0, more: Partial<FetchOutcome> = {}): FetchOutcome => ({
      end,
      total: generated.claims === 'absent' || wanted.length === 0 ? undefined : (numberOf(generated.claims, sent) ?? 0) + wanted.length - sent || undefined,
      sent,
      failed: end === 'partial' && generated.claims !== 'absent' ? wanted.length - sent : 0,
      reason: end,
      fault: undefined,
      hopeless: false,
      ...more
    })
    const refusing = wanted.map(([series]) => series).find(series => (refused.get(series) ?? 0) > 0)
    if (refusing !== undefined) {
      refused.set(refusing, (refused.get(refusing) ?? 0) - 1)
      return outcome('refused', 0, { total: undefined, fault: new MkisoError('PACS_REFUSED_MOVE') })
    }
    if (!broken) {
      broken = true
      await send(wanted.slice(0, Math.floor(wanted.length / 2)))
      return outcome('broken', 0, { total: undefined, fault: new MkisoError('PACS_UNREACHABLE') })
    }
    if (generated.answers === 'early') {
      void clock.wait(20).then(async () => await send(wanted))
      await clock.wait(5, signal)
      // it has counted what it had sent by then
      return outcome('success', 0, { total: generated.claims === 'absent' ? undefined : 1 })
    }
    const sent = await send(wanted)
    if (generated.answers === 'never') await clock.wait(10_000_000, signal)
    signal.throwIfAborted()
    return sent < wanted.length ? outcome('partial', sent) : outcome('success', sent)
  }

  const session: FetchSession = {
    receive: (_study, sink) => {
      receiver.sink = sink
      receiver.asked = name
      return () => { receiver.sink = undefined }
    },
    fetch,
    mayStillSend: () => sending > 0,
    turnedAway: () => undefined,
    destination: 'here',
    close: async () => {}
  }
  return {
    contents,
    name,
    findStudies: async () => [describe(generated)],
    search: async () => ({ studies: [], cut: false }),
    listInstances: async study => {
      await clock.wait(3)
      return {
        ...study,
        series: study.series.map(series => {
          const held = generated.series.find(({ uid }) => uid === series.seriesInstanceUid)
          return held === undefined ? series : list(series, held)
        })
      }
    },
    open: async () => session
  }
}

function deliveryOf (path: string, seriesInstanceUid: string, sopInstanceUid: string, provenance: Provenance): Delivery {
  const object = { studyInstanceUid: STUDY, seriesInstanceUid, sopInstanceUid, sopClassUid: '1.2.840.10008.5.1.4.1.1.2', transferSyntaxUid: '', sizeBytes: 1, patient: PATIENT, instanceNumber: undefined, remarks: [] }
  return { path, object: object as unknown as DicomObject, provenance, from: 'generated' }
}
