/** The answer that carries a disc: whole, or from where a download broke. */
import { Readable } from 'node:stream'
import fp from 'fastify-plugin'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from '@sinclair/typebox'
import { create as contentDisposition } from 'content-disposition'
import parseRange from 'range-parser'
import { silentArchives } from '../src/disc/contents.ts'
import type { DiscRequest, OpenDisc } from '../src/disc/discs.ts'
import { imageStream, type ByteRange } from '../src/disc/image/image.ts'
import { ClientGoneError } from '../src/abort.ts'
import { MkisoError } from '../src/errors.ts'
import { ARCHIVE_SILENT } from '../src/http/activity-state.ts'
import { Continuations } from '../src/work/continuations.ts'
import type { LinkOfRequest } from './auth.ts'
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
  'x-mkiso-archive-silent': ARCHIVE_SILENT,
  'x-mkiso-part': Type.String({ description: 'What is on the disc of a part of the study: `2 of 5 series, 3 of 240 images`; absent for the whole.' }),
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
    /**
     * The disc for this answer; undefined for HEAD where it would have to be made.
     * @throws MkisoError as Discs.open, DOWNLOAD_CANCELLED
     */
    openDisc (wanted: Omit<DiscRequest, 'resuming' | 'log'>): Promise<OpenDisc | undefined>
    /** Streams the disc, or answers HEAD; whatever happens to the answer, the disc is closed. */
    sendDisc (disc: OpenDisc, options: SendOptions): FastifyReply
    /** Answers HEAD where the disc would have to be made first: nothing is moved, so its size is not known. */
    sendUnknownDisc (): FastifyReply
  }
}

/** So much of the end of a disc may be asked for again with a link that is used up: it may be on its way still when we have sent it, bytes. */
const TAIL_BYTES = 16 * 1_024 ** 2

function createOpenDisc (continuations: Continuations) {
  return async function openDisc (this: FastifyReply, wanted: Omit<DiscRequest, 'resuming' | 'log'>): Promise<OpenDisc | undefined> {
    const { request, server: { discs } } = this
    const { range } = request.headers
    // from the first byte on it is a new click
    if (range !== undefined && !/^bytes=0-/.test(range) && continuations.isCancelled(clientOf(request))) throw new MkisoError('DOWNLOAD_CANCELLED')
    const whole = { ...wanted, resuming: range !== undefined, log: request.log }
    const { late } = request.signedLink ?? {}
    if (request.method !== 'HEAD' && late === undefined) return await discs.open(whole)
    const kept = await discs.openKept(whole)
    if (kept === undefined && late !== undefined) throw late
    return kept
  }
}

function createSendDisc (continuations: Continuations) {
  return function sendDisc (this: FastifyReply, disc: OpenDisc, { fileName, linkOf }: SendOptions): FastifyReply {
    const { raw, request } = this
    let endOfLink = (): void => {}
    // one listener for all: Node warns of more than ten, which plugins nearly have
    raw.once('close', () => {
      disc.close()
      endOfLink()
      if (request.activity?.stopped === true) continuations.cancel(clientOf(request))
    })
    // for a client that has left while the disc was made, that event is over
    if (raw.destroyed) disc.close()
    const { sizeBytes } = disc.image
    const range = sizeBytes === undefined ? undefined : rangeFor(request, this, disc, sizeBytes, continuations)
    if (request.method !== 'HEAD' && (range === undefined || range.first === 0)) continuations.begins(clientOf(request), disc.etag)
    guardLink(request, disc, range)
    if (request.activity !== undefined) this.server.audit.exporting(request.activity, request.caller, disc, range)
    raw.setTimeout(this.server.config.server.writeTimeoutMs, () => {
      // one that waits for us, for the next image of a ZIP, is not slow
      if (raw.writableLength > 0) raw.destroy()
    })
    describe(this, disc, linkOf)
    const name = nameOf(disc, fileName)
    if (request.activity !== undefined) request.activity.fileName = name
    this
      .type(disc.format === 'zip' ? 'application/zip' : 'application/octet-stream')
      .header('content-disposition', contentDisposition(name))
    if (sizeBytes !== undefined) this.header('content-length', String(range === undefined ? sizeBytes : range.last - range.first + 1))
    if (range !== undefined) this.status(206).header('content-range', `bytes ${range.first}-${range.last}/${sizeBytes}`)
    if (request.method === 'HEAD') return this.send(nothing())
    const { activity } = request
    activity?.streaming(sizeBytes, range?.first)
    const stream = imageStream(disc.image, range, bytes => { activity?.sent(bytes) })
    if ('whole' in disc.image) void disc.image.whole.then(size => { activity?.streaming(size, activity.sentBytes) }, () => { /* the stream tells */ })
    const goesToTheEnd = range === undefined || range.last + 1 === sizeBytes
    if (request.signedLink !== undefined) endOfLink = holdLink(this, request.signedLink, { etag: disc.etag, goesToTheEnd })
    // an answer that breaks in the middle has no error handler (measured)
    stream.once('error', (error: Error) => {
      const failure = request.failure ??= toMkisoError(error)
      if (!(error instanceof ClientGoneError)) request.log.error({ err: failure.cause ?? failure, code: failure.code, detail: failure.detail }, 'a disc broke off on its way out')
    })
    return this.send(stream)
  }
}

/** With a password nothing about the patient can be read, not even in the name of the file. */
function nameOf ({ format, encrypted, etag, part, disc, discs }: OpenDisc, fileName: string): string {
  if (encrypted) return `studies-${etag.replace(/\W/g, '').slice(0, 6)}.zip`
  return `${fileName}${part === undefined ? '' : '-part'}${discs > 1 ? `-${disc}of${discs}` : ''}.${format}`
}

/**
 * A link whose time is over, or that has been used, is good for the rest of an image that it has begun, and for nothing else.
 * @throws MkisoError LINK_EXPIRED, LINK_USED
 */
function guardLink ({ signedLink: link, server: { linkUses } }: FastifyRequest, { etag, image: { sizeBytes } }: OpenDisc, range: ByteRange | undefined): void {
  if (link?.late === undefined) return
  const first = link.late.code === 'LINK_USED' ? Math.max(1, (sizeBytes ?? Infinity) - TAIL_BYTES) : 1
  if (range === undefined || range.first < first || !linkUses.hasBegun(link.signature, etag)) throw link.late
}

/**
 * Before the disc goes out: what was begun with a link, and, for one that is good for one download, that there is one at a time and no second.
 * @returns what to do when the answer is over
 */
function holdLink (reply: FastifyReply, { signature, once, disc, expiresMs, late }: LinkOfRequest, { etag, goesToTheEnd }: { etag: string, goesToTheEnd: boolean }): () => void {
  const { raw, request: { activity, log }, server: { linkUses, usedLinks } } = reply
  linkUses.begins(signature, etag)
  if (once === undefined || late !== undefined || activity === undefined) return () => {}
  const end = linkUses.takeOver(`${once}-${disc}`, () => { activity.leave() })
  return () => {
    end()
    if (!goesToTheEnd || !raw.writableFinished) return
    usedLinks.use(once, disc, expiresMs).catch((error: unknown) => { log.error({ err: error }, 'that a link was used could not be written; it is good again after a restart') })
  }
}

function describe (reply: FastifyReply, disc: OpenDisc, linkOf: SendOptions['linkOf']): void {
  if (disc.discs > 1) {
    reply.header('x-mkiso-discs', String(disc.discs))
    const relations: Array<[string, number]> = [['first', 1], ['prev', disc.disc - 1], ['next', disc.disc + 1], ['last', disc.discs]]
    reply.header('link', relations.filter(([, n]) => n >= 1 && n <= disc.discs).map(([rel, n]) => `<${linkOf(n, disc.set)}>; rel="${rel}"`).join(', '))
  }
  if (disc.notListed.length > 0) reply.header('x-mkiso-not-listed', String(disc.notListed.length))
  const silent = disc.contents === undefined ? [] : silentArchives(disc.contents)
  if (silent.length > 0) reply.header('x-mkiso-archive-silent', silent.join(', '))
  const { part } = disc
  if (part !== undefined) reply.header('x-mkiso-part', `${part.series} of ${part.ofSeries} series, ${part.images} of ${part.ofImages} images`)
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
function rangeFor (request: FastifyRequest, reply: FastifyReply, disc: OpenDisc, sizeBytes: number, continuations: Continuations): ByteRange | undefined {
  const { range: header, 'if-range': ifRange } = request.headers
  const ranges = header === undefined || request.method === 'HEAD' ? -2 : parseRange(sizeBytes, header)
  const [range] = Array.isArray(ranges) && ranges.type === 'bytes' && ranges.length === 1 ? ranges : []
  const sameImage = ifRange === undefined ? range?.start === 0 || continuations.hasBeginningOf(clientOf(request), disc.etag) : ifRange === disc.etag
  if (ranges === -1 && sameImage) {
    reply.header('content-range', `bytes */${sizeBytes}`)
    throw new MkisoError('RANGE_NOT_SATISFIABLE', `the disc has ${sizeBytes} bytes`)
  }
  return range !== undefined && sameImage ? { first: range.start, last: range.end } : undefined
}

function clientOf ({ ip, url, headers: { 'user-agent': program = '' } }: FastifyRequest): string {
  return `${ip} ${program} ${url}`
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
  const continuations = new Continuations()
  app.decorateReply('openDisc', createOpenDisc(continuations))
  app.decorateReply('sendDisc', createSendDisc(continuations))
  app.decorateReply('sendUnknownDisc', sendUnknownDisc)
}, { name: 'send-disc', dependencies: ['config', 'errors', 'auth', 'iso', 'audit', 'activity'] })
