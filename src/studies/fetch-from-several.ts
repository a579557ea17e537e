/**
 * Fetches a study that several archives have: each image once, from the first of them that has it. What each archive says is judged by itself, with
 * what the others sent among the files where it names them too. So the count of one is never satisfied by an image of another that it does not
 * name, and an archive that says less than another does no harm.
 */
import type { Archive, Delivery, FetchSession, StudySink } from '../archive/archive.ts'
import { identityKey, type FetchPart, type InstanceIdentity, type Study } from '../dicom/study.ts'
import { MkisoError, withName, type ErrorCode } from '../errors.ts'
import type { Log } from '../process.ts'
import type { HeldFile } from './complete-studies.ts'
import { judge, missingOf, type Verdict } from './completeness.ts'
import { fetchStudy, firstParts, UIDS_PER_PART, type Fetched, type FetchLimits } from './fetch-study.ts'
import type { HeldStudy } from './held-study.ts'

/** An archive that has the study, as it is fetched from. */
export interface StudySource {
  archive: Archive
  limits: FetchLimits
  /** As HeldStudyOptions.marks. */
  marks: { known: boolean }
  /** Opened only when something is asked for. @throws as Archive.open */
  open (signal: AbortSignal): Promise<FetchSession>
}

export interface FetchFromSeveralOptions {
  sourceOf: (study: Study) => StudySource
  allowIncomplete: boolean
  isDiskFull: () => Promise<boolean>
  signal: AbortSignal
  log: Log
}

/** Of one archive: what another has may come from there. Anything else is no fault of the archive, and ends the fetching. */
export const OF_ONE_ARCHIVE: ReadonlySet<ErrorCode> = new Set(['PACS_UNREACHABLE', 'PACS_REFUSED', 'PACS_REFUSED_MOVE', 'PACS_TIMEOUT', 'INCOMPLETE_RETRIEVAL'])

/**
 * @param held the study as all say it together, with `sources` that have been listed
 * @throws as fetchStudy; the message names the archive
 * @throws the signal's reason
 */
export async function fetchFromSeveral (held: HeldStudy, options: FetchFromSeveralOptions): Promise<Fetched> {
  held.begin()
  const shares = inOrder(held.study.sources ?? []).map(study => new Share(study, held, options))
  // one after the other: what the first has sent need not be sent again, and of what comes late it is known whose it is
  for (const [index, share] of shares.entries()) {
    share.adoptFrom(shares.slice(0, index))
    if (!share.isComplete) await share.fetch(shares.slice(0, index))
  }
  const failed = shares.filter(({ fault }) => fault !== undefined)
  for (const share of failed) {
    // a stranger's object may stand in place of one that it could not send, and nobody has judged it
    if (!options.allowIncomplete) await share.held.doubt({ studyInstanceUid: held.studyInstanceUid })
    share.adoptFrom(shares.filter(other => other !== share))
    await share.settle()
    if (!share.isComplete) continue
    options.log.warn({ study: held.studyInstanceUid, archive: share.name, err: share.fault },
      'an archive did not send what it lists; another has sent the same images')
  }
  await gather(held, shares)
  const lacking = shares.filter(({ isComplete }) => !isComplete)
  const [first] = lacking
  if (first === undefined) return { missing: 0 }
  const fault = first.fault ?? new MkisoError('INCOMPLETE_RETRIEVAL', `${first.name}: not all that it lists has come`)
  if (!options.allowIncomplete || lacking.some(({ fault }) => fault?.code !== 'INCOMPLETE_RETRIEVAL') || held.files.size === 0) throw fault
  options.log.warn({ study: held.studyInstanceUid, received: held.files.size, detail: fault.detail },
    'images are missing; a disc may be made all the same, as disc.allow_incomplete says, a print may not')
  return { missing: missingOfAll(held, lacking) }
}

/** An image that several archives list, and none of them sends, is one. @returns undefined where nobody can tell: what one only counts may be what another lists */
function missingOfAll (held: HeldStudy, lacking: readonly Share[]): number | undefined {
  const verdicts = lacking.flatMap(({ verdict }) => verdict.kind === 'missing' || verdict.kind === 'contradiction' ? [verdict] : [])
  if (verdicts.length < lacking.length) return undefined
  const [only, ...others] = verdicts
  if (only !== undefined && others.length === 0) return missingOf(only)
  if (verdicts.some(({ instances, expected, received }) => instances.length === 0 || instances.length < expected - received)) return undefined
  const missing = new Set(verdicts.flatMap(({ instances }) => instances.map(identityKey)).filter(key => !held.files.has(key)))
  return Math.max(1, missing.size)
}

/** As they are preferred; before them one that has all that the others list. */
export function inOrder (sources: readonly Study[]): readonly Study[] {
  const all = sources.find(source => sources.every(other => other === source || (isListed(other) && namesAllOf(source, other))))
  return all === undefined ? sources : [all, ...sources.filter(source => source !== all)]
}

function isListed ({ seriesListing, series }: Study): boolean {
  return seriesListing === 'whole' && series.every(({ listing }) => listing === 'whole')
}

function namesAllOf (source: Study, other: Study): boolean {
  const names = namedBy(source)
  return identitiesOf(other).every(identity => names.has(identityKey(identity)))
}

function saysHowMany ({ series, instanceCount }: Study): boolean {
  return instanceCount !== undefined || series.every(one => one.listing === 'whole' || one.instanceCount !== undefined)
}

function identitiesOf ({ studyInstanceUid, series }: Study): InstanceIdentity[] {
  return series.flatMap(({ seriesInstanceUid, instances }) => instances.map(({ sopInstanceUid }) => ({ studyInstanceUid, seriesInstanceUid, sopInstanceUid })))
}

function namedBy (study: Study): Set<string> {
  return new Set(identitiesOf(study).map(identityKey))
}

/** What one archive says of the study, and what has come of that. */
class Share {
  readonly held: HeldStudy
  fault: MkisoError | undefined
  /** Who has sent objects of it, as Delivery.from. */
  readonly senders = new Set<string>()
  /** It was asked to the end, and has sent all that is its. */
  #hasSent = false
  readonly #options: FetchFromSeveralOptions
  readonly #source: StudySource

  constructor (study: Study, whole: HeldStudy, options: FetchFromSeveralOptions) {
    this.#options = options
    this.#source = options.sourceOf(study)
    this.held = whole.of(study, this.#source.marks)
    // seen as it comes, and settled at the end
    this.held.onFile.add(file => { whole.include(file) })
    this.held.onGone.add(file => { whole.exclude(file) })
    this.held.onProgress.add(({ stuck }) => { whole.stuck = stuck })
  }

  get name (): string { return this.#source.archive.name }

  /** What came from here. */
  get own (): HeldFile[] { return [...this.held.files.values()].filter(({ archive }) => archive === this.held.study.archive) }

  /**
   * Of these, what may be taken for another archive's too. Where this one has failed, nobody has judged what it sent: an object without its mark may be a
   * stranger's, who came in place of one that it could not send.
   */
  get vouched (): HeldFile[] { return this.fault === undefined ? this.own : this.own.filter(file => this.held.isMarked(file)) }

  /** By the one judge, who hears nothing but what this archive says. */
  get verdict (): Verdict { return judge(this.held.evidence(true)) }

  /**
   * What others have sent can satisfy it without its being asked only where it says of every series how many images there are. A list that ends well and
   * names nothing is no such word: where the archive sends them, its images come.
   */
  get isComplete (): boolean { return this.verdict.kind === 'complete' && (this.#hasSent || saysHowMany(this.held.study)) }

  /** Takes what others have sent and this archive names too. */
  adoptFrom (others: readonly Share[]): void {
    const names = namedBy(this.held.study)
    for (const { vouched } of others) for (const file of vouched) if (names.has(identityKey(file.object))) this.held.adopt(file)
  }

  /** @throws what is no fault of this archive */
  async fetch (earlier: readonly Share[]): Promise<void> {
    const { archive, limits, open } = this.#source
    const { signal, log, isDiskFull } = this.#options
    try {
      const session = keepingApart(await open(signal), this.held.study, earlier, this.senders)
      await fetchStudy(this.held, { archive, session, limits, allowIncomplete: false, listing: Promise.resolve(), first: this.#firstParts(), isDiskFull, signal, log })
      this.#hasSent = true
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof MkisoError) || !OF_ONE_ARCHIVE.has(error.code)) throw error
      this.fault = withName(error, this.name)
      log.warn({ study: this.held.studyInstanceUid, archive: this.name, err: error }, 'one of several archives does not send all that it has of a study')
    }
  }

  /** Leaves out what is not this archive's. */
  async settle (): Promise<void> {
    await this.held.drop(this.verdict.foreign)
  }

  /** Series of which nothing is here as a whole, of the others what is not here; the whole series where the list does not name everything. */
  #firstParts (): FetchPart[] {
    const { study, files } = this.held
    const { studyInstanceUid, series, seriesListing, seriesCount = 0 } = study
    if (files.size === 0 || seriesListing === 'cut' || seriesCount > series.length) return firstParts(study)
    const parts = series.flatMap(({ seriesInstanceUid, listing, instances, instanceCount = 0 }): FetchPart[] => {
      const uids = instances.map(({ sopInstanceUid }) => sopInstanceUid)
      const missing = uids.filter(sopInstanceUid => !files.has(identityKey({ studyInstanceUid, seriesInstanceUid, sopInstanceUid })))
      if (listing !== 'whole' || instanceCount > instances.length || missing.length === uids.length) return [{ studyInstanceUid, seriesInstanceUid }]
      const lists: FetchPart[] = []
      for (let start = 0; start < missing.length; start += UIDS_PER_PART) {
        lists.push({ studyInstanceUid, seriesInstanceUid, sopInstanceUids: missing.slice(start, start + UIDS_PER_PART) })
      }
      return lists
    })
    return parts.length > 0 ? parts : firstParts(study)
  }
}

/**
 * All may send to one receiver. What an earlier one sends late, and this archive does not name, must not fill this one's count: who does not call itself
 * by this archive's title, and has sent for an earlier one, is believed to send for that. So is anybody, where it is not known who sends for an
 * earlier one that has failed.
 * @param senders is filled with those who sent for this one
 */
function keepingApart (session: FetchSession, study: Study, earlier: readonly Share[], senders: Set<string>): FetchSession {
  const names = namedBy(study)
  const nobodyKnows = earlier.some(share => share.fault !== undefined && share.senders.size === 0)
  const isLate = ({ object, sender, from }: Delivery): boolean => sender !== 'asked' && !names.has(identityKey(object)) &&
    (sender === 'other' || nobodyKnows || earlier.some(share => share.senders.has(from)))
  return {
    destination: session.destination,
    receiver: session.receiver,
    fetch: async (part, options) => await session.fetch(part, options),
    mayStillSend: studyInstanceUid => session.mayStillSend(studyInstanceUid),
    turnedAway: () => session.turnedAway(),
    close: async () => { await session.close() },
    receive: (studyInstanceUid: string, sink: StudySink) => session.receive(studyInstanceUid, {
      offer: async delivery => {
        if (isLate(delivery)) return
        if (delivery.sender !== 'other') senders.add(delivery.from)
        await sink.offer(delivery)
      },
      cutOff: (sopInstanceUid, reason) => { sink.cutOff(sopInstanceUid, reason) },
      activity: () => { sink.activity() },
      passed: seriesInstanceUid => { sink.passed?.(seriesInstanceUid) }
    })
  }
}

/**
 * Each image once, from the first that has it. What came twice is compared.
 * @throws MkisoError INCOMPLETE_RETRIEVAL where two archives have sent different objects under the same UIDs
 */
async function gather (held: HeldStudy, shares: readonly Share[]): Promise<void> {
  const sent = shares.flatMap(({ own }) => own)
  const paths = new Set(sent.map(({ path }) => path))
  for (const file of [...held.files.values()]) if (!paths.has(file.path)) held.exclude(file)
  for (const file of sent) {
    if (held.include(file) || held.files.get(identityKey(file.object))?.path === file.path) continue
    const first = held.files.get(identityKey(file.object))
    if (await held.isSameAsHeld(file)) continue
    throw new MkisoError('INCOMPLETE_RETRIEVAL',
      `${String(first?.archive)} and ${String(file.archive)} hold different objects under SOP Instance UID ${file.object.sopInstanceUid}: have it corrected in one of them`)
  }
}
