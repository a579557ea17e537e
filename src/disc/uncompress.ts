/** `disc.transfer_syntax: uncompressed`: explicit VR little endian for readers that take nothing else (PS3.11 D, STD-GEN-CD). */
import { mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import pLimit from 'p-limit'
import type { Config } from '../config/schema.ts'
import type { ToolContext } from '../dcmtk/peer.ts'
import type { ReceivedFile } from '../studies/fetch-study.ts'

const EXPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2.1'
const AT_ONCE = 2
const TIMEOUT_MS = 300_000

/** Program and arguments for a transfer syntax; undefined where nothing decodes it (MPEG). */
function decoderFor (transferSyntaxUid: string, dcmtk: Config['dcmtk'], tools: Config['tools']): [program: string, ...args: string[]] | undefined {
  if (/^1\.2\.840\.10008\.1\.2(\.2|\.1\.99)?$/.test(transferSyntaxUid)) return [dcmtk.dcmconv, '+te']
  if (/^1\.2\.840\.10008\.1\.2\.4\.(5[017]|70)$/.test(transferSyntaxUid)) return [dcmtk.dcmdjpeg]
  if (/^1\.2\.840\.10008\.1\.2\.4\.8[01]$/.test(transferSyntaxUid)) return [dcmtk.dcmdjpls]
  if (transferSyntaxUid === '1.2.840.10008.1.2.5') return [dcmtk.dcmdrle]
  if (/^1\.2\.840\.10008\.1\.2\.4\.9[01]$/.test(transferSyntaxUid)) return [tools.gdcmconv, '--raw']
  return undefined
}

/**
 * Decodes what is not explicit VR little endian into `folder`; what cannot be decoded stays as it is, with a warning.
 * @returns the files to put onto the disc, by SOP Instance UID
 */
export async function uncompress (context: ToolContext, tools: Config['tools'], files: ReadonlyMap<string, ReceivedFile>, folder: string, signal: AbortSignal): Promise<Map<string, ReceivedFile>> {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const limit = pLimit(AT_ONCE)
  const entries = await Promise.all([...files].map(async ([uid, file]) => await limit(async (): Promise<[string, ReceivedFile]> => {
    if (file.transferSyntaxUid === EXPLICIT_LITTLE_ENDIAN) return [uid, file]
    const decoder = decoderFor(file.transferSyntaxUid, context.dcmtk, tools)
    const path = join(folder, uid)
    if (decoder !== undefined) {
      const [program, ...args] = decoder
      const result = await context.programs.run(program, [...args, file.path, path], { signal, timeoutMs: TIMEOUT_MS })
      if (result.exitCode === 0) return [uid, { ...file, path, transferSyntaxUid: EXPLICIT_LITTLE_ENDIAN, sizeBytes: statSync(path).size }]
    }
    context.log.warn({ sop_instance_uid: uid, transfer_syntax: file.transferSyntaxUid }, 'an image could not be decoded; it is on the disc as it was stored')
    return [uid, file]
  })))
  return new Map(entries)
}
