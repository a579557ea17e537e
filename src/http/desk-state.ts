/** What the desk shows, as it goes over the wire: studies that were found, what is under way, who has had what. */
import { Type, type Static } from '@sinclair/typebox'
import { personName } from '../dicom/person-name.ts'
import type { PrintJob } from '../print/job-under-way.ts'
import type { DeskStudies, DeskStudy } from '../studies/find-for-desk.ts'
import type { Activity } from '../work/activity.ts'
import { HISTORY_KINDS, HISTORY_OUTCOMES, type HistoryEntry } from '../work/history-entry.ts'
import { ACTIVITY_EXAMPLE, ActivityState, activityState, StudyState } from './activity-state.ts'
import { EXAMPLE_REQUEST_ID } from './error-examples.ts'
import { person, Person, PRINT_EXAMPLE, PrintState, printState } from './print-state.ts'

const PatientState = Type.Object({
  id: Type.String({ description: 'Patient ID; may be empty.' }),
  issuer: Type.String({ description: 'Issuer of Patient ID; may be empty.' }),
  name: Type.String(),
  birth_date: Type.String({ description: 'DICOM date, YYYYMMDD, or empty.' }),
  sex: Type.String()
}, { title: 'Patient' })

const FoundStudyState = Type.Object({
  ...StudyState.properties,
  study_uid: Type.String({ description: 'Study Instance UID.' }),
  images: Type.Optional(Type.Integer({ description: 'Absent where the archive does not say.' })),
  archives: Type.Array(Type.String(), { description: 'Those that have it; empty where there is only one archive.' }),
  patient: PatientState,
  person: Type.Integer({ description: 'The same number for the same person; only studies of one person go onto a disc.' }),
  blocked: Type.Optional(Type.Union([Type.Literal('no_accession_number'), Type.Literal('several_patients')], {
    description: 'Why no disc can be made of it: it has no accession number that can be asked for, or studies of others have the same.'
  })),
  kept: Type.Boolean({ description: 'It is here from an earlier download, and can be looked at (/look).' })
}, { title: 'FoundStudy' })

type FoundStudyState = Static<typeof FoundStudyState>

const FOUND_EXAMPLE: FoundStudyState = {
  accession_number: 'MR.2024.001', date: '20240506', description: 'MRI Brain', modalities: ['MR'], study_uid: '1.2.840.113619.2.5.1', images: 240, archives: ['main'],
  patient: { id: 'P0001', issuer: '', name: 'DOE JOHN', birth_date: '19700102', sex: 'M' }, person: 0, kept: false
}

export const FoundState = Type.Object({
  studies: Type.Array(FoundStudyState, { description: 'By person, the newest first.' }),
  cut: Type.Boolean({ description: 'There are more than these: an archive has cut its answer, or did not answer and may be left out, or there are too many to show.' })
}, { title: 'FoundStudies', examples: [{ studies: [FOUND_EXAMPLE], cut: false }] })

/** @param isKept of a Study Instance UID */
export function foundState ({ studies, cut }: DeskStudies, isKept: (studyInstanceUid: string) => boolean): Static<typeof FoundState> {
  return { studies: studies.map(found => foundStudyState(found, isKept(found.study.studyInstanceUid))), cut }
}

function foundStudyState ({ study, modalities, archives, person, blocked }: DeskStudy, kept: boolean): FoundStudyState {
  const { patient: { patientId, issuerOfPatientId, patientName, birthDate, sex }, instanceCount } = study
  return {
    accession_number: study.accessionNumber,
    date: study.studyDate,
    description: study.studyDescription,
    modalities: [...modalities],
    study_uid: study.studyInstanceUid,
    ...(instanceCount === undefined ? {} : { images: instanceCount }),
    archives: [...archives],
    patient: { id: patientId, issuer: issuerOfPatientId, name: personName(patientName), birth_date: birthDate, sex },
    person,
    ...(blocked === undefined ? {} : { blocked }),
    kept
  }
}

const QueuedDownload = Type.Object({ ...ActivityState.properties, asked_by: Person }, { title: 'QueuedDownload' })

const Queue = Type.Object({
  since: Type.String({ description: 'ISO 8601: the time of this state, by the clock of the service.' }),
  downloads: Type.Array(QueuedDownload, { description: 'Oldest first.' }),
  prints: Type.Array(PrintState, { description: 'Oldest first: those under way, and those that somebody must look for at the robot (unknown).' })
})

type Queue = Static<typeof Queue>

export const QUEUE_EXAMPLE: Queue = {
  since: '2024-05-06T07:15:10.000Z',
  downloads: [{ ...ACTIVITY_EXAMPLE, phase: 'queued', place: 2, images_received: 0, received_bytes: 0, asked_by: { user: 'siti', key: 'site', address: '10.0.0.17' } }],
  prints: [PRINT_EXAMPLE]
}

export const QueueState = Type.Object(Queue.properties, { title: 'Queue', examples: [QUEUE_EXAMPLE] })

export function queueState (activities: readonly Activity[], prints: readonly PrintJob[]): Queue {
  return {
    since: new Date().toISOString(),
    downloads: activities.map(activity => ({ ...activityState(activity), asked_by: person(activity.caller) })),
    prints: prints.map(job => printState(job))
  }
}

const HistoryEntryState = Type.Object({
  at: Type.String({ description: 'ISO 8601, when it ended, or when it began where no end is known.' }),
  kind: Type.Union(HISTORY_KINDS.map(kind => Type.Literal(kind)), { description: 'look: in the viewer.' }),
  outcome: Type.Union(HISTORY_OUTCOMES.map(outcome => Type.Literal(outcome)), {
    description: 'aborted: the client left, or it was cancelled. begun: no end is recorded, which is so for a look, and where the service ended. unknown: somebody must look at the robot.'
  }),
  accession_numbers: Type.Array(Type.String()),
  patients: Type.Array(Type.Object({ id: Type.String(), name: Type.String() })),
  by: Person,
  images: Type.Optional(Type.Integer()),
  request_id: Type.String()
}, { title: 'HistoryEntry' })

export const HistoryState = Type.Object({
  entries: Type.Array(HistoryEntryState, { description: 'Newest first.' }),
  cut: Type.Boolean({ description: 'There is more than this.' }),
  source: Type.Union([Type.Literal('audit'), Type.Literal('memory')], {
    description: 'memory: downloads are remembered since the start of the service only, since audit.file is not set; prints come from their journal.'
  })
}, {
  title: 'History',
  examples: [{
    entries: [{
      at: '2024-05-06T07:15:12.000Z', kind: 'download', outcome: 'success', accession_numbers: ['MR.2024.001'], patients: [{ id: 'P0001', name: 'DOE JOHN' }], by: { user: 'siti', key: 'site', address: '10.0.0.17' }, images: 240,
      request_id: EXAMPLE_REQUEST_ID
    }],
    cut: false,
    source: 'audit'
  }]
})

export function historyEntryState ({ at, kind, outcome, accessionNumbers, patients, by, images, requestId }: HistoryEntry): Static<typeof HistoryEntryState> {
  return {
    at,
    kind,
    outcome,
    accession_numbers: [...accessionNumbers],
    patients: patients.map(({ id, name }) => ({ id, name: personName(name) })),
    by: person(by),
    ...(images === undefined ? {} : { images }),
    request_id: requestId
  }
}
