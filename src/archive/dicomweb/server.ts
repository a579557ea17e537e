/** A DICOMweb server as a value: where it is, who we are there, and how long we wait. */
import type { ArchiveSettings } from '../../config/schema.ts'

export interface DicomwebServer {
  /** For logs and messages. */
  name: string
  /** Where its keys stand in the configuration: `pacs`, or `archives.0`. */
  section: string
  /** The base URL (PS3.18 8.2): `/studies` is added to it. */
  url: string
  /** What proves who we are. Texts are empty for none; the files are read with each request, since a token may live for an hour only. */
  credentials: { token: string, tokenFile: string, username: string, password: string, passwordFile: string }
  /** Paths of PEM files, empty for none: those whom we believe (empty: whom Node believes), our certificate and its key. */
  tls: { ca: string, cert: string, key: string, verify: boolean, serverName: string }
  /** Answers to one question of QIDO-RS. */
  pageSize: number
  /** Requests at the same time. */
  connections: number
  connectTimeoutMs: number
  /** Longest wait for a turn, and for a server that is busy. */
  queueTimeoutMs: number
  /** Longest for the answer to one QIDO-RS request. */
  findTimeoutMs: number
  /** Longest silence in a WADO-RS answer, and before it. */
  idleTimeoutMs: number
  /** Longest for one WADO-RS answer. */
  moveTimeoutMs: number
}

/**
 * The server of an archive with `retrieve: wado`.
 * @throws Error without its section dicomweb, which the configuration refuses
 */
export function dicomwebServerOf (settings: ArchiveSettings): DicomwebServer {
  const { name, section, dicomweb, maxAssociations, connectTimeoutMs, queueTimeoutMs, findTimeoutMs, idleTimeoutMs, moveTimeoutMs } = settings
  if (dicomweb === undefined) throw new Error(`${section}.retrieve is wado without ${section}.dicomweb`)
  const { url, token, token_file: tokenFile, username, password, password_file: passwordFile, ca, cert, key, verify, server_name: serverName, page_size: pageSize } = dicomweb
  return {
    name,
    section,
    url,
    credentials: { token, tokenFile, username, password, passwordFile },
    tls: { ca, cert, key, verify, serverName },
    pageSize,
    connections: maxAssociations,
    connectTimeoutMs,
    queueTimeoutMs,
    findTimeoutMs,
    idleTimeoutMs,
    moveTimeoutMs
  }
}
