/** What a DICOMweb server can do wrong, one line a fault, against the real service: a disc with every image, or an error that says what to change. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { PhantomInstance } from '../../demo/phantoms/catalogue.ts'
import type { ErrorCode } from '../../src/errors.ts'
import { bytesOf, writeImages, type MadeImage } from '../made-images.ts'
import { nothingLeft, programsOf, service, temporaryFolder } from '../world.ts'
import { linkTo, PATIENT, rightAnswer, tellFaults, type Expected } from './harness.ts'
import { json, moreWarning, multipart, page, startLyingDicomweb, type Json, type LyingPart, type Reply, type WebLie } from './lying-dicomweb.ts'

const IMAGES = 4
const MOST_UNWANTED = 64 * 1024

interface Fault {
  name: string
  lie: (images: readonly MadeImage[]) => WebLie
  expected: Expected
}

const fails = (...codes: ErrorCode[]): Expected => ({ codes })
const failsWith = (code: ErrorCode, detail: RegExp): Expected => ({ codes: [code], detail })
const partsOf = (images: readonly MadeImage[]): LyingPart[] => images.map(image => ({ bytes: bytesOf(image) }))
const whole = (images: readonly MadeImage[]): Reply => multipart(partsOf(images))
/** Instances without counts: only the lists can tell. */
const UNCOUNTED: NonNullable<WebLie['counts']> = { series: null, instances: null, bySeries: {} }
const uncounted = (images: readonly MadeImage[]): NonNullable<WebLie['counts']> =>
  ({ ...UNCOUNTED, bySeries: Object.fromEntries(images.map(({ seriesInstanceUid }) => [seriesInstanceUid, null])) })
const html: Reply = { headers: { 'content-type': 'text/html' }, body: '<!DOCTYPE html><html><body>Log in</body></html>' }
const always = (reply: Reply): WebLie['search'] => () => reply
/** Only the lists of instances lie. */
const instances = (lie: (all: Json[], limit: number, offset: number, attempt: number) => Reply | undefined): WebLie['search'] =>
  ({ level, all, limit, offset, attempt }) => level === 'instances' ? lie(all, limit, offset, attempt) : undefined
async function * endless (): AsyncGenerator<Buffer> {
  for (;;) {
    yield Buffer.alloc(16 * 1024, 0x20)
    await new Promise(resolve => { setImmediate(resolve) })
  }
}

const FAULTS: readonly Fault[] = [
  { name: 'it leaves an image out and closes the multipart all the same', lie: () => ({ retrieve: ({ images }) => multipart(partsOf(images.slice(images.length > 1 ? 1 : 0))) }), expected: 'disc' },
  { name: 'it leaves an image out for ever', lie: ([first]) => ({ retrieve: ({ images }) => multipart(partsOf(images.filter(one => one !== first))) }), expected: failsWith('INCOMPLETE_RETRIEVAL', /3 of 4/) },
  { name: '206 once', lie: () => ({ retrieve: ({ images, attempt }) => attempt === 1 ? multipart(partsOf(images.slice(1)), { status: 206 }) : undefined }), expected: 'disc' },
  { name: 'the body ends without the closing delimiter, between parts', lie: () => ({ retrieve: ({ images, attempt }) => attempt === 1 ? multipart(partsOf(images.slice(1)), { closed: false }) : undefined }), expected: 'disc' },
  { name: 'the body ends within a part', lie: () => ({ retrieve: ({ images, attempt }) => attempt === 1 ? { ...whole(images), breakAfter: 1_500 } : undefined }), expected: 'disc' },
  { name: 'the body ends after what is enough for one image', lie: () => ({ retrieve: ({ images }) => ({ ...whole(images), breakAfter: 1_200 }) }), expected: 'disc' },
  { name: 'the body always ends within a part', lie: () => ({ retrieve: ({ images }) => ({ ...whole(images), breakAfter: 400 }) }), expected: fails('INCOMPLETE_RETRIEVAL', 'PACS_UNREACHABLE') },
  {
    name: 'a part is shorter than its Content-Length, and ends where an element ends',
    lie: ([first]) => ({ retrieve: ({ images }) => multipart(partsOf(images).map((part, n) => images[n] !== first ? part : { bytes: part.bytes.subarray(0, part.bytes.length - 140), headers: { 'Content-Length': String(part.bytes.length) } })) }),
    expected: failsWith('INCOMPLETE_RETRIEVAL', /Content-Length/)
  },
  { name: 'a part that is no DICOM', lie: ([first]) => ({ retrieve: ({ images }) => multipart(partsOf(images).map((part, n) => images[n] === first ? { bytes: Buffer.from('{"error":"cannot read"}'), headers: { 'Content-Type': 'application/json' } } : part)) }), expected: failsWith('INCOMPLETE_RETRIEVAL', /3 of 4/) },
  { name: 'a second body behind the closing delimiter, once', lie: () => ({ retrieve: ({ images, attempt }) => attempt === 1 ? multipart(partsOf(images.slice(2)), { epilogue: '--parts-of-a-lie\r\n\r\nlost\r\n--parts-of-a-lie--' }) : undefined }), expected: 'disc' },
  { name: 'images of another study among them', lie: () => ({ retrieve: ({ images }) => multipart([...partsOf(images), { bytes: bytesOf({ ...(images[0] as MadeImage), studyInstanceUid: '1.9.9', sopInstanceUid: '1.9.9.1' }) }]) }), expected: 'disc' },
  {
    name: 'other studies without end',
    lie: () => ({ retrieve: ({ images }) => multipart(Array.from({ length: 200 }, (_, n) => ({ bytes: bytesOf({ ...(images[0] as MadeImage), studyInstanceUid: '1.9.9', sopInstanceUid: `1.9.9.${n}`, size: 32 }) }))) }),
    expected: failsWith('PACS_REFUSED', /max_unwanted/)
  },
  { name: 'images come as a page for people', lie: () => ({ retrieve: () => html }), expected: failsWith('PACS_REFUSED_MOVE', /a page for people/) },
  { name: 'an endless preamble', lie: () => ({ retrieve: () => ({ headers: { 'content-type': 'multipart/related; boundary=x' }, body: endless() }) }), expected: fails('PACS_TIMEOUT') },
  { name: 'an endless part', lie: () => ({ retrieve: ({ images }) => ({ ...whole(images), body: (async function * () { yield Buffer.from('--parts-of-a-lie\r\nContent-Type: application/dicom\r\n\r\n'); yield * endless() })() }) }), expected: fails('PACS_TIMEOUT') },
  { name: 'an endless list', lie: () => ({ search: ({ level }) => level === 'studies' ? { headers: { 'content-type': 'application/dicom+json' }, body: endless() } : undefined }), expected: fails('PACS_REFUSED', 'PACS_TIMEOUT') },
  { name: 'silence instead of images', lie: () => ({ retrieve: () => ({ body: (async function * () { await new Promise(() => {}); yield Buffer.alloc(0) })() }) }), expected: fails('PACS_TIMEOUT') },
  ...([401, 403] as const).map((status): Fault => ({ name: `HTTP ${status}`, lie: () => ({ search: always({ status, headers: { 'www-authenticate': 'Bearer realm="x"' } }) }), expected: failsWith('PACS_REFUSED', status === 401 ? /pacs\.dicomweb\.token/ : /right to search/) })),
  { name: 'HTTP 404 for a search, though others are answered', lie: () => ({ search: ({ request }) => request.url?.includes('AccessionNumber') === true ? { status: 404 } : undefined }), expected: fails('NO_DICOM_DATA') },
  { name: 'HTTP 404 for every search', lie: () => ({ search: always({ status: 404 }) }), expected: fails('NO_DICOM_DATA') },
  { name: 'HTTP 406 for images', lie: () => ({ retrieve: () => ({ status: 406 }) }), expected: failsWith('PACS_REFUSED_MOVE', /as they are stored/) },
  { name: 'HTTP 503 with Retry-After, then images', lie: () => ({ retrieve: ({ attempt }) => attempt === 1 ? { status: 503, headers: { 'retry-after': '1' } } : undefined }), expected: 'disc' },
  { name: 'HTTP 503 with a Retry-After longer than pacs.idle_timeout, then images', lie: () => ({ retrieve: ({ attempt }) => attempt === 1 ? { status: 503, headers: { 'retry-after': '4' } } : undefined }), expected: 'disc' },
  { name: 'HTTP 429 to a search, then an answer', lie: () => ({ search: ({ attempt }) => attempt === 1 ? { status: 429 } : undefined }), expected: 'disc' },
  { name: 'HTTP 503 for longer than anybody waits', lie: () => ({ search: always({ status: 503, headers: { 'retry-after': '3600' } }) }), expected: fails('TOO_MANY_CONCURRENT') },
  { name: 'HTTP 500 for images, once', lie: () => ({ retrieve: ({ attempt }) => attempt === 1 ? { status: 500 } : undefined }), expected: 'disc' },
  { name: 'a list that is no JSON', lie: () => ({ search: always({ headers: { 'content-type': 'application/dicom+json' }, body: '[{"0020000D":' }) }), expected: failsWith('PACS_REFUSED', /no JSON/) },
  { name: 'a list that is a page for people', lie: () => ({ search: always(html) }), expected: failsWith('PACS_REFUSED', /page for people/) },
  { name: 'a list in another character set', lie: () => ({ search: always({ headers: { 'content-type': 'application/dicom+json' }, body: Buffer.from('[{"00100010":{"vr":"PN","Value":[{"Alphabetic":"M\xfcller"}]}}]', 'latin1') }) }), expected: failsWith('PACS_REFUSED', /UTF-8/) },
  { name: 'every search gives every study', lie: images => ({ search: ({ level, all, limit, offset }) => level === 'studies' ? page([...all, ...Array.from({ length: 5 }, (_, n): Json => ({ '0020000D': { vr: 'UI', Value: [`1.5.${n}`] }, '00080050': { vr: 'SH', Value: [`${images[0]?.accessionNumber ?? ''}.${n}`] } }))], limit, offset) : undefined }), expected: 'disc' },
  { name: 'a list of studies that is cut off, with a warning', lie: () => ({ search: ({ level, all }) => level === 'studies' ? json(all, { warning: moreWarning(3) }) : undefined }), expected: failsWith('PACS_REFUSED', /cut off/) },
  { name: 'without counts', lie: images => ({ counts: uncounted(images) }), expected: 'disc' },
  { name: 'without counts, pages of one', lie: images => ({ counts: uncounted(images), search: ({ all, offset }) => page(all, 1, offset) }), expected: 'disc' },
  { name: 'without counts, an offset that it ignores', lie: images => ({ counts: uncounted(images), search: instances((all, limit) => page(all, limit, 0)) }), expected: failsWith('INCOMPLETE_RETRIEVAL', /nobody can tell/) },
  { name: 'with counts, an offset that it ignores, and pages of two', lie: () => ({ search: instances(all => json(all.slice(0, 2))) }), expected: 'disc' },
  { name: 'without counts, pages that skip one', lie: images => ({ counts: uncounted(images), search: instances((all, _limit, offset) => page(all, 2, offset === 0 ? 0 : offset + 1)) }), expected: fails('INCOMPLETE_RETRIEVAL') },
  { name: 'without counts, a list cut off that says so (206)', lie: images => ({ counts: uncounted(images), search: instances(all => json(all.slice(0, 3), {}, 206)) }), expected: fails('INCOMPLETE_RETRIEVAL') },
  { name: 'with counts, a list cut off without a word', lie: () => ({ search: instances((all, limit, offset) => page(all.slice(0, 2), limit, offset)) }), expected: 'disc' },
  { name: 'no list of instances, and no counts', lie: images => ({ counts: uncounted(images), search: instances(() => ({ status: 404 })) }), expected: failsWith('INCOMPLETE_RETRIEVAL', /nobody can tell/) },
  { name: 'no list of instances, but counts', lie: () => ({ search: instances(() => ({ status: 400 })) }), expected: 'disc' },
  { name: 'it refuses wishes for attributes', lie: () => ({ search: ({ request }) => request.url?.includes('includefield') === true ? { status: 400 } : undefined }), expected: 'disc' },
  { name: 'one list of instances answers for the whole study', lie: () => ({ search: ({ level, all, limit, offset }) => level === 'instances' ? page([...all, { '00080018': { vr: 'UI', Value: ['1.7.7'] }, '0020000E': { vr: 'UI', Value: ['1.7'] } }], limit, offset) : undefined }), expected: 'disc' },
  { name: 'an answer without a UID', lie: images => ({ counts: uncounted(images), search: instances((all, limit, offset) => page([...all, {}], limit, offset)) }), expected: fails('INCOMPLETE_RETRIEVAL') },
  { name: 'a warning that fuzzy matching is not done', lie: images => ({ counts: uncounted(images), search: ({ all, limit, offset }) => { const { status, body } = page(all, limit, offset); return { status: status ?? 200, headers: { warning: '299 x "The fuzzymatching parameter is not supported. Only literal matching has been performed."' }, ...(body === undefined ? {} : { body }) } } }), expected: 'disc' },
  { name: 'a redirect within its own origin', lie: () => ({ retrieve: ({ request, attempt }) => attempt === 1 ? { status: 307, headers: { location: request.url ?? '' } } : undefined }), expected: 'disc' },
  { name: 'a redirect in a circle', lie: () => ({ retrieve: ({ request }) => ({ status: 302, headers: { location: request.url ?? '' } }) }), expected: failsWith('PACS_REFUSED', /circle/) }
]

t.test('a DICOMweb server that lies', { timeout: 400_000 }, async t => {
  const programs = programsOf(t)
  const web = await startLyingDicomweb()
  t.teardown(async () => { await web.close() })
  const folder = temporaryFolder(t, 'dicomweb')
  const stolen: string[] = []
  const elsewhere = createServer((request, response) => {
    stolen.push(request.headers.authorization ?? '')
    response.end('[]')
  })
  await new Promise<void>(resolve => { elsewhere.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { elsewhere.closeAllConnections(); elsewhere.close() })
  const mkiso = await service(t, { aeTitle: 'UNUSED', host: '127.0.0.1', port: 1 }, 0, {
    pacs: {
      retrieve: 'wado', dicomweb: { url: web.url, token: 'a-secret-token' }, connect_timeout: '3s', find_timeout: '3s', idle_timeout: '3s', move_timeout: '5s', settle_timeout: '200ms', queue_timeout: '20s', max_moves: 16, max_associations: 32
    },
    our_ae: { base_port: 10_104, port_range: 100, max_unwanted: `${MOST_UNWANTED / 1024}K` },
    disc: { web_content: 'none' }
  })
  const studyOf = (n: number): MadeImage[] => Array.from({ length: IMAGES }, (_, image): MadeImage => ({
    accessionNumber: `WEB.${n}`, studyInstanceUid: `1.2.${n}`, seriesInstanceUid: `1.2.${n}.1`, sopInstanceUid: `1.2.${n}.1.${image + 1}`, patient: PATIENT, content: `${n} ${image}`, instanceNumber: image + 1
  }))
  const cases = FAULTS.map((fault, index) => {
    const images = studyOf(index + 1)
    web.add(images, fault.lie(images))
    const made: PhantomInstance[] = writeImages(folder, images)
    return { ...fault, made, link: linkTo(`WEB.${index + 1}`) }
  })
  const only = process.env['MKISO_ONLY']
  await Promise.all(cases.filter(({ name }) => only === undefined || name === only).map(async ({ name, expected, made, link }) => {
    const answer = await mkiso.get(link)
    await t.test(name, async t => { await rightAnswer(t, programs, answer, expected, made) })
  }))

  await t.test('a redirect to another host: not followed, and nobody gets the token', async t => {
    const images = studyOf(900)
    web.add(images, { search: () => ({ status: 302, headers: { location: `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/studies` } }) })
    await rightAnswer(t, programs, await mkiso.get(linkTo('WEB.900')), failsWith('PACS_REFUSED', /redirects to http.*pacs\.dicomweb\.url/), [])
    t.strictSame(stolen, [])
  })
  t.strictSame(await nothingLeft(mkiso), [])
  tellFaults(t, FAULTS.length)
})
