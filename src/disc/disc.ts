/** Makes one disc: a folder that becomes the root of the image, what is grafted beside it, and the image's directories. */
import { randomUUID } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Config } from '../config/schema.ts'
import type { ToolContext } from '../dcmtk/peer.ts'
import { MkisoError } from '../errors.ts'
import { writeChecksums, type Checksums } from './checksums.ts'
import { filesOf, type DiscContents } from './contents.ts'
import { buildDicomdir, type NotListed } from './dicomdir/dicomdir.ts'
import { authorImage } from './image/author.ts'
import type { Image } from './image/image.ts'
import { linkFiles } from './layout.ts'
import type { ShownDisc } from './look/shown-disc.ts'
import { renderPages, type PageInput } from './pages/pages.ts'
import { profileOf } from './profile.ts'
import { placeViewer, type ShownPictures } from './viewer/disc-viewer.ts'
import { PIXELS_FOLDER } from './viewer/plan.ts'
import { VIEWER_FOLDER, viewerFault, type Viewer } from './viewer.ts'
import type { Renderer } from './web/renderer.ts'
import { NO_WEB_CONTENT, placeWebContent, type WebContent } from './web/web-content.ts'
import { largestOf } from '../numbers.ts'

export interface DiscOptions {
  config: Config
  contents: DiscContents
  /** On the file system of the images; what is in it goes first. Its owner removes it. */
  folder: string
  viewer: Viewer | undefined
  /** Room for what the page's own viewer needs beside the images, bytes; undefined where it is left out. */
  viewerRoomBytes: number | undefined
  renderer: Renderer | undefined
  checksums: Checksums | undefined
  /** Images that the archive did not deliver; undefined where nobody can tell. */
  missing: number | undefined
  signal: AbortSignal
}

export interface Disc {
  /** Folder that is the root of the image. */
  root: string
  image: Image
  /** A strong validator of the image's bytes, in quotes (RFC 9110 8.8.3). */
  etag: string
  notListed: NotListed[]
  /** What a browser may be shown of it; undefined where it has no viewer. */
  shown: ShownDisc | undefined
}

/** @throws MkisoError ISO_CREATION_FAILED */
export async function makeDisc (context: ToolContext, options: DiscOptions): Promise<Disc> {
  const { config, contents, folder, viewer, renderer, checksums, missing, signal } = options
  const root = join(folder, 'root')
  await rm(folder, { recursive: true, force: true })
  await mkdir(root, { recursive: true, mode: 0o700 })
  linkFiles(contents, root)
  const web = renderer === undefined ? NO_WEB_CONTENT : await placeWebContent(renderer, contents, root)
  signal.throwIfAborted()
  const shown = await shownBy(context, options, root, web)
  const { bytes, notListed } = buildDicomdir(contents, config.iso.volume_id)
  await writeFile(join(root, 'DICOMDIR'), bytes)
  for (const { fileId, reason } of notListed) context.log.warn({ file: fileId, reason }, 'the DICOMDIR does not list a file')
  const files = filesOf(contents)
  const program = config.disc.viewer_program !== '' && await viewerFault(config.iso.microdicom_path, config.disc.viewer_program) === undefined ? config.disc.viewer_program : ''
  const page: PageInput = {
    contents,
    disc: config.disc,
    web,
    notListed,
    missing,
    createdAt: new Date(),
    profile: profileOf(files),
    viewer: viewer === undefined ? undefined : { folder: VIEWER_FOLDER, program },
    pictures: shown?.data
  }
  for (const { path, text } of renderPages(page)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), text)
  }
  const grafts = viewer === undefined ? [] : [{ path: viewer.path, folder: VIEWER_FOLDER }]
  if (checksums !== undefined) await writeChecksums(checksums, contents, root, grafts)
  const sortFile = join(folder, 'order')
  // the DICOMDIR first; what has no weight follows in the order of its names, which is the order of the DICOMDIR. A line for each image says the
  // same, but genisoimage compares every file with every line: 600 images took three times as long (measured)
  await writeFile(sortFile, `${join(root, 'DICOMDIR')} 1\n`)
  const source = { root, grafts, sortFile, largestFileBytes: largestOf(files.map(({ sizeBytes }) => sizeBytes), 0), spans: shown?.spans ?? [] }
  const image = await authorImage({ programs: context.programs, tools: config.tools, iso: config.iso, log: context.log }, source, join(folder, 'head'), signal)
  guardAllOnImage(image, root, contents)
  return { root, image, etag: `"${randomUUID()}"`, notListed, shown: shown === undefined ? undefined : { root, spans: shown.spans, page } }
}

/** @returns undefined without the viewer; its failure is no reason to have no disc */
async function shownBy ({ log }: ToolContext, { config, contents, viewerRoomBytes, signal }: DiscOptions, root: string, web: WebContent): Promise<ShownPictures | undefined> {
  if (!config.disc.viewer || viewerRoomBytes === undefined) return undefined
  try {
    return await placeViewer(root, { contents, web, disc: config.disc, roomBytes: viewerRoomBytes, log, signal })
  } catch (error) {
    signal.throwIfAborted()
    log.error({ err: error }, 'the disc is made without its viewer')
    await rm(join(root, PIXELS_FOLDER), { recursive: true, force: true })
    return undefined
  }
}

/**
 * The last guard: the image holds every file of the file-set, whole.
 * @throws MkisoError ISO_CREATION_FAILED, which is a fault of ours
 */
export function guardAllOnImage ({ segments }: Image, root: string, contents: DiscContents): void {
  const bytesByPath = new Map<string, number>()
  for (const segment of segments) {
    // headers of the viewer, which are in no file
    if ('bytes' in segment) continue
    const { path, lengthBytes } = segment
    const text = path.toString()
    bytesByPath.set(text, (bytesByPath.get(text) ?? 0) + lengthBytes)
  }
  const short = filesOf(contents).filter(({ fileId, sizeBytes }) => sizeBytes > 0 && bytesByPath.get(join(root, fileId)) !== sizeBytes)
  if (short.length > 0) throw new MkisoError('ISO_CREATION_FAILED', `the image lacks ${short.length} of ${filesOf(contents).length} files`)
}
