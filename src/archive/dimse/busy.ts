/** A PACS that rejects an association for now (rejected-transient, PS3.8 Table 9-21) is asked again: a reason to wait, and no refusal. */
import type { AssociationFault } from '../../dcmtk/peer.ts'
import { MkisoError } from '../../errors.ts'
import type { Log } from '../../process.ts'
import type { AssociationLimit, TurnKind } from './association-limit.ts'

/** Pauses grow from the first to the last, each shortened by up to half so that several do not come back together. */
const FIRST_PAUSE_MS = 250
const LONGEST_PAUSE_MS = 5_000

/** How a question ended, as far as it matters here. */
interface Ended { kind: string, fault?: AssociationFault }

export interface InTurnOptions {
  limit: AssociationLimit
  pacs: { name: string, queueTimeoutMs: number }
  signal: AbortSignal
  log: Log
  /**
   * Longest wait for a turn, and then for a PACS that is busy. Undefined for one whose study is on its way already: it waits for its turn
   * without end, and for `pacs.queueTimeoutMs` for a PACS that is busy with others; while associations of ours are under way it is busy
   * with us, and they end.
   */
  queueTimeoutMs: number | undefined
  /** It has its turn. */
  onStart?: (() => void) | undefined
  /** As FetchOptions. */
  onPause?: (() => () => void) | undefined
}

/**
 * Takes a turn, asks in it, and asks again while the PACS is busy. The turn is kept meanwhile: others would be rejected as well.
 * @throws MkisoError TOO_MANY_CONCURRENT without a turn in time, or when the PACS stays busy
 * @throws the signal's reason
 */
export async function inTurn<R extends Ended> (kind: TurnKind, ask: () => Promise<R>, options: InTurnOptions): Promise<R> {
  const { limit, signal, queueTimeoutMs, onStart } = options
  return await limit.take(kind, async () => {
    onStart?.()
    return await untilAdmitted(ask, options)
  }, signal, queueTimeoutMs)
}

async function untilAdmitted<R extends Ended> (ask: () => Promise<R>, options: InTurnOptions): Promise<R> {
  const { limit, pacs, signal, log, queueTimeoutMs, onPause } = options
  const longestMs = queueTimeoutMs ?? pacs.queueTimeoutMs
  let waitedMs = 0
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    const startedAt = performance.now()
    const result = await ask()
    if (result.fault?.kind !== 'busy') return result
    const { reason } = result.fault
    if (waitedMs >= longestMs) {
      const detail = `${pacs.name} rejected the association for ${Math.round(longestMs / 1_000)} s (${reason})`
      throw new MkisoError('TOO_MANY_CONCURRENT', detail, { retryAfterSeconds: 30 })
    }
    // one that is told its limit is still rejected now and then: a PACS counts an association for a while after it has ended
    if (pauseMs === FIRST_PAUSE_MS) log.info({ pacs: pacs.name, reason }, 'the PACS rejects associations for now; it is asked again')
    const withUs = queueTimeoutMs === undefined && limit.underWay > 1
    const goOn = onPause?.()
    await limit.pause(Math.min(pauseMs * (1 - Math.random() / 2), Math.max(1, longestMs - waitedMs)), signal).finally(goOn)
    if (!withUs) waitedMs += performance.now() - startedAt
  }
}
