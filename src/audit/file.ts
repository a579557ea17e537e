/** One JSON line an event. The file is opened anew for each, so that it can be rotated at any time. */
import { appendFileSync } from 'node:fs'
import { instanceCount, patientsOf, type AuditedDisc, type AuditEvent } from './event.ts'

const EVENTS: Record<AuditEvent['kind'], string> = { download: 'export', print: 'transfer', look: 'look', query: 'query' }

/** @throws when the file cannot be written */
export function appendAuditLine (file: string, event: AuditEvent): void {
  appendFileSync(file, `${JSON.stringify(auditLine(event))}\n`, { mode: 0o600 })
}

/** What does not apply is left out. */
export function auditLine (event: AuditEvent): Record<string, unknown> {
  const { caller, disc } = event
  return {
    time: event.at.toISOString(),
    event: EVENTS[event.kind],
    phase: event.phase,
    outcome: event.outcome,
    code: event.code,
    request_id: event.requestId,
    activity_id: event.activityId,
    key: caller.credential,
    user: caller.user,
    address: caller.address,
    accession_numbers: event.accessionNumbers,
    patients: patientsOf(event).map(({ patientId: id, issuerOfPatientId: issuer, patientName: name }) => ({ id, ...(issuer === '' ? {} : { issuer }), name })),
    studies: event.studies.map(study => ({
      uid: study.studyInstanceUid, accession_number: study.accessionNumber, description: study.description, instances: instanceCount(study),
      ...study.archives.length === 0 ? {} : { archives: study.archives },
      ...study.silent.length === 0 ? {} : { silent_archives: study.silent }
    })),
    disc: disc === undefined ? undefined : discLine(disc),
    destination: event.destination === undefined ? undefined : `${event.destination.aeTitle} ${event.destination.address}`,
    sent_bytes: event.sentBytes,
    sent_instances: event.sentInstances
  }
}

function discLine ({ number, of, format, encrypted, sizeBytes, etag, range }: AuditedDisc): Record<string, unknown> {
  return { number, of, format, encrypted: encrypted ? true : undefined, size_bytes: sizeBytes, etag, first_byte: range?.first, last_byte: range?.last }
}
