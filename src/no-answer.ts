/** Why nobody answered, in words: the codes of Node, c-ares and OpenSSL, each with what it means for whoever wrote the address. */

type Cause = 'no-host' | 'no-lookup' | 'refused' | 'late' | 'no-way' | 'closed' | 'untrusted' | 'expired' | 'too-early' | 'other-name' | 'no-tls' | 'no-http'

/** Names of X509_V_ERR_* (OpenSSL), of system calls, and of undici. */
const CAUSES: ReadonlyMap<string, Cause> = new Map<string, Cause>([
  ['ENOTFOUND', 'no-host'], ['EAI_AGAIN', 'no-lookup'], ['ECONNREFUSED', 'refused'], ['ETIMEDOUT', 'late'],
  ['EHOSTUNREACH', 'no-way'], ['ENETUNREACH', 'no-way'], ['EHOSTDOWN', 'no-way'], ['ENETDOWN', 'no-way'], ['EADDRNOTAVAIL', 'no-way'],
  ['ECONNRESET', 'closed'], ['EPIPE', 'closed'], ['ECONNABORTED', 'closed'], ['UND_ERR_SOCKET', 'closed'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'untrusted'], ['SELF_SIGNED_CERT_IN_CHAIN', 'untrusted'], ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'untrusted'],
  ['UNABLE_TO_GET_ISSUER_CERT', 'untrusted'], ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'untrusted'], ['CERT_UNTRUSTED', 'untrusted'],
  ['CERT_HAS_EXPIRED', 'expired'], ['CERT_NOT_YET_VALID', 'too-early'], ['ERR_TLS_CERT_ALTNAME_INVALID', 'other-name']
])

const SHORT: Readonly<Record<Cause, string>> = {
  'no-host': 'there is no host of this name',
  'no-lookup': 'its name cannot be looked up just now',
  refused: 'connection refused',
  late: 'no answer in time',
  'no-way': 'there is no way to it',
  closed: 'it closed the connection without an answer',
  untrusted: 'its certificate is not trusted',
  expired: 'its certificate has expired',
  'too-early': 'its certificate is not valid yet',
  'other-name': 'its certificate is of another name',
  'no-tls': 'it does not speak https',
  'no-http': 'it does not speak HTTP'
}

function causeOf (code: string): Cause | undefined {
  const cause = CAUSES.get(code)
  if (cause !== undefined) return cause
  if (/^(?:ERR_SSL_|EPROTO$)/.test(code)) return 'no-tls'
  return /^(?:HPE_|UND_ERR_)/.test(code) ? 'no-http' : undefined
}

/** Without any address: for whoever asked for a disc. @returns undefined for a code that says nothing of the network */
export function noAnswerShort (code: string): string | undefined {
  const cause = causeOf(code)
  return cause === undefined ? undefined : SHORT[cause]
}

/**
 * For the administrator: what was seen and, after a semicolon, what to check.
 * @param key of the configuration, where the address stands
 * @returns undefined for a code that says nothing of the network
 */
export function noAnswerSentence (code: string, url: string, key: string): string | undefined {
  const { hostname, host, protocol } = new URL(url)
  switch (causeOf(code)) {
    case 'no-host': return `there is no host ${hostname}; check ${key}`
    case 'no-lookup': return `the name ${hostname} cannot be looked up just now; check the DNS server of this machine, and ${key}`
    case 'refused': return `connection refused, nothing listens at ${host}; check the port in ${key}`
    case 'late': return `no answer in time from ${host}; a firewall may be in between`
    case 'no-way': return `there is no way from this machine to ${hostname} (${code}); check its network, and ${key}`
    case 'closed': return `${host} closed the connection without an answer; is it ${protocol === 'https:' ? 'http' : 'https'} there? check ${key}`
    case 'untrusted': return `the certificate of ${hostname} is from nobody whom this machine trusts (${code}); set NODE_EXTRA_CA_CERTS to a file with the certificate of its CA`
    case 'expired': return `the certificate of ${hostname} has expired; have it renewed there`
    case 'too-early': return `the certificate of ${hostname} is not valid yet; are the clocks of both machines right?`
    case 'other-name': return `the certificate is of another name than ${hostname}; write the name of the certificate into ${key}`
    case 'no-tls': return `${host} does not speak https (${code}); is it http there? check ${key}`
    case 'no-http': return `what answers at ${host} does not speak HTTP (${code}); is it https there? check ${key}`
    case undefined: return undefined
  }
}

/** Of an error or of what caused it; several addresses of one name are tried, and the first that failed speaks. */
export function codeOf (error: unknown): string {
  if (!(error instanceof Error)) return ''
  if (error instanceof AggregateError && !('code' in error)) return codeOf(error.errors[0])
  // undici has no code where what came is no status line at all
  if (error.name === 'HTTPParserError' && (!('code' in error) || error.code === undefined)) return 'HPE_INVALID'
  return 'code' in error && typeof error.code === 'string' ? error.code : codeOf(error.cause)
}
