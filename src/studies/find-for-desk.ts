/**
 * What a person at a desk is shown of a search: each study once, whatever archives have it and however its patient is written there, each person with a
 * number, and why a study cannot be taken. The disc guards again (same-patient.ts); what stands here only keeps people from asking in vain.
 */
import pLimit from 'p-limit'
import type { Archives, Asking, StudySearch } from '../archive/archive.ts'
import { checkAccessionNumber } from '../dicom/accession-number.ts'
import { isNamed, patternsOf } from '../dicom/name-in-part.ts'
import { samePerson } from '../dicom/person.ts'
import type { Patient, Study } from '../dicom/study.ts'
import { MkisoError } from '../errors.ts'

/** `no_accession_number`: a disc is of an accession number, and this study has none, or none that can stand in a link. `several_patients`: others have the same. */
export type Blocked = 'no_accession_number' | 'several_patients'

export interface DeskStudy {
  study: Study
  modalities: readonly string[]
  /** Of the archives that have it; empty where there is only one. */
  archives: readonly string[]
  /** The same for studies of the same person. */
  person: number
  blocked: Blocked | undefined
}

export interface DeskStudies {
  /** By person, the newest first. */
  studies: readonly DeskStudy[]
  /** There are more than it says, or an archive that may be left out did not answer. */
  cut: boolean
}

type Found = Study & { modalities?: readonly string[] }

/** So many studies are shown. */
export const MOST_STUDIES = 200
/** A name of one letter is everybody's. */
const SHORTEST_NAME = 2
/** Searches of one question at the same time. */
const AT_ONCE = 2

/**
 * @throws MkisoError INVALID_REQUEST; as Archives.search
 * @throws the signal's reason
 */
export async function findForDesk (archives: Pick<Archives, 'search'>, search: StudySearch, asking: Asking): Promise<DeskStudies> {
  const { patientName = '' } = search
  if (patientName !== '' && [...patientName.replace(/\P{L}/gu, '')].length < SHORTEST_NAME) {
    throw new MkisoError('INVALID_REQUEST', `a name is searched for from ${SHORTEST_NAME} letters on`)
  }
  const atOnce = pLimit(AT_ONCE)
  const answers = await Promise.all(searchesOf(search).map(async one => await atOnce(async () => await archives.search(one, asking))))
  const found: readonly Found[] = answers.flatMap(({ studies }) => studies)
  const studies = described(found.filter(({ patient }) => patientName === '' || isNamed(patient.patientName, patientName)))
  return { studies: studies.slice(0, MOST_STUDIES), cut: answers.some(({ cut }) => cut) || studies.length > MOST_STUDIES }
}

/** Other values are enough: then the name is only compared. */
function searchesOf (search: StudySearch): StudySearch[] {
  const { patientName = '', accessionNumber, patientId } = search
  if (patientName === '' || [accessionNumber, patientId].some(value => value !== undefined && value !== '')) return [search]
  return patternsOf(patientName).map(namePattern => ({ ...search, namePattern }))
}

function described (found: readonly Found[]): DeskStudy[] {
  const persons: Patient[][] = []
  const personOf = (patient: Patient): number => {
    const known = persons.findIndex(spellings => spellings.every(other => samePerson(other, patient).same))
    if (known >= 0) {
      persons[known]?.push(patient)
      return known
    }
    return persons.push([patient]) - 1
  }
  const studies = new Map<string, DeskStudy>()
  for (const study of found) {
    const { modalities = [], archive, studyInstanceUid, accessionNumber } = study
    const person = personOf(study.patient)
    const key = JSON.stringify([studyInstanceUid, accessionNumber, person])
    const known = studies.get(key)
    const archives = [...new Set([...known?.archives ?? [], ...archive === undefined ? [] : [archive]])]
    studies.set(key, { study: known?.study ?? study, modalities: [...new Set([...known?.modalities ?? [], ...modalities])], archives, person, blocked: undefined })
  }
  const all = [...studies.values()]
  const shared = (one: DeskStudy): boolean => all.some(({ person, study }) => person !== one.person &&
    (study.accessionNumber === one.study.accessionNumber || study.studyInstanceUid === one.study.studyInstanceUid))
  const blockedBy = (one: DeskStudy): Blocked | undefined => !isAccessionNumber(one.study.accessionNumber) ? 'no_accession_number' : shared(one) ? 'several_patients' : undefined
  return all.map(one => ({ ...one, blocked: blockedBy(one) })).sort((a, b) => compare(nameOf(a), nameOf(b)) || a.person - b.person || compare(b.study.studyDate, a.study.studyDate))
}

function nameOf ({ study }: DeskStudy): string { return study.patient.patientName.toUpperCase() }

function compare (a: string, b: string): number { return a < b ? -1 : a > b ? 1 : 0 }

function isAccessionNumber (text: string): boolean {
  try {
    return checkAccessionNumber(text) === text && !text.includes(',')
  } catch { return false }
}
