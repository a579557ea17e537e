/** From accession numbers to studies: C-FIND STUDY, then SERIES, then IMAGE, each with how far its list can be trusted. */
import type { Answer, Answers } from '../../dcmtk/findscu.ts'
import type { Instance, Series, Study } from '../../dicom/study.ts'
import type { Asking, FoundStudies } from '../archive.ts'
import { checkSearch, dateRange, enoughFor, isFound, type StudySearch } from '../study-search.ts'
import {
  agrees, bodyPart, count, foundStudy, instanceList, mergedSeries, MOST_SERIES, MOST_STUDIES, number, studiesOf, withInstances, type FoundStudy, type InstanceList, type SeriesList
} from '../answered.ts'
import {
  ACCESSION_NUMBER, BODY_PART_EXAMINED, MODALITIES_IN_STUDY, MODALITY, Questions, SERIES_INSTANCE_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID,
  type FindContext, type Refused
} from './questions.ts'

export type { FindContext } from './questions.ts'

/**
 * Reads the studies of accession numbers, down to their series. A study that is answered for two patients is there twice.
 * @throws MkisoError NO_DICOM_DATA when the PACS holds no study for one of them, or only studies without series; PACS_UNREACHABLE,
 * PACS_REFUSED, PACS_TIMEOUT, TOO_MANY_CONCURRENT
 * @throws the signal's reason
 */
export async function findStudies (context: FindContext, accessionNumbers: readonly string[], asking: Asking): Promise<Study[]> {
  const questions = new Questions(context, asking, context.pacs.queueTimeoutMs)
  try {
    return await studiesOf(accessionNumbers, {
      studies: async accessionNumber => await findByAccessionNumber(questions, accessionNumber),
      series: async answers => await findSeries(questions, answers)
    }, { name: context.pacs.name, log: asking.log })
  } finally {
    questions.tellLeftOut()
  }
}

/**
 * Adds the list of the instances of each series; `only` limits it to some series, the others stay as they are.
 * @throws MkisoError PACS_UNREACHABLE, PACS_REFUSED where it answers without end, PACS_TIMEOUT, TOO_MANY_CONCURRENT
 * @throws the signal's reason
 */
export async function listInstances (context: FindContext, study: Study, asking: Asking, only?: ReadonlySet<string>): Promise<Study> {
  const questions = new Questions(context, asking, undefined)
  try {
    const ask = async ({ seriesInstanceUid }: Series): Promise<InstanceList> => await instancesOf(questions, study.studyInstanceUid, seriesInstanceUid)
    return await withInstances(study, only, ask, { name: context.pacs.name, log: asking.log })
  } finally {
    questions.tellLeftOut()
  }
}

async function findByAccessionNumber (questions: Questions, accessionNumber: string): Promise<FoundStudy[]> {
  // a PACS may match without regard to case, take a key for a pattern, or ignore it and answer with every study that it has: a study that
  // does not say that it has the accession number is not the one that was asked for
  const hasIt = (answer: Answer): boolean => answer.get(ACCESSION_NUMBER) === accessionNumber
  const result = await questions.ask('STUDY', { [ACCESSION_NUMBER]: accessionNumber }, hasIt, { mostWanted: MOST_STUDIES })
  if (result.kind === 'refused') throw questions.refusal('STUDY', result)
  // of studies that it did not name nothing can be known, not even the patient
  if (result.end === 'limit') throw questions.cutOff('studies', result)
  return result.answers.map((answer): FoundStudy => studyOf(answer, accessionNumber))
}

/** @throws as Archive.search */
export async function searchStudies (context: FindContext, search: StudySearch, asking: Asking): Promise<FoundStudies> {
  checkSearch(search)
  const questions = new Questions(context, asking, context.pacs.queueTimeoutMs)
  try {
    const { patientId, accessionNumber, namePattern } = search
    const keys = { '0010,0020': patientId, '0010,0010': namePattern, [ACCESSION_NUMBER]: accessionNumber, '0008,0020': dateRange(search) }
    const matching = Object.fromEntries(Object.entries(keys).flatMap(([tag, value]) => value === undefined || value === '' ? [] : [[tag, value]]))
    const found = (answer: Answer): FoundStudy => studyOf(answer, answer.get(ACCESSION_NUMBER) ?? '')
    const isMeant = (answer: Answer): boolean => isFound(search, found(answer))
    const atMost = enoughFor(search)
    // that a pattern finds more than is meant is no fault of the archive
    const result = await questions.ask('STUDY', matching, namePattern === undefined ? isMeant : () => true, { atMost })
    if (result.kind === 'refused') throw questions.refusal('STUDY', result)
    const isEnough = atMost !== undefined && result.answers.length + result.unwanted >= atMost
    return { studies: result.answers.filter(isMeant).map(found), cut: result.end === 'limit' || isEnough }
  } finally {
    questions.tellLeftOut()
  }
}

function studyOf (answer: Answer, accessionNumber: string): FoundStudy {
  const text = (tag: string): string => answer.get(tag) ?? ''
  return foundStudy({
    studyInstanceUid: text(STUDY_INSTANCE_UID),
    accessionNumber,
    patient: {
      patientId: text('0010,0020'),
      issuerOfPatientId: text('0010,0021'),
      patientName: text('0010,0010'),
      birthDate: text('0010,0030'),
      sex: text('0010,0040')
    },
    studyDate: text('0008,0020'),
    studyTime: text('0008,0030'),
    studyDescription: text('0008,1030'),
    studyId: text('0020,0010'),
    seriesCount: text('0020,1206'),
    instanceCount: text('0020,1208'),
    modalities: text(MODALITIES_IN_STUDY).split('\\')
  })
}

/** The series of a study. Where the list is cut off, it is asked for by modality, of which each has fewer. */
async function findSeries (questions: Questions, answers: readonly FoundStudy[]): Promise<SeriesList> {
  const studyInstanceUid = answers[0]?.studyInstanceUid ?? ''
  const modalities = new Set(answers.flatMap(one => one.modalities))
  const ofIt = (answer: Answer): boolean => agrees(answer.get(STUDY_INSTANCE_UID), studyInstanceUid)
  const ask = async (more: Record<string, string>): Promise<Answers | Refused> =>
    await questions.ask('SERIES', { [STUDY_INSTANCE_UID]: studyInstanceUid, ...more }, ofIt, { mostWanted: MOST_SERIES })
  const all = await ask({})
  if (all.kind === 'refused') throw questions.refusal('SERIES', all)
  const named = all.answers.map(seriesOf)
  if (all.end === 'success') return { series: mergedSeries(named), seriesListing: 'whole' }
  const parts = await Promise.all([...modalities].map(async modality => await ask({ [MODALITY]: modality })))
  const byModality = parts.flatMap(part => part.kind === 'answers' ? part.answers.map(seriesOf) : [])
  const found = new Set(byModality.map(({ seriesInstanceUid }) => seriesInstanceUid))
  // what the whole question named and no part did, is of a modality that nobody asked for: then there may be more of them
  const allNamed = named.every(({ seriesInstanceUid }) => found.has(seriesInstanceUid))
  const isWhole = parts.length > 0 && allNamed && parts.every(part => part.kind === 'answers' && part.end === 'success')
  return { series: mergedSeries([...named, ...byModality]), seriesListing: isWhole ? 'whole' : 'cut' }
}

function seriesOf (answer: Answer): Series {
  return {
    seriesInstanceUid: answer.get(SERIES_INSTANCE_UID) ?? '',
    modality: answer.get(MODALITY) ?? '',
    seriesNumber: number(answer.get('0020,0011')),
    seriesDescription: answer.get('0008,103e') ?? '',
    bodyPartExamined: bodyPart(answer.get(BODY_PART_EXAMINED)),
    instanceCount: count(answer.get('0020,1209')),
    listing: 'none',
    instances: []
  }
}

async function instancesOf (questions: Questions, studyInstanceUid: string, seriesInstanceUid: string): Promise<InstanceList> {
  // some PACS ignore the series, and answer each time with every instance of the study
  const ofIt = (answer: Answer): boolean =>
    agrees(answer.get(STUDY_INSTANCE_UID), studyInstanceUid) && agrees(answer.get(SERIES_INSTANCE_UID), seriesInstanceUid)
  const result = await questions.ask('IMAGE', { [STUDY_INSTANCE_UID]: studyInstanceUid, [SERIES_INSTANCE_UID]: seriesInstanceUid }, ofIt)
  if (result.kind === 'refused') return { listing: 'none', instances: [] }
  return instanceList(result.answers.map(instanceOf), result.end === 'limit' ? 'cut' : 'whole')
}

function instanceOf (answer: Answer): Instance {
  return { sopInstanceUid: answer.get(SOP_INSTANCE_UID) ?? '', sopClassUid: '', instanceNumber: number(answer.get('0020,0013')) }
}
