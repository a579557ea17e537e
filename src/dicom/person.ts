/**
 * Whether two records mean the same person. Pure: it asks nobody, and no value of a patient leaves it; what it names are attributes.
 *
 * A disc with two people's images is the worst that this service can do, so each rule that lets two records pass needs something that
 * agrees, not only nothing that contradicts. What it must not do either is refuse a patient whose name was corrected: names are written in
 * many ways (name.ts).
 */
import { compareNames, isNameless, nameLength, type NameAgreement } from './name.ts'
import type { Patient } from './study.ts'

export type PatientAttribute = 'Patient ID' | "Patient's Name" | "Patient's Birth Date" | "Patient's Sex"

/** `remarks` and `differing` name the attributes that do not agree, never their values: a line in the log may hold them. */
export type PersonVerdict =
  | { same: true, remarks: readonly PatientAttribute[] }
  | { same: false, differing: readonly PatientAttribute[] }

/**
 * Two records of one index, or two files: there, another Patient ID is another patient (PS3.3 C.7.1.1), whatever the name.
 * - The same Patient ID: one person, unless two of name, birth date and sex contradict (two people registered under one ID), or the name
 *   has nothing in common and no birth date vouches for it (one number in two hospitals). One contradiction alone is a marriage or a
 *   correction, with a remark.
 * - A Patient ID is missing: name and birth date must both be there and agree. Where neither record has a Patient ID or a birth date, the
 *   same name of two words is all that there is, and as much as was asked for.
 */
export function samePerson (a: Patient, b: Patient): PersonVerdict {
  const evidence = weigh(a, b)
  if (evidence.id === 'different') return { same: false, differing: ['Patient ID', ...evidence.contradictions] }
  if (evidence.id === 'same') return judgeSameId(evidence)
  // 山田太郎 is 山田^太郎: one of the two shows how many words it is
  const words = Math.max(nameLength(a.patientName), nameLength(b.patientName))
  const nothingElse = evidence.id === 'absent' && evidence.birthDate === 'absent' && evidence.name === 'same' && words > 1
  if (evidence.nameAgrees && evidence.contradictions.length === 0 && (evidence.birthDate === 'same' || nothingElse)) {
    return { same: true, remarks: evidence.id === 'one' ? ['Patient ID'] : [] }
  }
  return { same: false, differing: evidence.contradictions.length > 0 ? evidence.contradictions : ['Patient ID'] }
}

/** False where {@link samePerson} says no whatever their names are: comparing those takes a hundred times as long. */
export function mayBeSame (a: Patient, b: Patient): boolean {
  const id = compareIds(a, b)
  if (id === 'same' || id === 'different') return id === 'same'
  const birthDate = compareValues(birthDateOf(a), birthDateOf(b))
  return birthDate === 'same' || (id === 'absent' && birthDate === 'absent')
}

/**
 * What an archive's index says of a study against what stands in a file of it. Archives that merge patients or move a study to another
 * patient change their index and leave the files as they were.
 * - Another Patient ID: one person where name and birth date agree. Where a birth date is missing, a name alone is not enough (names
 *   repeat in every hospital), unless the IDs are the same number written in another way, or the same with another issuer, as archives
 *   write them when they import.
 * - A Patient ID is missing: one of name and birth date must agree, and none contradict; that the archive holds the file under this study
 *   speaks for it.
 * - A file, or an index, that says nothing of a patient contradicts nothing.
 */
export function samePersonReassigned (index: Patient, file: Patient): PersonVerdict {
  const evidence = weigh(index, file)
  if (evidence.id === 'same') return judgeSameId(evidence)
  if (saysNothing(index) || saysNothing(file)) return { same: true, remarks: evidence.id === 'absent' ? [] : ['Patient ID'] }
  const agrees = evidence.nameAgrees || evidence.birthDate === 'same'
  const clear = evidence.contradictions.length === 0 && agrees
  const vouched = evidence.nameAgrees && evidence.birthDate === 'same'
  const idSilent = evidence.id !== 'different' || sameNumber(index.patientId, file.patientId)
  const withId: PatientAttribute[] = ['Patient ID', ...evidence.contradictions]
  if (vouched || (idSilent && clear)) return { same: true, remarks: evidence.id === 'absent' ? evidence.contradictions : withId }
  const differing = evidence.id === 'different' ? withId : evidence.contradictions
  return { same: false, differing: differing.length > 0 ? differing : ["Patient's Name"] }
}

/** True when a record holds nothing that tells who somebody is; sex does not. */
export function saysNothing (patient: Patient): boolean {
  return clean(patient.patientId) === '' && isNameless(patient.patientName) && birthDateOf(patient) === undefined
}

/**
 * Two numbers of a patient as two systems write them: separators, case and leading zeros aside, and a prefix that one of them puts before
 * it.
 * @param prefix what one of the two systems adds in front, as `RS1-`
 */
export function sameNumber (a: string, b: string, prefix = ''): boolean {
  const bare = (text: string): string => text.normalize('NFKC').toUpperCase().replace(/[^\p{L}\p{N}]/gu, '')
  const without = (text: string): string => {
    const rest = bare(text).startsWith(bare(prefix)) ? bare(text).slice(bare(prefix).length) : bare(text)
    return rest.replace(/^0+(?=.)/, '')
  }
  return bare(a) !== '' && without(a) === without(b)
}

interface Evidence {
  /** `one`: only one of the two has a Patient ID. */
  id: 'same' | 'different' | 'one' | 'absent'
  name: NameAgreement
  nameAgrees: boolean
  birthDate: 'same' | 'different' | 'one' | 'absent'
  contradictions: PatientAttribute[]
}

const PATIENT = ['patientId', 'issuerOfPatientId', 'patientName', 'birthDate', 'sex'] as const satisfies ReadonlyArray<keyof Patient>

function weigh (a: Patient, b: Patient): Evidence {
  // nearly every file: nothing to weigh
  if (clean(a.patientId) !== '' && PATIENT.every(key => a[key] === b[key])) {
    return { id: 'same', name: 'same', nameAgrees: true, birthDate: 'same', contradictions: [] }
  }
  const name = compareNames(a.patientName, b.patientName)
  const birthDate = compareValues(birthDateOf(a), birthDateOf(b))
  const sex = compareValues(sexOf(a), sexOf(b))
  const contradictions: PatientAttribute[] = []
  if (name === 'changed' || name === 'different') contradictions.push("Patient's Name")
  if (birthDate === 'different') contradictions.push("Patient's Birth Date")
  if (sex === 'different') contradictions.push("Patient's Sex")
  return { id: compareIds(a, b), name, nameAgrees: name === 'same' || name === 'fuller', birthDate, contradictions }
}

function judgeSameId ({ name, birthDate, contradictions }: Evidence): PersonVerdict {
  const twoPeople = contradictions.length > 1 || (name === 'different' && birthDate !== 'same')
  return twoPeople ? { same: false, differing: contradictions } : { same: true, remarks: contradictions }
}

/** A Patient ID is unique within its issuer; an issuer that is not named can be any (PS3.3 C.7.1.1). Case and zeros count: LO is a text. */
function compareIds (a: Patient, b: Patient): Evidence['id'] {
  const ids = compareValues(clean(a.patientId) || undefined, clean(b.patientId) || undefined)
  const [issuerOfA, issuerOfB] = [a, b].map(({ issuerOfPatientId }) => clean(issuerOfPatientId).toLowerCase())
  const otherIssuer = issuerOfA !== '' && issuerOfB !== '' && issuerOfA !== issuerOfB
  return ids === 'same' && otherIssuer ? 'different' : ids
}

function compareValues (a: string | undefined, b: string | undefined): 'same' | 'different' | 'one' | 'absent' {
  if (a === undefined && b === undefined) return 'absent'
  if (a === undefined || b === undefined) return 'one'
  return a === b ? 'same' : 'different'
}

/** Blanks and NULs in front and behind are padding (PS3.5 6.2), though the standard pads behind only. */
export function clean (text: string): string { return text.replaceAll('\0', ' ').trim() }

/**
 * `YYYYMMDD`, from the old form `YYYY.MM.DD` (PS3.5 6.2, DA) too. Nothing where it is no date, or one that systems write where they have
 * none: 1900-01-01, and all before (a date of SQL Server begins in 1753, one of .NET in the year 1).
 */
function birthDateOf ({ birthDate }: Patient): string | undefined {
  const [, year = '', month = '', day = ''] = /^(\d{4})[-./]?(\d{2})[-./]?(\d{2})$/.exec(clean(birthDate)) ?? []
  const digits = `${year}${month}${day}`
  const date = new Date(`${year}-${month}-${day}T00:00:00Z`)
  // 31 February is the 3 March of a Date
  const exists = !Number.isNaN(date.getTime()) && date.toISOString().slice(0, 10) === `${year}-${month}-${day}`
  return exists && digits > '19000101' && year < '2200' ? digits : undefined
}

/** O (other) and empty contradict nothing. */
function sexOf ({ sex }: Patient): string | undefined {
  const letter = clean(sex).toUpperCase()
  return letter === 'M' || letter === 'F' ? letter : undefined
}
