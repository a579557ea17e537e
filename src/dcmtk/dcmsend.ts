/** dcmsend: C-STORE of a folder in one association, every transfer syntax (78 of 78 odd objects where storescu sent 42, measured). */
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { echoscu } from './echoscu.ts'
import { associationFaultOf, networkArguments, UNEXPLAINED, type AssociationFault, type Peer, type ToolContext } from './peer.ts'
import { endpointArguments, throughTunnel } from './tunnel.ts'
import type { SendRequest, SendResult } from './send.ts'

/**
 * Sends a folder. One association without gaps (`-ma`): a robot starts a disc after a quiet time.
 * @throws ToolMissingError
 * @throws the signal's reason
 */
export async function dcmsend (context: ToolContext, peer: Peer, request: SendRequest): Promise<SendResult> {
  const reportFile = join(request.tempDir, 'dcmsend-report.txt')
  let confirmed = 0
  let begun = false
  const onLine = (line: string): void => {
    if (line.includes('Sending C-STORE Request')) begun = true
    if (!/Received C-STORE Response \((?:Success|Warning)/.test(line)) return
    confirmed++
    request.onSent?.(confirmed)
  }
  const args = ['-v', '-nh', '-nuc', '-ma', '-aet', request.callingAeTitle, '-aec', peer.aeTitle, ...networkArguments(peer, Math.min(request.timeoutMs, 120_000)),
    '+crf', reportFile, '+sd', '+r', ...await endpointArguments(context, peer), request.folder]
  try {
    const result = await context.programs.run(context.dcmtk.dcmsend, args, { signal: request.signal, timeoutMs: request.timeoutMs, onLine })
    context.log.info({ exit_code: result.exitCode, duration_ms: result.durationMs, files: confirmed }, 'dcmsend ended')
    context.onOperation?.({ name: 'C-STORE', peer: peer.aeTitle, durationMs: result.durationMs, ok: result.exitCode === 0 && confirmed === request.fileCount })
    if (result.stopCause === 'timeout') return { kind: 'timeout', confirmed }
    const fault = associationFaultOf(result)
    // it writes a report even when nobody was there
    if (fault !== undefined && fault.kind !== 'broken' && !begun) return { kind: 'no-association', fault: await explained(context, peer, request, fault) }
    const report = await readFile(reportFile, 'utf8').catch(() => '')
    if (report !== '') return { kind: 'sent', ...readReport(report) }
    return { kind: 'sent', confirmed, reasons: [fault?.reason ?? `dcmsend ended with ${result.exitCode}`] }
  } finally {
    await rm(reportFile, { force: true })
  }
}

/** dcmsend does not print why it was rejected, nor whether for now or for good; echoscu does (DCMTK 3.6.7, measured). */
async function explained (
  context: ToolContext, peer: Peer, { callingAeTitle, signal }: SendRequest, fault: AssociationFault
): Promise<AssociationFault> {
  if (fault.kind !== 'rejected' || fault.reason !== UNEXPLAINED) return throughTunnel(context, peer, fault)
  const echo = await echoscu(context, peer, callingAeTitle, signal)
  return echo?.kind === 'busy' || echo?.kind === 'called-title-unknown' || echo?.kind === 'calling-title-unknown' ? echo : fault
}

/** Counts what the peer confirmed, file by file. */
export function readReport (report: string): { confirmed: number, reasons: string[] } {
  let confirmed = 0
  const reasons = new Set<string>()
  for (const block of report.split(/^Number {8}: /m).slice(1)) {
    const status = /^DIMSE Status {2}: 0x([0-9a-f]{4}) \((.*)\)/im.exec(block)
    // warnings are 0xBxxx and 0x0107, 0x0116: stored, with remarks (PS3.7 Annex C)
    if (status !== null && /^(0000|b...|0107|0116)$/i.test(status[1] ?? '')) confirmed++
    else reasons.add(status?.[2] ?? notSent(block))
  }
  return { confirmed, reasons: [...reasons] }
}

/** `<no acceptable presentation context>` stands where the status would, the class that was not taken above it. */
function notSent (block: string): string {
  const reason = /^DIMSE Status {2}: <?(.*?)>?$/m.exec(block)?.[1] ?? 'not sent'
  const sopClass = /^SOP Class {5}: \S+(?: = (.+))?$/m.exec(block)
  return sopClass === null ? reason : `${reason} for ${sopClass[1] ?? sopClass[0].slice('SOP Class     : '.length)}`
}
