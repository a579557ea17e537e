/**
 * The image's directories, by genisoimage: everything that stands before the first file. The files' own bytes we send ourselves, since the
 * directories say where each lies. So an image can begin anywhere, which a broken download needs; it is the same however often it is sent,
 * though the dates that Rock Ridge holds change with every reading; and nothing is copied through a second pipe.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../../config/schema.ts'
import { isNoSpace } from '../../disk.ts'
import { MkisoError } from '../../errors.ts'
import { ToolMissingError, type Log, type Programs } from '../../process.ts'
import { readVolumes, type Extent } from './iso9660.ts'
import type { Image, Segment } from './image.ts'
import { place, type Placement, type Span } from './placement.ts'

export interface ImageSource {
  /** Folder that becomes the root of the disc. */
  root: string
  /** Other folders and where they go on the disc: the viewer is grafted in, not copied. */
  grafts: ReadonlyArray<{ path: string, folder: string }>
  /** Weights of genisoimage's `-sort`: what shall lie first. */
  sortFile: string
  /** Size of the largest file, bytes. */
  largestFileBytes: number
  /** Names under which a file is found with a header of ours before it; each name is in the root already, as a link to its file. */
  spans?: readonly Span[]
}

export interface ImageTools {
  programs: Programs
  tools: Config['tools']
  iso: Config['iso']
  log: Log
}

const AUTHOR_TIMEOUT_MS = 120_000
const FIRST_READ_BYTES = 1_024 ** 2
/** A directory record counts a file's bytes in 32 bits (ECMA-119 9.1.4); from here on a file needs several extents, which level 3 allows. */
const LARGEST_EXTENT_BYTES = 4 * 1_024 ** 3 - 2_048

/**
 * Writes the directories into `headFile` and reads from them where the files lie.
 * @throws MkisoError ISO_CREATION_FAILED, INSUFFICIENT_DISK_SPACE
 */
export async function authorImage (tools: ImageTools, source: ImageSource, headFile: string, signal: AbortSignal): Promise<Image> {
  const { program, args } = commandFor(tools, source)
  const child = tools.programs.start(program, args, { signal, timeoutMs: AUTHOR_TIMEOUT_MS, pipe: true })
  let head = Buffer.alloc(FIRST_READ_BYTES)
  let written = 0
  const output = (child.stdout as AsyncIterable<Buffer>)[Symbol.asyncIterator]()
  const read = async (offset: number, length: number): Promise<Buffer> => {
    while (written < offset + length) {
      const { value, done } = await output.next() as IteratorResult<Buffer>
      if (done === true) throw new Error('the image ends before its directories')
      if (written + value.length > head.length) head = Buffer.concat([head], Math.max(2 * head.length, written + value.length))
      value.copy(head, written)
      written += value.length
    }
    return head.subarray(offset, offset + length)
  }
  try {
    const volumes = await readVolumes(read)
    const [{ records, sizeBytes }] = volumes
    const headBytes = records.reduce((first, { offset, lengthBytes }) => lengthBytes > 0 ? Math.min(first, offset) : first, sizeBytes)
    // a copy: what follows in the same buffer is files
    const directories = Buffer.from(await read(0, headBytes))
    const placement = place(directories, volumes, source.spans ?? [])
    await writeFile(headFile, directories, { mode: 0o600 })
    return { sizeBytes: placement.sizeBytes, segments: segmentsOf(placement, source, headFile, headBytes) }
  } catch (error) {
    signal.throwIfAborted()
    if (isNoSpace(error)) throw new MkisoError('INSUFFICIENT_DISK_SPACE', 'iso.temp_dir is full', { cause: error })
    // a program that is not there says more than the end of its output
    child.stdout.destroy()
    const { exitCode, stderr } = await child.stop().catch((missing: unknown) => {
      throw new MkisoError('ISO_CREATION_FAILED', missing instanceof ToolMissingError ? missing.message : undefined, { cause: missing })
    })
    tools.log.error({ exit_code: exitCode, stderr: stderr.slice(-1_000), err: error }, 'genisoimage failed')
    throw new MkisoError('ISO_CREATION_FAILED', 'the image could not be planned', { cause: error })
  } finally {
    // the rest of its output is the files, which we have; a program whose output nobody reads does not end
    child.stdout.destroy()
    await child.stop('stopped', 0).catch((error: unknown) => { if (!(error instanceof ToolMissingError)) throw error })
  }
}

function commandFor ({ tools, iso }: ImageTools, { root, grafts, sortFile, largestFileBytes }: ImageSource): { program: string, args: string[] } {
  const large = largestFileBytes >= LARGEST_EXTENT_BYTES
  const args = [
    '-quiet', '-iso-level', String(large ? Math.max(3, iso.level) : iso.level), '-r',
    // genisoimage takes iconv's character sets for Joliet only (measured); without it the names go out byte by byte
    ...(iso.joliet ? ['-J', '-joliet-long', '-input-charset', 'utf-8'] : []),
    '-V', iso.volume_id, ...(large ? [] : ['-sort', sortFile]),
    '-graft-points', ...grafts.map(({ path, folder }) => `${folder}/=${escapeGraft(path)}`), escapeGraft(root)
  ]
  // genisoimage cuts such a file off without a word in the ISO 9660 directories (measured: 205 MB of 4.5 GB); xorrisofs gives it several extents
  return { program: large ? tools.xorrisofs : tools.genisoimage, args }
}

/** In graft points `=` and `\` are special. */
function escapeGraft (path: string): string {
  return path.replace(/[\\=]/g, '\\$&')
}

function segmentsOf ({ sizeBytes, extents, headers }: Placement, { root, grafts }: ImageSource, headFile: string, headBytes: number): Segment[] {
  const segments: Segment[] = [{ path: headFile, offset: 0, lengthBytes: headBytes, fileOffset: 0 }]
  let end = headBytes
  const pieces: Segment[] = [
    ...headers.map(({ bytes, offset }) => ({ bytes, offset, lengthBytes: bytes.length })),
    ...extents.map(extent => ({ ...extent, path: sourceOf(extent, root, grafts) }))
  ]
  for (const piece of pieces.sort((a, b) => a.offset - b.offset)) {
    if (piece.offset < end) throw new Error('two files lie in one place')
    segments.push(piece)
    end = piece.offset + piece.lengthBytes
  }
  if (end > sizeBytes) throw new Error('a file lies beyond the end')
  return segments
}

/** The file of this machine that an extent holds. */
function sourceOf ({ path }: Extent, root: string, grafts: ImageSource['grafts']): Buffer | string {
  const bytes = Buffer.from(path, 'latin1')
  for (const { path: from, folder } of grafts) {
    if (path.startsWith(`${folder}/`)) return Buffer.concat([Buffer.from(`${from}/`), bytes.subarray(folder.length + 1)])
  }
  return join(root, bytes.toString('utf8'))
}
