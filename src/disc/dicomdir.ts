/** The index of the disc: written by dcmmkdir, compared with what is on the disc, mended where it leaves a file out. */
import { copyFileSync, existsSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { dcmmkdir } from '../dicom/dcmmkdir.ts'
import { dcmodify } from '../dicom/dcmodify.ts'
import type { ToolContext } from '../dicom/peer.ts'
import { MkisoError } from '../errors.ts'
import { filesOf, type DiscContents, type DiscFile } from './contents.ts'
import { referencedFileIds } from './dicomdir-reader.ts'
import { FILE_SET_FOLDER } from './layout.ts'

/** A file that is on the disc though the DICOMDIR could not list it. */
export interface NotListed {
  fileId: string
  reason: string
}

const UNCOMPRESSED = new Set(['1.2.840.10008.1.2', '1.2.840.10008.1.2.1', '1.2.840.10008.1.2.2'])
const JPEG_2000 = /^1\.2\.840\.10008\.1\.2\.4\.9[0-3]$/
const MODALITY = '0008,0060'

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
  const request = { root, inputs: [FILE_SET_FOLDER], fileSetId, profile: profileFor(files), signal }
  let notListed = await writeOnce(context, request, files)
  const mendable = notListed.filter(({ reason }) => reason.includes(`(${MODALITY})`))
  if (mendable.length > 0) {
    for (const { fileId } of mendable) await mendModality(context, contents, join(root, fileId), fileId, signal)
    notListed = await writeOnce(context, request, files)
  }
  return notListed
}

async function writeOnce (context: ToolContext, request: Parameters<typeof dcmmkdir>[1], files: readonly DiscFile[]): Promise<NotListed[]> {
  const messages = await dcmmkdir(context, request)
  const dicomdir = join(request.root, 'DICOMDIR')
  if (!existsSync(dicomdir)) throw new MkisoError('ISO_CREATION_FAILED', `no DICOMDIR: ${messages.at(-1) ?? 'dcmmkdir says nothing'}`)
  const listed = new Set(referencedFileIds(dicomdir))
  return files.filter(({ fileId }) => !listed.has(fileId)).map(({ fileId }) => ({
    fileId,
    reason: messages.find(message => message.includes(fileId) && message.startsWith('E'))?.replace(/^E: /, '').replace(/:? ?in file:? .*$/, '') ?? 'no reason given'
  }))
}

/**
 * Modality (0008,0060) is type 1 in a SERIES record (PS3.3 F.5.3), and the only such attribute that `+I` does not invent (measured). The
 * image gets the one that the PACS names for the series, else OT (other); in a copy, since the file belongs to the retrieval.
 */
async function mendModality (context: ToolContext, contents: DiscContents, path: string, fileId: string, signal?: AbortSignal): Promise<void> {
  const series = contents.patients.flatMap(({ studies }) => studies).flatMap(({ series }) => series).find(({ files }) => files.some(file => file.fileId === fileId))
  const modality = series?.series.modality
  copyFileSync(path, `${path}.copy`)
  await dcmodify(context, `${path}.copy`, { [MODALITY]: modality === undefined || modality === '' ? 'OT' : modality }, signal)
  renameSync(`${path}.copy`, path)
  context.log.info({ file: fileId, attribute: MODALITY }, 'an attribute that the DICOMDIR needs was missing and has been set on the disc')
}
