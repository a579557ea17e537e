/**
 * Which of a patient's studies are earlier ones that a reader would compare with the asked one: of a modality or of a body part that it has. Pure. What an
 * archive does not say is no likeness, and no difference either.
 */
import type { FoundStudy } from '../archive/archive.ts'
import { samePerson } from '../dicom/person.ts'
import type { Series, Study } from '../dicom/study.ts'
import { dateOf, timeOf } from '../dicom/values.ts'

/** What of a study makes another one like it. */
export interface Likeness {
  modalities: ReadonlySet<string>
  bodyParts: ReadonlySet<string>
}

/**
 * What the answer at STUDY level, which names no body part, tells. `alike`: it shares a modality. `unknown`: no modality is named (dcmqrscp, measured).
 * `other`: of other modalities, and may share a body part, which its series tell.
 */
export type Outlook = 'alike' | 'unknown' | 'other'

export interface EarlierStudy {
  study: FoundStudy
  outlook: Outlook
}

/**
 * Objects that are made of an examination, or go with it (PS3.3 C.7.3.1.1.1): annotations, assessments, audio, protocols, documents, fiducials, key objects,
 * models, plans, presentation states, registrations, radiotherapy objects but images, real world values, segmentations, reports, texture maps. The dose report
 * of a CT is no reason to lay each study that has a report beside it.
 */
const COMPANIONS: ReadonlySet<string> = new Set([
  'ANN', 'ASMT', 'AU', 'CTPROTOCOL', 'DOC', 'FID', 'KO', 'M3D', 'PLAN', 'PR', 'REG', 'RTDOSE', 'RTINTENT', 'RTPLAN', 'RTRAD', 'RTRECORD', 'RTSEGANN', 'RTSTRUCT', 'RWV', 'SEG', 'SMR', 'SR',
  'STAIN', 'TEXTUREMAP', 'XAPROTOCOL'
])
/** An image, of which it says nothing: a scanned paper and a film are both. */
const OTHER = 'OT'
/** Values of machines that were told nothing; no body parts (PS3.16 Annex L). */
const NO_BODY_PART: ReadonlySet<string> = new Set(['UNKNOWN', 'UNDEFINED', 'UNSPECIFIED', 'OTHER', 'NONE', 'NA', 'N/A'])

/** Of the asked studies. A modality that is no examination counts only where there is nothing else. */
export function likenessOf (asked: readonly Study[]): Likeness {
  const series = asked.flatMap(study => study.series)
  const named = [...modalitiesOf(series)]
  const examinations = named.filter(modality => !COMPANIONS.has(modality))
  const images = examinations.filter(modality => modality !== OTHER)
  const modalities = [images, examinations, named].find(some => some.length > 0) ?? []
  return { modalities: new Set(modalities), bodyParts: bodyPartsOf(series) }
}

/** Whether a study, down to its series, shares a modality or a body part. */
export function isAlike (asked: Likeness, { series }: Study): boolean {
  return shares(modalitiesOf(series), asked.modalities) || shares(bodyPartsOf(series), asked.bodyParts)
}

/** Which of the patient's studies may be chosen, the last first, each once. */
export function earlierThan (asked: readonly Study[], found: readonly FoundStudy[]): EarlierStudy[] {
  const own = new Set(asked.map(({ studyInstanceUid }) => studyInstanceUid))
  const likeness = likenessOf(asked)
  const once = new Map<string, EarlierStudy>()
  for (const study of found) {
    if (own.has(study.studyInstanceUid) || !asked.every(one => isBefore(study, one)) || !asked.every(({ patient }) => samePerson(patient, study.patient).same)) continue
    const outlook = outlookOf(likeness, study)
    if (outlook === undefined) continue
    const known = once.get(study.studyInstanceUid)
    // several archives may each have a part of it
    once.set(study.studyInstanceUid, known === undefined ? { study, outlook } : { ...known, outlook: better(known.outlook, outlook) })
  }
  return [...once.values()].sort((a, b) => laterFirst(a.study, b.study))
}

function outlookOf ({ modalities, bodyParts }: Likeness, study: FoundStudy): Outlook | undefined {
  // an archive that does not name the modalities of a study says nothing against it
  if (study.modalities.length === 0) return 'unknown'
  if (shares(study.modalities, modalities)) return 'alike'
  const maySharePart = bodyParts.size > 0 && study.modalities.some(modality => !COMPANIONS.has(modality))
  return maySharePart ? 'other' : undefined
}

const BEST_FIRST: readonly Outlook[] = ['alike', 'unknown', 'other']

function better (a: Outlook, b: Outlook): Outlook {
  return BEST_FIRST.indexOf(a) <= BEST_FIRST.indexOf(b) ? a : b
}

function modalitiesOf (series: readonly Series[]): Set<string> {
  return new Set(series.map(({ modality }) => modality).filter(modality => modality !== ''))
}

/** Of the examinations only: that the segmentation of a liver names it says what its images say. Written in one way; nothing is translated. */
function bodyPartsOf (series: readonly Series[]): Set<string> {
  const named = series.filter(({ modality }) => !COMPANIONS.has(modality)).flatMap(({ bodyPartExamined = '' }) => bodyPartExamined.split('\\'))
  return new Set(named.map(part => part.trim().toUpperCase()).filter(part => part !== '' && !NO_BODY_PART.has(part)))
}

function shares (some: Iterable<string>, others: ReadonlySet<string>): boolean {
  return [...some].some(one => others.has(one))
}

/** Known to be: of the same day only where both times say so, as far as both of them are given (`10` is some time after ten, PS3.5 6.2). */
function isBefore (a: Study, b: Study): boolean {
  const [one, other] = [momentOf(a), momentOf(b)]
  if (one.date === '' || other.date === '') return false
  if (one.date !== other.date) return one.date < other.date
  const given = Math.min(one.time.length, other.time.length)
  return one.time.slice(0, given) < other.time.slice(0, given)
}

/** Two of the same moment stand in one order, whichever an archive names first. */
function laterFirst (a: Study, b: Study): number {
  const [one, other] = [momentOf(a), momentOf(b)].map(({ date, time }) => `${date} ${time}`)
  if (one !== other) return (one ?? '') < (other ?? '') ? 1 : -1
  return a.studyInstanceUid < b.studyInstanceUid ? -1 : 1
}

/** Texts that sort, whether an archive writes `20240101` or `2024.01.01`; empty for none. */
function momentOf ({ studyDate, studyTime }: Study): { date: string, time: string } {
  return { date: dateOf(studyDate) ?? '', time: timeOf(studyTime) ?? '' }
}
