/** What an audit record tells, before it takes the form of JSON or of DICOM's XML. */
import type { Activity } from '../work/activity.ts'
import { archivesOf, type Manifest, type Patient, type Study } from '../dicom/study.ts'
import type { DiscContents } from '../disc/contents.ts'
import type { DiscFormat } from '../disc/discs.ts'
import type { ErrorCode } from '../errors.ts'
import type { PrintRecord } from '../print/print-job.ts'
import type { Caller } from '../work/caller.ts'

/** `begin` is written before the first image leaves, `end` when it is over, however it went; a `query` has its end only. */
export type AuditPhase = 'begin' | 'end'

export interface AuditedStudy {
  studyInstanceUid: string
  accessionNumber: string
  description: string
  patient: Patient
  /** Names of the archives that have told of it, where there are several; `silent`: optional ones that did not answer. */
  archives: readonly string[]
  silent: readonly string[]
  /** SOP Class UID to number of instances; the UID is empty where nobody knows it. */
  instances: ReadonlyMap<string, number>
}

/** What a download gives out. */
export interface AuditedDisc {
  /** This disc's number in its set, from 1. */
  number: number
  of: number
  format: DiscFormat
  /** Encrypted with a password, which stands nowhere. */
  encrypted: boolean
  /** undefined for a ZIP that grows, and at the end for one that never became whole. */
  sizeBytes: number | undefined
  /** The same for the same bytes: the parts of one download belong together by it. */
  etag: string
  /** The part that was asked for, first and last byte from 0; undefined for all. */
  range: { first: number, last: number } | undefined
}

export interface AuditEvent {
  /** `look`: the images were opened in the viewer; has a `begin` only. `query`: no image leaves; somebody is told whose studies these are. */
  kind: Activity['kind'] | 'look' | 'query'
  phase: AuditPhase
  at: Date
  requestId: string
  /** undefined for a query, which is over at once. */
  activityId: string | undefined
  caller: Caller
  accessionNumbers: readonly string[]
  /** Empty when it failed before the PACS had told. */
  studies: readonly AuditedStudy[]
  disc: AuditedDisc | undefined
  /** The CD publisher. */
  destination: { aeTitle: string, address: string } | undefined
  /** Of the end. `aborted`: the client left, or the operator has ended it. `offered`: the answer had links to a set of discs, and no image. */
  outcome: 'success' | 'aborted' | 'offered' | 'failed' | undefined
  code: ErrorCode | undefined
  sentBytes: number | undefined
  sentInstances: number | undefined
}

export function studiesOnDisc ({ patients }: DiscContents): AuditedStudy[] {
  return patients.flatMap(({ studies }) => studies.map(({ study, series }) => audited(study, series.flatMap(({ files }) => files.map(({ instance }) => instance.sopClassUid)))))
}

export function studiesOf (manifest: Manifest | undefined): AuditedStudy[] {
  return (manifest?.studies ?? []).map(study => audited(study, study.series.flatMap(({ instances }) => instances.map(({ sopClassUid }) => sopClassUid))))
}

/** As far as the journal of prints knows them: the patient by name, the studies by their UIDs. */
export function studiesOfPrint ({ studyInstanceUids, accessionNumbers, patientName }: PrintRecord): AuditedStudy[] {
  const patient = { patientId: '', issuerOfPatientId: '', patientName, birthDate: '', sex: '' }
  return studyInstanceUids.map(studyInstanceUid => ({ studyInstanceUid, accessionNumber: accessionNumbers.join(','), description: '', patient, archives: [], silent: [], instances: new Map() }))
}

function audited (study: Study, sopClassUids: readonly string[]): AuditedStudy {
  const { studyInstanceUid, accessionNumber, studyDescription, patient, silent = [] } = study
  const instances = new Map<string, number>()
  for (const uid of sopClassUids) instances.set(uid, (instances.get(uid) ?? 0) + 1)
  return { studyInstanceUid, accessionNumber, description: studyDescription, patient, archives: archivesOf(study), silent, instances }
}

/** Each patient once. */
export function patientsOf ({ studies }: Pick<AuditEvent, 'studies'>): Patient[] {
  return [...new Map(studies.map(({ patient }) => [JSON.stringify([patient.patientId, patient.issuerOfPatientId, patient.patientName]), patient])).values()]
}

export function instanceCount ({ instances }: AuditedStudy): number {
  return [...instances.values()].reduce((sum, count) => sum + count, 0)
}
