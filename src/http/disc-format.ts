/** Which form of a disc is asked for, and with what password: of a header or a form, never of an address, which proxies, histories and logs keep. */
import { Type } from '@sinclair/typebox'
import { DISC_FORMATS, type DiscFormat, type DiscRequest } from '../disc/discs.ts'
import { MkisoError } from '../errors.ts'

export const DiscFormatQuery = Type.Optional(Type.Unsafe<DiscFormat>(Type.String({
  enum: [...DISC_FORMATS],
  description: 'iso: an image to be burnt. zip: the same files for a stick, mail or a telephone; it begins with the first image, while others come.'
})))

/** 7-Zip and WinZip take no more; fewer than eight are tried out in no time. */
const PASSWORD = Type.String({ pattern: '^[\\x20-\\x7e]{8,99}$', description: 'Encrypts a ZIP (AES-256, WinZip AE-2): 8 to 99 characters of ASCII. Never in an address.' })

export const PASSWORD_HEADER = 'x-zip-password'
export const ZipHeaders = Type.Object({ [PASSWORD_HEADER]: Type.Optional(PASSWORD) })
export const ZipForm = Type.Object({ password: PASSWORD })

/** What the schemas of the routes that take a password as a form have in common. */
export const ZIP_POST = {
  tags: ['disc'],
  description: 'As GET with format=zip and the header X-Zip-Password: for a page, whose form holds the password.',
  security: [{ apiKey: [] }],
  headers: ZipHeaders,
  consumes: ['application/x-www-form-urlencoded', 'application/json'],
  body: ZipForm
}

interface Asked {
  url: string
  query: { format?: DiscFormat }
  headers: HeadersOfWay & { [PASSWORD_HEADER]?: string, range?: string | undefined }
  /** Of a form. */
  body?: unknown
  /** As Node says it: `1.0`. */
  httpVersion: string
}

/** @throws MkisoError INVALID_REQUEST */
export function formatWanted ({ url, query, headers, body, httpVersion }: Asked): Pick<DiscRequest, 'format' | 'password' | 'whole'> {
  const { format = 'iso' } = query
  if (/[?&](?:zip[-_])?password=/i.test(url)) {
    throw new MkisoError('INVALID_REQUEST', `a password must not stand in an address, which others keep: send it in the header ${PASSWORD_HEADER}, or as a form (POST), and take another one`)
  }
  const password = headers[PASSWORD_HEADER] ?? passwordOf(body)
  if (password !== undefined && format !== 'zip') throw new MkisoError('INVALID_REQUEST', 'only a ZIP can have a password: format=zip')
  // a part can only be told by its size
  return { format, password, whole: headers.range !== undefined || hidesBreakingOff({ httpVersion, headers }) }
}

interface HeadersOfWay { via?: string | undefined }

/**
 * True where somebody on the way speaks HTTP/1.0, in which an answer of unknown length ends as it breaks off: with the connection. A proxy ends the
 * answer of one that broke off just so (nginx 1.22, a client of HTTP/1.0: 200, and curl finds nothing wrong). What a proxy was asked in stands in Via
 * (RFC 9110 7.6.3); whoever makes that up waits for nothing but itself.
 */
export function hidesBreakingOff ({ httpVersion, headers: { via = '' } }: { httpVersion: string, headers: HeadersOfWay }): boolean {
  return [httpVersion, ...via.split(',')].some(protocol => /^\s*(?:HTTP\/)?(?:0\.9|1\.0)(?:\s|$)/i.test(protocol))
}

function passwordOf (body: unknown): string | undefined {
  const { password } = typeof body === 'object' && body !== null ? body as { password?: unknown } : {}
  return typeof password === 'string' ? password : undefined
}

/** No form of ours is larger. */
export const FORM_BYTES = 4_096

/** A form as browsers send it, and no more of it than this. */
export function readForm (text: string): { password: string | undefined } {
  return { password: new URLSearchParams(text).get('password') ?? undefined }
}
