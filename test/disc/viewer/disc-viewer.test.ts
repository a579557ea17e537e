/** Discs as the service makes them, with their viewer: what is described is what lies on the disc, and nothing of the images is lost to it. */
import { mkdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { writeStudy, type PhantomSeries } from '../../../demo/phantoms/catalogue.ts'
import { oddStudies } from '../../../demo/phantoms/studies.ts'
import { readObject } from '../../../src/dicom/part10.ts'
import { filesOf, type DiscContents } from '../../../src/disc/contents.ts'
import { CAPACITY_BYTES, roomBytes } from '../../../src/disc/disc-set.ts'
import { guardAllOnImage, makeDisc, type DiscOptions } from '../../../src/disc/disc.ts'
import { imageStream } from '../../../src/disc/image/image.ts'
import { layOut, linkFiles, type DiscSource } from '../../../src/disc/layout.ts'
import { asItCame } from '../../../src/disc/uncompress.ts'
import { placeViewer } from '../../../src/disc/viewer/disc-viewer.ts'
import { describeFile } from '../../../src/disc/viewer/image-description.ts'
import type { PageData, Pixels } from '../../../src/disc/viewer/page-data.ts'
import { NO_WEB_CONTENT } from '../../../src/disc/web/web-content.ts'
import { silentLog } from '../../../src/process.ts'
import { whatCame } from '../../../src/studies/what-came.ts'
import { DEFAULTS, programsOf, temporaryFolder } from '../../world.ts'

const programs = programsOf(t)
const KINDS: PhantomSeries[] = [
  { kind: 'CT', count: 3 }, { kind: 'CT-jpeg', count: 2 }, { kind: 'XA-multiframe', count: 1 }, { kind: 'US-colour', count: 1 }, { kind: 'SR', count: 1 }
]

async function sources (t: Test, series: PhantomSeries[]): Promise<DiscSource[]> {
  const [study] = oddStudies()
  if (study === undefined) throw new Error('no study')
  const written = await writeStudy({ ...study, series }, temporaryFolder(t), programs)
  return await Promise.all(written.map(async ({ path }) => asItCame({ path, object: await readObject(path) })))
}

function laidOut (files: readonly DiscSource[]): DiscContents {
  const [first] = files
  if (first === undefined) throw new Error('no file')
  const { patient, studyInstanceUid } = first.object
  const study = {
    studyInstanceUid, accessionNumber: 'A1', patient, studyDate: '20240305', studyTime: '', studyDescription: 'Phantoms', studyId: '',
    seriesCount: undefined, instanceCount: undefined, seriesListing: 'whole' as const, series: []
  }
  return layOut([{ study: whatCame(study, files.map(({ object }) => object)), patient, files }])
}

async function disc (t: Test, contents: DiscContents, over: Partial<DiscOptions> = {}) {
  const made = await makeDisc({ ...DEFAULTS, programs, log: silentLog }, {
    config: DEFAULTS, contents, folder: join(temporaryFolder(t, 'disc'), 'made'), viewer: undefined, viewerRoomBytes: Infinity,
    renderer: undefined, checksums: undefined, missing: 0, priorsLeftOut: [], signal: new AbortController().signal, ...over
  })
  return { ...made, index: readFileSync(join(made.root, 'INDEX.HTM'), 'utf8') }
}

function shownOn (index: string): PageData {
  return JSON.parse(/id="viewer-data">([\s\S]*?)<\/script>/.exec(index)?.[1] ?? 'null') as PageData
}

/** Of every image, in the order of the disc. */
function pixelsOf (data: PageData): Array<Pixels | undefined> {
  return data.patients.flatMap(({ studies }) => studies.flatMap(({ series }) =>
    series.flatMap(({ common, images }) => images.map(({ pixels }) => pixels ?? common.pixels))))
}

t.test('each image is shown from its own bytes, or from a script, or is said to have no picture; each file is whole on the image', async t => {
  const contents = laidOut(await sources(t, KINDS))
  const { image, index, root } = await disc(t, contents)
  const ways = pixelsOf(shownOn(index)).map(pixels => pixels?.by)
  t.strictSame(ways.sort(), ['bitmap', 'bitmap', 'bitmap', 'bitmap', 'bitmap', 'none', 'script', 'script'])
  const headers = image.segments.filter(segment => 'bytes' in segment)
  t.equal(headers.length, 5)
  const bytes = await buffer(imageStream(image))
  for (const header of headers) {
    t.equal(bytes.toString('latin1', header.offset, header.offset + 2), 'BM')
    const behind = image.segments.find(({ offset }) => offset === header.offset + 2_048)
    t.ok(behind !== undefined && 'path' in behind && filesOf(contents).some(({ fileId }) => behind.path === join(root, fileId)), 'an image lies behind')
    const [first, last] = [header.offset - 100, header.offset + 5_000]
    t.ok((await buffer(imageStream(image, { first, last }))).equals(bytes.subarray(first, last + 1)), 'a range across it')
  }
  const lacking = image.segments.filter(segment => !('path' in segment) || segment.path !== join(root, filesOf(contents)[2]?.fileId ?? ''))
  t.throws(() => { guardAllOnImage({ ...image, segments: lacking }, root, contents) }, { code: 'ISO_CREATION_FAILED' }, 'a bitmap does not stand for its file')
})

t.test('a decoded copy is described as what it is', async t => {
  const files = await sources(t, [{ kind: 'CT-jpeg', count: 2 }])
  const folder = temporaryFolder(t)
  const decoded = await Promise.all(files.map(async (file, n): Promise<DiscSource> => {
    const path = join(folder, String(n))
    const result = await programs.run('dcmdjpeg', [file.path, path])
    t.equal(result.exitCode, 0, result.stderr)
    return { ...file, path, sizeBytes: statSync(path).size, transferSyntaxUid: '1.2.840.10008.1.2.1' }
  }))
  const contents = laidOut(decoded)
  for (const file of filesOf(contents)) {
    const { pixelData, rows, columns, transferSyntaxUid } = await describeFile(file)
    t.match(pixelData, { encapsulated: false, lengthBytes: 2 * rows * columns, offset: file.sizeBytes - 2 * rows * columns })
    t.equal(transferSyntaxUid, '1.2.840.10008.1.2.1')
  }
  t.strictSame(pixelsOf(shownOn((await disc(t, contents)).index)).map(pixels => pixels?.by), ['bitmap', 'bitmap'])
})

t.test('data that only the viewer needs take what room the images leave', async t => {
  const contents = laidOut(await sources(t, [{ kind: 'CT-jpeg', count: 2 }]))
  const used = filesOf(contents).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const room = roomBytes(contents, { capacityBytes: CAPACITY_BYTES.cd, viewerBytes: 0, webContent: 'none' })
  t.ok(room > 0 && room < CAPACITY_BYTES.cd - used)
  t.equal(roomBytes(contents, { capacityBytes: used, viewerBytes: 0, webContent: 'none' }), 0)
  const { index } = await disc(t, contents, { viewerRoomBytes: 0 })
  t.strictSame(pixelsOf(shownOn(index)).map(pixels => pixels?.by), ['picking', 'picking'])
})

t.test('without the viewer: disc.viewer, or a disc that is too full', async t => {
  const contents = laidOut(await sources(t, [{ kind: 'CT', count: 2 }]))
  for (const over of [{ config: { ...DEFAULTS, disc: { ...DEFAULTS.disc, viewer: false } } }, { viewerRoomBytes: undefined }]) {
    const { image, index } = await disc(t, contents, over)
    t.notMatch(index, 'viewer-data')
    t.equal(image.segments.filter(segment => 'bytes' in segment).length, 0)
  }
})

t.test('a file that has gone since is listed, and has no picture', async t => {
  const [one, two] = filesOf(laidOut(await sources(t, [{ kind: 'CT', count: 2 }])))
  if (one === undefined || two === undefined) throw new Error('no files')
  const files = [{ ...one, sourcePath: `${one.sourcePath}.gone`, sizeBytes: 1 }, two]
  const contents = laidOut(files.map(({ object, sourcePath, sizeBytes, transferSyntaxUid }) => ({ object, path: sourcePath, sizeBytes, transferSyntaxUid })))
  const root = join(temporaryFolder(t), 'root')
  mkdirSync(root)
  linkFiles(laidOut([one, two].map(({ object, sourcePath, sizeBytes, transferSyntaxUid }) => ({ object, path: sourcePath, sizeBytes, transferSyntaxUid }))), root)
  const warnings: unknown[] = []
  const { data } = await placeViewer(root, {
    contents, web: NO_WEB_CONTENT, disc: DEFAULTS.disc, roomBytes: Infinity, headers: 'before', signal: new AbortController().signal,
    log: { ...silentLog, warn: (...args: unknown[]) => { warnings.push(args) } }
  })
  t.strictSame(pixelsOf(data).map(pixels => pixels?.by), ['none', 'bitmap'])
  t.equal(warnings.length, 1)
})
