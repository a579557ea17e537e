/** getscu: C-GET in the Study Root model (PS3.4 C.4.3): images come back on the same association, no receiver is needed. */
import { endpointArguments } from './tunnel.ts'
import { networkArguments, type Peer, type ToolContext } from './peer.ts'
import { fetchResultOf, followResponses, partKeys, type FetchPart, type FetchResult, type SubOperations } from './fetch.ts'

export interface GetRequest {
  callingAeTitle: string
  part: FetchPart
  /** Folder for the files, named by SOP Instance UID. */
  folder: string
  /**
   * Transfer syntax to prefer, as getscu's option (`+xs` JPEG lossless ...). C-GET negotiates one compressed syntax at a time beside the
   * uncompressed ones, so a PACS that does not decompress needs further tries for what is missing.
   */
  prefer?: string | undefined
  /** Longest time of the whole transfer, in milliseconds. */
  timeoutMs: number
  signal?: AbortSignal | undefined
  onSubOperations?: ((counts: SubOperations) => void) | undefined
  /** Tells the process id, by which the files that are still open can be known. */
  onStart?: ((pid: number) => void) | undefined
}

/** Preferences worth a try, the commonest in archives first. */
export const GET_TRANSFER_SYNTAXES = ['+xs', '+xv', '+xy', '+xw', '+xx', '+xt', '+xr', '+xu'] as const

/**
 * Fetches one part and waits for the final response.
 * @throws ToolMissingError
 * @throws the signal's reason
 */
export async function getscu (context: ToolContext, peer: Peer, request: GetRequest): Promise<FetchResult> {
  request.signal?.throwIfAborted()
  const args = ['-d', '-S', '-aet', request.callingAeTitle, '-aec', peer.aeTitle, ...networkArguments(peer, request.timeoutMs),
    ...(request.prefer === undefined ? [] : [request.prefer]), '+B', '-od', request.folder, ...partKeys(request.part), ...await endpointArguments(context, peer)]
  const responses = followResponses('C-GET RSP', request.onSubOperations)
  const child = context.programs.start(context.dcmtk.getscu, args, { signal: request.signal, timeoutMs: request.timeoutMs + peer.connectTimeoutMs, onLine: responses.onLine })
  request.onStart?.(child.pid)
  const result = await child.ended
  if (result.stopCause === 'aborted') request.signal?.throwIfAborted()
  context.log.debug({ pacs: peer.aeTitle, duration_ms: result.durationMs, exit_code: result.exitCode }, 'getscu ended')
  const fetched = fetchResultOf(result, responses.status(), responses.counts)
  context.onOperation?.({ name: 'C-GET', peer: peer.aeTitle, durationMs: result.durationMs, ok: fetched.kind === 'answered' && fetched.status === 0 })
  return fetched
}
