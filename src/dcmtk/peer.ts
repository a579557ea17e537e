/** What every DCMTK tool that opens an association shares: the peer, the context it runs in, and what a failed association means. */
import { delimiter, join } from 'node:path'
import type { Config } from '../config/schema.ts'
import type { ErrorCode } from '../errors.ts'
import type { Log, Programs, RunResult } from '../process.ts'

/** A DICOM node. A PACS is such a value; nothing in the code assumes that there is one only. */
export interface Peer {
  aeTitle: string
  host: string
  port: number
  /** Longest wait for the connection and for the association, in milliseconds. */
  connectTimeoutMs: number
  /** How it is reached over TLS; undefined for plain TCP. */
  tls?: PeerTls | undefined
}

/** How a peer is reached over TLS; texts are paths of PEM files, empty for none. */
export interface PeerTls {
  ca: string
  cert: string
  key: string
  verify: boolean
  /** The name in the peer's certificate; empty for its host. */
  server_name: string
  /** What it means when the tunnel is not there. */
  unreachable: ErrorCode
}

/** The receiver's own TLS. */
export type ReceiverTls = Pick<PeerTls, 'ca' | 'cert' | 'key' | 'verify'>

/** The way to peers with TLS. */
export interface PeerTunnels {
  /**
   * Where a tool connects to instead of the peer.
   * @throws MkisoError as the peer's `unreachable`
   */
  endpoint (peer: Peer, tls: PeerTls): Promise<{ host: string, port: number }>
  /** What was last said of a peer: the tools only see a connection that closes. */
  lastError (peer: Peer): string | undefined
}

export interface ToolContext {
  programs: Programs
  dcmtk: Config['dcmtk']
  log: Log
  /** The way to peers with TLS; without it they are not reached. */
  tunnels?: PeerTunnels | undefined
  /** Told of each operation when it has ended. */
  onOperation?: ((operation: Operation) => void) | undefined
}

/** One association with its request and its answers, as its program saw it; or one question over HTTP. */
export interface Operation {
  name: 'C-ECHO' | 'C-FIND' | 'C-MOVE' | 'C-GET' | 'C-STORE' | 'QIDO-RS' | 'WADO-RS'
  /** AE title of the peer, or the name of a DICOMweb server. */
  peer: string
  /** From the start of the program, or of the request, to its end. */
  durationMs: number
  /** The peer did all that it was asked. */
  ok: boolean
}

/** `host:port`, as an administrator knows it. */
export function addressOf (peer: Pick<Peer, 'host' | 'port'>): string {
  return `${peer.host}:${peer.port}`
}

/** DCMTK takes whole seconds; 0 would mean something else. */
export function seconds (ms: number): string {
  return String(Math.max(1, Math.ceil(ms / 1_000)))
}

/**
 * `-to`, `-ta`, `-td` default to unlimited or 30 s (measured): always set them. The PDU of 131072 bytes halves the time of a move (measured).
 */
export function networkArguments (peer: Peer, dimseTimeoutMs: number): string[] {
  return ['-to', seconds(peer.connectTimeoutMs), '-ta', seconds(peer.connectTimeoutMs), '-td', seconds(dimseTimeoutMs), '-pdu', '131072']
}

const DICTIONARY = join(import.meta.dirname, 'queries.dic')

/** For the tools that ask, and carry no object: a dictionary of what they ask for. DCMTK takes a list of paths, and knows no escape in it. */
export const ASKING_ENVIRONMENT: Readonly<Record<string, string>> = DICTIONARY.includes(delimiter) ? {} : { DCMDICTPATH: DICTIONARY }

/** Why an association did not come about or broke. */
export type AssociationFault =
  | { kind: 'unreachable', reason: string }
  | { kind: 'called-title-unknown', reason: string }
  | { kind: 'calling-title-unknown', reason: string }
  | { kind: 'rejected', reason: string }
  /** Rejected for now (rejected-transient, PS3.8 Table 9-21): too many associations, say. Another try makes sense, no setting is wrong. */
  | { kind: 'busy', reason: string }
  | { kind: 'broken', reason: string }

/** The reason of a rejection that a tool does not print. */
export const UNEXPLAINED = 'association rejected'

/** Begin of the reason of an association that came about without the service that was asked for. */
export const NO_SERVICE = 'it does not offer the service'

const REASONS = new RegExp([
  'TCP Initialization Error: .+', 'Network (?:is )?unreachable.*', 'No route to host.*', 'Connection (?:refused|timed out).*', 'Unknown host.*',
  'DUL network .*', 'DIMSE No valid Presentation Context ID.*', 'No Acceptable Presentation Contexts.*'
].join('|'), 'i')

/**
 * Reads the reason from a tool's messages, since exit codes differ from tool to tool (movescu 61, findscu 2, echoscu 1 for the same
 * refused connection; DCMTK 3.6.7, measured).
 */
export function associationFaultOf (result: RunResult): AssociationFault | undefined {
  const output = `${result.stderr}\n${result.stdout}`
  const reason = /Reason: (.+)/.exec(output)?.[1]?.trim()
  if (/Association Rejected/i.test(output)) {
    if (reason !== undefined && /Called AE Title Not Recognized/i.test(reason)) return { kind: 'called-title-unknown', reason }
    if (reason !== undefined && /Calling AE Title Not Recognized/i.test(reason)) return { kind: 'calling-title-unknown', reason }
    if (/Result: Rejected Transient/i.test(output)) {
      return { kind: 'busy', reason: `temporary: ${(reason ?? 'no reason given').toLowerCase()}` }
    }
    return { kind: 'rejected', reason: reason ?? UNEXPLAINED }
  }
  const failed = REASONS.exec(output)?.[0]
  if (/Association Request Failed|Could not negotiate association|cannot (?:initialize network|negotiate network association)|unknown host/i.test(output)) {
    return { kind: 'unreachable', reason: failed ?? 'no association' }
  }
  // the association came about, but without the service that we need
  const context = /No Acceptable Presentation Contexts|No valid Presentation Context ID/i.exec(output)?.[0]
  if (context !== undefined) return { kind: 'rejected', reason: `${NO_SERVICE} (${context})` }
  if (/Peer aborted|Aborting Association|Association (?:was )?Aborted|aborted the association|Peer requested release/i.test(output)) {
    return { kind: 'broken', reason: failed ?? 'the association was aborted' }
  }
  return undefined
}

/** The peer was silent for as long as `-td` says; the abort that follows is ours, not its. */
export function isUnanswered ({ stdout, stderr }: RunResult): boolean {
  return /DIMSE No data available/i.test(`${stdout}\n${stderr}`)
}

/** The last lines that say something, for the log. */
export function lastLines (result: RunResult, count = 5): string {
  return `${result.stdout}\n${result.stderr}`.split('\n').filter(line => /^[EFW]: /.test(line)).slice(-count).join('\n')
}
