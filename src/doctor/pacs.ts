/**
 * What a PACS lets us do: associate, query, and send to our receiver. A status cannot always tell: Orthanc answers 0xC000 for an unknown
 * destination and for an unknown study alike, and dcmqrscp looks at the destination only when the study exists (measured). So an image
 * that exists is asked for, where there is one; it is thrown away.
 */
import { randomBytes } from 'node:crypto'
import type { ArchiveSettings, Config } from '../config/schema.ts'
import { echoscu } from '../dcmtk/echoscu.ts'
import { sentOf } from '../dcmtk/fetch.ts'
import type { FetchPart } from '../dicom/study.ts'
import { findscu, type FindResult, type QueryLevel } from '../dcmtk/findscu.ts'
import { movescu } from '../dcmtk/movescu.ts'
import { addressOf, type AssociationFault, type ToolContext } from '../dcmtk/peer.ts'
import { aeTitleAt } from '../dcmtk/ae-title.ts'
import { MkisoError } from '../errors.ts'
import { until } from '../process.ts'
import type { FetchAnswer } from '../archive/dimse/fetch-outcome.ts'
import { createGetTransport } from '../archive/dimse/get-transport.ts'
import { pacsOf, receiverTlsOf, type Pacs } from '../archive/dimse/pacs.ts'
import { createPerRequestScp } from '../archive/dimse/per-request-scp.ts'
import { PortPool } from '../archive/dimse/port-pool.ts'
import { ok, type Finding } from './finding.ts'
import { addressTowards, entryAdvice } from './pacs-entry.ts'
import { droppedImages } from './running-service.ts'

export interface PacsCheckContext extends ToolContext {
  config: Config
  archive: ArchiveSettings
  /** What the lines begin with. */
  name: string
  workDir: string
  /** An accession number that the PACS has, for the image that is asked for; undefined for one of the last days. */
  accessionNumber: string | undefined
  /** Where the service answers that has the receiver's port: what arrives there it turns away, since it did not ask, and counts. */
  receivingService: string | undefined
  signal: AbortSignal
}

/** Longest wait for one answer, so that a PACS in trouble does not hold up the whole report. */
const LONGEST_MS = 20_000
const RECENT_DAYS = 7
/** Move destination unknown (PS3.4 Table C.4-2). */
const UNKNOWN_DESTINATION = 0xA801

export async function checkPacs (context: PacsCheckContext): Promise<Finding[]> {
  const { config, archive, name } = context
  const pacs = quick(pacsOf(archive))
  const callingAeTitle = aeTitleAt(config, 0)
  const who = `${pacs.aeTitle} at ${addressOf(pacs)}`
  const startedAt = performance.now()
  const fault = await echoscu(context, pacs, callingAeTitle)
  if (fault?.kind === 'unreachable') {
    return [{ name: `${name} C-ECHO`, status: 'down', detail: `${who}: ${fault.reason}`, advice: [`is it up? check ${archive.section}.host and ${archive.section}.port, and the firewall between the two`] }]
  }
  const entry = entryAdvice(config, archive, await addressTowards(pacs.host, pacs.port, pacs.connectTimeoutMs))
  const echo: Finding = fault === undefined
    ? ok(`${name} C-ECHO`, `${who} answers ${callingAeTitle} in ${Math.round(performance.now() - startedAt)} ms`)
    : { name: `${name} C-ECHO`, status: 'down', detail: `${who}: ${fault.reason}`, advice: associationAdvice(fault, pacs, callingAeTitle, entry) }
  // a PACS may refuse C-ECHO and still allow the rest, but not when it refuses the association
  if (fault !== undefined && fault.kind !== 'broken') return [echo]
  const find = await checkFind(context, pacs, callingAeTitle, entry)
  if (find.status === 'down') return [echo, find]
  const sample = await sampleOf(context, pacs, callingAeTitle)
  return [echo, find, ...(typeof sample === 'object' && 'name' in sample ? [sample] : [await checkRetrieve(context, pacs, callingAeTitle, entry, sample)])]
}

function quick (pacs: Pacs): Pacs {
  const shorter = (ms: number): number => Math.min(ms, LONGEST_MS)
  return {
    ...pacs,
    connectTimeoutMs: Math.min(pacs.connectTimeoutMs, 5_000),
    findTimeoutMs: shorter(pacs.findTimeoutMs),
    moveTimeoutMs: shorter(pacs.moveTimeoutMs),
    settleTimeoutMs: shorter(pacs.settleTimeoutMs)
  }
}

function associationAdvice (fault: AssociationFault, pacs: Pacs, callingAeTitle: string, entry: readonly string[]): readonly string[] {
  switch (fault.kind) {
    // dcmqrscp says the same when its AETable does not list the caller among the peers (measured)
    case 'called-title-unknown': return [`set ${pacs.section}.ae_title to what the PACS has; or the PACS has ${pacs.aeTitle} but does not let ${callingAeTitle} in, then:`, ...entry]
    case 'busy': return [`it bears no more associations just now: try again, or raise its limit of associations; ${pacs.section}.max_associations`]
    default: return entry
  }
}

async function checkFind (context: PacsCheckContext, pacs: Pacs, callingAeTitle: string, entry: readonly string[]): Promise<Finding> {
  const name = `${context.name} C-FIND`
  const startedAt = performance.now()
  // nobody has it
  const accessionNumber = `NONE-${randomBytes(5).toString('hex').toUpperCase()}`
  const result = await find(context, pacs, callingAeTitle, 'STUDY', { '0008,0050': accessionNumber, '0020,000d': '' })
  switch (result.kind) {
    case 'answers': {
      if (result.end === 'limit') {
        const detail = `its answer is cut off after ${result.answers.length} studies (status ${result.status})`
        return { name, status: 'warning', detail, advice: ['raise the limit of answers at the PACS (Orthanc: LimitFindResults)'] }
      }
      if (result.answers.length === 0) return ok(name, `allowed; an accession number that does not exist has no study, in ${Math.round(performance.now() - startedAt)} ms`)
      const detail = `${result.answers.length} studies for an accession number that does not exist: the PACS ignores the key`
      return { name, status: 'warning', detail, advice: ['such studies are left out, but each query is slow: index the Accession Number at the PACS'] }
    }
    case 'timeout': return { name, status: 'down', detail: `no answer within ${pacs.findTimeoutMs / 1_000} s`, advice: ['the PACS is slow or stuck; find_timeout'] }
    case 'refused': return { name, status: 'down', detail: `refused: ${result.reason}`, advice: entry }
    case 'too-many': {
      const detail = `more than ${result.most} studies for an accession number that does not exist: the PACS ignores the key`
      return { name, status: 'down', detail, advice: ['index the Accession Number at the PACS'] }
    }
    case 'too-long': return { name, status: 'down', detail: `${result.reason}, which is more than is read: the PACS ignores what is asked for`, advice: ['index the Accession Number at the PACS'] }
    case 'no-association':
      // it let the C-ECHO in a moment ago
      if (result.fault.kind === 'busy') {
        return { name, status: 'down', detail: result.fault.reason, advice: associationAdvice(result.fault, pacs, callingAeTitle, entry) }
      }
      // Orthanc drops the association of one whom it does not know (measured)
      return { name, status: 'down', detail: `${result.fault.reason}: the PACS does not let ${callingAeTitle} query`, advice: entry }
  }
}

async function find (context: PacsCheckContext, pacs: Pacs, callingAeTitle: string, level: QueryLevel, keys: Record<string, string>, atMost?: number): Promise<FindResult> {
  return await findscu(context, pacs, { level, keys, callingAeTitle, timeoutMs: pacs.findTimeoutMs, tempDir: context.workDir, atMost })
}

/** One image of the accession number, or of a study of the last days; undefined when there is none. */
async function sampleOf (context: PacsCheckContext, pacs: Pacs, callingAeTitle: string): Promise<FetchPart | Finding | undefined> {
  const first = async (level: QueryLevel, keys: Record<string, string>, uid: string): Promise<string | undefined> => {
    const result = await find(context, pacs, callingAeTitle, level, { ...keys, [uid]: '' }, 1)
    const value = result.kind === 'answers' ? result.answers[0]?.get(uid) : undefined
    return value === '' ? undefined : value
  }
  const { accessionNumber } = context
  const day = new Date(Date.now() - RECENT_DAYS * 86_400_000).toISOString().slice(0, 10).replaceAll('-', '')
  const studyInstanceUid = await first('STUDY', accessionNumber === undefined ? { '0008,0020': `${day}-` } : { '0008,0050': accessionNumber }, '0020,000d')
  if (studyInstanceUid === undefined) {
    return accessionNumber === undefined ? undefined : { name: `${context.name} C-FIND`, status: context.config.archives.length > 1 ? 'unknown' : 'down', detail: `the PACS holds no study for ${accessionNumber}`, advice: ['give --accession a number that the PACS has'] }
  }
  const seriesInstanceUid = await first('SERIES', { '0020,000d': studyInstanceUid }, '0020,000e')
  if (seriesInstanceUid === undefined) return undefined
  const sopInstanceUid = await first('IMAGE', { '0020,000d': studyInstanceUid, '0020,000e': seriesInstanceUid }, '0008,0018')
  return sopInstanceUid === undefined ? undefined : { studyInstanceUid, seriesInstanceUid, sopInstanceUids: [sopInstanceUid] }
}

async function checkRetrieve (context: PacsCheckContext, pacs: Pacs, callingAeTitle: string, entry: readonly string[], sample: FetchPart | undefined): Promise<Finding> {
  const get = context.archive.retrieve === 'get'
  const name = `${context.name} ${get ? 'C-GET' : 'C-MOVE'}`
  const port = context.config.our_ae.base_port
  const retrieved = { name, pacs, callingAeTitle, entry, sample, port, get }
  // `2.25.` and a random number: a UID that nobody has (PS3.5 B.2)
  const part = sample ?? { studyInstanceUid: `2.25.${BigInt(`0x${randomBytes(15).toString('hex')}`)}` }
  if (!get && (context.receivingService !== undefined || sample === undefined)) {
    const dropped = async (): Promise<number | undefined> =>
      context.receivingService === undefined ? undefined : await droppedImages(context.receivingService, context.config.metrics)
    const before = await dropped()
    const answer = await movescu(context, pacs, { callingAeTitle, destinationAeTitle: callingAeTitle, part, timeoutMs: pacs.moveTimeoutMs, signal: context.signal })
    const after = await dropped()
    return judge({ ...retrieved, answer, arrived: before === undefined || after === undefined ? undefined : after > before, turnedAway: undefined })
  }
  try {
    return judge({ ...retrieved, ...await retrieve(context, pacs, part) })
  } catch (error) {
    if (!(error instanceof MkisoError) || error.code !== 'TOO_MANY_CONCURRENT') throw error
    // the line about the ports tells whose fault that is
    return { name, status: 'unknown', detail: `not tried: our receiver cannot listen on port ${port}` }
  }
}

/**
 * Fetches as the service does, with a receiver on the first port.
 * @throws MkisoError TOO_MANY_CONCURRENT when the port is taken
 */
async function retrieve (context: PacsCheckContext, pacs: Pacs, part: FetchPart): Promise<Pick<Retrieved, 'answer' | 'arrived' | 'turnedAway'>> {
  const { archive, log, signal } = context
  const options = { ...context, pacs, receiverTls: receiverTlsOf(archive), pool: new PortPool(1) }
  const session = await (archive.retrieve === 'get' ? createGetTransport(options) : createPerRequestScp(options)).open({ signal, log })
  try {
    let arrived = false
    session.wanted.add(part.studyInstanceUid, {
      offer: async ({ object }) => { if (part.sopInstanceUids?.includes(object.sopInstanceUid) === true) arrived = true },
      cutOff: () => {},
      activity: () => {}
    })
    const answer = await session.fetch(part, { signal, log, onActivity: () => {}, remembered: undefined })
    if (answer.kind === 'answered' && sentOf(answer.counts) > 0) await until(() => arrived, pacs.settleTimeoutMs, 50, signal)
    return { answer, arrived, turnedAway: session.turnedAway() }
  } finally {
    await session.close()
  }
}

interface Retrieved {
  name: string
  pacs: Pacs
  callingAeTitle: string
  entry: readonly string[]
  sample: FetchPart | undefined
  answer: FetchAnswer
  /** undefined when nobody here can see what came: the service has the port, and does not tell. */
  arrived: boolean | undefined
  /** A sentence when connections from other addresses were turned away. */
  turnedAway: string | undefined
  port: number
  get: boolean
}

function judge ({ name, pacs, callingAeTitle, entry: ourEntry, sample, answer: result, arrived, turnedAway, port, get }: Retrieved): Finding {
  const entry = turnedAway === undefined ? ourEntry : [turnedAway, ...ourEntry]
  if (result.kind === 'timeout') return { name, status: 'down', detail: `no end within ${pacs.moveTimeoutMs / 1_000} s`, advice: ['the PACS is slow, or it cannot reach us: check the firewall', ...entry] }
  if (result.kind === 'no-association') return { name, status: 'down', detail: `${result.fault.reason}: the PACS does not let ${callingAeTitle} retrieve`, advice: get ? ['or it does not support C-GET: pacs.retrieve: move', ...entry] : entry }
  if (result.kind === 'failed') return { name, status: 'down', detail: result.reason, advice: entry }
  const { status, counts } = result
  const hex = `0x${status.toString(16).toUpperCase().padStart(4, '0')}`
  if (status === UNKNOWN_DESTINATION) return { name, status: 'down', detail: `${pacs.aeTitle} does not know the move destination ${callingAeTitle} (${hex})`, advice: entry }
  if (sample === undefined) {
    return {
      name,
      status: 'unknown',
      detail: `could not tell whether ${pacs.aeTitle} knows ${callingAeTitle}: it answers ${hex} for a study that does not exist, and it has none of the last ${RECENT_DAYS} days`,
      advice: ['give an accession number that the PACS has: mkiso doctor --accession NUMBER', ...entry.map((line, index) => index === 0 ? line.replace(/^add at the PACS/, 'what the PACS must have') : line)]
    }
  }
  if (arrived === true) return ok(name, 'an image was asked for and came')
  if (arrived === undefined) {
    return {
      name,
      status: 'unknown',
      detail: `an image was asked for (${hex}); whether it came, only the running service knows, which takes none that it did not ask for`,
      advice: ['let it tell: metrics.enabled, metrics.token; or stop it for a moment']
    }
  }
  if (sentOf(counts) === 0) {
    return { name, status: 'down', detail: `${pacs.aeTitle} did not send an image that it has (${hex}): it does not know ${callingAeTitle}, or cannot reach it`, advice: get ? entry : [...entry, `and check that the PACS reaches port ${port} of this machine (firewall)`] }
  }
  return { name, status: 'down', detail: `${pacs.aeTitle} says that it has sent an image, but none arrived: ${callingAeTitle} leads to another machine or port`, advice: entry }
}
