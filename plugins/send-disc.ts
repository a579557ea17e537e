/** The answer that carries a disc: whole, or from where a download broke. */
import { Readable } from 'node:stream'
import fp from 'fastify-plugin'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from '@sinclair/typebox'
import { create as contentDisposition } from 'content-disposition'
import { LRUCache } from 'lru-cache'
import parseRange from 'range-parser'
import type { OpenDisc } from '../src/disc/discs.ts'
import { imageStream, type ByteRange } from '../src/disc/image/image.ts'
import { ClientGoneError } from '../src/abort.ts'
import { MkisoError } from '../src/errors.ts'
import { PATIENT_WARNING } from './patient-client.ts'
import { toMkisoError } from './errors.ts'

const headers = {
  'content-disposition': Type.String({ description: 'File name, RFC 6266.' }),
  etag: Type.String({ description: 'Strong validator of the bytes, for If-Range.' }),
  'accept-ranges': Type.String({ description: 'bytes, when a broken download can go on (iso.keep_for).' }),
  link: Type.String({ description: 'The other discs of a set: first, prev, next, last.' }),
  'x-mkiso-images': Type.String({ description: 'Number of DICOM files on the disc; absent, like those below, for a ZIP that begins while images come.' }),
  'x-mkiso-discs': Type.String({ description: 'Number of discs of the set; absent when there is one.' }),
  'x-mkiso-not-listed': Type.String({ description: 'Number of files on the disc that its DICOMDIR could not list; absent when there is none.' }),
  'x-mkiso-patient-warning': PATIENT_WARNING,
  'x-mkiso-missing': Type.String({ description: 'Number of images that are missing, or `unknown` (disc.allow_incomplete); absent when there is none.' })
}
const content = {
  'application/octet-stream': { schema: Type.String({ format: 'binary' }) },
  'application/zip': { schema: Type.String({ format: 'binary', description: 'format=zip' }) }
}

/** The successful answers of a route that sends a disc. */
export const DISC_ANSWERS = {
  200: { description: 'The disc image.', headers: { 'content-length': Type.Integer({ description: 'Exact size in bytes; absent for a ZIP that begins while images come.' }), ...headers }, content },
  206: { description: 'A part of the disc image, for a download that broke.', headers: { 'content-range': Type.String({ description: 'Which bytes of how many.' }), ...headers }, content }
}

export interface SendOptions {
  /** Without `.iso` or `.zip`; not of an encrypted one, whose name tells nothing. */
  fileName: string
  linkOf: (disc: number, set: string) => string
}

declare module 'fastify' {
  interface FastifyReply {
    /** Streams the disc, or answers HEAD; whatever happens to the answer, the disc is closed. */
    sendDisc (disc: OpenDisc, options: SendOptions): FastifyReply
    /** Answers HEAD where the disc would have to be made first: nothing is moved, so its size is not known. */
    sendUnknownDisc (): FastifyReply
  }
}

/** So many downloads are remembered for going on with them, and so long, in milliseconds. */
const REMEMBERED = 10_000
const REMEMBERED_MS = 7 * 24 * 3_600_000
/** In place of a validator: several clients of one address may have the beginnings of different images. */
const SEVERAL = ''

export function createSendDisc () {
  // by client and link: the disc whose beginning the client has
  const beginnings = new LRUCache<string, string>({ max: REMEMBERED, ttl: REMEMBERED_MS })

  return function sendDisc (this: FastifyReply, disc: OpenDisc, { fileName, linkOf }: SendOptions): FastifyReply {
    const { raw, request } = this
    raw.once('close', disc.close)
    // for a client that has left while the disc was made, that event is over
    if (raw.destroyed) disc.close()
    const { sizeBytes } = disc.image
    const range = sizeBytes === undefined ? undefined : rangeFor(request, this, disc, sizeBytes, beginnings)
    if (request.method !== 'HEAD' && (range === undefined || range.first === 0)) remember(beginnings, clientOf(request), disc.etag)
    if (request.activity !== undefined) this.server.audit.exporting(request.activity, request.caller, disc, range)
    raw.setTimeout(this.server.config.server.writeTimeoutMs, () => {
      // one that waits for us, for the next image of a ZIP, is not slow
      if (raw.writableLength > 0) raw.destroy()
    })
    describe(this, disc, linkOf)
    this
      .type(disc.format === 'zip' ? 'application/zip' : 'application/octet-stream')
      .header('content-disposition', contentDisposition(nameOf(disc, fileName)))
    if (sizeBytes !== undefined) this.header('content-length', String(range === undefined ? sizeBytes : range.last - range.first + 1))
    if (range !== undefined) this.status(206).header('content-range', `bytes ${range.first}-${range.last}/${sizeBytes}`)
    if (request.method === 'HEAD') return this.send(nothing())
    const { activity } = request
    activity?.streaming(sizeBytes, range?.first)
    const stream = imageStream(disc.image, range, bytes => { activity?.sent(bytes) })
    if ('whole' in disc.image) void disc.image.whole.then(size => { activity?.streaming(size, activity.sentBytes) }, () => { /* the stream tells */ })
    // an answer that breaks in the middle has no error handler (measured)
    stream.once('error', (error: Error) => {
      const failure = request.failure ??= toMkisoError(error)
      if (!(error instanceof ClientGoneError)) request.log.error({ err: failure.cause ?? failure, code: failure.code, detail: failure.detail }, 'a disc broke off on its way out')
    })
    return this.send(stream)
  }
}

/** With a password nothing about the patient can be read, not even in the name of the file. */
function nameOf ({ format, encrypted, etag, disc, discs }: OpenDisc, fileName: string): string {
  if (encrypted) return `studies-${etag.replace(/\W/g, '').slice(0, 6)}.zip`
  return `${fileName}${discs > 1 ? `-${disc}of${discs}` : ''}.${format}`
}

function describe (reply: FastifyReply, disc: OpenDisc, linkOf: SendOptions['linkOf']): void {
  if (disc.discs > 1) {
    reply.header('x-mkiso-discs', String(disc.discs))
    const relations: Array<[string, number]> = [['first', 1], ['prev', disc.disc - 1], ['next', disc.disc + 1], ['last', disc.discs]]
    reply.header('link', relations.filter(([, n]) => n >= 1 && n <= disc.discs).map(([rel, n]) => `<${linkOf(n, disc.set)}>; rel="${rel}"`).join(', '))
  }
  if (disc.notListed.length > 0) reply.header('x-mkiso-not-listed', String(disc.notListed.length))
  if (disc.missing !== 0) reply.header('x-mkiso-missing', String(disc.missing ?? 'unknown'))
  if (disc.instances !== undefined) reply.header('x-mkiso-images', String(disc.instances))
  reply.header('etag', disc.etag)
  deliverable(reply)
}

function deliverable (reply: FastifyReply): void {
  if (reply.server.config.iso.keepForMs > 0) reply.header('accept-ranges', 'bytes')
  // nginx would spool the image to its disk
  reply.header('cache-control', 'no-store').header('x-accel-buffering', 'no')
}

/**
 * The part that a client may have, undefined for all. A part is only given to a client that has the beginning of the very same image: it
 * says so with If-Range, or (curl does not) it was given that beginning by us, and by that link and from that address nobody was given another.
 * Bytes of two images in one file would be a disc that nobody can trust.
 * @throws MkisoError RANGE_NOT_SATISFIABLE
 */
function rangeFor (request: FastifyRequest, reply: FastifyReply, disc: OpenDisc, sizeBytes: number, beginnings: LRUCache<string, string>): ByteRange | undefined {
  const { range: header, 'if-range': ifRange } = request.headers
  const ranges = header === undefined || request.method === 'HEAD' ? -2 : parseRange(sizeBytes, header)
  const [range] = Array.isArray(ranges) && ranges.type === 'bytes' && ranges.length === 1 ? ranges : []
  const sameImage = ifRange === undefined ? range?.start === 0 || beginnings.get(clientOf(request)) === disc.etag : ifRange === disc.etag
  if (ranges === -1 && sameImage) {
    reply.header('content-range', `bytes */${sizeBytes}`)
    throw new MkisoError('RANGE_NOT_SATISFIABLE', `the disc has ${sizeBytes} bytes`)
  }
  return range !== undefined && sameImage ? { first: range.start, last: range.end } : undefined
}

/** Who goes on with a download, as far as anybody can tell. */
function clientOf ({ ip, headers, url }: FastifyRequest): string {
  return `${ip} ${headers['user-agent'] ?? ''} ${url}`
}

/** A client is given the beginning of a disc. */
function remember (beginnings: LRUCache<string, string>, client: string, etag: string): void {
  const known = beginnings.get(client)
  beginnings.set(client, known === undefined || known === etag ? etag : SEVERAL)
}

/** A body that is not there; for an empty one Fastify would say that the length is 0. */
function nothing (): Readable {
  return Readable.from([])
}

function sendUnknownDisc (this: FastifyReply): FastifyReply {
  deliverable(this)
  return this.type('application/octet-stream').send(nothing())
}

export default fp(async app => {
  app.decorateReply('sendDisc', createSendDisc())
  app.decorateReply('sendUnknownDisc', sendUnknownDisc)
}, { name: 'send-disc', dependencies: ['config', 'errors', 'iso', 'audit', 'activity'] })
