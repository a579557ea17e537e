/** Who has had what: the audit file and those that were put away, read from the end. */
import { setImmediate as immediate } from 'node:timers/promises'
import pLimit from 'p-limit'
import type { PrintRecord } from '../print/print-job.ts'
import type { Activity, Outcome } from '../work/activity.ts'
import { HISTORY_OUTCOMES, type HistoryEntry } from '../work/history-entry.ts'
import type { AuditedStudy } from './event.ts'
import { readBack } from './read-back.ts'

export interface History {
  /** Newest first. */
  entries: readonly HistoryEntry[]
  /** There is more in the files than was read, or more entries than were wanted. */
  cut: boolean
}

/** So much is read of files that may hold years, from the end. */
const READ_BYTES = 16 * 1_024 ** 2
/** Each has tens of megabytes in memory while it reads. */
const AT_ONCE = 1
/** Lines that are taken apart before others have their turn. */
const LINES_AT_ONCE = 2_000
const limit = pLimit(AT_ONCE)
const EVENTS: Record<string, HistoryEntry['kind']> = { export: 'download', transfer: 'print', look: 'look' }

/**
 * @param file of audit.file; one that is not there yet holds nothing
 * @throws Error of the file system
 */
export async function readHistory (file: string, wanted: (entry: HistoryEntry) => boolean, most: number): Promise<History> {
  return await limit(async () => await readNow(file, wanted, most))
}

async function readNow (file: string, wanted: (entry: HistoryEntry) => boolean, most: number): Promise<History> {
  const byActivity = new Map<string, HistoryEntry>()
  // counted as they come: a year of daily files is hundreds of parts
  const found = new Set<string>()
  let isWhole = true
  for await (const part of readBack(file, READ_BYTES)) {
    for (const [id, entry] of await entriesOf(part.text)) {
      // it began before the file was put away, and ended afterwards
      const ended = byActivity.get(id)
      const known = ended === undefined ? entry : merged(entry, ended)
      byActivity.set(id, known)
      if (wanted(known)) found.add(id)
      else found.delete(id)
    }
    isWhole &&= part.isWhole
    if (!isWhole) break
    // one more than is wanted says that there is more
    if (found.size > most) break
  }
  const all = [...byActivity].flatMap(([id, entry]) => found.has(id) ? [entry] : [])
  return { entries: all.slice(0, most), cut: !isWhole || all.length > most }
}

/** Newest first, each activity once. */
async function entriesOf (text: string): Promise<Map<string, HistoryEntry>> {
  const found = new Map<string, HistoryEntry>()
  for (const [index, line] of text.split('\n').entries()) {
    if (index % LINES_AT_ONCE === LINES_AT_ONCE - 1) await immediate()
    const entry = entryOf(line)
    if (entry === undefined) continue
    const begun = found.get(entry.activityId)
    // what was begun tells of whom it was, also where its end does not
    found.delete(entry.activityId)
    found.set(entry.activityId, begun === undefined ? entry : merged(begun, entry))
  }
  return new Map([...found].reverse())
}

/** True where a number, a name, or a person holds the text, without regard to case. */
export function mentions ({ accessionNumbers, patients, by }: Pick<HistoryEntry, 'accessionNumbers' | 'patients' | 'by'>, text: string): boolean {
  const plain = (value: string): string => value.replaceAll('^', ' ').toUpperCase()
  return [...accessionNumbers, ...patients.flatMap(({ id, name }) => [id, name]), by.user ?? '', by.credential ?? '', by.address].some(value => plain(value).includes(plain(text)))
}

function merged (begun: HistoryEntry, ended: HistoryEntry): HistoryEntry {
  return { ...ended, patients: ended.patients.length > 0 ? ended.patients : begun.patients, studies: ended.studies.length > 0 ? ended.studies : begun.studies }
}

type Fields = Record<string, unknown>
const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)
const text = (value: unknown): string => typeof value === 'string' ? value : ''
const optional = (value: unknown): string | undefined => typeof value === 'string' ? value : undefined
const listOf = (value: unknown): Fields[] => Array.isArray(value) ? value.filter(isFields) : []

/** @returns undefined for a record of another kind, and for a line that is none: it may have been cut off by a full disk */
function entryOf (line: string): HistoryEntry | undefined {
  const record = parsed(line)
  const kind = EVENTS[text(record?.['event'])]
  const activityId = text(record?.['activity_id'])
  if (record === undefined || kind === undefined || activityId === '') return undefined
  const numbers = record['accession_numbers']
  const studies = listOf(record['studies'])
  const counted = studies.reduce((sum, { instances }) => sum + (typeof instances === 'number' ? instances : 0), 0)
  return {
    at: text(record['time']),
    kind,
    outcome: HISTORY_OUTCOMES.find(outcome => outcome === record['outcome']) ?? 'begun',
    requestId: text(record['request_id']),
    activityId,
    accessionNumbers: Array.isArray(numbers) ? numbers.map(text) : [],
    patients: listOf(record['patients']).map(({ id, name }) => ({ id: text(id), name: text(name) })),
    studies: studies.map(({ uid, accession_number: accessionNumber }) => ({ uid: text(uid), accessionNumber: text(accessionNumber) })),
    by: { user: optional(record['user']), credential: optional(record['key']), address: text(record['address']) },
    images: counted === 0 ? undefined : counted
  }
}

function parsed (line: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return isFields(value) ? value : undefined
  } catch { return undefined }
}

/** A print of the journal that has ended; the journal knows more of it than the audit does. */
export function historyOfPrint (record: PrintRecord): HistoryEntry {
  const { id, requestId, times, createdAt, state, accessionNumbers, patientName, studyInstanceUids, caller, images } = record
  return {
    at: times[state] ?? createdAt,
    kind: 'print',
    outcome: PRINT_OUTCOMES[state],
    requestId,
    activityId: id,
    accessionNumbers,
    patients: patientName === '' ? [] : [{ id: '', name: patientName }],
    studies: studyInstanceUids.map(uid => ({ uid, accessionNumber: accessionNumbers.join(',') })),
    by: caller,
    images
  }
}

const PRINT_OUTCOMES: Record<PrintRecord['state'], HistoryEntry['outcome']> = {
  queued: 'begun', fetching: 'begun', sending: 'begun', sent: 'success', failed: 'failed', cancelled: 'aborted', unknown: 'unknown'
}

const DOWNLOAD_OUTCOMES: Record<Outcome['kind'], HistoryEntry['outcome']> = { success: 'success', failed: 'failed', cancelled: 'aborted', set: 'offered' }

/** A download that has ended, as long as it is remembered. */
export function historyOfDownload ({ id, requestId, accessionNumbers, caller, manifest, outcome, startedAt, endedAt, images }: Activity): HistoryEntry {
  const studies = manifest?.studies ?? []
  return {
    at: (endedAt ?? startedAt).toISOString(),
    kind: 'download',
    outcome: outcome === undefined ? 'begun' : DOWNLOAD_OUTCOMES[outcome.kind],
    requestId,
    activityId: id,
    accessionNumbers,
    patients: studies.slice(0, 1).map(({ patient }) => ({ id: patient.patientId, name: patient.patientName })),
    studies: studies.map(({ studyInstanceUid, accessionNumber }) => ({ uid: studyInstanceUid, accessionNumber })),
    by: caller,
    images: images.received === 0 ? undefined : images.received
  }
}

/** For the record that whoever reads the history leaves. */
export function studiesOfHistory (entries: readonly HistoryEntry[]): AuditedStudy[] {
  return entries.flatMap(({ studies, patients: [patient = { id: '', name: '' }] }) => studies.map(({ uid, accessionNumber }) => ({
    studyInstanceUid: uid, accessionNumber, description: '', patient: { patientId: patient.id, issuerOfPatientId: '', patientName: patient.name, birthDate: '', sex: '' },
    archives: [], silent: [], instances: new Map()
  })))
}
