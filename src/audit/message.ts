/**
 * The audit message of DICOM (PS3.15 A.5): a download is a Data Export (A.5.3.4), a print Begin Transferring (A.5.3.3) and Instances
 * Transferred (A.5.3.7), a look Instances Accessed (A.5.3.5), whose studies they are a Query (A.5.3.10). `begin` of a download has no message in the
 * standard and gets none.
 */
import { isIP } from 'node:net'
import { instanceCount, patientsOf, type AuditedStudy, type AuditEvent } from './event.ts'
import { element, escaped, type Attributes } from './xml.ts'

/** The service itself, as a participant. */
export interface AuditSource {
  /** AuditSourceID. */
  sourceId: string
  hostName: string
  processName: string
  aeTitle: string
}

const DCM = (code: string, originalText: string) => ({ 'csd-code': code, codeSystemName: 'DCM', originalText })
const OUTCOMES = { success: 0, aborted: 4, failed: 8 }

/** undefined where the standard has no message for it. */
export function auditMessage (event: AuditEvent, source: AuditSource): string | undefined {
  const content = contentOf(event, source)
  if (content === undefined) return undefined
  return `<?xml version="1.0" encoding="UTF-8"?>${element('AuditMessage', {}, ...content,
    element('AuditSourceIdentification', { AuditSourceID: source.sourceId }, element('AuditSourceTypeCode', { 'csd-code': 4 })),
    ...event.kind === 'query' ? [queryObject(event)] : [],
    ...event.studies.map(study => studyObject(study, event)), ...patientsOf(event).map(patient => element('ParticipantObjectIdentification',
      { ParticipantObjectID: patient.patientId === '' ? 'none' : patient.patientId, ParticipantObjectTypeCode: 1, ParticipantObjectTypeCodeRole: 1 },
      element('ParticipantObjectIDTypeCode', { 'csd-code': 2, codeSystemName: 'RFC-3881', originalText: 'Patient Number' }),
      text('ParticipantObjectName', patient.patientName),
      ...patient.issuerOfPatientId === '' ? [] : [detail('IssuerOfPatientID', patient.issuerOfPatientId)])))}`
}

function contentOf (event: AuditEvent, source: AuditSource): string[] | undefined {
  switch (event.kind) {
    case 'print': return transfer(event, source)
    case 'query': return query(event, source)
    case 'look': return accessed(event, source)
    case 'download': return event.phase === 'end' ? dataExport(event, source) : undefined
  }
}

/** We are the responder: who asks need not speak DICOM. */
function query (event: AuditEvent, source: AuditSource): string[] {
  return [identification(event, DCM('110112', 'Query'), 'E'), requestor(event, DCM('110153', 'Source Role ID')), ourselves(source, DCM('110152', 'Destination Role ID'))]
}

/** Study Root Query/Retrieve Information Model - FIND, and what was asked for. */
function queryObject ({ accessionNumbers }: AuditEvent): string {
  return element('ParticipantObjectIdentification', { ParticipantObjectID: '1.2.840.10008.5.1.4.1.2.2.1', ParticipantObjectTypeCode: 2, ParticipantObjectTypeCodeRole: 3 },
    element('ParticipantObjectIDTypeCode', DCM('110181', 'SOP Class UID')),
    text('ParticipantObjectQuery', Buffer.from(accessionNumbers.join(',')).toString('base64')))
}

function dataExport (event: AuditEvent, source: AuditSource): string[] {
  const { disc, caller } = event
  return [
    identification(event, DCM('110106', 'Export'), 'R'),
    requestor(event, DCM('110152', 'Destination Role ID')),
    ourselves(source, DCM('110153', 'Source Role ID')),
    element('ActiveParticipant', {
      UserID: disc === undefined ? 'no disc' : `${disc.etag.replaceAll('"', '')} ${disc.number}/${disc.of}`, UserIsRequestor: false, ...accessPoint(caller.address)
    },
    element('RoleIDCode', DCM('110154', 'Destination Media')),
    // CID 405: it leaves over the network
    element('MediaIdentifier', {}, element('MediaType', DCM('110037', 'URI'))))
  ]
}

function accessed (event: AuditEvent, source: AuditSource): string[] {
  return [identification(event, DCM('110103', 'DICOM Instances Accessed'), 'R'), requestor(event), ourselves(source, DCM('110150', 'Application'))]
}

function transfer (event: AuditEvent, source: AuditSource): string[] {
  const { destination } = event
  return [
    event.phase === 'begin'
      ? identification(event, DCM('110102', 'Begin Transferring DICOM Instances'), 'E')
      : identification(event, DCM('110104', 'DICOM Instances Transferred'), 'C'),
    ourselves(source, DCM('110153', 'Source Role ID')),
    element('ActiveParticipant', {
      UserID: destination?.address ?? 'none',
      AlternativeUserID: aeTitles(destination?.aeTitle),
      UserIsRequestor: false,
      ...accessPoint(destination?.address.replace(/:\d+$/, '') ?? '')
    }, element('RoleIDCode', DCM('110152', 'Destination Role ID'))),
    requestor(event)
  ]
}

function identification ({ at, outcome = 'success', code, disc, sentBytes, sentInstances }: AuditEvent, id: ReturnType<typeof DCM>, action: string): string {
  const description = [
    ...code === undefined ? outcome === 'aborted' ? ['the client has left, or the request was cancelled'] : [] : [code],
    ...disc?.range === undefined ? [] : [`bytes ${disc.range.first}-${disc.range.last} of ${disc.sizeBytes ?? 'an unknown number'}`],
    ...disc?.encrypted === true ? ['encrypted with a password'] : [],
    ...sentBytes === undefined ? [] : [`${sentBytes} bytes sent`],
    ...sentInstances === undefined ? [] : [`${sentInstances} instances sent`]
  ].join('; ')
  return element('EventIdentification', { EventActionCode: action, EventDateTime: at.toISOString(), EventOutcomeIndicator: OUTCOMES[outcome] },
    element('EventID', id), ...description === '' ? [] : [text('EventOutcomeDescription', description)])
}

/** The person where one is known, else the key, else the address. */
function requestor ({ caller: { user, credential, address } }: AuditEvent, role?: ReturnType<typeof DCM>): string {
  return element('ActiveParticipant', {
    UserID: user ?? credential ?? address, AlternativeUserID: user === undefined ? undefined : credential, UserIsRequestor: true, ...accessPoint(address)
  }, ...role === undefined ? [] : [element('RoleIDCode', role)])
}

function ourselves ({ processName, aeTitle, hostName }: AuditSource, role: ReturnType<typeof DCM>): string {
  return element('ActiveParticipant', {
    UserID: processName, AlternativeUserID: aeTitles(aeTitle), UserIsRequestor: false, ...accessPoint(hostName)
  }, element('RoleIDCode', role))
}

/** Type 1 is a name of a machine, 2 an address. */
function accessPoint (host: string): Attributes {
  return host === '' ? {} : { NetworkAccessPointID: host, NetworkAccessPointTypeCode: isIP(host) === 0 ? 1 : 2 }
}

/** PS3.15 A.5.2.2. */
function aeTitles (aeTitle: string | undefined): string | undefined {
  return aeTitle === undefined ? undefined : `AETITLES=${aeTitle}`
}

function studyObject (study: AuditedStudy, { requestId, disc }: AuditEvent): string {
  return element('ParticipantObjectIdentification', { ParticipantObjectID: study.studyInstanceUid, ParticipantObjectTypeCode: 2, ParticipantObjectTypeCodeRole: 3 },
    element('ParticipantObjectIDTypeCode', DCM('110180', 'Study Instance UID')),
    // the schema wants a name
    text('ParticipantObjectName', study.description === '' ? study.accessionNumber : study.description),
    detail('RequestID', requestId), ...disc === undefined ? [] : [detail('Disc', `${disc.number} of ${disc.of}`), detail('DiscETag', disc.etag), detail('Format', disc.encrypted ? `${disc.format}, encrypted` : disc.format)],
    element('ParticipantObjectDescription', {},
      element('Accession', { Number: study.accessionNumber }),
      ...instanceCount(study) === 0 ? [element('SOPClass', { NumberOfInstances: 0 })] : [...study.instances].map(([uid, count]) => element('SOPClass', { UID: uid === '' ? undefined : uid, NumberOfInstances: count }))))
}

/** What the standard has no attribute for; base64, so that nothing in it can harm a reader. */
function detail (type: string, value: string): string {
  return element('ParticipantObjectDetail', { type, value: Buffer.from(value).toString('base64') })
}

function text (name: string, content: string): string {
  return element(name, {}, escaped(content))
}
