/** What an HTTP status means that is no success, and what an administrator can change. */
import type { ErrorCode } from '../../errors.ts'
import { MkisoError } from '../../errors.ts'
import type { HttpAnswer, NoAnswer } from './connection.ts'
import type { DicomwebServer } from './server.ts'

export type Service = 'QIDO-RS' | 'WADO-RS'

/** It has too much to do just now. */
export interface Busy {
  kind: 'busy'
  /** As it says itself (Retry-After, RFC 9110 10.2.3). */
  retryAfterMs: number | undefined
  reason: string
}

export interface Refused {
  kind: 'refused'
  status: number
  fault: MkisoError
  /** What the fault says, without the name of the server. */
  reason: string
  /** A setting is wrong: another try is of no use. */
  hopeless: boolean
}

/** Who was asked, and where its keys stand. */
export type Asked = Pick<DicomwebServer, 'name' | 'section'>

const GATEWAY: ReadonlySet<number> = new Set([502, 504])

export function refusalOf (answer: HttpAnswer, service: Service, { name, section }: Asked): Busy | Refused {
  const { status } = answer
  if (status === 429 || status === 503) return { kind: 'busy', retryAfterMs: retryAfterMs(answer.header('retry-after')), reason: `HTTP ${status}` }
  const [code, what, hopeless] = meaningOf(answer, service, section)
  const reason = `HTTP ${status} to ${service}: ${what}`
  return { kind: 'refused', status, fault: new MkisoError(code, `${name}: ${reason}`), reason, hopeless }
}

function meaningOf ({ status, header }: HttpAnswer, service: Service, section: string): [ErrorCode, string, boolean] {
  const refused = service === 'QIDO-RS' ? 'PACS_REFUSED' : 'PACS_REFUSED_MOVE'
  if (status === 401) {
    const [scheme] = /^[A-Za-z]{1,20}/.exec(header('www-authenticate')) ?? []
    const asked = scheme === undefined ? '' : ` (it asks for ${scheme})`
    return ['PACS_REFUSED', `it does not know us${asked}: check ${section}.dicomweb.token, or username and password, or cert`, true]
  }
  if (status === 403) return ['PACS_REFUSED', `we may not do that: give the user or token of ${section}.dicomweb the right to search and to retrieve`, true]
  if (status === 407) return ['PACS_REFUSED', `a proxy on the way wants to know who we are: the service goes to ${section}.dicomweb.url directly`, true]
  if (status === 404 || status === 410) {
    return service === 'QIDO-RS'
      ? [refused, `there is nothing at this address: check ${section}.dicomweb.url (Orthanc: http://HOST:8042/dicom-web)`, false]
      : [refused, 'it does not have what it lists: it was deleted there meanwhile, or retrieval is at another address', false]
  }
  if (status === 406 || (status === 415 && service === 'WADO-RS')) {
    return [refused, service === 'WADO-RS' ? 'it does not send images as they are stored (multipart/related, application/dicom, transfer-syntax=*)' : 'it does not answer in JSON', true]
  }
  if (status === 400 || status === 405 || status === 501) return [refused, `it does not understand the request; check ${section}.dicomweb.url`, false]
  if (GATEWAY.has(status)) return ['PACS_UNREACHABLE', 'a proxy before it does not reach it', false]
  return [refused, status >= 500 ? 'it failed: look into its log' : 'an answer that nobody expects', false]
}

/** The error of an answer that never came, or not to its end. */
export function faultOf ({ kind, reason }: NoAnswer, service: Service, name: string): MkisoError {
  if (kind === 'timeout') return new MkisoError('PACS_TIMEOUT', `${name}: ${service}: ${reason}`)
  return new MkisoError('PACS_UNREACHABLE', `${name}: ${service}: ${reason}`)
}

/** Seconds, or a date. */
export function retryAfterMs (header: string): number | undefined {
  const text = header.trim()
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1_000
  const date = Date.parse(text)
  return text === '' || Number.isNaN(date) ? undefined : Math.max(0, date - Date.now())
}
