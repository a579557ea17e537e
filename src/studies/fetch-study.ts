/**
 * Fetches one study until it is judged complete: asks for its series side by side, waits for what is late, and asks for what is missing in smaller
 * questions. Whether it is complete is asked of completeness.ts and of nobody else.
 */
import { setMaxListeners } from 'node:events'
import { abortable } from '../abort.ts'
import type { Archive, FetchOutcome, FetchSession } from '../archive/archive.ts'
import type { FetchPart, Study } from '../dicom/study.ts'
import { MkisoError } from '../errors.ts'
import type { Log } from '../process.ts'
import { judge, missingOf, type Verdict } from './completeness.ts'
import type { HeldStudy } from './held-study.ts'

export interface FetchLimits {
  /** Longest silence while it is asked for: no answer and no image. */
  idleTimeoutMs: number
  /** Longest wait for late images after the archive has answered. */
  settleTimeoutMs: number
  /** Longest wait for the first turn at the archive. */
  queueTimeoutMs: number
}

export interface FetchStudyOptions {
  archive: Archive
  session: FetchSession
  limits: FetchLimits
  /** A study that stays incomplete is taken all the same (disc.allow_incomplete). */
  allowIncomplete: boolean
  /** Resolves when the instances have been listed; the study is judged after that. */
  listing: Promise<void>
  /** What is asked for first; undefined for {@link firstParts}. */
  first?: readonly FetchPart[] | undefined
  /** The files' disk is full: what did not come could not be written. */
  isDiskFull: () => Promise<boolean>
  signal: AbortSignal
  log: Log
}

/** How many are missing: 0 for none, undefined where nobody can tell. Other than 0 only with `allowIncomplete`. */
export interface Fetched { missing: number | undefined }

/** UIDs in one question; each has up to 64 characters. */
export const UIDS_PER_PART = 100
/** Up to so many missing images are asked for one by one in the end: Orthanc gives a list up at the first that it cannot send (measured). */
const ONE_BY_ONE_UP_TO = 64
/** So often missing images are asked for without anything new: a list, then one by one. */
const TRIES_IN_VAIN = 2
/** No study is asked for more often, whatever each try brings. */
const MOST_ATTEMPTS = 50
const LONGEST_POLL_MS = 50
/** So often a part is asked for that is here, only because it was not answered. */
const MOST_QUESTIONS_FOR_AN_ANSWER = 2
/** An archive may leave its association open when it is through: after so many settle timeouts of silence nobody waits for it any more. */
const OPEN_FOR_SETTLE_TIMEOUTS = 3

/**
 * Fetches until complete, or until asking again is of no use.
 * @throws MkisoError PACS_UNREACHABLE, PACS_REFUSED, PACS_REFUSED_MOVE, PACS_TIMEOUT, INCOMPLETE_RETRIEVAL, INSUFFICIENT_DISK_SPACE,
 * TOO_MANY_CONCURRENT, RECEIVER_DOWN
 * @throws the signal's reason
 */
export async function fetchStudy (held: HeldStudy, options: FetchStudyOptions): Promise<Fetched> {
  const { session, archive, signal, log, listing } = options
  const stop = session.receive(held.studyInstanceUid, held)
  try {
    let parts = options.first ?? firstParts(held.study)
    let inVain = 0
    // series, or the study, that the archive has never sent to the end: what it counts while it sends is a witness that has not spoken
    let askedForAnswers = 0
    const unanswered = new Map<string | undefined, FetchPart>()
    for (let attempt = 0; ; attempt++) {
      const before = held.files.size
      if (attempt > 0) {
        log.warn({ study: held.studyInstanceUid, received: before, attempt, parts: parts.length }, 'images are missing; they are asked for again')
      }
      held.askAgain()
      const outcomes = await new Attempt(held, options).ask(parts, attempt === 0)
      for (const { end, part, total } of outcomes.filter(({ part }) => part.sopInstanceUids === undefined)) {
        // that something failed, and not how much, is no answer
        const answered = end === 'success' || (end === 'partial' && total !== undefined)
        if (answered) unanswered.delete(part.seriesInstanceUid)
        else unanswered.set(part.seriesInstanceUid, part)
      }
      await abortable(listing, signal)
      const verdict = await settle(held, outcomes, options)
      if (verdict.kind === 'complete') {
        const doubtful = attempt === 0 ? cameUnasked(held, outcomes) : []
        const open = askedForAnswers++ < MOST_QUESTIONS_FOR_AN_ANSWER ? [...unanswered.values()] : []
        if (doubtful.length + open.length === 0) {
          await held.drop(verdict.foreign)
          return { missing: 0 }
        }
        log.warn({ study: held.studyInstanceUid, doubtful: doubtful.length, unanswered: open.length },
          'everything seems to be here, but the archive has not said that it sent it; it is asked again')
        for (const part of doubtful) await held.doubt(part)
        parts = [...new Set([...doubtful, ...open])]
        continue
      }
      stopIfHopeless(outcomes, attempt)
      inVain = held.files.size > before ? 0 : inVain + 1
      parts = nextParts(held.study, verdict, inVain)
      const nothingComes = held.files.size === 0 && inVain >= 2
      if (nothingComes || inVain > TRIES_IN_VAIN || attempt + 1 >= MOST_ATTEMPTS) return await giveUp(held, outcomes, options)
      if (held.files.size === 0) held.stuck ??= { archive: archive.name, receiver: session.receiver }
      // whoever contradicts the others may have changed its mind, or have been cut off
      if (!namesAllThatIsMissing(verdict)) held.list(await archive.listInstances(held.study, { signal, log }))
    }
  } finally {
    stop()
    held.seal()
    held.stuck = undefined
  }
}

/** The series side by side; the study as a whole where the list of series is not all. */
export function firstParts (study: Study): FetchPart[] {
  const { studyInstanceUid, series, seriesCount = 0, seriesListing } = study
  if (series.length === 0 || seriesListing === 'cut' || seriesCount > series.length) return [{ studyInstanceUid }]
  return series.map(({ seriesInstanceUid }) => ({ studyInstanceUid, seriesInstanceUid }))
}

/**
 * What to ask for next: the images that are known by their UIDs, in lists and in the end one by one; series that lack images whose UIDs nobody
 * knows; and the study as a whole where only it can bring more.
 * @param inVain tries since something new came
 */
export function nextParts (study: Study, verdict: Verdict, inVain: number): FetchPart[] {
  const { studyInstanceUid } = study
  if (verdict.kind === 'complete') return []
  const instances = verdict.kind === 'unprovable' ? [] : verdict.instances
  const parts: FetchPart[] = []
  const bySeries = new Map<string, string[]>()
  for (const { seriesInstanceUid, sopInstanceUid } of instances) {
    const uids = bySeries.get(seriesInstanceUid)
    if (uids === undefined) bySeries.set(seriesInstanceUid, [sopInstanceUid])
    else uids.push(sopInstanceUid)
  }
  const oneByOne = inVain > 1 && instances.length <= ONE_BY_ONE_UP_TO
  for (const [seriesInstanceUid, uids] of bySeries) {
    const step = oneByOne ? 1 : UIDS_PER_PART
    for (let start = 0; start < uids.length; start += step) parts.push({ studyInstanceUid, seriesInstanceUid, sopInstanceUids: uids.slice(start, start + step) })
  }
  if (verdict.kind === 'missing') {
    for (const seriesInstanceUid of verdict.series) {
      if (seriesInstanceUid === undefined) parts.push({ studyInstanceUid })
      else if (!bySeries.has(seriesInstanceUid)) parts.push({ studyInstanceUid, seriesInstanceUid })
    }
    // an image that stands under another series than the archive lists it in may have been taken for one of another
    if (inVain > 0 && verdict.series.length > 0) return [...firstParts(study), ...parts.filter(({ sopInstanceUids }) => sopInstanceUids !== undefined)]
  }
  return parts.length > 0 ? parts : firstParts(study)
}

function namesAllThatIsMissing (verdict: Verdict): boolean {
  return verdict.kind === 'missing' && verdict.instances.length > 0 && verdict.series.length === 0
}

/** Whatever an archive answered, and to which question. */
interface Answered extends FetchOutcome { part: FetchPart }

/**
 * Parts of which more came than the archive says it has sent, from nobody knows where: it broke off, it refused, or it counted failures. They may be a
 * stranger's. What is the archive's comes again when it is asked for again.
 */
function cameUnasked (held: HeldStudy, outcomes: readonly Answered[]): FetchPart[] {
  const files = held.evidence(true).files.filter(({ adopted }) => adopted !== true)
  return outcomes.filter(({ end, total, sent, part: { seriesInstanceUid } }) => {
    const came = files.filter(file => seriesInstanceUid === undefined || file.seriesInstanceUid === seriesInstanceUid)
    if (came.length === 0 || came.some(({ ours }) => ours)) return false
    return (end !== 'success' && end !== 'partial') || (total !== undefined && sent < came.length)
  }).map(({ part }) => part)
}

/** One round of questions, side by side. It ends when all are answered, and before that when the archive is silent, or when everything is here. */
class Attempt {
  readonly #held: HeldStudy
  readonly #options: FetchStudyOptions
  readonly #ended = new AbortController()
  #completeSinceMs: number | undefined
  #end: 'answered' | 'silent' | 'needless' = 'answered'

  constructor (held: HeldStudy, options: FetchStudyOptions) {
    this.#held = held
    this.#options = options
    setMaxListeners(0, this.#ended.signal)
  }

  /** @returns what was answered; nothing for parts whose answer is not needed any more */
  async ask (parts: readonly FetchPart[], first: boolean): Promise<Answered[]> {
    const { signal, limits, log } = this.#options
    const leave = (): void => { this.#ended.abort(signal.reason) }
    signal.addEventListener('abort', leave, { once: true })
    if (signal.aborted) leave()
    const stopWatching = this.#held.clock.every(Math.min(1_000, limits.idleTimeoutMs / 4, limits.settleTimeoutMs), () => { this.#watch() })
    const outcomes: Answered[] = []
    try {
      await Promise.all(parts.map(async (part, index) => {
        let before = 0
        let started = false
        const outcome = await this.#options.session.fetch(part, {
          signal: this.#ended.signal,
          log,
          queueTimeoutMs: first && index === 0 ? limits.queueTimeoutMs : undefined,
          onStart: () => {
            started = true
            before = this.#held.asked(part)
          },
          onActivity: () => { this.#held.activity() },
          onPause: () => this.#held.paused()
        }).finally(() => { if (started) this.#held.ended() })
        this.#held.answered(part, outcome, before)
        outcomes.push({ ...outcome, part })
      }))
    } catch (error) {
      signal.throwIfAborted()
      if (this.#end === 'silent') {
        throw new MkisoError('PACS_TIMEOUT', `neither an answer nor an image within ${limits.idleTimeoutMs / 1_000} s (pacs.idle_timeout)`)
      }
      // the first failure ends the others: their images would be thrown away
      if (this.#end === 'answered') throw error
    } finally {
      stopWatching()
      signal.removeEventListener('abort', leave)
      this.#ended.abort(new AttemptOver())
    }
    return outcomes
  }

  #watch (): void {
    const { limits } = this.#options
    const held = this.#held
    const nowMs = held.clock.nowMs()
    if (held.listed && held.files.size > 0 && judge(held.evidence(false)).kind === 'complete') {
      // everything is here, only the archive does not say so: its answer would add nothing
      this.#completeSinceMs ??= nowMs
      if (nowMs - this.#completeSinceMs > limits.settleTimeoutMs) this.#stop('needless')
    } else this.#completeSinceMs = undefined
    const { running, paused } = held.questions
    if (running > paused && nowMs - held.lastActivityMs > limits.idleTimeoutMs) this.#stop('silent')
  }

  #stop (end: 'silent' | 'needless'): void {
    if (this.#ended.signal.aborted) return
    this.#end = end
    this.#ended.abort(new AttemptOver())
  }
}

class AttemptOver extends Error {
  constructor () { super('the answer is not needed any more') }
}

/** Waits for late images: some archives answer before they have sent. A study that is complete is sealed. */
async function settle (held: HeldStudy, outcomes: readonly FetchOutcome[], { session, limits, signal }: FetchStudyOptions): Promise<Verdict> {
  // what it says it could not send, or refuses to, does not come later
  const nothingComes = outcomes.length > 0 && outcomes.every(({ end, sent }) => end !== 'success' && end !== 'broken' && sent === 0)
  held.activity()
  for (;;) {
    const open = session.mayStillSend(held.studyInstanceUid)
    const silentMs = held.clock.nowMs() - held.lastActivityMs
    const quiet = (nothingComes && !open) || silentMs > limits.settleTimeoutMs * (open ? OPEN_FOR_SETTLE_TIMEOUTS : 1)
    const verdict = judge(held.evidence(quiet))
    if (verdict.kind === 'complete') held.seal()
    if (verdict.kind === 'complete' || quiet) return verdict
    // whatever it said of what it sent has come, and the rest it says it could not send
    if (!open && outcomes.length > 0 && allAccountedFor(outcomes, held) && verdict.kind === 'missing') return verdict
    await held.clock.wait(Math.min(LONGEST_POLL_MS, limits.settleTimeoutMs / 4), signal)
  }
}

/** Every sub-operation that succeeded has its file, and the others failed. */
function allAccountedFor (outcomes: readonly FetchOutcome[], held: HeldStudy): boolean {
  if (!outcomes.some(({ failed, end }) => failed > 0 || end === 'refused')) return false
  return outcomes.every(({ end }) => end === 'partial' || end === 'success' || end === 'refused') &&
    outcomes.reduce((sum, { sent }) => sum + sent, 0) <= held.files.size
}

/** What another try cannot mend is told at once. */
function stopIfHopeless (outcomes: readonly FetchOutcome[], attempt: number): void {
  for (const { end, fault, hopeless } of outcomes) {
    if (fault === undefined) continue
    // it was reached by a question a moment ago: once may be the network
    if (hopeless || end === 'timeout' || (end === 'unreachable' && attempt > 0)) throw fault
  }
}

/** @throws MkisoError, where the site does not take a study that is incomplete */
async function giveUp (held: HeldStudy, outcomes: readonly FetchOutcome[], options: FetchStudyOptions): Promise<Fetched> {
  held.seal()
  const verdict = judge(held.evidence(true))
  if (verdict.kind === 'complete') {
    // the last of it has come since it was judged
    await held.drop(verdict.foreign)
    return { missing: 0 }
  }
  const fault = await faultOf(held, verdict, outcomes, options)
  held.unlearnMarks()
  if (options.allowIncomplete) await held.drop(verdict.foreign)
  if (fault.code !== 'INCOMPLETE_RETRIEVAL' || !options.allowIncomplete || held.files.size === 0) throw fault
  options.log.warn({ study: held.studyInstanceUid, received: held.files.size, detail: fault.detail },
    'images are missing; a disc may be made all the same, as disc.allow_incomplete says, a print may not')
  return { missing: missingOf(verdict) }
}

async function faultOf (held: HeldStudy, verdict: Verdict, outcomes: readonly FetchOutcome[], { session, archive, isDiskFull }: FetchStudyOptions): Promise<MkisoError> {
  if (await isDiskFull()) return new MkisoError('INSUFFICIENT_DISK_SPACE', 'iso.temp_dir is full')
  const turnedAway = session.turnedAway()
  const failures = outcomes.filter(({ fault }) => fault !== undefined)
  if (held.files.size === 0) {
    const sent = outcomes.reduce((sum, outcome) => sum + outcome.sent, 0)
    const refused = (why: string): MkisoError =>
      new MkisoError('PACS_REFUSED_MOVE', `${archive.name}: ${why}; register AE title ${session.destination}, at the PACS, and check that the port can be reached from there`)
    if (turnedAway !== undefined) return refused(`nothing arrived, and ${turnedAway}`)
    const [failure] = failures
    if (failure?.fault !== undefined) return failure.fault
    if (sent > 0) return refused(`it reports ${sent} images as sent, but none arrived: the AE title leads to another machine or port`)
  }
  return new MkisoError('INCOMPLETE_RETRIEVAL', [numbersOf(held.study, verdict), ...reasonsOf(held, verdict), ...failures.slice(0, 1).map(({ reason }) => reason),
    ...(turnedAway === undefined ? [] : [turnedAway])].join('; '))
}

function numbersOf ({ accessionNumber }: Study, verdict: Verdict): string {
  if (verdict.kind === 'complete') throw new Error('a study that is complete lacks nothing')
  if (verdict.kind === 'unprovable') return `${verdict.received} images of accession number ${accessionNumber} arrived, and nobody can tell whether that is all: ${verdict.why}`
  return `${verdict.received} of ${verdict.expected} images of accession number ${accessionNumber} arrived`
}

/** So many reasons stand in a message. */
const MOST_REASONS = 3

function reasonsOf (held: HeldStudy, verdict: Verdict): string[] {
  const says = verdict.kind === 'missing' || verdict.kind === 'contradiction' ? verdict.says : []
  const cut = [...held.brokenOff].map(([uid, reason]) => `SOP Instance UID ${uid}: ${reason}`)
  return [...says.slice(0, MOST_REASONS), ...cut.slice(0, MOST_REASONS)]
}
