/**
 * Where the files lie in an image: in the order in which genisoimage has put them, but with room for headers of ours between them. A *span* is a
 * name that begins with such a header and ends in the file behind it, so that one file's bytes are found under two names as two kinds of file.
 * ISO 9660 does not mind that extents overlap; xorriso, isoinfo and 7z read both names right (measured).
 *
 * genisoimage cannot be told so: its `-sort` compares every file with every line. Since its directories are read again anyway, to know where
 * the files are, they are written anew: three numbers a record, in ISO 9660 and in Joliet.
 */
import { SECTOR_BYTES, writeFileRecord, writeVolumeSize, type Extent, type Volume } from './iso9660.ts'

export interface Span {
  /** Name on the disc, from its root. */
  path: string
  /** Name of the file that lies behind the header. Several spans over one file lie before it in their order. */
  over: string
  /** At most one sector. */
  header: Buffer
  /** Bytes of the file that belong to the span, from its beginning; may be a little more than the file has. */
  reachBytes: number
}

export interface Placement {
  sizeBytes: number
  /** By offset; without the spans. */
  extents: Extent[]
  headers: Array<{ bytes: Buffer, offset: number }>
}

/**
 * Gives every file a new place and says so in the directories.
 * @param directories everything before the first file; is written to
 * @throws Error when a span or its file is not in the directories
 */
export function place (directories: Buffer, volumes: readonly [Volume, ...Volume[]], spans: readonly Span[]): Placement {
  const [primary] = volumes
  const spanOf = new Map(spans.map(span => [span.path, span]))
  const files = new Map<number, Extent>()
  const firstExtent = new Map<string, number>()
  for (const { recordOffset: _, ...extent } of primary.records) {
    if (extent.lengthBytes === 0 || spanOf.has(extent.path)) continue
    files.set(extent.offset, extent)
    if (extent.fileOffset === 0) firstExtent.set(extent.path, extent.offset)
  }
  const spansBefore = new Map<number, Span[]>()
  for (const span of spans) {
    const offset = firstExtent.get(span.over)
    if (offset === undefined || span.header.length > SECTOR_BYTES) throw new Error(`${span.path}: no file to lie before`)
    const before = spansBefore.get(offset)
    if (before === undefined) spansBefore.set(offset, [span])
    else before.push(span)
  }

  const headers: Placement['headers'] = []
  const extents: Extent[] = []
  const movedTo = new Map<number, number>()
  const spanAt = new Map<string, { offset: number, lengthBytes: number }>()
  let end = directories.length
  let reached = 0
  for (const extent of [...files.values()].sort((a, b) => a.offset - b.offset)) {
    const before = spansBefore.get(extent.offset) ?? []
    const offset = end + before.length * SECTOR_BYTES
    for (const { path, header, reachBytes } of before) {
      headers.push({ bytes: header, offset: end })
      spanAt.set(path, { offset: end, lengthBytes: offset - end + reachBytes })
      end += SECTOR_BYTES
      reached = Math.max(reached, offset + reachBytes)
    }
    movedTo.set(extent.offset, offset)
    extents.push({ ...extent, offset })
    end = offset + wholeSectors(extent.lengthBytes)
  }
  // readers of tracks need the padding behind the last file that genisoimage puts there
  const lastEnd = [...files.values()].reduce((last, { offset, lengthBytes }) => Math.max(last, offset + wholeSectors(lengthBytes)), directories.length)
  const sizeBytes = Math.max(end + Math.max(0, primary.sizeBytes - lastEnd), wholeSectors(reached))

  const written = new Set<string>()
  for (const volume of volumes) {
    writeVolumeSize(directories, volume, sizeBytes)
    for (const record of volume.records) {
      const span = spanAt.get(record.path)
      const offset = span?.offset ?? movedTo.get(record.offset)
      if (span !== undefined && volume === primary) written.add(record.path)
      // a file without content lies nowhere
      if (offset === undefined && record.lengthBytes > 0) throw new Error(`${record.path}: not in every directory`)
      if (offset !== undefined && (span !== undefined || record.lengthBytes > 0)) writeFileRecord(directories, record, offset, span?.lengthBytes ?? record.lengthBytes)
    }
  }
  const lost = spans.find(({ path }) => !written.has(path))
  if (lost !== undefined) throw new Error(`${lost.path}: not in the directories`)
  return { sizeBytes, extents, headers }
}

function wholeSectors (bytes: number): number {
  return Math.ceil(bytes / SECTOR_BYTES) * SECTOR_BYTES
}
