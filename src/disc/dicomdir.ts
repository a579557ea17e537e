/** The index of the disc: written by dcmmkdir, compared with what is on the disc. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { dcmmkdir, referencedFileIds } from '../dicom/dcmmkdir.ts'
import type { ToolContext } from '../dicom/peer.ts'
import { MkisoError } from '../errors.ts'
import { filesOf, type DiscContents, type DiscFile } from './contents.ts'
import { FILE_SET_FOLDER } from './layout.ts'

/** A file that is on the disc though the DICOMDIR could not list it. */
export interface NotListed {
  fileId: string
  reason: string
}

const UNCOMPRESSED = new Set(['1.2.840.10008.1.2', '1.2.840.10008.1.2.1', '1.2.840.10008.1.2.2'])
const JPEG_2000 = /^1\.2\.840\.10008\.1\.2\.4\.9[0-3]$/

/** The application profile that the content allows (PS3.11): CD media take uncompressed objects only. */
export function profileFor (files: readonly DiscFile[]): string {
  if (files.every(({ transferSyntaxUid }) => UNCOMPRESSED.has(transferSyntaxUid))) return '-Pgp'
  return files.some(({ transferSyntaxUid }) => JPEG_2000.test(transferSyntaxUid)) ? '-Pf2' : '-Pfl'
}

/**
 * Writes DICOMDIR into the root of a disc whose files are in place.
 * @returns the files that it does not list
 * @throws MkisoError ISO_CREATION_FAILED when there is no DICOMDIR at all
 */
export async function writeDicomdir (context: ToolContext, contents: DiscContents, root: string, fileSetId: string, signal?: AbortSignal): Promise<NotListed[]> {
  const files = filesOf(contents)
  const messages = await dcmmkdir(context, { root, inputs: [FILE_SET_FOLDER], fileSetId, profile: profileFor(files), signal })
  const dicomdir = join(root, 'DICOMDIR')
  if (!existsSync(dicomdir)) throw new MkisoError('ISO_CREATION_FAILED', `no DICOMDIR: ${messages.at(-1) ?? 'dcmmkdir says nothing'}`)
  const listed = await referencedFileIds(context, dicomdir, signal)
  return files.filter(({ fileId }) => !listed.has(fileId)).map(({ fileId }) => ({
    fileId,
    reason: messages.find(message => message.includes(fileId))?.replace(/^[EFW]: /, '') ?? 'dcmmkdir gives no reason'
  }))
}
