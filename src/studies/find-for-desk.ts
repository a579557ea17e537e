/**
 * What a person at a desk is shown of a search: each study once, whatever archives have it and however its patient is written there, each person with a
 * number, and why a study cannot be taken. The disc guards again (same-patient.ts); what stands here only keeps people from asking in vain.
 */
import { setImmediate as immediate } from 'node:timers/promises'
import pLimit from 'p-limit'
import type { Archives, Asking, StudySearch } from '../archive/archive.ts'
import { checkAccessionNumber } from '../dicom/accession-number.ts'
import { isNamed, patternsOf } from '../dicom/name-in-part.ts'
import { clean, mayBeSame, samePerson } from '../dicom/person.ts'
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
/**
 * Names that are compared for one question, a quarter of a millisecond each (measured on a busy machine): where an archive gives thousands of people one
 * Patient ID or none, the rest is not shown. Between so many others have their turn.
 */
const MOST_COMPARED = 10_000
const COMPARED_AT_ONCE = 50
const LOOKS_AT_ONCE = 5_000
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
  const { studies, isCut } = await described(found.filter(({ patient }) => patientName === '' || isNamed(patient.patientName, patientName)))
  return { studies: studies.slice(0, MOST_STUDIES), cut: isCut || answers.some(({ cut }) => cut) || studies.length > MOST_STUDIES }
}

/** Other values are enough: then the name is only compared. */
function searchesOf (search: StudySearch): StudySearch[] {
  const { patientName = '', accessionNumber, patientId } = search
  if (patientName === '' || [accessionNumber, patientId].some(value => value !== undefined && value !== '')) return [search]
  return patternsOf(patientName).map(namePattern => ({ ...search, namePattern }))
}

/** Studies of persons, found in the order in which they are given. */
class Persons {
  readonly #spellings: Patient[][] = []
  /** By Patient ID: another is another person, whatever the name (samePerson). */
  readonly #byId = new Map<string, number[]>()
  /** Written exactly so before. */
  readonly #known = new Map<string, number>()
  #compared = 0
  #looks = 0

  /** @returns undefined where too many had to be compared */
  async numberOf (patient: Patient): Promise<number | undefined> {
    const id = clean(patient.patientId)
    const { issuerOfPatientId, patientName, birthDate, sex } = patient
    // without an ID, two records that are alike may be two people
    const key = id === '' ? undefined : JSON.stringify([patient.patientId, issuerOfPatientId, patientName, birthDate, sex])
    const known = key === undefined ? undefined : this.#known.get(key)
    if (known !== undefined) return known
    let found: number | undefined
    for (const index of id === '' ? this.#spellings.keys() : [...this.#byId.get(id) ?? [], ...this.#byId.get('') ?? []].sort((one, other) => one - other)) {
      if (++this.#looks % LOOKS_AT_ONCE === 0) await immediate()
      const spellings = this.#spellings[index] ?? []
      if (!spellings.every(other => mayBeSame(other, patient))) continue
      if (++this.#compared > MOST_COMPARED) return undefined
      if (this.#compared % COMPARED_AT_ONCE === 0) await immediate()
      if (!spellings.every(other => samePerson(other, patient).same)) continue
      found = index
      break
    }
    const number = found ?? this.#spellings.push([]) - 1
    this.#spellings[number]?.push(patient)
    const alike = this.#byId.get(id)
    if (alike === undefined) this.#byId.set(id, [number])
    else if (!alike.includes(number)) alike.push(number)
    if (key !== undefined) this.#known.set(key, number)
    return number
  }
}

async function described (found: readonly Found[]): Promise<{ studies: DeskStudy[], isCut: boolean }> {
  const persons = new Persons()
  const studies = new Map<string, DeskStudy>()
  /** Of each accession number and each Study Instance UID, whose it is. */
  const owners = new Map<string, Set<number>>()
  let isCut = false
  for (const study of found) {
    const { modalities = [], archive, studyInstanceUid, accessionNumber } = study
    const person = await persons.numberOf(study.patient)
    if (person === undefined) {
      isCut = true
      break
    }
    const key = JSON.stringify([studyInstanceUid, accessionNumber, person])
    const known = studies.get(key)
    const archives = [...new Set([...known?.archives ?? [], ...archive === undefined ? [] : [archive]])]
    studies.set(key, { study: known?.study ?? study, modalities: [...new Set([...known?.modalities ?? [], ...modalities])], archives, person, blocked: undefined })
    for (const name of namesOf(study)) owners.set(name, (owners.get(name) ?? new Set()).add(person))
  }
  const all = [...studies.values()]
  const shared = ({ study }: DeskStudy): boolean => namesOf(study).some(name => (owners.get(name)?.size ?? 0) > 1)
  const blockedBy = (one: DeskStudy): Blocked | undefined => !isAccessionNumber(one.study.accessionNumber) ? 'no_accession_number' : shared(one) ? 'several_patients' : undefined
  return {
    studies: all.map(one => ({ ...one, blocked: blockedBy(one) }))
      .sort((a, b) => compare(nameOf(a), nameOf(b)) || a.person - b.person || compare(b.study.studyDate, a.study.studyDate)),
    isCut
  }
}

function namesOf ({ accessionNumber, studyInstanceUid }: Study): string[] { return [`number ${accessionNumber}`, `uid ${studyInstanceUid}`] }

function nameOf ({ study }: DeskStudy): string { return study.patient.patientName.toUpperCase() }

function compare (a: string, b: string): number { return a < b ? -1 : a > b ? 1 : 0 }

function isAccessionNumber (text: string): boolean {
  try {
    return checkAccessionNumber(text) === text && !text.includes(',')
  } catch { return false }
}
