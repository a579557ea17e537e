/** The questions of one request to a PACS: a few at a time, each in its turn; what was wrong with the answers is said once. */
import pLimit from 'p-limit'
import { findscu, type Answer, type Answers, type FindResult, type Query, type QueryLevel } from '../../dcmtk/findscu.ts'
import type { ToolContext } from '../../dcmtk/peer.ts'
import { isUid } from '../../dicom/study.ts'
import { MkisoError } from '../../errors.ts'
import type { Asking } from '../archive.ts'
import type { AssociationLimit } from './association-limit.ts'
import { inTurn } from './busy.ts'
import { pacsFault, type Pacs } from './pacs.ts'

export interface FindContext extends ToolContext {
  pacs: Pacs
  callingAeTitle: string
  /** A folder for the answers, for as long as they are read. */
  tempDir: string
  limit: AssociationLimit
}

export type Refused = FindResult & { kind: 'refused' }

/** Queries at the PACS at the same time, for one request. */
const QUERIES_AT_ONCE = 4

export const ACCESSION_NUMBER = '0008,0050'
export const STUDY_INSTANCE_UID = '0020,000d'
export const SERIES_INSTANCE_UID = '0020,000e'
export const SOP_INSTANCE_UID = '0008,0018'
export const MODALITIES_IN_STUDY = '0008,0061'
export const MODALITY = '0008,0060'
export const BODY_PART_EXAMINED = '0018,0015'

interface LevelKeys {
  /** Its value must be a UID. */
  unique: string
  /** What an archive must know at the level (PS3.4 C.6.2.1). */
  required: readonly string[]
  /** What we ask for beside it; some archives refuse a query for a key that they do not know. */
  optional: readonly string[]
  /** What some requests only ask for (Asking.bodyParts). An archive that refuses it is asked for the others without: its counts are witnesses. */
  bodyParts?: readonly string[]
}

const KEYS: Record<QueryLevel, LevelKeys> = {
  STUDY: {
    unique: STUDY_INSTANCE_UID,
    required: ['0008,0020', '0008,0030', ACCESSION_NUMBER, '0010,0010', '0010,0020', '0020,0010'],
    optional: ['0010,0021', '0010,0030', '0010,0040', '0008,1030', MODALITIES_IN_STUDY, '0020,1206', '0020,1208']
  },
  SERIES: { unique: SERIES_INSTANCE_UID, required: [MODALITY, '0020,0011'], optional: ['0008,103e', '0020,1209'], bodyParts: [BODY_PART_EXAMINED] },
  // the SOP class is not asked for: Orthanc opens every file for it, and gives the query up at one that it cannot open (measured)
  IMAGE: { unique: SOP_INSTANCE_UID, required: [], optional: ['0020,0013'] }
}

/** What an administrator has to look at where an archive answers with what it was not asked for. */
const MATCHED: Record<QueryLevel, string> = { STUDY: 'Accession Number (0008,0050)', SERIES: 'Study Instance UID (0020,000D)', IMAGE: 'Series Instance UID (0020,000E)' }

/** As {@link Query}'s. */
export type AnswerBounds = Pick<Query, 'mostWanted' | 'atMost'>

export class Questions {
  readonly #context: FindContext
  readonly #asking: Asking
  readonly #queueTimeoutMs: number | undefined
  readonly #atOnce = pLimit(QUERIES_AT_ONCE)
  /** How many of the sets of keys the PACS refuses at a level, from the longest on. */
  readonly #refused = new Map<QueryLevel, number>()
  #unwanted = 0
  #withoutUid = 0

  /** @param queueTimeoutMs as {@link inTurn} */
  constructor (context: FindContext, asking: Asking, queueTimeoutMs: number | undefined) {
    this.#context = { ...context, log: asking.log }
    this.#asking = asking
    this.#queueTimeoutMs = queueTimeoutMs
  }

  /**
   * @param matching tags and the values that must match
   * @param wanted false for an answer that was not asked for
   * @param bounds of the answers, as {@link Query}'s
   * @throws MkisoError PACS_UNREACHABLE, PACS_TIMEOUT, TOO_MANY_CONCURRENT; PACS_REFUSED for more answers than anybody reads
   * @throws the signal's reason
   */
  async ask (level: QueryLevel, matching: Record<string, string>, wanted: (answer: Answer) => boolean, bounds: AnswerBounds = {}): Promise<Answers | Refused> {
    const { unique, required, optional, bodyParts = [] } = KEYS[level]
    const keys = (tags: readonly string[]): Record<string, string> =>
      ({ ...Object.fromEntries([unique, ...tags].map(tag => [tag, ''])), ...matching })
    const usual = [[...required, ...optional], required]
    const sets = this.#asking.bodyParts === true && bodyParts.length > 0 ? [[...required, ...optional, ...bodyParts], ...usual] : usual
    let refusal: Refused | undefined
    for (const [refused, tags] of [...sets.entries()].slice(this.#refused.get(level) ?? 0)) {
      const result = await this.#once(level, keys(tags), wanted, bounds)
      if (result.kind === 'answers') {
        this.#refused.set(level, refused)
        return result
      }
      refusal = result
    }
    if (refusal === undefined) throw new Error('nothing was asked')
    return refusal
  }

  /** The error that a refused query is. */
  refusal (level: QueryLevel, { status, reason }: Refused): MkisoError {
    const { pacs, callingAeTitle } = this.#context
    const advice = `allow the AE title ${callingAeTitle} to query at the PACS`
    return new MkisoError('PACS_REFUSED', `${pacs.name}: C-FIND at ${level} level: ${status} (${reason}); ${advice}`)
  }

  /** The error that a list is where nothing can be made of a part of it. */
  cutOff (what: 'studies', { answers, unwanted, status }: Answers): MkisoError {
    const { name } = this.#context.pacs
    const cut = `${name} cut its answer off after ${answers.length + unwanted} ${what} (status ${status})`
    return new MkisoError('PACS_REFUSED', `${cut}: raise its limit of answers (Orthanc: LimitFindResults)`)
  }

  /** One line for all answers that were left out. */
  tellLeftOut (): void {
    const { log } = this.#asking
    const pacs = this.#context.pacs.name
    if (this.#unwanted > 0) {
      log.warn({ pacs, answers: this.#unwanted },
        'the PACS answered with what was not asked for (another accession number, study or series); it is left out')
    }
    if (this.#withoutUid > 0) {
      log.warn({ pacs, answers: this.#withoutUid }, 'the PACS answered with a UID that is none, or without one; it is left out')
    }
  }

  async #once (level: QueryLevel, keys: Record<string, string>, wanted: (answer: Answer) => boolean, bounds: AnswerBounds): Promise<Answers | Refused> {
    const { pacs, callingAeTitle, tempDir, limit } = this.#context
    const { signal, log } = this.#asking
    const query = { level, keys, callingAeTitle, timeoutMs: pacs.findTimeoutMs, tempDir, signal, wanted, ...bounds }
    const result = await this.#atOnce(async () => await inTurn('query', async () => await findscu(this.#context, pacs, query), {
      limit, pacs, signal, log, queueTimeoutMs: this.#queueTimeoutMs
    }))
    switch (result.kind) {
      case 'answers': return this.#withUids(level, result)
      case 'refused': return result
      case 'too-many': throw new MkisoError('PACS_REFUSED', `${pacs.name} gives more than ${result.most} answers to C-FIND at ${level} level: ${result.matching
        ? `all of them match, and that is more than is put on discs; correct ${MATCHED[level]} of those that do not belong there`
        : `it seems to ignore what is asked for; let it match by ${MATCHED[level]}`}`)
      case 'too-long': throw new MkisoError('PACS_REFUSED',
        `${pacs.name}: C-FIND at ${level} level: ${result.reason}, which is more than is read; let it match by ${MATCHED[level]}, and answer with the attributes only that it is asked for`)
      case 'timeout': throw new MkisoError('PACS_TIMEOUT', `${pacs.name}: no answer to C-FIND at ${level} level within ${pacs.findTimeoutMs / 1_000} s`)
      case 'no-association': throw pacsFault(pacs, callingAeTitle, result.fault)
    }
  }

  #withUids (level: QueryLevel, result: Answers): Answers {
    const answers = result.answers.filter(answer => isUid(answer.get(KEYS[level].unique) ?? ''))
    this.#unwanted += result.unwanted
    this.#withoutUid += result.answers.length - answers.length
    return { ...result, answers }
  }
}
