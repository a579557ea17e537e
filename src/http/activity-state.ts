/** An activity as it goes over the wire, to pages and programs. */
import { Type, type Static } from '@sinclair/typebox'
import type { Manifest, Study } from '../dicom/study.ts'
import { EXAMPLE_REQUEST_ID } from './error-examples.ts'
import { ERRORS, type ErrorCode } from '../errors.ts'
import type { Stuck } from '../studies/held-study.ts'
import { PHASES, type Activity, type StudySummary } from '../work/activity.ts'

export const StudyState = Type.Object({
  accession_number: Type.String(),
  date: Type.String({ description: 'DICOM date, YYYYMMDD, or empty.' }),
  description: Type.String(),
  modalities: Type.Array(Type.String()),
  archives: Type.Optional(Type.Array(Type.String(), { description: 'Names of those that have it; absent where there is only one archive.' }))
}, { title: 'Study' })

const SILENT = 'Names of optional archives that did not answer: an image that only they hold cannot be ruled out; absent when there is none.'
export const SilentArchives = Type.Optional(Type.Array(Type.String(), { description: SILENT }))
/** The same as a header, of discs and prints. */
export const ARCHIVE_SILENT = Type.String({ description: SILENT })

export function silentState (silentArchives: readonly string[]): { archives_silent?: string[] } {
  return silentArchives.length === 0 ? {} : { archives_silent: [...silentArchives] }
}

export const StudiesState = Type.Object({ patient_name: Type.String({ description: 'Empty while it is not known, or where it is not shown.' }), studies: Type.Array(StudyState) },
  { title: 'Studies', examples: [{ patient_name: 'DOE JOHN', studies: [{ accession_number: 'MR.2024.001', date: '20240506', description: 'MRI Brain', modalities: ['MR'] }] }] })

export const ErrorState = Type.Object({
  error: Type.String(),
  code: Type.Unsafe<ErrorCode>(Type.String({ enum: Object.keys(ERRORS) })),
  detail: Type.Optional(Type.String()),
  destination: Type.Optional(Type.String()),
  retry_after: Type.Optional(Type.Integer({ description: 'Seconds until another try makes sense, as the header Retry-After.' })),
  discs: Type.Optional(Type.Array(Type.String())),
  request_id: Type.String()
}, { title: 'Failure' })

/** An archive that was asked and sends nothing, while it is asked again. */
export const StuckState = Type.Object({
  archive: Type.String({ description: 'Its name in the configuration, or its AE title.' }),
  ae_title: Type.Optional(Type.String({ description: 'Ours, to which it should send; absent where it answers on the connection that asked.' })),
  address: Type.Optional(Type.String({ description: 'Ours, host:port as this machine reaches the archive; ":port" where nobody can tell the host.' }))
}, { title: 'Stuck', description: 'The first try has brought nothing, and it is asked again.' })

export function stuckState (stuck: Stuck | undefined): { stuck?: Static<typeof StuckState> } {
  if (stuck === undefined) return {}
  const { archive, receiver } = stuck
  if (receiver === undefined) return { stuck: { archive } }
  const { aeTitle, host = '', port } = receiver
  return { stuck: { archive, ae_title: aeTitle, address: `${host.includes(':') ? `[${host}]` : host}:${port}` } }
}

export const ActivityState = Type.Object({
  id: Type.String(),
  request_id: Type.String(),
  kind: Type.Union([Type.Literal('download'), Type.Literal('print')]),
  accession_numbers: Type.Array(Type.String()),
  started_at: Type.String({ description: 'ISO 8601.' }),
  duration_ms: Type.Integer({ description: 'Until now, or until the end.' }),
  phase: Type.Union(PHASES.map(phase => Type.Literal(phase))),
  place: Type.Optional(Type.Integer({ description: 'In the queue for a turn at the archive, from 1; only while it waits (queued).' })),
  stuck: Type.Optional(StuckState),
  ...StudiesState.properties,
  archives_silent: SilentArchives,
  images_received: Type.Integer(),
  images_expected: Type.Optional(Type.Integer({ description: 'Absent while nobody knows.' })),
  received_bytes: Type.Integer({ description: 'Of the images.' }),
  size_bytes: Type.Optional(Type.Integer({ description: 'Of the disc, once it is made.' })),
  file_name: Type.Optional(Type.String({ description: 'Under which the disc goes out; absent before, and where names are not shown.' })),
  sent_bytes: Type.Integer({ description: 'Of the disc.' }),
  sent_images: Type.Integer({ description: 'Taken by the CD publisher.' }),
  outcome: Type.Optional(Type.Union([Type.Literal('success'), Type.Literal('failed'), Type.Literal('cancelled'), Type.Literal('set')], { description: 'Absent while it runs. set: the images need several discs, and the answer has a link to each.' })),
  cancelled_by: Type.Optional(Type.Union([Type.Literal('client'), Type.Literal('operator')])),
  error: Type.Optional(ErrorState)
}, { title: 'Activity' })

const SeriesState = Type.Object({
  uid: Type.String({ description: 'Series Instance UID.' }),
  number: Type.Optional(Type.Integer()),
  modality: Type.String({ description: 'Empty where the archive does not say.' }),
  description: Type.String(),
  images: Type.Optional(Type.Integer({ description: 'Absent where the archive does not say.' }))
})

/** With the series of each study, for who takes a part. */
export const StudiesOfArchive = Type.Object({
  patient_name: StudiesState.properties.patient_name,
  name_from: Type.Optional(Type.Literal('his', { description: 'The archive has no name: this is the one that the HIS has.' })),
  patient_id: Type.String({ description: 'Empty where the archive has none.' }),
  birth_date: Type.String({ description: 'DICOM date, YYYYMMDD, or empty.' }),
  images: Type.Optional(Type.Integer({ description: 'Of all; absent where the archive does not say.' })),
  archives_silent: SilentArchives,
  studies: Type.Array(Type.Object({ ...StudyState.properties, series: Type.Array(SeriesState) }))
}, {
  examples: [{
    patient_name: 'DOE JOHN',
    patient_id: 'P0001',
    birth_date: '19700101',
    images: 120,
    studies: [{
      accession_number: 'MR.2024.001', date: '20240506', description: 'MRI Brain', modalities: ['MR'],
      series: [{ uid: '1.2.840.113619.2.5.1', number: 1, modality: 'MR', description: 'T1', images: 120 }]
    }]
  }]
})

/** As the archive counts or lists them; undefined where it does neither. */
function imagesOf ({ instanceCount, series }: Study): number | undefined {
  if (instanceCount !== undefined) return instanceCount
  const counts = series.map(one => one.instanceCount ?? (one.instances.length > 0 ? one.instances.length : undefined))
  return counts.every(count => count !== undefined) ? counts.reduce((sum, count) => sum + count, 0) : undefined
}

/** @param nameOfHis stands in where the archive has no name, and says so; empty for none */
export function studiesOfArchive (summary: Pick<Activity, 'patientName' | 'studies' | 'silentArchives'>, { studies }: Manifest, nameOfHis = ''): Static<typeof StudiesOfArchive> {
  const state = studiesState(summary)
  const [first] = studies
  const counts = studies.map(imagesOf)
  const isCounted = counts.every(count => count !== undefined)
  return {
    patient_name: state.patient_name === '' ? nameOfHis : state.patient_name,
    ...(state.patient_name === '' && nameOfHis !== '' ? { name_from: 'his' as const } : {}),
    patient_id: first?.patient.patientId ?? '',
    birth_date: first?.patient.birthDate ?? '',
    ...(isCounted ? { images: counts.reduce((sum, count) => sum + count, 0) } : {}),
    ...silentState(summary.silentArchives),
    studies: state.studies.map((study, index) => ({
      ...study,
      series: (studies[index]?.series ?? []).map(({ seriesInstanceUid, seriesNumber, modality, seriesDescription, instanceCount }) => ({
        uid: seriesInstanceUid,
        ...(seriesNumber === undefined ? {} : { number: seriesNumber }),
        modality,
        description: seriesDescription,
        ...(instanceCount === undefined ? {} : { images: instanceCount })
      }))
    }))
  }
}

export type ActivityState = Static<typeof ActivityState>

/** @param names false where patients' names are not for everybody */
export function activityState (activity: Activity, names = true): ActivityState {
  const { outcome, images: { received, expected }, sizeBytes } = activity
  return {
    id: activity.id,
    request_id: activity.requestId,
    kind: activity.kind,
    accession_numbers: [...activity.accessionNumbers],
    started_at: activity.startedAt.toISOString(),
    duration_ms: activity.durationMs,
    phase: activity.phase,
    ...(activity.place === undefined ? {} : { place: activity.place }),
    ...stuckState(activity.stuck),
    ...studiesState(activity, names),
    ...silentState(activity.silentArchives),
    images_received: received,
    ...(expected === undefined ? {} : { images_expected: expected }),
    received_bytes: activity.receivedBytes,
    ...(sizeBytes === undefined ? {} : { size_bytes: sizeBytes }),
    ...(names && activity.fileName !== undefined ? { file_name: activity.fileName } : {}),
    sent_bytes: activity.sentBytes,
    sent_images: activity.sentImages,
    ...(outcome === undefined ? {} : { outcome: outcome.kind }),
    ...(outcome?.kind === 'cancelled' ? { cancelled_by: outcome.by } : {}),
    ...(outcome?.kind === 'failed' || outcome?.kind === 'set'
      ? { error: { error: ERRORS[outcome.code].error, code: outcome.code, ...(outcome.detail === undefined ? {} : { detail: outcome.detail }), request_id: activity.requestId } }
      : {})
  }
}

export function studiesState ({ patientName, studies }: Pick<Activity, 'patientName' | 'studies'>, names = true): Static<typeof StudiesState> {
  return {
    patient_name: names ? patientName : '',
    studies: studies.map(studyState)
  }
}

export function studyState ({ accessionNumber, date, description, modalities, archives }: StudySummary): Static<typeof StudyState> {
  return { accession_number: accessionNumber, date, description, modalities, ...(archives.length === 0 ? {} : { archives }) }
}

/** For the documentation. */
export const ACTIVITY_EXAMPLE: ActivityState = {
  id: '3f0c1f9e-6f5b-4d0e-9a52-2b7a4f1d1c11',
  request_id: EXAMPLE_REQUEST_ID,
  kind: 'download',
  accession_numbers: ['MR.2024.001'],
  started_at: '2024-05-06T07:08:09.000Z',
  duration_ms: 1_250,
  phase: 'receiving',
  patient_name: 'DOE JOHN',
  studies: [{ accession_number: 'MR.2024.001', date: '20240506', description: 'MRI Brain', modalities: ['MR'] }],
  images_received: 120,
  images_expected: 240,
  received_bytes: 63_000_000,
  sent_bytes: 0,
  sent_images: 0
}
