/** A print as it goes over the wire, to pages and programs. */
import { Type, type Static } from '@sinclair/typebox'
import { ERRORS } from '../errors.ts'
import type { PrintJob } from '../print/job-under-way.ts'
import { PRINT_STATES } from '../print/print-job.ts'
import type { Caller } from '../work/caller.ts'
import { ErrorState, SilentArchives, silentState, StuckState, stuckState, StudyState, studyState } from './activity-state.ts'
import { EXAMPLE_REQUEST_ID } from './error-examples.ts'

export const Person = Type.Object({
  user: Type.Optional(Type.String({ description: 'The person (audit.user_header).' })),
  key: Type.Optional(Type.String({ description: 'Name of the key, or "signed link".' })),
  address: Type.String()
})

export const PrintState = Type.Object({
  id: Type.String(),
  request_id: Type.String(),
  state: Type.Union(PRINT_STATES.map(state => Type.Literal(state)), {
    description: 'queued, fetching, sending; then sent, failed, cancelled, or unknown: the service ended while it was sending, and somebody must look at the robot.'
  }),
  created_at: Type.String({ description: 'ISO 8601.' }),
  since: Type.String({ description: 'When this state began.' }),
  asked_by: Person,
  accession_numbers: Type.Array(Type.String()),
  patient_name: Type.String({ description: 'Empty while it is not known, or where it is not shown.' }),
  differing: Type.Optional(Type.Array(Type.String(), { description: 'Fields in which the HIS and the PACS differ (medrec_id, patient_name); absent when there is none.' })),
  archives_silent: SilentArchives,
  studies: Type.Array(StudyState, { description: 'While it is under way.' }),
  destination: Type.String({ description: 'The CD publisher, host:port.' }),
  images_received: Type.Integer(),
  images_expected: Type.Optional(Type.Integer({ description: 'Absent while nobody knows.' })),
  received_bytes: Type.Integer(),
  sent_images: Type.Integer({ description: 'Confirmed by the CD publisher, as far as anybody knows.' }),
  waits_for: Type.Optional(Type.Union([Type.Literal('turn'), Type.Literal('robot')], { description: 'The images are here. turn: another print goes first. robot: it is off, and is tried again.' })),
  place: Type.Optional(Type.Integer({ description: 'With waits_for turn: in the queue for the robot, from 1.' })),
  stuck: Type.Optional(StuckState),
  waits_because: Type.Optional(Type.String()),
  cancelled_by: Type.Optional(Type.Union([Type.Literal('client'), Type.Literal('operator')])),
  acknowledged: Type.Optional(Type.Object({ at: Type.String(), by: Person }, { description: 'Of an unknown print: who has looked at the robot, or printed again.' })),
  error: Type.Optional(ErrorState)
}, { title: 'Print' })

export type PrintState = Static<typeof PrintState>

/** @param names false where patients' names are not for everybody */
export function printState (job: PrintJob, names = true): PrintState {
  const { record, images: { received, expected }, waitsFor, waitsBecause } = job
  const total = record.images ?? expected
  return {
    id: record.id,
    request_id: record.requestId,
    state: record.state,
    created_at: record.createdAt,
    since: record.times[record.state] ?? record.createdAt,
    asked_by: person(record.caller),
    accession_numbers: [...record.accessionNumbers],
    patient_name: names ? record.patientName : '',
    ...(record.differing.length === 0 ? {} : { differing: [...record.differing] }),
    ...silentState(record.silentArchives),
    studies: job.studies.map(studyState),
    destination: record.destination,
    images_received: record.images ?? received,
    ...(total === undefined ? {} : { images_expected: total }),
    received_bytes: job.receivedBytes,
    sent_images: record.sentImages,
    ...(waitsFor === undefined ? {} : { waits_for: waitsFor }),
    ...(job.place === undefined ? {} : { place: job.place }),
    ...stuckState(job.stuck),
    ...(waitsBecause === undefined ? {} : { waits_because: waitsBecause }),
    ...(record.state === 'cancelled' ? { cancelled_by: record.cancelledBy ?? 'client' } : {}),
    ...(record.acknowledged === undefined ? {} : { acknowledged: { at: record.acknowledged.at, by: person(record.acknowledged.by) } }),
    ...(record.fault === undefined ? {} : { error: errorOf(job) })
  }
}

function errorOf ({ record: { fault, destination, requestId } }: PrintJob): Static<typeof ErrorState> {
  const code = fault?.code ?? 'INTERNAL'
  return { error: ERRORS[code].error, code, ...(fault?.detail === undefined ? {} : { detail: fault.detail }), destination, request_id: requestId }
}

export function person ({ user, credential, address }: Caller): Static<typeof Person> {
  return { ...(user === undefined ? {} : { user }), ...(credential === undefined ? {} : { key: credential }), address }
}

/** For the documentation. */
export const PRINT_EXAMPLE: PrintState = {
  id: '3f0c1f9e-6f5b-4d0e-9a52-2b7a4f1d1c11',
  request_id: EXAMPLE_REQUEST_ID,
  state: 'sending',
  created_at: '2024-05-06T07:14:58.000Z',
  since: '2024-05-06T07:15:09.000Z',
  asked_by: { key: 'ward-7', address: '10.0.0.17' },
  accession_numbers: ['MR.2024.001'],
  patient_name: 'JOHN DOE',
  studies: [{ accession_number: 'MR.2024.001', date: '20240506', description: 'MRI Brain', modalities: ['MR'] }],
  destination: '172.16.0.120:104',
  images_received: 240,
  images_expected: 240,
  received_bytes: 126_000_000,
  sent_images: 12
}
