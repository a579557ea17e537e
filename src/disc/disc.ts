/** Makes a disc of a complete retrieval: a folder that becomes the root of the image, and what is grafted beside it. */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Config } from '../config/schema.ts'
import type { ToolContext } from '../dicom/peer.ts'
import { writeChecksums } from './checksums.ts'
import { filesOf, type DiscContents } from './contents.ts'
import { writeDicomdir, type NotListed } from './dicomdir.ts'
import type { ImageSource } from './image.ts'
import { linkFiles } from './layout.ts'
import { renderPages } from './pages/pages.ts'
import { VIEWER_FOLDER, viewerFault, type Viewer } from './viewer.ts'
import type { Renderer } from './web/renderer.ts'
import { NO_WEB_CONTENT, placeWebContent } from './web/web-content.ts'

export interface DiscOptions {
  config: Config
  contents: DiscContents
  /** A folder that does not exist yet, on the file system of the images; its owner removes it. */
  folder: string
  viewer: Viewer | undefined
  renderer: Renderer | undefined
  /** Images that the PACS did not deliver. */
  missing: number
  signal: AbortSignal
}

export interface Disc {
  source: ImageSource
  notListed: NotListed[]
}

/** @throws MkisoError ISO_CREATION_FAILED */
export async function makeDisc (context: ToolContext, { config, contents, folder, viewer, renderer, missing, signal }: DiscOptions): Promise<Disc> {
  const root = join(folder, 'root')
  await rm(folder, { recursive: true, force: true })
  await mkdir(root, { recursive: true, mode: 0o700 })
  linkFiles(contents, root)
  const [notListed, web] = await Promise.all([
    writeDicomdir(context, contents, root, config.iso.volume_id, signal),
    renderer === undefined ? NO_WEB_CONTENT : placeWebContent(renderer, contents, root)
  ])
  signal.throwIfAborted()
  for (const { fileId, reason } of notListed) context.log.warn({ file: fileId, reason }, 'the DICOMDIR does not list a file')
  const program = config.disc.viewer_program !== '' && await viewerFault(config.iso.microdicom_path, config.disc.viewer_program) === undefined ? config.disc.viewer_program : ''
  const pages = renderPages({
    contents, disc: config.disc, web, notListed, missing, createdAt: new Date(), viewer: viewer === undefined ? undefined : { folder: VIEWER_FOLDER, program }
  })
  for (const { path, text } of pages) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), text)
  }
  const grafts = viewer === undefined ? [] : [{ path: viewer.path, folder: VIEWER_FOLDER }]
  if (config.iso.checksums) await writeChecksums(root, [{ path: root, folder: '' }, ...grafts])
  const files = filesOf(contents)
  const sortFile = join(folder, 'order')
  // the DICOMDIR first; what has no weight follows in the order of its names, which is the order of the DICOMDIR. A line for each image says the
  // same, but genisoimage compares every file with every line: 600 images took three times as long (measured)
  await writeFile(sortFile, `${join(root, 'DICOMDIR')} 1\n`)
  return { source: { root, grafts, sortFile, largestFileBytes: Math.max(0, ...files.map(({ sizeBytes }) => sizeBytes)) }, notListed }
}
