/** Makes a disc of a complete retrieval: a folder that becomes the root of the image, and what is grafted beside it. */
import { mkdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../config/schema.ts'
import type { ToolContext } from '../dicom/peer.ts'
import { filesOf, type DiscContents } from './contents.ts'
import { writeDicomdir, type NotListed } from './dicomdir.ts'
import type { ImageSource } from './image.ts'
import { linkFiles } from './layout.ts'

/** Where the viewer lies on the disc. */
export const VIEWER_FOLDER = 'VIEWER'

export interface Disc {
  source: ImageSource
  notListed: NotListed[]
  /** Removes the folder; the images themselves belong to the retrieval. */
  remove (): Promise<void>
}

/**
 * @param folder a folder that does not exist yet, on the file system of the images
 * @throws MkisoError ISO_CREATION_FAILED
 */
export async function makeDisc (context: ToolContext, config: Config, contents: DiscContents, folder: string, signal: AbortSignal): Promise<Disc> {
  const root = join(folder, 'disc')
  await mkdir(root, { recursive: true, mode: 0o700 })
  const remove = async (): Promise<void> => { await rm(folder, { recursive: true, force: true }) }
  try {
    linkFiles(contents, root)
    const notListed = await writeDicomdir(context, contents, root, config.iso.volume_id, signal)
    for (const { fileId, reason } of notListed) context.log.warn({ file: fileId, reason }, 'the DICOMDIR does not list a file')
    const files = filesOf(contents)
    const sortFile = join(folder, 'order')
    // -sort: a higher weight comes first
    await writeFile(sortFile, [`${join(root, 'DICOMDIR')} ${files.length + 1}`, ...files.map(({ fileId }, index) => `${join(root, fileId)} ${files.length - index}`), ''].join('\n'))
    return {
      source: {
        root,
        grafts: await viewerGraft(config.iso.microdicom_path),
        sortFile,
        largestFileBytes: Math.max(0, ...files.map(({ sizeBytes }) => sizeBytes))
      },
      notListed,
      remove
    }
  } catch (error) {
    await remove()
    throw error
  }
}

/** undefined when the viewer's folder is there or none is configured, else what is wrong. */
export async function viewerFault (path: string): Promise<string | undefined> {
  if (path === '') return undefined
  const found = await stat(path).catch(() => undefined)
  return found?.isDirectory() === true ? undefined : `iso.microdicom_path ${path} is not a folder: discs are made without a viewer`
}

async function viewerGraft (path: string): Promise<Array<{ path: string, folder: string }>> {
  return path === '' || await viewerFault(path) !== undefined ? [] : [{ path, folder: VIEWER_FOLDER }]
}
