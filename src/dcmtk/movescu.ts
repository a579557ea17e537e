/** movescu: C-MOVE in the Study Root model by unique keys only (PS3.4 C.4.2.1.4), with the sub-operation counts as they come. */
import { ASKING_ENVIRONMENT, networkArguments, type Peer, type ToolContext } from './peer.ts'
import { endpointArguments } from './tunnel.ts'
import { fetchResultOf, followResponses, partKeys, type FetchResult, type SubOperations } from './fetch.ts'
import type { FetchPart } from '../dicom/study.ts'

export interface MoveRequest {
  callingAeTitle: string
  /** Move Destination: where the PACS sends the images. */
  destinationAeTitle: string
  part: FetchPart
  /** Longest time of the whole move, in milliseconds. */
  timeoutMs: number
  signal?: AbortSignal | undefined
  onSubOperations?: ((counts: SubOperations) => void) | undefined
}

/**
 * Moves one part and waits for the final response.
 * @throws ToolMissingError
 * @throws the signal's reason
 */
export async function movescu (context: ToolContext, peer: Peer, request: MoveRequest): Promise<FetchResult> {
  // implicit VR only, which every archive takes (PS3.5 10.1): CTN accepts explicit VR for a request and then reads it as implicit (measured)
  // -td is the wait for each response; a PACS may send none until the last image is out, so it gets the whole time
  const args = ['-d', '-S', '-xi', '-aet', request.callingAeTitle, '-aec', peer.aeTitle, '-aem', request.destinationAeTitle,
    ...networkArguments(peer, request.timeoutMs), '-dhl', '--no-port', ...partKeys(request.part), ...await endpointArguments(context, peer)]
  const responses = followResponses(request.onSubOperations)
  const result = await context.programs.run(context.dcmtk.movescu, args, {
    signal: request.signal, timeoutMs: request.timeoutMs + peer.connectTimeoutMs, env: ASKING_ENVIRONMENT, onLine: responses.onLine
  })
  context.log.debug({ pacs: peer.aeTitle, duration_ms: result.durationMs, exit_code: result.exitCode }, 'movescu ended')
  const fetched = fetchResultOf(result, responses.status(), responses.counts)
  context.onOperation?.({ name: 'C-MOVE', peer: peer.aeTitle, durationMs: result.durationMs, ok: fetched.kind === 'answered' && fetched.status === 0 })
  return fetched
}
