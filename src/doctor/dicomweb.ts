/** What a DICOMweb server lets us do: search, and retrieve. One image that exists is asked for; it is thrown away. */
import { randomBytes } from 'node:crypto'
import type { Archive, Asking } from '../archive/archive.ts'
import { createDicomwebArchive } from '../archive/dicomweb/dicomweb-archive.ts'
import { probeDicomweb } from '../archive/dicomweb/probe.ts'
import { dicomwebServerOf, type DicomwebServer } from '../archive/dicomweb/server.ts'
import { DicomwebConnection } from '../archive/dicomweb/connection.ts'
import { JsonAnswer } from '../archive/dicomweb/json-answer.ts'
import { askOnce } from '../archive/dicomweb/search.ts'
import { AssociationLimit } from '../archive/dimse/association-limit.ts'
import { PortPool } from '../archive/dimse/port-pool.ts'
import type { ArchiveSettings, Config } from '../config/schema.ts'
import { isUid, type FetchPart } from '../dicom/study.ts'
import { MkisoError } from '../errors.ts'
import { silentLog } from '../process.ts'
import { ok, type Finding } from './finding.ts'

export interface DicomwebCheckContext {
  config: Config
  archive: ArchiveSettings
  /** As it is called in the report. */
  name: string
  workDir: string
  /** An accession number that the server has, for the image that is asked for; undefined for any study. */
  accessionNumber: string | undefined
  signal: AbortSignal
}

/** Longest wait for one answer, so that a server in trouble does not hold up the whole report. */
const LONGEST_MS = 20_000

export async function checkDicomweb (context: DicomwebCheckContext): Promise<Finding[]> {
  const { archive: settings, config, name, workDir, signal } = context
  const server = quick(dicomwebServerOf(settings))
  const startedAt = performance.now()
  const probed = await probeDicomweb(server, signal)
  const reached = `${name} DICOMweb`
  if (probed.kind !== 'ok') return [{ name: reached, status: probed.kind === 'busy' ? 'warning' : 'down', detail: `${server.url}: ${probed.reason}`, advice: [`check ${settings.section}.dicomweb`] }]
  const there = ok(reached, `${server.url} answers in ${Math.round(performance.now() - startedAt)} ms`)
  const archive = createDicomwebArchive({
    server,
    limit: new AssociationLimit({ section: settings.section, associations: settings.maxAssociations, moves: settings.max_moves }),
    slots: new PortPool(1),
    workDir,
    maxUnwantedBytes: config.our_ae.maxUnwantedBytes
  })
  try {
    const search = await checkSearch(archive, name, signal)
    if (search.status === 'down') return [there, search]
    return [there, search, await checkRetrieve(context, archive, server)]
  } finally { await archive.close() }
}

function quick (server: DicomwebServer): DicomwebServer {
  const shorter = (ms: number): number => Math.min(ms, LONGEST_MS)
  const { connectTimeoutMs, findTimeoutMs, idleTimeoutMs, moveTimeoutMs, queueTimeoutMs } = server
  return {
    ...server,
    connectTimeoutMs: Math.min(connectTimeoutMs, 5_000),
    findTimeoutMs: shorter(findTimeoutMs),
    idleTimeoutMs: shorter(idleTimeoutMs),
    moveTimeoutMs: shorter(moveTimeoutMs),
    queueTimeoutMs: shorter(queueTimeoutMs)
  }
}

/** For an accession number that nobody has. */
async function checkSearch (archive: Archive, name: string, signal: AbortSignal): Promise<Finding> {
  const label = `${name} QIDO-RS`
  let ignoresKey = false
  const asking: Asking = { signal, log: { ...silentLog, warn: (_fields, message) => { ignoresKey ||= message.includes('what was not asked for') } } }
  const startedAt = performance.now()
  try {
    await archive.findStudies([`NONE-${randomBytes(5).toString('hex').toUpperCase()}`], asking)
    return { name: label, status: 'warning', detail: 'a study for an accession number that does not exist', advice: ['the server makes answers up: tell its maker'] }
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof MkisoError)) throw error
    if (error.code !== 'NO_DICOM_DATA') return { name: label, status: 'down', detail: error.detail ?? error.message, advice: [] }
    if (ignoresKey) {
      return { name: label, status: 'warning', detail: 'studies for an accession number that does not exist: the server ignores the key', advice: ['such studies are left out, but each search is slow: index the Accession Number there'] }
    }
    return ok(label, `allowed; an accession number that does not exist has no study, in ${Math.round(performance.now() - startedAt)} ms`)
  }
}

async function checkRetrieve ({ accessionNumber, name, signal }: DicomwebCheckContext, archive: Archive, server: DicomwebServer): Promise<Finding> {
  const label = `${name} WADO-RS`
  const sample = await sampleOf(server, accessionNumber, signal)
  const [uid] = sample?.sopInstanceUids ?? []
  if (sample === undefined || uid === undefined) {
    return accessionNumber === undefined
      ? { name: label, status: 'unknown', detail: 'not tried: it lists no image', advice: ['give --accession a number that it has'] }
      : { name: label, status: 'down', detail: `it lists no image for ${accessionNumber}`, advice: ['give --accession a number that it has'] }
  }
  const asking = { signal, log: silentLog }
  const session = await archive.open(asking)
  try {
    let arrived = false
    session.receive(sample.studyInstanceUid, { offer: async ({ object }) => { arrived ||= object.sopInstanceUid === uid }, cutOff: () => {}, activity: () => {} })
    const { reason, fault } = await session.fetch(sample, asking)
    if (arrived) return ok(label, 'allowed; an image came as it is stored')
    return { name: label, status: 'down', detail: fault?.detail ?? (reason === '' ? 'another image came than was asked for' : reason), advice: [] }
  } finally { await session.close() }
}

/** One image of the accession number, or of any study. */
async function sampleOf (server: DicomwebServer, accessionNumber: string | undefined, signal: AbortSignal): Promise<FetchPart | undefined> {
  const connection = new DicomwebConnection(server)
  const first = async (path: string, tag: string): Promise<string | undefined> => {
    const answer = await askOnce(connection, path, signal)
    const [value] = answer.kind === 'page' ? answer.values : []
    const uid = value === undefined ? '' : new JsonAnswer(value).text(tag)
    return isUid(uid) ? uid : undefined
  }
  try {
    const key = accessionNumber === undefined ? '' : `AccessionNumber=${encodeURIComponent(accessionNumber)}&`
    const studyInstanceUid = await first(`/studies?${key}limit=1`, '0020000D')
    if (studyInstanceUid === undefined) return undefined
    const seriesInstanceUid = await first(`/studies/${studyInstanceUid}/series?limit=1`, '0020000E')
    if (seriesInstanceUid === undefined) return undefined
    const sopInstanceUid = await first(`/studies/${studyInstanceUid}/series/${seriesInstanceUid}/instances?limit=1`, '00080018')
    return sopInstanceUid === undefined ? undefined : { studyInstanceUid, seriesInstanceUid, sopInstanceUids: [sopInstanceUid] }
  } finally { await connection.close() }
}
