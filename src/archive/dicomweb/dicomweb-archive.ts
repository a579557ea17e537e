/**
 * A PACS that speaks DICOMweb, as an archive: QIDO-RS finds and lists, WADO-RS fetches. Everything goes over HTTP that we begin: no AE title of ours, no
 * receiver, no open port.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import pLimit from 'p-limit'
import type { ToolContext } from '../../dcmtk/peer.ts'
import type { FetchPart } from '../../dicom/study.ts'
import { MkisoError } from '../../errors.ts'
import type { Archive, FetchOptions, FetchOutcome, FetchSession } from '../archive.ts'
import type { AssociationLimit } from '../dimse/association-limit.ts'
import type { PortPool } from '../dimse/port-pool.ts'
import { RememberedStudies } from '../remembered-studies.ts'
import { WantedStudies } from '../wanted-studies.ts'
import { DicomwebConnection } from './connection.ts'
import { DicomwebFind } from './find.ts'
import { faultOf, type Refused } from './refusal.ts'
import { retrieve, type Retrieved, type Stopped } from './retrieve.ts'
import type { DicomwebServer } from './server.ts'
import { inTurn } from './turn.ts'

export interface DicomwebArchiveOptions {
  server: DicomwebServer
  /** Turns at the server: questions and retrievals. */
  limit: AssociationLimit
  /** How many requests may receive at the same time; what a slot is matters to nobody here. */
  slots: Pick<PortPool, 'lease'>
  workDir: string
  /** Most bytes of what nobody asked for in one answer. */
  maxUnwantedBytes: number
  onOperation?: ToolContext['onOperation']
}

/** Instances of one part that are asked for side by side, each in a turn of its own. */
const INSTANCES_AT_ONCE = 4

/**
 * Whoever makes it closes it.
 * @throws what reading the certificates of its server throws
 */
export function createDicomwebArchive (options: DicomwebArchiveOptions): Archive & { close (): Promise<void> } {
  const { server, limit, slots, workDir } = options
  const connection = new DicomwebConnection(server)
  const find = new DicomwebFind({ connection, limit, onOperation: options.onOperation })
  const studies = new RememberedStudies()

  const openSession = async (): Promise<FetchSession> => {
    const slot = slots.lease()
    const folder = await mkdtemp(join(workDir, 'receive_')).catch((error: unknown) => {
      slot.release()
      throw error
    })
    const wanted = new WantedStudies()
    const fetching = new Fetching(options, { connection, wanted, folder, studies })
    const closed = new AbortController()
    const running = new Set<Promise<unknown>>()
    return {
      receive: (studyInstanceUid, sink) => wanted.add(studyInstanceUid, sink),
      fetch: async (part, fetchOptions) => {
        const fetch = fetching.fetch(part, { ...fetchOptions, signal: AbortSignal.any([fetchOptions.signal, closed.signal]) })
        running.add(fetch)
        try {
          return await fetch
        } finally { running.delete(fetch) }
      },
      // nothing comes but as the answer to what is asked
      mayStillSend: () => false,
      turnedAway: () => undefined,
      destination: 'none: it is a DICOMweb client',
      close: async () => {
        // files are in work until the last of them has ended, and others of the request may not have waited for it
        closed.abort(new Error('the session is closed'))
        await Promise.allSettled(running)
        await rm(folder, { recursive: true, force: true })
        slot.release()
      }
    }
  }

  return {
    name: server.name,
    ...studies.asking(find),
    open: async () => await openSession(),
    close: async () => { await connection.close() }
  }
}

interface Receiving {
  connection: DicomwebConnection
  wanted: WantedStudies
  folder: string
  studies: RememberedStudies
}

type Answer = Retrieved | Refused | Stopped

class Fetching {
  readonly #options: DicomwebArchiveOptions
  readonly #receiving: Receiving

  constructor (options: DicomwebArchiveOptions, receiving: Receiving) {
    this.#options = options
    this.#receiving = receiving
  }

  /** @throws as FetchSession.fetch */
  async fetch (part: FetchPart, options: FetchOptions): Promise<FetchOutcome> {
    const { server } = this.#options
    const { studyInstanceUid, seriesInstanceUid, sopInstanceUids } = part
    const series = `/studies/${encodeURIComponent(studyInstanceUid)}${seriesInstanceUid === undefined ? '' : `/series/${encodeURIComponent(seriesInstanceUid)}`}`
    let started = false
    const asking = {
      ...options,
      onStart: () => {
        if (!started) options.onStart?.()
        started = true
      }
    }
    const answers = sopInstanceUids === undefined
      ? [await this.#once(part, series, undefined, asking)]
      : await this.#each(sopInstanceUids, async uid => await this.#once(part, `${series}/instances/${encodeURIComponent(uid)}`, uid, asking))
    const outcome = worstOf(answers.map(answer => outcomeOf(answer, server.name)))
    if (outcome.end !== 'success') {
      const fields = { accession: this.#receiving.studies.of(studyInstanceUid)?.accessionNumber, pacs: server.name, series: seriesInstanceUid }
      options.log.error({ ...fields, end: outcome.end, sent: outcome.sent, failed: outcome.failed, stderr: outcome.reason }, 'WADO-RS failed')
    }
    return outcome
  }

  /** After the first that throws nothing more is asked, and nobody leaves before all that are under way have ended. */
  async #each<T> (uids: readonly string[], ask: (uid: string) => Promise<T>): Promise<T[]> {
    const atOnce = pLimit(INSTANCES_AT_ONCE)
    const failed = new AbortController()
    const settled = await Promise.allSettled(uids.map(async uid => await atOnce(async () => {
      failed.signal.throwIfAborted()
      try {
        return await ask(uid)
      } catch (error) {
        failed.abort(error)
        throw error
      }
    })))
    return settled.map(one => {
      if (one.status === 'rejected') throw failed.signal.reason
      return one.value
    })
  }

  async #once (part: FetchPart, path: string, sopInstanceUid: string | undefined, options: FetchOptions): Promise<Answer> {
    const { limit, server, maxUnwantedBytes, onOperation } = this.#options
    const { connection, wanted, folder, studies } = this.#receiving
    const { signal, log, queueTimeoutMs, onStart, onPause, onActivity } = options
    const { studyInstanceUid, seriesInstanceUid } = part
    return await inTurn('move', async () => {
      log.info({ accession: studies.of(studyInstanceUid)?.accessionNumber, pacs: server.name, series: seriesInstanceUid, instance: sopInstanceUid }, 'running WADO-RS')
      const startedAt = performance.now()
      let ok = false
      try {
        const answer = await retrieve({
          connection, path, studyInstanceUid, sopInstanceUid, wanted, folder, maxUnwantedBytes, onActivity: () => { onActivity?.() }, log
        }, signal)
        ok = answer.kind === 'retrieved' && answer.end === 'closed'
        return answer
      } finally {
        onOperation?.({ name: 'WADO-RS', peer: server.name, durationMs: Math.round(performance.now() - startedAt), ok })
      }
    }, { limit, server, signal, log, queueTimeoutMs, onStart, onPause })
  }
}

/** How an answer reads in the archive's words. It never counts what there is. */
export function outcomeOf (answer: Answer, name: string): FetchOutcome {
  const nothing = { total: undefined, sent: 0, failed: 0, hopeless: false }
  switch (answer.kind) {
    case 'retrieved': {
      const { sent, failed, reason } = answer
      if (answer.end === 'closed') return { ...nothing, sent, end: 'success', reason: '', fault: undefined }
      if (answer.end === 'partial') return { ...nothing, sent, failed, end: 'partial', reason, fault: undefined }
      return { ...nothing, sent, failed, end: 'broken', reason, fault: new MkisoError('INCOMPLETE_RETRIEVAL', `${name}: ${reason}`) }
    }
    case 'refused': return { ...nothing, end: 'refused', reason: answer.reason, fault: answer.fault, hopeless: answer.hopeless }
    case 'unreachable':
    case 'broken':
    case 'timeout': return { ...nothing, sent: answer.sent, failed: answer.failed, end: answer.kind, reason: answer.reason, fault: faultOf(answer, 'WADO-RS', name) }
  }
}

const WORST_FIRST: ReadonlyArray<FetchOutcome['end']> = ['timeout', 'unreachable', 'broken', 'refused', 'partial', 'success']

/** One outcome of several questions: the worst; where some images came, a refusal of others is what a part lacks. */
function worstOf (outcomes: readonly FetchOutcome[]): FetchOutcome {
  const sent = outcomes.reduce((sum, one) => sum + one.sent, 0)
  const failed = outcomes.reduce((sum, one) => sum + one.failed + (one.end === 'refused' ? 1 : 0), 0)
  const [worst] = [...outcomes].sort((a, b) => WORST_FIRST.indexOf(a.end) - WORST_FIRST.indexOf(b.end))
  if (worst === undefined) throw new Error('nothing was asked for')
  if (outcomes.length === 1) return worst
  if (worst.end === 'refused' && sent > 0 && !worst.hopeless) return { ...worst, end: 'partial', sent, failed, fault: undefined }
  return { ...worst, sent, failed }
}
