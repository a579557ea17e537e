/** storescu: the original's sender. It stops at the first image whose transfer syntax the peer did not accept. */
import { associationFaultOf, networkArguments, type Peer, type ToolContext } from './peer.ts'
import { endpointArguments, throughTunnel } from './tunnel.ts'
import type { SendRequest, SendResult } from './send.ts'

/**
 * Sends a folder in one association. `-R` proposes what the files need, so that compressed ones have a chance.
 * @throws ToolMissingError
 * @throws the signal's reason
 */
export async function storescu (context: ToolContext, peer: Peer, request: SendRequest): Promise<SendResult> {
  let confirmed = 0
  let begun = false
  const reasons = new Set<string>()
  const onLine = (line: string): void => {
    if (/^E: .*presentation context/i.test(line)) reasons.add(line.slice(3))
    if (line.includes('Sending Store Request')) begun = true
    const status = /Received Store Response \((.+)\)/.exec(line)?.[1]
    if (status === undefined) return
    if (!/^(Success|Warning)/.test(status)) {
      reasons.add(status)
      return
    }
    confirmed++
    request.onSent?.(confirmed)
  }
  const args = ['-v', '-nh', '-R', '-aet', request.callingAeTitle, '-aec', peer.aeTitle, ...networkArguments(peer, Math.min(request.timeoutMs, 120_000)),
    '+sd', '+r', ...await endpointArguments(context, peer), request.folder]
  const result = await context.programs.run(context.dcmtk.storescu, args, { signal: request.signal, timeoutMs: request.timeoutMs, onLine })
  context.log.info({ exit_code: result.exitCode, duration_ms: result.durationMs, files: confirmed }, 'storescu ended')
  context.onOperation?.({ name: 'C-STORE', peer: peer.aeTitle, durationMs: result.durationMs, ok: result.exitCode === 0 && confirmed === request.fileCount })
  if (result.stopCause === 'timeout') return { kind: 'timeout', confirmed }
  const fault = associationFaultOf(result)
  if (fault !== undefined && fault.kind !== 'broken' && !begun) return { kind: 'no-association', fault: throughTunnel(context, peer, fault) }
  if (fault !== undefined) reasons.add(fault.reason)
  return { kind: 'sent', confirmed, reasons: [...reasons] }
}
