/** From accession numbers to studies: QIDO-RS for studies, series and instances (PS3.18 10.6), each with how far its list can be trusted. */
import pLimit from 'p-limit'
import { isUid, type Instance, type Series, type Study } from '../../dicom/study.ts'
import { MkisoError } from '../../errors.ts'
import { agrees, bodyPart, count, foundStudy, instanceList, mergedSeries, number, studiesOf, studyKey, withInstances, type FoundStudy, type InstanceList, type SeriesList } from '../answered.ts'
import type { Asking, FoundStudies } from '../archive.ts'
import { checkSearch, dateRange, enoughFor, isFound, type StudySearch } from '../study-search.ts'
import type { JsonAnswer } from './json-answer.ts'
import type { Refused } from './refusal.ts'
import { askServer, search, type List, type Search, type SearchContext } from './search.ts'

const STUDY_INSTANCE_UID = '0020000D'
const SERIES_INSTANCE_UID = '0020000E'
const SOP_INSTANCE_UID = '00080018'
const ACCESSION_NUMBER = '00080050'
const MODALITY = '00080060'
const BODY_PART_EXAMINED = '00180015'

/** Requests at the server at the same time, for one request of ours. */
const QUESTIONS_AT_ONCE = 4

/**
 * What is asked for beside what a server answers in any case (PS3.18 Tables 10.6.3-3 to 10.6.3-5); some refuse a question for what they do not know.
 * (0010,0021), (0008,1030), the counts; (0008,103E), (0020,1209).
 */
const FIELDS = {
  studies: ['00100021', '00081030', '00080061', '00201206', '00201208'],
  series: ['0008103E', '00201209'],
  instances: []
} as const satisfies Record<string, readonly string[]>

type Level = keyof typeof FIELDS

/** What some requests only ask for (Asking.bodyParts). A server that refuses it is asked for the others without: its counts are witnesses. */
const BODY_PARTS: Partial<Record<Level, readonly string[]>> = { series: [BODY_PART_EXAMINED] }

/** What a server takes beside the question: everything that is wished, the usual, nothing. What it has refused is not asked for again. */
type Wishes = 'all' | 'usual' | 'none'

export class DicomwebFind {
  readonly #context: SearchContext
  /** What the server takes of our wishes at a level. */
  readonly #takes = new Map<Level, Wishes>()

  constructor (context: SearchContext) {
    this.#context = context
  }

  /** @throws as Archive.findStudies */
  async findStudies (accessionNumbers: readonly string[], asking: Asking): Promise<Study[]> {
    const questions = new Questions(this.#context, this.#takes, asking, this.#server.queueTimeoutMs)
    try {
      return await studiesOf(accessionNumbers, {
        studies: async accessionNumber => await studiesByNumber(questions, accessionNumber),
        series: async answers => await seriesOf(questions, answers)
      }, { name: this.#server.name, log: asking.log })
    } finally { questions.tellLeftOut() }
  }

  /** @throws as Archive.search */
  async search (search: StudySearch, asking: Asking): Promise<FoundStudies> {
    checkSearch(search)
    const questions = new Questions(this.#context, this.#takes, asking, this.#server.queueTimeoutMs)
    try {
      return await studiesBySearch(questions, search)
    } finally { questions.tellLeftOut() }
  }

  /** @throws as Archive.listInstances */
  async listInstances (study: Study, asking: Asking, only?: ReadonlySet<string>): Promise<Study> {
    const questions = new Questions(this.#context, this.#takes, asking, undefined)
    try {
      return await withInstances(study, only, async series => await instancesOf(questions, study.studyInstanceUid, series), { name: this.#server.name, log: asking.log })
    } finally { questions.tellLeftOut() }
  }

  get #server () { return this.#context.connection.server }
}

type Found = (List & { unwanted: number }) | Refused

/** The questions of one request: a few at a time; what was wrong with the answers is said once. */
class Questions {
  readonly #context: SearchContext
  readonly #takes: Map<Level, Wishes>
  readonly #asking: Asking
  readonly #queueTimeoutMs: number | undefined
  readonly #atOnce = pLimit(QUESTIONS_AT_ONCE)
  #unwanted = 0
  #withoutUid = 0

  constructor (context: SearchContext, takes: Map<Level, Wishes>, asking: Asking, queueTimeoutMs: number | undefined) {
    this.#context = context
    this.#takes = takes
    this.#asking = asking
    this.#queueTimeoutMs = queueTimeoutMs
  }

  get name (): string { return this.#context.connection.server.name }
  get log (): Asking['log'] { return this.#asking.log }

  /**
   * @param uidTag without a UID in it an answer cannot be told from others: the list is not believed to be whole
   * @param wanted false for an answer that was not asked for
   */
  async ask (level: Level, question: Omit<Search, 'queueTimeoutMs'> & { uidTag: string, wanted: (answer: JsonAnswer) => boolean }): Promise<Found> {
    const { uidTag, wanted } = question
    const sets = this.#fieldSets(level)
    let result = await this.#search(question, sets[0]?.fields ?? [])
    for (const { takes, fields } of sets.slice(1)) {
      if (result.kind !== 'refused' || result.status !== 400) break
      result = await this.#search(question, fields)
      if (result.kind === 'list') this.#takes.set(level, takes)
    }
    if (result.kind === 'refused') return result
    const answers = result.answers.filter(wanted)
    const named = answers.filter(answer => isUid(answer.text(uidTag)))
    const unwanted = result.answers.length - answers.length
    this.#unwanted += unwanted
    this.#withoutUid += answers.length - named.length
    return { ...result, answers: named, unwanted, end: result.end === 'whole' && named.length < answers.length ? 'unsteady' : result.end }
  }

  /** Whether it answers to any question at all. */
  async knowsStudies (): Promise<boolean> {
    const any = await this.#atOnce(async () => await askServer(this.#context, '/studies?limit=1', this.#asking, this.#queueTimeoutMs))
    return any.kind === 'page'
  }

  /** One line for all answers that were left out. */
  tellLeftOut (): void {
    const { name, log } = this
    if (this.#unwanted > 0) log.warn({ pacs: name, answers: this.#unwanted }, 'the PACS answered with what was not asked for (another accession number, study or series); it is left out')
    if (this.#withoutUid > 0) log.warn({ pacs: name, answers: this.#withoutUid }, 'the PACS answered with a UID that is none, or without one; it is left out')
  }

  /** What it is asked for, and then, where it refuses that; the last is what it answers in any case. */
  #fieldSets (level: Level): Array<{ takes: Wishes, fields: readonly string[] }> {
    const takes = this.#takes.get(level) ?? 'all'
    const usual = FIELDS[level]
    const bodyParts = this.#asking.bodyParts === true ? BODY_PARTS[level] ?? [] : []
    return [
      ...takes === 'all' && bodyParts.length > 0 ? [{ takes: 'all' as const, fields: [...usual, ...bodyParts] }] : [],
      ...takes !== 'none' && usual.length > 0 ? [{ takes: 'usual' as const, fields: usual }] : [],
      { takes: 'none', fields: [] }
    ]
  }

  async #search (question: Omit<Search, 'queueTimeoutMs'>, fields: readonly string[]): Promise<List | Refused> {
    const query = [...question.query, ...fields.map(tag => `includefield=${tag}`)]
    return await this.#atOnce(async () => await search(this.#context, { ...question, query, queueTimeoutMs: this.#queueTimeoutMs }, this.#asking))
  }
}

async function studiesByNumber (questions: Questions, accessionNumber: string): Promise<FoundStudy[]> {
  // a server may match without regard to case, or ignore the key and answer with every study that it has
  const wanted = (answer: JsonAnswer): boolean => answer.text(ACCESSION_NUMBER) === accessionNumber
  const keyOf = (answer: JsonAnswer): string | undefined => isUid(answer.text(STUDY_INSTANCE_UID)) ? studyKey(studyOf(answer, accessionNumber)) : undefined
  const result = await questions.ask('studies', { path: '/studies', query: [`AccessionNumber=${encodeURIComponent(accessionNumber)}`], keyOf, uidTag: STUDY_INSTANCE_UID, wanted })
  if (result.kind === 'refused') {
    // nothing found, or the wrong address, which must not look like it
    if (result.status === 404 && await questions.knowsStudies()) return []
    throw result.fault
  }
  const { end, answers, unwanted } = result
  // of studies that it did not name nothing can be known, not even the patient
  if (end === 'whole') return answers.map(answer => studyOf(answer, accessionNumber))
  // one that ignores the offset, and answered what it was asked for, with fewer than it may, says as much as the success of a C-FIND
  if (end === 'repeats' && unwanted === 0) {
    questions.log.warn({ pacs: questions.name }, 'the PACS ignores the offset of a question for studies: a limit of its answers would not be seen')
    return answers.map(answer => studyOf(answer, accessionNumber))
  }
  throw new MkisoError('PACS_REFUSED', `${questions.name} ${WHY[end]} its list of studies for an accession number: raise its limit of answers (Orthanc: LimitFindResults), index the Accession Number there`)
}

async function studiesBySearch (questions: Questions, search: StudySearch): Promise<FoundStudies> {
  const { patientId, accessionNumber, namePattern } = search
  const keys = { PatientID: patientId, PatientName: namePattern, AccessionNumber: accessionNumber, StudyDate: dateRange(search) }
  const query = Object.entries(keys).flatMap(([name, value]) => value === undefined || value === '' ? [] : [`${name}=${encodeURIComponent(value)}`])
  const found = (answer: JsonAnswer): FoundStudy => studyOf(answer, answer.text(ACCESSION_NUMBER))
  const keyOf = (answer: JsonAnswer): string | undefined => isUid(answer.text(STUDY_INSTANCE_UID)) ? studyKey(found(answer)) : undefined
  const isMeant = (answer: JsonAnswer): boolean => isFound(search, found(answer))
  // that a pattern finds more than is meant is no fault of the archive
  const wanted = namePattern === undefined ? isMeant : () => true
  const result = await questions.ask('studies', { path: '/studies', query, keyOf, uidTag: STUDY_INSTANCE_UID, wanted, atMost: enoughFor(search) })
  if (result.kind === 'refused') {
    if (result.status === 404 && await questions.knowsStudies()) return { studies: [], cut: false }
    throw result.fault
  }
  const asciiOnly = namePattern?.replace(/[^\p{ASCII}]+/gu, '*')
  if (result.answers.length === 0 && asciiOnly !== namePattern) {
    // Orthanc with the plugin 1.7 does not decode what a URL must encode, and finds nothing (measured): it is asked for the rest, and the answers are compared
    return await studiesBySearch(questions, { ...search, namePattern: asciiOnly })
  }
  return { studies: result.answers.filter(isMeant).map(found), cut: result.end !== 'whole' && !(result.end === 'repeats' && result.unwanted === 0) }
}

const WHY = { told: 'cut off', unsteady: 'contradicts itself in', repeats: 'ignores what is asked for, and the offset, in' } as const

function studyOf (answer: JsonAnswer, accessionNumber: string): FoundStudy {
  return foundStudy({
    studyInstanceUid: answer.text(STUDY_INSTANCE_UID),
    accessionNumber,
    patient: {
      patientId: answer.text('00100020'),
      issuerOfPatientId: answer.text('00100021'),
      patientName: answer.text('00100010'),
      birthDate: answer.text('00100030'),
      sex: answer.text('00100040')
    },
    studyDate: answer.text('00080020'),
    studyTime: answer.text('00080030'),
    studyDescription: answer.text('00081030'),
    studyId: answer.text('00200010'),
    seriesCount: answer.text('00201206'),
    instanceCount: answer.text('00201208'),
    modalities: answer.texts('00080061')
  })
}

async function seriesOf (questions: Questions, answers: readonly FoundStudy[]): Promise<SeriesList> {
  const studyInstanceUid = answers[0]?.studyInstanceUid ?? ''
  const counts = new Set(answers.map(({ seriesCount }) => seriesCount))
  const result = await questions.ask('series', {
    path: `/studies/${encodeURIComponent(studyInstanceUid)}/series`,
    query: [],
    keyOf: answer => uidIn(answer, SERIES_INSTANCE_UID),
    uidTag: SERIES_INSTANCE_UID,
    expected: counts.size === 1 ? [...counts][0] : undefined,
    wanted: answer => agrees(answer.text(STUDY_INSTANCE_UID), studyInstanceUid)
  })
  if (result.kind === 'refused') throw result.fault
  const series = mergedSeries(result.answers.map((answer): Series => ({
    seriesInstanceUid: answer.text(SERIES_INSTANCE_UID),
    modality: answer.text(MODALITY),
    seriesNumber: number(answer.text('00200011')),
    seriesDescription: answer.text('0008103E'),
    bodyPartExamined: bodyPart(answer.texts(BODY_PART_EXAMINED).join('\\')),
    instanceCount: count(answer.text('00201209')),
    listing: 'none',
    instances: []
  })))
  return { series, seriesListing: result.end === 'whole' ? 'whole' : 'cut' }
}

async function instancesOf (questions: Questions, studyInstanceUid: string, { seriesInstanceUid, instanceCount }: Series): Promise<InstanceList> {
  const result = await questions.ask('instances', {
    path: `/studies/${encodeURIComponent(studyInstanceUid)}/series/${encodeURIComponent(seriesInstanceUid)}/instances`,
    query: [],
    keyOf: answer => uidIn(answer, SOP_INSTANCE_UID),
    uidTag: SOP_INSTANCE_UID,
    expected: instanceCount,
    // some ignore the series, and answer each time with every instance of the study
    wanted: answer => agrees(answer.text(STUDY_INSTANCE_UID), studyInstanceUid) && agrees(answer.text(SERIES_INSTANCE_UID), seriesInstanceUid)
  })
  if (result.kind === 'refused') return { listing: 'none', instances: [] }
  const instances = result.answers.map((answer): Instance => ({ sopInstanceUid: answer.text(SOP_INSTANCE_UID), sopClassUid: '', instanceNumber: number(answer.text('00200013')) }))
  return instanceList(instances, result.end === 'whole' ? 'whole' : 'cut')
}

function uidIn (answer: JsonAnswer, tag: string): string | undefined {
  const uid = answer.text(tag)
  return isUid(uid) ? uid : undefined
}
