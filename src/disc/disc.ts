/** Makes one disc: a folder that becomes the root of the image, what is grafted beside it, and the image's directories. */
import { randomUUID } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ToolContext } from '../dcmtk/peer.ts'
import { MkisoError } from '../errors.ts'
import { writeChecksums, type Checksums } from './checksums.ts'
import { filesOf, type DiscContents } from './contents.ts'
import type { NotListed } from './dicomdir/dicomdir.ts'
import { authorImage } from './image/author.ts'
import type { Image } from './image/image.ts'
import { linkFiles } from './layout.ts'
import type { ShownDisc } from './look/shown-disc.ts'
import { filesOfRoot, fillRoot, type RootOptions } from './root.ts'
import { PIXELS_FOLDER } from './viewer/plan.ts'
import { largestOf } from '../numbers.ts'

export interface DiscOptions extends Omit<RootOptions, 'headers' | 'hasPicture'> {
  /** On the file system of the images; what is in it goes first. Its owner removes it. */
  folder: string
  checksums: Checksums | undefined
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
  const { config, contents, folder, checksums, signal } = options
  const root = join(folder, 'root')
  await rm(folder, { recursive: true, force: true })
  await mkdir(root, { recursive: true, mode: 0o700 })
  linkFiles(contents, root)
  const { shown, page, grafts, notListed } = await fillRoot(context, root, { ...options, headers: 'before' })
  const files = filesOf(contents)
  if (checksums !== undefined) {
    // the images' sums are those of the files that they are links to, which were read while others arrived
    const sources = new Map(files.map(({ fileId, sourcePath }) => [fileId, sourcePath]))
    // on the disc a header lies before a bitmap, and what follows is the image, which is listed by its own name
    const listed = (await filesOfRoot(root, grafts)).filter(({ name }) => !name.startsWith(`${PIXELS_FOLDER}/`) || !name.endsWith('.BMP'))
    await writeChecksums(listed, async ({ name, path }) => await checksums.of(sources.get(name) ?? path), root)
  }
  const sortFile = join(folder, 'order')
  // the DICOMDIR first; what has no weight follows in the order of its names, which is the order of the DICOMDIR. A line for each image says the
  // same, but genisoimage compares every file with every line: 600 images took three times as long (measured)
  await writeFile(sortFile, `${join(root, 'DICOMDIR')} 1\n`)
  const source = { root, grafts, sortFile, largestFileBytes: largestOf(files.map(({ sizeBytes }) => sizeBytes), 0), spans: shown?.spans ?? [] }
  const image = await authorImage({ programs: context.programs, tools: config.tools, iso: config.iso, log: context.log }, source, join(folder, 'head'), signal)
  guardAllOnImage(image, root, contents)
  return { root, image, etag: `"${randomUUID()}"`, notListed, shown: shown === undefined ? undefined : { root, spans: shown.spans, page } }
}

/**
 * The last guard: the image holds every file of the file-set, whole.
 * @throws MkisoError ISO_CREATION_FAILED, which is a fault of ours
 */
export function guardAllOnImage ({ segments }: Image, root: string, contents: DiscContents): void {
  const bytesByPath = new Map<string, number>()
  for (const segment of segments) {
    // headers of the viewer, which are in no file
    if (!('path' in segment)) continue
    const { path, lengthBytes } = segment
    const text = path.toString()
    bytesByPath.set(text, (bytesByPath.get(text) ?? 0) + lengthBytes)
  }
  const short = filesOf(contents).filter(({ fileId, sizeBytes }) => sizeBytes > 0 && bytesByPath.get(join(root, fileId)) !== sizeBytes)
  if (short.length > 0) throw new MkisoError('ISO_CREATION_FAILED', `the image lacks ${short.length} of ${filesOf(contents).length} files`)
}
