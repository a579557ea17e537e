/** From accession numbers to studies: C-FIND STUDY, then SERIES, then IMAGE, each with how far its list can be trusted. */
import type { Answer, Answers } from '../../dcmtk/findscu.ts'
import type { Instance, Series, Study } from '../../dicom/study.ts'
import { MkisoError } from '../../errors.ts'
import type { Asking } from '../archive.ts'
import {
  ACCESSION_NUMBER, MODALITIES_IN_STUDY, MODALITY, Questions, SERIES_INSTANCE_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID,
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
    const found = await Promise.all(accessionNumbers.map(async accessionNumber => await findByAccessionNumber(questions, accessionNumber)))
    const missing = accessionNumbers.filter((_, index) => found[index]?.length === 0)
    if (missing.length > 0) throw new MkisoError('NO_DICOM_DATA', `the PACS holds no study for ${missing.join(', ')}`)
    // one study can come twice, when a PACS keeps two accession numbers for it
    const studies = merged(found.flat(), studyKey, greaterStudy)
    const modalities = new Map<string, string[]>()
    for (const study of studies) {
      modalities.set(study.studyInstanceUid, [...modalities.get(study.studyInstanceUid) ?? [], ...study.modalities])
    }
    const lists = new Map(await Promise.all([...modalities].map(async ([studyInstanceUid, ofIt]) =>
      [studyInstanceUid, await findSeries(questions, studyInstanceUid, new Set(ofIt))] as const)))
    const complete = studies.map(({ modalities: _, ...study }): Study => ({ ...study, ...lists.get(study.studyInstanceUid) }))
    for (const { studyInstanceUid, series, seriesListing } of complete) {
      if (seriesListing !== 'cut') continue
      const fields = { pacs: context.pacs.name, study: studyInstanceUid, series: series.length }
      asking.log.warn(fields, 'the PACS cuts its list of series off (a limit of answers)')
    }
    // one of several that is empty may be another patient's, which says more
    const empty = accessionNumbers.filter(number => {
      const ofIt = complete.filter(({ accessionNumber }) => accessionNumber === number)
      return ofIt.length > 0 && ofIt.every(isEmpty)
    })
    if (empty.length > 0) throw new MkisoError('NO_DICOM_DATA', `the PACS holds no series of the study of ${empty.join(', ')}`)
    return complete
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
  const { studyInstanceUid } = study
  try {
    const series = await Promise.all(study.series.map(async one => only?.has(one.seriesInstanceUid) === false
      ? one
      : { ...one, ...await instancesOf(questions, studyInstanceUid, one.seriesInstanceUid) }))
    const asked = series.filter(({ seriesInstanceUid }) => only?.has(seriesInstanceUid) !== false)
    // an archive that answers nothing for any series knows no IMAGE level; where it answers for others, a series that it names nothing of is empty
    const without = asked.filter(({ listing }) => listing === 'none' || (listing === 'empty' && asked.every(one => one.listing === 'empty')))
    const cut = asked.filter(({ listing }) => listing === 'cut')
    const fields = { pacs: context.pacs.name, study: studyInstanceUid, series: asked.length }
    if (without.length > 0) {
      asking.log.warn({ ...fields, without_list: without.length },
        'the PACS does not answer IMAGE-level queries for every series: its counts judge there, not SOP Instance UIDs')
    }
    if (cut.length > 0) {
      asking.log.warn({ ...fields, cut: cut.length },
        'the PACS cuts its lists of instances off (a limit of answers): completeness is judged by its counts too')
    }
    return { ...study, series }
  } finally {
    questions.tellLeftOut()
  }
}

interface FoundStudy extends Study { modalities: readonly string[] }

/** A disc of it would look whole, and be empty. Where something counts its series, the list is wrong instead. */
function isEmpty ({ series, seriesListing, seriesCount = 0, instanceCount = 0 }: Study): boolean {
  return series.length === 0 && seriesListing === 'whole' && seriesCount === 0 && instanceCount === 0
}

async function findByAccessionNumber (questions: Questions, accessionNumber: string): Promise<FoundStudy[]> {
  // a PACS may match without regard to case, take a key for a pattern, or ignore it and answer with every study that it has: a study that
  // does not say that it has the accession number is not the one that was asked for
  const hasIt = (answer: Answer): boolean => answer.get(ACCESSION_NUMBER) === accessionNumber
  const result = await questions.ask('STUDY', { [ACCESSION_NUMBER]: accessionNumber }, hasIt)
  if (result.kind === 'refused') throw questions.refusal('STUDY', result)
  // of studies that it did not name nothing can be known, not even the patient
  if (result.end === 'limit') throw questions.cutOff('studies', result)
  return result.answers.map((answer): FoundStudy => studyOf(answer, accessionNumber))
}

function studyOf (answer: Answer, accessionNumber: string): FoundStudy {
  const text = (tag: string): string => answer.get(tag) ?? ''
  return {
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
    seriesCount: count(text('0020,1206')),
    instanceCount: count(text('0020,1208')),
    seriesListing: 'whole',
    series: [],
    modalities: text(MODALITIES_IN_STUDY).split('\\').map(one => one.trim()).filter(one => one !== '')
  }
}

function studyKey ({ studyInstanceUid, patient }: Study): string {
  const { patientId, issuerOfPatientId, patientName, birthDate, sex } = patient
  return JSON.stringify([studyInstanceUid, patientId, issuerOfPatientId, patientName, birthDate, sex])
}

/** Two answers that differ in their counts: the study has the greater, or it is told to be incomplete. */
function greaterStudy<T extends Study> (first: T, later: T): T {
  return {
    ...first,
    seriesCount: greater(first.seriesCount, later.seriesCount),
    instanceCount: greater(first.instanceCount, later.instanceCount)
  }
}

function greater (a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? a ?? b : Math.max(a, b)
}

type SeriesList = Pick<Study, 'series' | 'seriesListing'>

/** The series of a study. Where the list is cut off, it is asked for by modality, of which each has fewer. */
async function findSeries (questions: Questions, studyInstanceUid: string, modalities: ReadonlySet<string>): Promise<SeriesList> {
  const ofIt = (answer: Answer): boolean => agrees(answer, STUDY_INSTANCE_UID, studyInstanceUid)
  const ask = async (more: Record<string, string>): Promise<Answers | Refused> =>
    await questions.ask('SERIES', { [STUDY_INSTANCE_UID]: studyInstanceUid, ...more }, ofIt)
  const all = await ask({})
  if (all.kind === 'refused') throw questions.refusal('SERIES', all)
  const named = all.answers.map(seriesOf)
  if (all.end === 'success') return { series: merged(named, seriesKey, greaterSeries), seriesListing: 'whole' }
  const parts = await Promise.all([...modalities].map(async modality => await ask({ [MODALITY]: modality })))
  const byModality = parts.flatMap(part => part.kind === 'answers' ? part.answers.map(seriesOf) : [])
  const found = new Set(byModality.map(seriesKey))
  // what the whole question named and no part did, is of a modality that nobody asked for: then there may be more of them
  const allNamed = named.every(series => found.has(seriesKey(series)))
  const isWhole = parts.length > 0 && allNamed && parts.every(part => part.kind === 'answers' && part.end === 'success')
  return { series: merged([...named, ...byModality], seriesKey, greaterSeries), seriesListing: isWhole ? 'whole' : 'cut' }
}

function seriesOf (answer: Answer): Series {
  return {
    seriesInstanceUid: answer.get(SERIES_INSTANCE_UID) ?? '',
    modality: answer.get(MODALITY) ?? '',
    seriesNumber: number(answer.get('0020,0011')),
    seriesDescription: answer.get('0008,103e') ?? '',
    instanceCount: count(answer.get('0020,1209')),
    listing: 'none',
    instances: []
  }
}

function seriesKey ({ seriesInstanceUid }: Series): string {
  return seriesInstanceUid
}

function greaterSeries (first: Series, later: Series): Series {
  return { ...first, instanceCount: greater(first.instanceCount, later.instanceCount) }
}

type InstanceList = Pick<Series, 'listing' | 'instances'>

async function instancesOf (questions: Questions, studyInstanceUid: string, seriesInstanceUid: string): Promise<InstanceList> {
  // some PACS ignore the series, and answer each time with every instance of the study
  const ofIt = (answer: Answer): boolean =>
    agrees(answer, STUDY_INSTANCE_UID, studyInstanceUid) && agrees(answer, SERIES_INSTANCE_UID, seriesInstanceUid)
  const result = await questions.ask('IMAGE', { [STUDY_INSTANCE_UID]: studyInstanceUid, [SERIES_INSTANCE_UID]: seriesInstanceUid }, ofIt)
  if (result.kind === 'refused') return { listing: 'none', instances: [] }
  const instances = merged(result.answers.map(instanceOf), ({ sopInstanceUid }) => sopInstanceUid, first => first)
  if (result.end === 'limit') return { listing: 'cut', instances }
  // nothing at all, with success, is what an archive without this level says
  return { listing: instances.length === 0 ? 'empty' : 'whole', instances }
}

function instanceOf (answer: Answer): Instance {
  return { sopInstanceUid: answer.get(SOP_INSTANCE_UID) ?? '', sopClassUid: '', instanceNumber: number(answer.get('0020,0013')) }
}

/** An attribute that a PACS leaves out says nothing; one that differs means another object. */
function agrees (answer: Answer, tag: string, uid: string): boolean {
  const value = answer.get(tag) ?? ''
  return value === '' || value === uid
}

/** An IS value, or undefined; Horos writes `1.0` (measured). */
function number (text: string | undefined): number | undefined {
  const digits = /^([+-]?\d{1,12})(?:\.0*)?$/.exec(text?.trim() ?? '')?.[1]
  return digits === undefined ? undefined : Number(digits)
}

function count (text: string | undefined): number | undefined {
  const counted = number(text)
  return counted === undefined || counted < 0 ? undefined : counted
}

/** The first of each key, with what the later ones add to it. */
function merged<T> (all: readonly T[], keyOf: (one: T) => string, add: (first: T, later: T) => T): T[] {
  const kept = new Map<string, T>()
  for (const one of all) {
    const key = keyOf(one)
    const first = kept.get(key)
    kept.set(key, first === undefined ? one : add(first, one))
  }
  return [...kept.values()]
}
