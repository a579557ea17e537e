/**
 * What every archive's answers mean, whatever it speaks: which of them are of what was asked, how two that name one thing become one, and when there is
 * nothing to be had. Each protocol asks in its own way and builds on this.
 */
import { isEmptyStudy, type Instance, type Series, type Study } from '../dicom/study.ts'
import { MkisoError } from '../errors.ts'
import type { Log } from '../process.ts'

/** A study as it was answered, with what helps to ask for its series. */
export interface FoundStudy extends Study { modalities: readonly string[] }

export type SeriesList = Pick<Study, 'series' | 'seriesListing'>
export type InstanceList = Pick<Series, 'listing' | 'instances'>

/**
 * Studies of the accession numbers of one request, and series of one study: each is a question of its own, and an archive that has more of them does
 * not match by what it is asked for. The largest that is known to us has 300 series.
 */
export const MOST_STUDIES = 500
export const MOST_SERIES = 5_000

/** The values of an answer at STUDY level, empty where it has none. */
export interface StudyValues extends Pick<Study, 'studyInstanceUid' | 'accessionNumber' | 'patient' | 'studyDate' | 'studyTime' | 'studyDescription' | 'studyId'> {
  /** (0020,1206) and (0020,1208). */
  seriesCount: string
  instanceCount: string
  /** (0008,0061). */
  modalities: readonly string[]
}

export function foundStudy ({ seriesCount, instanceCount, modalities, ...values }: StudyValues): FoundStudy {
  return {
    ...values,
    seriesCount: count(seriesCount),
    instanceCount: count(instanceCount),
    seriesListing: 'whole',
    series: [],
    modalities: modalities.map(one => one.trim()).filter(one => one !== '')
  }
}

/** Who is asked, for the log. */
interface Asked { name: string, log: Log }

export interface StudyQuestions {
  /** The studies of an accession number, as they were answered. */
  studies: (accessionNumber: string) => Promise<FoundStudy[]>
  /** The series of a study, of which there are several answers where the archive has it for several patients. */
  series: (answers: readonly FoundStudy[]) => Promise<SeriesList>
}

/**
 * Asks for the studies of accession numbers, down to their series. A study that is answered for two patients is there twice.
 * @throws MkisoError NO_DICOM_DATA when the archive holds no study for one of them, or only studies without series; PACS_REFUSED for more of them than
 * a disc is made of
 * @throws what the questions throw
 */
export async function studiesOf (accessionNumbers: readonly string[], { studies: ask, series: askSeries }: StudyQuestions, { name, log }: Asked): Promise<Study[]> {
  const found = await Promise.all(accessionNumbers.map(async accessionNumber => await ask(accessionNumber)))
  const missing = accessionNumbers.filter((_, index) => found[index]?.length === 0)
  if (missing.length > 0) throw new MkisoError('NO_DICOM_DATA', `the PACS holds no study for ${missing.join(', ')}`)
  // one study can come twice, when a PACS keeps two accession numbers for it
  const studies = merged(found.flat(), studyKey, greaterStudy)
  if (studies.length > MOST_STUDIES) {
    throw new MkisoError('PACS_REFUSED', `${name} has ${studies.length} studies for ${accessionNumbers.join(', ')}, and at most ${MOST_STUDIES} are put together: correct the Accession Number of those that do not belong there`)
  }
  const byUid = new Map<string, FoundStudy[]>()
  for (const study of studies) byUid.set(study.studyInstanceUid, [...byUid.get(study.studyInstanceUid) ?? [], study])
  const lists = new Map(await Promise.all([...byUid].map(async ([studyInstanceUid, answers]) => [studyInstanceUid, await askSeries(answers)] as const)))
  for (const { series } of lists.values()) {
    if (series.length > MOST_SERIES) throw new MkisoError('PACS_REFUSED', `${name} has ${series.length} series for one study, and at most ${MOST_SERIES} are asked for: let it match by Study Instance UID (0020,000D)`)
  }
  const complete = studies.map(({ modalities: _, ...study }): Study => ({ ...study, ...lists.get(study.studyInstanceUid) }))
  for (const { studyInstanceUid, series, seriesListing } of complete) {
    if (seriesListing !== 'cut') continue
    log.warn({ pacs: name, study: studyInstanceUid, series: series.length }, 'the PACS cuts its list of series off (a limit of answers)')
  }
  // one of several that is empty may be another patient's, which says more
  const empty = accessionNumbers.filter(number => {
    const ofIt = complete.filter(({ accessionNumber }) => accessionNumber === number)
    return ofIt.length > 0 && ofIt.every(isEmptyStudy)
  })
  if (empty.length > 0) throw new MkisoError('NO_DICOM_DATA', `the PACS holds no series of the study of ${empty.join(', ')}`)
  return complete
}

/**
 * Asks for the instances of each series; `only` limits it to some series, the others stay as they are.
 * @throws what the question throws
 */
export async function withInstances (
  study: Study, only: ReadonlySet<string> | undefined, ask: (series: Series) => Promise<InstanceList>, { name, log }: Asked
): Promise<Study> {
  const series = await Promise.all(study.series.map(async one => only?.has(one.seriesInstanceUid) === false ? one : { ...one, ...await ask(one) }))
  const asked = series.filter(({ seriesInstanceUid }) => only?.has(seriesInstanceUid) !== false)
  // an archive that answers nothing for any series knows no IMAGE level; where it answers for others, a series that it names nothing of is empty
  const allEmpty = asked.every(({ listing }) => listing === 'empty')
  const without = asked.filter(({ listing }) => listing === 'none' || (listing === 'empty' && allEmpty))
  const cut = asked.filter(({ listing }) => listing === 'cut')
  const fields = { pacs: name, study: study.studyInstanceUid, series: asked.length }
  if (without.length > 0) {
    log.warn({ ...fields, without_list: without.length },
      'the PACS does not answer IMAGE-level queries for every series: its counts judge there, not SOP Instance UIDs')
  }
  if (cut.length > 0) {
    log.warn({ ...fields, cut: cut.length }, 'the PACS cuts its lists of instances off (a limit of answers): completeness is judged by its counts too')
  }
  return { ...study, series }
}

/** The instances of a list that came to an end: nothing at all, with success, is what an archive without this level says. */
export function instanceList (answered: readonly Instance[], end: 'whole' | 'cut'): InstanceList {
  const instances = merged(answered, ({ sopInstanceUid }) => sopInstanceUid, first => first)
  if (end === 'cut') return { listing: 'cut', instances }
  return { listing: instances.length === 0 ? 'empty' : 'whole', instances }
}

export function mergedSeries (series: readonly Series[]): Series[] {
  return merged(series, ({ seriesInstanceUid }) => seriesInstanceUid, (first, later) => ({
    ...first, bodyPartExamined: first.bodyPartExamined ?? later.bodyPartExamined, instanceCount: greater(first.instanceCount, later.instanceCount)
  }))
}

/** What an archive says of Body Part Examined (0018,0015): an empty value is none. */
export function bodyPart (text: string | undefined): string | undefined {
  return text === undefined || text.trim() === '' ? undefined : text.trim()
}

/** The same text for answers that name the same study of the same patient. */
export function studyKey ({ studyInstanceUid, patient }: Study): string {
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

/** An attribute that a PACS leaves out says nothing; one that differs means another object. */
export function agrees (value: string | undefined, uid: string): boolean {
  return value === undefined || value === '' || value === uid
}

/** An IS value, or undefined; Horos writes `1.0` (measured). */
export function number (text: string | undefined): number | undefined {
  const digits = /^([+-]?\d{1,12})(?:\.0*)?$/.exec(text?.trim() ?? '')?.[1]
  return digits === undefined ? undefined : Number(digits)
}

export function count (text: string | undefined): number | undefined {
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
