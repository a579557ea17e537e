/** echoscu: C-ECHO, "are you there, and do you know me?" (PS3.4 A). */
import { MkisoError } from '../errors.ts'
import { endpointArguments, throughTunnel } from './tunnel.ts'
import { ASKING_ENVIRONMENT, associationFaultOf, lastLines, networkArguments, type AssociationFault, type Peer, type ToolContext } from './peer.ts'

/** @returns undefined when the peer answered, else why it did not */
export async function echoscu (context: ToolContext, peer: Peer, callingAeTitle: string, signal?: AbortSignal): Promise<AssociationFault | undefined> {
  const endpoint = await endpointArguments(context, peer).catch((error: unknown): AssociationFault => {
    if (error instanceof MkisoError) return { kind: 'unreachable', reason: error.detail ?? error.message }
    throw error
  })
  if (!Array.isArray(endpoint)) return endpoint
  const args = ['-v', '-aet', callingAeTitle, '-aec', peer.aeTitle, ...networkArguments(peer, peer.connectTimeoutMs), ...endpoint]
  const result = await context.programs.run(context.dcmtk.echoscu, args, { signal, timeoutMs: 2 * peer.connectTimeoutMs, env: ASKING_ENVIRONMENT })
  context.onOperation?.({ name: 'C-ECHO', peer: peer.aeTitle, durationMs: result.durationMs, ok: result.exitCode === 0 })
  if (result.exitCode === 0) return undefined
  if (result.stopCause === 'timeout') return { kind: 'unreachable', reason: 'no answer in time' }
  const fault = associationFaultOf(result)
  return fault !== undefined ? throughTunnel(context, peer, fault) : { kind: 'broken', reason: lastLines(result) || `echoscu ended with ${result.exitCode}` }
}
