/** The viewer that goes onto the disc: grafted into a folder of its own, so that nothing of it collides with the file-set. */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** Where the viewer lies on the disc. */
export const VIEWER_FOLDER = 'VIEWER'

export interface Viewer {
  /** Folder of this machine. */
  path: string
  sizeBytes: number
}

/** undefined when the viewer's folder is there or none is configured, else what is wrong. */
export async function viewerFault (path: string, program = ''): Promise<string | undefined> {
  if (path === '') return undefined
  const found = await stat(path).catch(() => undefined)
  if (found?.isDirectory() !== true) return `iso.microdicom_path ${path} is not a folder: discs are made without a viewer`
  if (program !== '' && (await stat(join(path, program)).catch(() => undefined))?.isFile() !== true) return `disc.viewer_program ${program} is not in ${path}: discs start nothing`
  return undefined
}

/** @returns undefined when there is none */
export async function findViewer (path: string): Promise<Viewer | undefined> {
  if (path === '' || await viewerFault(path) !== undefined) return undefined
  let sizeBytes = 0
  for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) sizeBytes += Math.ceil((await stat(join(entry.parentPath, entry.name))).size / 2_048) * 2_048 + 2_048
  }
  return { path, sizeBytes }
}
