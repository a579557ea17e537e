/** Turns at a DICOMweb server; one that is busy (429, 503) is asked again, when it says so or after a growing pause. */
import { MkisoError } from '../../errors.ts'
import type { Log } from '../../process.ts'
import type { AssociationLimit, TurnKind } from '../dimse/association-limit.ts'
import type { Busy } from './refusal.ts'

/** As in dimse/busy.ts: each pause is shortened by up to half, so that several do not come back together. */
const FIRST_PAUSE_MS = 250
const LONGEST_PAUSE_MS = 5_000
const RETRY_AFTER_SECONDS = 30

export interface TurnOptions {
  limit: AssociationLimit
  server: { name: string, section: string, queueTimeoutMs: number }
  signal: AbortSignal
  log: Log
  /** Longest wait for a turn, and then for a server that is busy. Undefined: no end for the turn, `server.queueTimeoutMs` for a busy server. */
  queueTimeoutMs: number | undefined
  /** It has its turn. */
  onStart?: (() => void) | undefined
  /** As FetchOptions. */
  onPause?: (() => () => void) | undefined
}

/**
 * Takes a turn, asks in it, and asks again while the server is busy. The turn is kept meanwhile.
 * @throws MkisoError TOO_MANY_CONCURRENT without a turn in time, or when the server stays busy, or says that it will be for longer than that
 * @throws the signal's reason
 */
export async function inTurn<T extends { kind: string }> (kind: TurnKind, ask: () => Promise<T | Busy>, options: TurnOptions): Promise<T> {
  const { limit, signal, queueTimeoutMs, onStart } = options
  return await limit.take(kind, async () => {
    onStart?.()
    return await untilFree(ask, options)
  }, signal, queueTimeoutMs)
}

async function untilFree<T extends { kind: string }> (ask: () => Promise<T | Busy>, { limit, server, signal, log, queueTimeoutMs, onPause }: TurnOptions): Promise<T> {
  const longestMs = queueTimeoutMs ?? server.queueTimeoutMs
  const startedAt = performance.now()
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    const result = await ask()
    if (!isBusy(result)) return result
    const { reason, retryAfterMs } = result
    const leftMs = longestMs - (performance.now() - startedAt)
    if (leftMs <= 0 || (retryAfterMs ?? 0) > leftMs) {
      const detail = `${server.name} has too much to do (${reason}); it was asked for ${Math.round(longestMs / 1_000)} s (${server.section}.queue_timeout), or wants to be left alone for longer`
      throw new MkisoError('TOO_MANY_CONCURRENT', detail, { retryAfterSeconds: retryAfterMs === undefined ? RETRY_AFTER_SECONDS : Math.max(1, Math.ceil(retryAfterMs / 1_000)) })
    }
    if (pauseMs === FIRST_PAUSE_MS) log.info({ pacs: server.name, reason }, 'the PACS is busy for now; it is asked again')
    const goOn = onPause?.()
    try {
      // one that says when is not asked before
      if (retryAfterMs !== undefined && retryAfterMs > 0) await until(retryAfterMs, signal)
      else await limit.pause(Math.min(pauseMs * (1 - Math.random() / 2), leftMs), signal)
    } finally { goOn?.() }
  }
}

function isBusy (result: { kind: string }): result is Busy { return result.kind === 'busy' }

async function until (ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  await new Promise<void>(resolve => {
    const end = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end, { once: true })
  })
  signal.throwIfAborted()
}
