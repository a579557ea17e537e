/**
 * The root of a disc as a folder: index, pages, viewer, pictures. On an image the DICOM files stand in it too, as links; in a ZIP they do not, since
 * they have gone out already.
 */
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Config } from '../config/schema.ts'
import type { ToolContext } from '../dcmtk/peer.ts'
import type { LeftOutPrior } from '../dicom/study.ts'
import { filesOf, type DiscContents, type DiscFile } from './contents.ts'
import { buildDicomdir, type NotListed } from './dicomdir/dicomdir.ts'
import { renderPages, type PageInput } from './pages/pages.ts'
import { profileOf } from './profile.ts'
import { placeViewer, type ShownPictures } from './viewer/disc-viewer.ts'
import { PIXELS_FOLDER, type ViewerOptions } from './viewer/plan.ts'
import { VIEWER_FOLDER, viewerFault, type Viewer } from './viewer.ts'
import type { Renderer } from './web/renderer.ts'
import { NO_WEB_CONTENT, placeWebContent, type WebContent } from './web/web-content.ts'

export interface RootOptions {
  config: Config
  contents: DiscContents
  viewer: Viewer | undefined
  /** Room for what the page's own viewer needs beside the images, bytes; undefined where it is left out. */
  viewerRoomBytes: number | undefined
  renderer: Renderer | undefined
  /** Images that the archive did not deliver; undefined where nobody can tell. */
  missing: number | undefined
  /** Earlier studies that should be on it. */
  priorsLeftOut: readonly LeftOutPrior[]
  /** As ViewerOptions; `preamble` for those files that have a picture's header in theirs. */
  headers: ViewerOptions['headers']
  hasPicture?: (file: DiscFile) => boolean
  signal: AbortSignal
}

/** A folder of this machine and where it is on the disc. */
export interface Graft { path: string, folder: string }

export interface Root {
  shown: ShownPictures | undefined
  /** What the first page was made from. */
  page: PageInput
  grafts: Graft[]
  notListed: NotListed[]
}

/** A file of the disc, other than an image's own. */
export interface RootFile {
  /** On the disc, from its root. */
  name: string
  /** On this machine. */
  path: string
}

/** Puts all but the DICOM files into the root of a disc. @param root is there */
export async function fillRoot (context: ToolContext, root: string, options: RootOptions): Promise<Root> {
  const { config, contents, viewer, renderer, missing, priorsLeftOut, signal } = options
  const web = renderer === undefined ? NO_WEB_CONTENT : await placeWebContent(renderer, contents, root)
  signal.throwIfAborted()
  const shown = await shownBy(context, options, root, web)
  const { bytes, notListed } = buildDicomdir(contents, config.iso.volume_id)
  await writeFile(join(root, 'DICOMDIR'), bytes)
  for (const { fileId, reason } of notListed) context.log.warn({ file: fileId, reason }, 'the DICOMDIR does not list a file')
  const program = config.disc.viewer_program !== '' && await viewerFault(config.iso.microdicom_path, config.disc.viewer_program) === undefined ? config.disc.viewer_program : ''
  const page: PageInput = {
    contents,
    disc: config.disc,
    web,
    notListed,
    missing,
    priorsLeftOut,
    createdAt: new Date(),
    profile: profileOf(filesOf(contents)),
    viewer: viewer === undefined ? undefined : { folder: VIEWER_FOLDER, program },
    pictures: shown?.data
  }
  for (const { path, text } of renderPages(page)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), text)
  }
  return { shown, page, grafts: viewer === undefined ? [] : [{ path: viewer.path, folder: VIEWER_FOLDER }], notListed }
}

/** @returns undefined without the viewer; its failure is no reason to have no disc */
async function shownBy ({ log }: ToolContext, options: RootOptions, root: string, web: WebContent): Promise<ShownPictures | undefined> {
  const { config, contents, viewerRoomBytes, headers, hasPicture, signal } = options
  if (!config.disc.viewer || viewerRoomBytes === undefined) return undefined
  try {
    return await placeViewer(root, { contents, web, disc: config.disc, roomBytes: viewerRoomBytes, headers, hasPicture, log, signal })
  } catch (error) {
    signal.throwIfAborted()
    log.error({ err: error }, 'the disc is made without its viewer')
    await rm(join(root, PIXELS_FOLDER), { recursive: true, force: true })
    return undefined
  }
}

/** What stands in the root and in the folders that are grafted beside it, in the order of names. */
export async function filesOfRoot (root: string, grafts: readonly Graft[]): Promise<RootFile[]> {
  const files: RootFile[] = []
  for (const { path, folder } of [{ path: root, folder: '' }, ...grafts]) {
    const entries = await readdir(path, { recursive: true, withFileTypes: true })
    for (const file of entries.filter(entry => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name)).sort()) {
      files.push({ name: join(folder, file.slice(path.length + 1)), path: file })
    }
  }
  return files
}
