/** A small DICOMweb server that lies. It answers as a good one does, except for the studies that it has a lie for. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { bytesOf, type MadeImage } from '../made-images.ts'

export type Level = 'studies' | 'series' | 'instances'

/** A data set in the DICOM JSON model. */
export type Json = Record<string, { vr: string, Value?: unknown[] }>

export interface Reply {
  status?: number
  headers?: Record<string, string>
  body?: string | Buffer | Iterable<Buffer> | AsyncIterable<Buffer>
  /** The connection breaks after so many bytes of the body. */
  breakAfter?: number
}

/** A question for a list, with what an honest server would answer to all of it. */
export interface Searched {
  level: Level
  limit: number
  offset: number
  all: Json[]
  /** Question for this list, from 1. */
  attempt: number
  request: IncomingMessage
}

export interface Wanted {
  images: readonly MadeImage[]
  /** From 1, for each path. */
  attempt: number
  request: IncomingMessage
}

/** `undefined` is the honest answer. */
export interface WebLie {
  search?: ((searched: Searched) => Reply | undefined) | undefined
  retrieve?: ((wanted: Wanted) => Reply | undefined) | undefined
  /** (0020,1206), (0020,1208), and (0020,1209) by Series Instance UID; the truth where it is not given, none where it is `null`. */
  counts?: { series?: number | null, instances?: number | null, bySeries?: Record<string, number | null> }
}

export interface LyingDicomweb {
  /** The base address. */
  readonly url: string
  /** `GET` paths so far. */
  readonly requests: string[]
  /** Puts a study in, by its accession number. @param images all of one study */
  add (images: readonly MadeImage[], lie?: WebLie): void
  close (): Promise<void>
}

export const BOUNDARY = 'parts-of-a-lie'

export async function startLyingDicomweb (): Promise<LyingDicomweb> {
  const held: Array<{ images: readonly MadeImage[], lie: WebLie }> = []
  const attempts = new Map<string, number>()
  const requests: string[] = []
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost')
    requests.push(`${url.pathname}${url.search}`)
    const attempt = (attempts.get(url.pathname + url.search) ?? 0) + 1
    attempts.set(url.pathname + url.search, attempt)
    send(response, answerTo(url, request, attempt)).catch(() => { response.destroy() })
  })
  const answerTo = (url: URL, request: IncomingMessage, attempt: number): Reply => {
    const path = url.pathname.split('/').filter(part => part !== '').slice(1)
    const limit = Number(url.searchParams.get('limit') ?? Infinity)
    const offset = Number(url.searchParams.get('offset') ?? 0)
    if (path.length === 1) {
      const number = url.searchParams.get('AccessionNumber')
      const found = held.filter(({ images: [first] }) => number === null || first?.accessionNumber === number)
      const all = found.flatMap(({ images, lie }) => images[0] === undefined ? [] : [studyOf(images[0], images, lie)])
      return found[0]?.lie.search?.({ level: 'studies', limit, offset, all, attempt, request }) ?? page(all, limit, offset)
    }
    const study = held.find(({ images: [first] }) => first?.studyInstanceUid === path[1])
    if (study === undefined) return { status: 404 }
    const { images, lie } = study
    if (path.length === 3) {
      const all = [...new Set(images.map(image => image.seriesInstanceUid))].map(uid => seriesOf(images.filter(image => image.seriesInstanceUid === uid), lie))
      return lie.search?.({ level: 'series', limit, offset, all, attempt, request }) ?? page(all, limit, offset)
    }
    const ofSeries = images.filter(image => path[3] === undefined || image.seriesInstanceUid === path[3])
    if (path.length === 5) {
      const all = ofSeries.map(instanceOf)
      return lie.search?.({ level: 'instances', limit, offset, all, attempt, request }) ?? page(all, limit, offset)
    }
    const wanted = ofSeries.filter(image => path[5] === undefined || image.sopInstanceUid === path[5])
    if (wanted.length === 0) return { status: 404 }
    return lie.retrieve?.({ images: wanted, attempt, request }) ?? multipart(wanted.map(image => ({ bytes: bytesOf(image) })))
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/web`,
    requests,
    add: (images, lie = {}) => { held.push({ images, lie }) },
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    }
  }
}

async function send (response: ServerResponse, { status = 200, headers = {}, body = '', breakAfter }: Reply): Promise<void> {
  response.writeHead(status, headers)
  let sent = 0
  const pieces = typeof body === 'string' || Buffer.isBuffer(body) ? [Buffer.from(body)] : body
  for await (const piece of pieces) {
    const bytes = breakAfter === undefined ? piece : piece.subarray(0, breakAfter - sent)
    sent += bytes.length
    if (response.destroyed) return
    if (!response.write(bytes)) await Promise.race([once(response, 'drain'), once(response, 'close')])
    if (breakAfter === undefined || sent < breakAfter) continue
    // what was written is on its way before the connection ends
    await new Promise(resolve => { setImmediate(resolve) })
    response.socket?.resetAndDestroy()
    return
  }
  response.end()
}

export function json (answers: unknown, headers: Record<string, string> = {}, status = 200): Reply {
  return { status, headers: { 'content-type': 'application/dicom+json', ...headers }, body: JSON.stringify(answers) }
}

/** An honest page, which says that there are more. */
export function page (all: readonly Json[], limit: number, offset: number): Reply {
  const answers = all.slice(offset, offset + limit)
  const left = all.length - offset - answers.length
  if (answers.length === 0) return { status: 204 }
  return json(answers, left > 0 ? { warning: moreWarning(left) } : {})
}

/** PS3.18 8.3.4.4 */
export function moreWarning (left: number): string { return `299 mkiso-test "There are ${left} additional results that can be requested"` }

export interface LyingPart { bytes: Buffer, headers?: Record<string, string> }

export function multipart (parts: readonly LyingPart[], { closed = true, status = 200, epilogue = '' } = {}): Reply {
  const body = Buffer.concat([
    ...parts.flatMap(({ bytes, headers = {} }) => [
      Buffer.from(`\r\n--${BOUNDARY}\r\n${Object.entries({ 'Content-Type': 'application/dicom', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`),
      bytes
    ]),
    Buffer.from(closed ? `\r\n--${BOUNDARY}--\r\n${epilogue}` : '')
  ])
  return { status, headers: { 'content-type': `multipart/related; type="application/dicom"; boundary=${BOUNDARY}` }, body }
}

const text = (vr: string, value: string): Json[string] => ({ vr, ...(value === '' ? {} : { Value: [value] }) })

function nameOf (value: string): Json[string] {
  const [alphabetic = '', ideographic = '', phonetic = ''] = value.split('=')
  return { vr: 'PN', Value: [{ Alphabetic: alphabetic, ...(ideographic === '' ? {} : { Ideographic: ideographic }), ...(phonetic === '' ? {} : { Phonetic: phonetic }) }] }
}

function counted (tag: string, truth: number, told: number | null | undefined): Json {
  return told === null ? {} : { [tag]: { vr: 'IS', Value: [told ?? truth] } }
}

function studyOf (image: MadeImage, images: readonly MadeImage[], { counts = {} }: WebLie): Json {
  const { patient } = image
  return {
    '00080020': text('DA', image.studyDate ?? '20240501'),
    '00080050': text('SH', image.accessionNumber),
    '00080061': text('CS', 'CT'),
    '00100010': nameOf(patient.patientName),
    '00100020': text('LO', patient.patientId),
    '00100030': text('DA', patient.birthDate),
    '00100040': text('CS', patient.sex),
    '0020000D': text('UI', image.studyInstanceUid),
    ...counted('00201206', new Set(images.map(one => one.seriesInstanceUid)).size, counts.series),
    ...counted('00201208', images.length, counts.instances)
  }
}

function seriesOf (images: readonly MadeImage[], { counts = {} }: WebLie): Json {
  const [image] = images
  if (image === undefined) throw new Error('a series without images')
  return {
    '00080060': text('CS', 'CT'),
    '0020000D': text('UI', image.studyInstanceUid),
    '0020000E': text('UI', image.seriesInstanceUid),
    ...counted('00201209', images.length, counts.bySeries?.[image.seriesInstanceUid])
  }
}

function instanceOf (image: MadeImage): Json {
  return {
    '00080018': text('UI', image.sopInstanceUid),
    '0020000D': text('UI', image.studyInstanceUid),
    '0020000E': text('UI', image.seriesInstanceUid),
    '00200013': { vr: 'IS', Value: [image.instanceNumber ?? 1] }
  }
}
