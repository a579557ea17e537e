/**
 * C-GET: objects come back on the association that asked for them, so no receiver and no open port is needed. What an archive cannot send by the
 * contexts of a first association is asked for again in another, whose contexts fit: which classes are missing, the archive tells itself.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { endpointArguments, throughTunnel } from '../../dcmtk/tunnel.ts'
import type { Log } from '../../process.ts'
import type { StudySink } from '../archive.ts'
import type { FetchPart } from '../../dicom/study.ts'
import { STATUS, type CommandSet } from './association/command-set.ts'
import { AssociationEndedError, GetAssociation, ROOM_FOR_STORAGE, type QueryEnd } from './association/get-association.ts'
import { TAG, type Identifier } from './association/identifier.ts'
import { IncomingObjects } from './association/incoming-objects.ts'
import type { Counts, FetchAnswer } from './fetch-outcome.ts'
import { aeTitleAt } from '../../dcmtk/ae-title.ts'
import { UNKNOWN_COUNT } from '../../dcmtk/fetch.ts'
import type { Remembered } from '../remembered-studies.ts'
import { blindContexts, exactContexts, likelyContexts, type StorageContext } from './storage-classes.ts'
import type { Transport, TransportOptions } from './transport.ts'
import { WantedStudies } from '../wanted-studies.ts'

/** UIDs in one request; each has up to 64 characters. */
const UIDS_AT_ONCE = 100

export function createGetTransport (options: TransportOptions): Transport {
  const { config, pacs, pool, workDir } = options
  return {
    async open () {
      const slot = pool.lease()
      const folder = await mkdtemp(join(workDir, 'receive_')).catch((error: unknown) => {
        slot.release()
        throw error
      })
      const callingAeTitle = aeTitleAt(config, slot.index)
      const wanted = new WantedStudies()
      return {
        wanted,
        callingAeTitle,
        destination: `${callingAeTitle} as a C-GET client`,
        tool: 'C-GET',
        fetch: async (part, { signal, log, onActivity, remembered }) => {
          const startedAt = performance.now()
          const got = new Get({ ...options, log }, { part, folder, wanted, callingAeTitle, remembered, onActivity })
          const answer = await got.run(signal)
          options.onOperation?.({ name: 'C-GET', peer: pacs.aeTitle, durationMs: Math.round(performance.now() - startedAt), ok: answer.kind === 'answered' && answer.status === 0 })
          return answer
        },
        // nothing comes but on an association that waits for its answer
        mayStillSend: () => false,
        turnedAway: () => undefined,
        close: async () => {
          await rm(folder, { recursive: true, force: true })
          slot.release()
        }
      }
    }
  }
}

interface GetRequest {
  part: FetchPart
  folder: string
  wanted: WantedStudies
  callingAeTitle: string
  remembered: Remembered | undefined
  onActivity: () => void
}

/** The instances of a part that have not come. */
interface Missing {
  /** undefined where the archive does not tell: the whole part. */
  sopInstanceUids: string[] | undefined
  /** Empty where the archive does not tell. */
  classes: ReadonlySet<string>
}

/** One part, in as many associations as it takes. */
class Get {
  readonly #options: TransportOptions & { log: Log }
  readonly #request: GetRequest
  readonly #received = new Set<string>()

  constructor (options: TransportOptions & { log: Log }, request: GetRequest) {
    this.#options = options
    this.#request = request
  }

  /** @throws the signal's reason */
  async run (signal: AbortSignal): Promise<FetchAnswer> {
    const { pacs } = this.#options
    const timeout = AbortSignal.timeout(pacs.moveTimeoutMs)
    try {
      return await this.#passes(AbortSignal.any([signal, timeout]))
    } catch (error) {
      signal.throwIfAborted()
      if (timeout.aborted) return { kind: 'timeout' }
      if (error instanceof AssociationEndedError) return { kind: 'no-association', fault: throughTunnel(this.#options, pacs, error.fault) }
      throw error
    }
  }

  async #passes (signal: AbortSignal): Promise<FetchAnswer> {
    const { part, remembered } = this.#request
    const modality = part.seriesInstanceUid === undefined ? undefined : remembered?.modalities.get(part.seriesInstanceUid)
    const first = await this.#pass(likelyContexts(modality, ROOM_FOR_STORAGE), undefined, signal)
    let { missing } = first
    let last = first.end
    if (missing === undefined) return answerOf(first.end.response)
    const passes = missing.classes.size > 0 ? exactContexts(missing.classes, ROOM_FOR_STORAGE) : blindContexts(ROOM_FOR_STORAGE)
    for (const contexts of passes) {
      if (missing === undefined) break
      this.#options.log.debug({ pacs: this.#options.pacs.name, series: part.seriesInstanceUid, missing: missing.sopInstanceUids?.length }, 'C-GET goes on in another association for what did not fit into the first')
      const pass = await this.#pass(contexts, missing, signal)
      missing = pass.missing
      last = pass.end
    }
    return this.#summary(first.end.response, last.response, missing)
  }

  /** @returns `missing` undefined when everything has come, as the archive counts */
  async #pass (contexts: readonly StorageContext[], missing: Missing | undefined, signal: AbortSignal): Promise<{ end: QueryEnd, missing: Missing | undefined }> {
    const association = await this.#associate(contexts, signal)
    const onAbort = (): void => { void association.abort('it is not needed any more') }
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      signal.throwIfAborted()
      const end = await this.#get(association, missing)
      const left = isComplete(end.response) || isRefusal(end.response) ? undefined : await this.#missingOf(association, end.identifier)
      await association.release()
      return { end, missing: left }
    } catch (error) {
      await association.abort('the fetch has failed')
      throw error
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  async #associate (contexts: readonly StorageContext[], signal: AbortSignal): Promise<GetAssociation> {
    const { pacs, config, log } = this.#options
    const { callingAeTitle, folder, wanted } = this.#request
    const [host, port] = await endpointArguments(this.#options, pacs)
    return await GetAssociation.open({
      host,
      port: Number(port),
      callingAeTitle,
      calledAeTitle: pacs.aeTitle,
      connectTimeoutMs: pacs.connectTimeoutMs,
      contexts,
      objectsFor: (flow, abort) => new IncomingObjects({
        wanted: this.#counting(wanted),
        folder,
        maxUnwantedBytes: config.our_ae.maxUnwantedBytes,
        // it came on the association that asked
        isForUs: () => true,
        provenanceOf: () => 'ours',
        senderOf: () => 'asked',
        callingAeTitle: pacs.aeTitle,
        from: `${pacs.host} as ${pacs.aeTitle}`,
        flow,
        tooMuchUnwanted: () => { abort('it sends what nobody asked for') },
        onDropped: () => {},
        log
      }),
      log
    }, signal)
  }

  /** The sinks, with a note of what has come. */
  #counting (wanted: WantedStudies): WantedStudies {
    const counting = new WantedStudies()
    const { studyInstanceUid } = this.#request.part
    const sink = wanted.sinkOf(studyInstanceUid)
    if (sink === undefined) return counting
    const noting: StudySink = {
      offer: async delivery => {
        await sink.offer(delivery)
        this.#received.add(delivery.object.sopInstanceUid)
      },
      cutOff: (uid, reason) => { sink.cutOff(uid, reason) },
      activity: () => { sink.activity() },
      passed: seriesInstanceUid => { sink.passed?.(seriesInstanceUid) }
    }
    counting.add(studyInstanceUid, noting)
    return counting
  }

  /** In as many requests as the list of what is missing needs. */
  async #get (association: GetAssociation, missing: Missing | undefined): Promise<QueryEnd> {
    const { onActivity, part } = this.#request
    const uids = missing?.sopInstanceUids ?? part.sopInstanceUids
    if (uids === undefined) return await association.get(identifierOf(part), onActivity)
    let end: QueryEnd | undefined
    for (let start = 0; start === 0 || start < uids.length; start += UIDS_AT_ONCE) {
      const next = await association.get(identifierOf({ ...part, sopInstanceUids: uids.slice(start, start + UIDS_AT_ONCE) }), onActivity)
      // the worst answer counts; numbers are counted by what has come
      if (end === undefined || isComplete(end.response)) end = next
    }
    if (end === undefined) throw new Error('nothing was asked for')
    return end
  }

  async #missingOf (association: GetAssociation, identifier: Identifier | undefined): Promise<Missing> {
    const { part } = this.#request
    const failed = (identifier?.get(TAG.FAILED_LIST) ?? '').split('\\').filter(uid => uid !== '' && !this.#received.has(uid))
    const told = { sopInstanceUids: failed.length > 0 ? failed : undefined, classes: new Set<string>() }
    if (!association.canFind || part.seriesInstanceUid === undefined) return told
    const { sopInstanceUids: asked, ...series } = part
    const query = new Map([...identifierOf({ ...series, sopInstanceUids: [''] }), [TAG.SOP_CLASS_UID, '']])
    const answers = await association.find(query)
    const wanted = asked === undefined ? undefined : new Set(asked)
    const left = answers.filter(answer => {
      const uid = answer.get(TAG.SOP_INSTANCE_UID) ?? ''
      return uid !== '' && !this.#received.has(uid) && wanted?.has(uid) !== false
    })
    const classes = new Set(left.map(answer => answer.get(TAG.SOP_CLASS_UID) ?? '').filter(uid => uid !== ''))
    const uids = [...new Set(left.map(answer => answer.get(TAG.SOP_INSTANCE_UID) ?? ''))]
    return { sopInstanceUids: told.sopInstanceUids ?? (uids.length > 0 ? uids : undefined), classes }
  }

  /**
   * Of several associations the numbers of each are of other instances: what has come is counted here, and the rest has failed. An archive that did
   * not count is not made one that did.
   */
  #summary (first: CommandSet, last: CommandSet, missing: Missing | undefined): FetchAnswer {
    const status = missing === undefined ? STATUS.success : last.status ?? STATUS.success
    const { total } = countsOf(first)
    if (total === undefined) return { kind: 'answered', status, counts: { remaining: undefined, completed: undefined, failed: undefined, warning: undefined } }
    const completed = this.#received.size
    const failed = missing === undefined ? 0 : Math.max(missing.sopInstanceUids?.length ?? 0, total - completed)
    return { kind: 'answered', status, counts: { remaining: undefined, completed, failed, warning: undefined, total: Math.max(total, completed + failed) } }
  }
}

function answerOf (response: CommandSet): FetchAnswer {
  return { kind: 'answered', status: response.status ?? STATUS.success, counts: countsOf(response) }
}

/** Nothing remains after success (PS3.7 9.1.4.1.7), whatever is said. */
function countsOf (response: CommandSet): Counts & { total: number | undefined } {
  const known = (count: number | undefined): number | undefined => count === UNKNOWN_COUNT ? undefined : count
  const [completed, failed, warning] = [known(response.completed), known(response.failed), known(response.warning)]
  const remaining = response.status === STATUS.success ? undefined : known(response.remaining)
  const total = completed === undefined && remaining === undefined ? undefined : (remaining ?? 0) + (completed ?? 0) + (failed ?? 0) + (warning ?? 0)
  return { remaining, completed, failed, warning, total }
}

/** It has not even tried. */
function isRefusal ({ status, completed, failed, warning }: CommandSet): boolean {
  return status !== 0 && (completed ?? 0) + (failed ?? 0) + (warning ?? 0) === 0
}

/** It says that nothing has failed. */
function isComplete ({ status, failed }: CommandSet): boolean {
  return status === 0 && (failed ?? 0) === 0
}

function identifierOf ({ studyInstanceUid, seriesInstanceUid, sopInstanceUids }: FetchPart): Identifier {
  const identifier = new Map<number, string>([[TAG.STUDY_INSTANCE_UID, studyInstanceUid]])
  if (seriesInstanceUid !== undefined) identifier.set(TAG.SERIES_INSTANCE_UID, seriesInstanceUid)
  // a list of UIDs is one value with backslashes (PS3.4 C.2.2.2.2)
  if (sopInstanceUids !== undefined) identifier.set(TAG.SOP_INSTANCE_UID, sopInstanceUids.join('\\'))
  identifier.set(TAG.QUERY_LEVEL, sopInstanceUids !== undefined ? 'IMAGE' : seriesInstanceUid !== undefined ? 'SERIES' : 'STUDY')
  return identifier
}
