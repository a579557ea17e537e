/** What a search for studies may ask, and which answers are of it: archives match without regard to case, or ignore a key and answer with everything. Pure. */
import type { Study } from '../dicom/study.ts'
import { isNamed } from '../dicom/name-in-part.ts'
import { MkisoError } from '../errors.ts'

/** Every value that is given must match; at least one is. */
export interface StudySearch {
  /** The whole Patient ID. */
  patientId?: string | undefined
  /** Compared where an archive names one, and never asked for: many know no such key, and would find nothing. */
  issuerOfPatientId?: string | undefined
  /** Parts of words of the name, as they were typed; what an archive finds is compared without regard to case, accents and order. */
  patientName?: string | undefined
  /** What the archive is asked for the name, with wildcards: one of those of the name (name-in-part.ts), and finds more than is meant. Without it the name is only compared. */
  namePattern?: string | undefined
  /** The whole accession number. */
  accessionNumber?: string | undefined
  /** DICOM dates, `YYYYMMDD`, both included. */
  from?: string | undefined
  to?: string | undefined
}

/** More answers are not asked for where neither a number nor a person's number says what is meant: nobody reads them. */
const MOST_FOUND = 2_000

/** `*`, `?` and `\` are patterns and lists (PS3.4 C.2.2.2), and nothing that is printed holds control characters. */
// eslint-disable-next-line no-control-regex
const NO_VALUE = /[*?\\\u0000-\u001F\u007F]/
const DATE = /^\d{8}$/

/** @throws MkisoError INVALID_REQUEST */
export function checkSearch (search: StudySearch): void {
  // the wildcards of a pattern are ours
  const { from, to, namePattern, ...values } = search
  const given = Object.values(values).filter(value => value !== undefined && value !== '')
  if (given.length === 0 && from === undefined && to === undefined) throw new MkisoError('INVALID_REQUEST', 'a search needs a value')
  if (given.some(value => NO_VALUE.test(value ?? ''))) throw new MkisoError('INVALID_REQUEST', 'a value of a search holds a character that is a pattern')
  if ([from, to].some(date => date !== undefined && !DATE.test(date))) throw new MkisoError('INVALID_REQUEST', 'a date of a search is not YYYYMMDD')
}

/** The value of a range of dates (PS3.4 C.2.2.2.5); undefined for none. */
export function dateRange ({ from, to }: StudySearch): string | undefined {
  return from === undefined && to === undefined ? undefined : `${from ?? ''}-${to ?? ''}`
}

/** So many answers are enough; undefined for all of them. */
export function enoughFor ({ patientId, accessionNumber }: StudySearch): number | undefined {
  return isGiven(patientId) || isGiven(accessionNumber) ? undefined : MOST_FOUND
}

export function isFound ({ patientId, issuerOfPatientId, patientName, accessionNumber, from, to }: StudySearch, study: Study): boolean {
  const { patient } = study
  if (isGiven(patientId) && patient.patientId !== patientId) return false
  if (isGiven(issuerOfPatientId) && patient.issuerOfPatientId !== '' && patient.issuerOfPatientId !== issuerOfPatientId) return false
  if (isGiven(patientName) && !isNamed(patient.patientName, patientName)) return false
  if (isGiven(accessionNumber) && study.accessionNumber !== accessionNumber) return false
  return (from === undefined || study.studyDate >= from) && (to === undefined || (study.studyDate !== '' && study.studyDate <= to))
}

function isGiven (value: string | undefined): value is string {
  return value !== undefined && value !== ''
}
