/** The answer that carries a disc. */
import fp from 'fastify-plugin'
import type { FastifyReply } from 'fastify'
import { Type } from '@sinclair/typebox'
import { create as contentDisposition } from 'content-disposition'
import type { IsoDownload } from '../src/disc/iso.ts'

export const DiscAnswer = {
  description: 'The disc image.',
  headers: {
    'content-length': Type.Integer({ description: 'Exact size in bytes.' }),
    'content-disposition': Type.String({ description: 'File name, RFC 6266.' }),
    link: Type.String({ description: 'The other discs of a set: first, prev, next, last.' }),
    'x-mkiso-discs': Type.String({ description: 'Number of discs of the set; absent when there is one.' }),
    'x-mkiso-not-listed': Type.String({ description: 'Number of files on the disc that its DICOMDIR could not list; absent when there is none.' }),
    'x-mkiso-missing': Type.String({ description: 'Number of images that are missing (disc.allow_incomplete); absent when there is none.' })
  },
  content: { 'application/octet-stream': { schema: Type.String({ format: 'binary' }) } }
}

declare module 'fastify' {
  interface FastifyReply {
    /** @param fileName without `.iso` */
    sendDisc (disc: IsoDownload, fileName: string, linkOf: (disc: number) => string): FastifyReply
  }
}

/** Streams the disc; whatever happens to the answer, the disc is closed. */
function sendDisc (this: FastifyReply, disc: IsoDownload, fileName: string, linkOf: (disc: number) => string): FastifyReply {
  const { raw, request } = this
  const close = (): void => {
    disc.close().catch((error: unknown) => { request.log.error({ err: error }, 'a disc could not be cleaned up') })
  }
  raw.once('close', close)
  // for a client that has left while the disc was made, that event is over
  if (raw.destroyed) close()
  raw.setTimeout(this.server.config.server.writeTimeoutMs, () => { raw.destroy() })
  if (disc.discs > 1) {
    this.header('x-mkiso-discs', String(disc.discs))
    const relations: Array<[string, number]> = [['first', 1], ['prev', disc.disc - 1], ['next', disc.disc + 1], ['last', disc.discs]]
    this.header('link', relations.filter(([, n]) => n >= 1 && n <= disc.discs).map(([rel, n]) => `<${linkOf(n)}>; rel="${rel}"`).join(', '))
  }
  if (disc.notListed.length > 0) this.header('x-mkiso-not-listed', String(disc.notListed.length))
  if (disc.missing > 0) this.header('x-mkiso-missing', String(disc.missing))
  return this
    .type('application/octet-stream')
    .header('content-length', String(disc.sizeBytes))
    .header('content-disposition', contentDisposition(`${fileName}${disc.discs > 1 ? `-${disc.disc}of${disc.discs}` : ''}.iso`))
    .header('cache-control', 'no-store')
    // nginx would spool the image to its disk
    .header('x-accel-buffering', 'no')
    .send(disc.stream)
}

export default fp(async app => {
  app.decorateReply('sendDisc', sendDisc)
}, { name: 'send-disc', dependencies: ['config', 'iso'] })
