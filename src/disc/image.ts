/** The ISO 9660 image: its exact size beforehand, then its bytes. No image file is ever written. */
import type { Readable } from 'node:stream'
import type { Config } from '../config/schema.ts'
import { MkisoError } from '../errors.ts'
import type { Child, Log, Programs } from '../process.ts'

export interface ImageSource {
  /** Folder that becomes the root of the disc. */
  root: string
  /** Other folders and where they go on the disc: the viewer is grafted in, not copied. */
  grafts: ReadonlyArray<{ path: string, folder: string }>
  /** File IDs in the order in which they shall lie on the disc; a viewer started from a disc is slow when it must jump. */
  sortFile: string | undefined
  /** Size of the largest file, bytes: 4 GiB or more needs level 3. */
  largestFileBytes: number
}

export interface ImageTools {
  programs: Programs
  genisoimage: string
  iso: Config['iso']
  log: Log
}

export interface Image {
  sizeBytes: number
  /** Starts the program; its output is the image. The child belongs to the caller. */
  open (signal: AbortSignal): { child: Child, stream: Readable }
}

const SECTOR_BYTES = 2_048
const SIZE_TIMEOUT_MS = 120_000
const LEVEL_3_FROM_BYTES = 4 * 1_024 ** 3 - 1

/**
 * Computes the size of the image (`-print-size` gives sectors; times 2048 it is the exact length of the stream, measured).
 * @throws MkisoError ISO_CREATION_FAILED
 */
export async function planImage (tools: ImageTools, source: ImageSource, signal: AbortSignal): Promise<Image> {
  const args = imageArguments(tools.iso, source)
  const result = await tools.programs.run(tools.genisoimage, ['-print-size', ...args], { signal, timeoutMs: SIZE_TIMEOUT_MS })
  const sectors = /^(\d+)\s*$/m.exec(result.stdout)?.[1]
  if (result.exitCode !== 0 || sectors === undefined) {
    tools.log.error({ exit_code: result.exitCode, stderr: result.stderr.slice(-1_000) }, 'genisoimage -print-size failed')
    throw new MkisoError('ISO_CREATION_FAILED', 'the image could not be planned')
  }
  return {
    sizeBytes: Number(sectors) * SECTOR_BYTES,
    open: signal => {
      const child = tools.programs.start(tools.genisoimage, args, { signal, pipe: true })
      return { child, stream: child.stdout }
    }
  }
}

function imageArguments (iso: Config['iso'], { root, grafts, sortFile, largestFileBytes }: ImageSource): string[] {
  const level = largestFileBytes >= LEVEL_3_FROM_BYTES ? Math.max(3, iso.level) : iso.level
  return [
    '-quiet', '-iso-level', String(level), ...(level === 3 ? ['-allow-limited-size'] : []), '-r', // genisoimage takes iconv's character sets for Joliet only (measured); without it the names go out byte by byte
    ...(iso.joliet ? ['-J', '-joliet-long', '-input-charset', 'utf-8'] : []),
    '-V', iso.volume_id, ...(sortFile === undefined ? [] : ['-sort', sortFile]),
    '-graft-points', ...grafts.map(({ path, folder }) => `${folder}/=${escapeGraft(path)}`), escapeGraft(root)
  ]
}

/** In graft points `=` and `\` are special. */
function escapeGraft (path: string): string {
  return path.replace(/[\\=]/g, '\\$&')
}
