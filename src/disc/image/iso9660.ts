/**
 * Where each file's bytes lie in an image, read from the directories that stand before them: ISO 9660 (ECMA-119) with the names of Rock
 * Ridge (IEEE P1282, over SUSP P1281), which keep the spelling that ISO 9660 level 1 mangles.
 */

export const SECTOR_BYTES = 2_048

/** A piece of a file; a file of 4 GiB or more has several (ECMA-119 6.5.1). */
export interface Extent {
  /** Path from the root of the disc; a byte a character, since a viewer's names may be in any encoding. */
  path: string
  /** Offset in the image. */
  offset: number
  lengthBytes: number
  /** Offset in the file. */
  fileOffset: number
}

export interface Layout {
  sizeBytes: number
  /** By offset; two names of one file are one extent. */
  extents: Extent[]
}

/** Gives bytes of the image, which may not have been written yet. */
export type ReadBytes = (offset: number, length: number) => Promise<Buffer>

const PRIMARY_VOLUME_DESCRIPTOR_SECTOR = 16
const SUPPLEMENTARY_VOLUME = 2
const VOLUME_SET_TERMINATOR = 255
const VOLUME_SIZE_OFFSET = 80
const DIRECTORY_FLAG = 0x02
const MULTI_EXTENT_FLAG = 0x80
/** Deeper than any disc of ours; a loop in the directories would be worse than an error. */
const DEEPEST = 64

interface DirectoryEntry {
  /** Offset in the directory. */
  position: number
  extent: number
  lengthBytes: number
  flags: number
  name: string
  /** Rock Ridge CL: the directory was moved there, since it lay too deep. */
  childLink: number | undefined
  /** Rock Ridge RE: this is the place that a directory was moved to. */
  relocated: boolean
}

/** A name of a file, where its directory record stands and what that says. */
export interface FileRecord extends Extent {
  /** Offset of the directory record in the image (ECMA-119 9.1). */
  recordOffset: number
}

export interface Volume {
  /** Offset of the descriptor in the image. */
  descriptorOffset: number
  sizeBytes: number
  records: FileRecord[]
}

type Naming = 'rock-ridge' | 'joliet'

/**
 * @throws Error when the image is not one that we understand
 */
export async function readLayout (read: ReadBytes): Promise<Layout> {
  const { sizeBytes, records } = await readVolume(read, PRIMARY_VOLUME_DESCRIPTOR_SECTOR, 'rock-ridge')
  const extents = new Map(records.filter(({ lengthBytes }) => lengthBytes > 0).map(({ recordOffset: _, ...extent }) => [extent.offset, extent]))
  return { sizeBytes, extents: [...extents.values()].sort((a, b) => a.offset - b.offset) }
}

/**
 * The trees of an image: ISO 9660 first, Joliet where there is one.
 * @throws Error when the image is not one that we understand
 */
export async function readVolumes (read: ReadBytes): Promise<[primary: Volume, ...others: Volume[]]> {
  const volumes: [Volume, ...Volume[]] = [await readVolume(read, PRIMARY_VOLUME_DESCRIPTOR_SECTOR, 'rock-ridge')]
  for (let sector = PRIMARY_VOLUME_DESCRIPTOR_SECTOR + 1; ; sector++) {
    const descriptor = await read(sector * SECTOR_BYTES, SECTOR_BYTES)
    if (descriptor.toString('latin1', 1, 6) !== 'CD001' || descriptor[0] === VOLUME_SET_TERMINATOR) return volumes
    // level 1, 2 or 3 of UCS-2 (Joliet specification, "Escape sequences")
    if (descriptor[0] === SUPPLEMENTARY_VOLUME && /^%\/[@CE]/.test(descriptor.toString('latin1', 88, 91))) volumes.push(await readVolume(read, sector, 'joliet'))
  }
}

async function readVolume (read: ReadBytes, sector: number, naming: Naming): Promise<Volume> {
  const descriptorOffset = sector * SECTOR_BYTES
  // what is read may move when more is read
  const descriptor = Buffer.from(await read(descriptorOffset, SECTOR_BYTES))
  if (descriptor.toString('latin1', 1, 6) !== 'CD001' || (naming === 'rock-ridge' && descriptor[0] !== 1)) throw new Error('no primary volume descriptor')
  const sizeBytes = descriptor.readUInt32LE(VOLUME_SIZE_OFFSET) * SECTOR_BYTES
  const records: FileRecord[] = []
  const walk = async (extent: number, lengthBytes: number, path: string, depth: number): Promise<void> => {
    if (depth > DEEPEST) throw new Error('the directories are too deep')
    const bytes = await read(extent * SECTOR_BYTES, lengthBytes)
    let fileOffset = 0
    for (const entry of await entriesOf(bytes, read, naming)) {
      const { name, flags, position } = entry
      if (entry.relocated) continue
      if (entry.childLink !== undefined) {
        const [self] = await entriesOf(await read(entry.childLink * SECTOR_BYTES, SECTOR_BYTES), read, naming, true)
        await walk(entry.childLink, self?.lengthBytes ?? 0, `${path}${name}/`, depth + 1)
      } else if ((flags & DIRECTORY_FLAG) !== 0) {
        await walk(entry.extent, entry.lengthBytes, `${path}${name}/`, depth + 1)
      } else {
        records.push({ path: path + name, offset: entry.extent * SECTOR_BYTES, lengthBytes: entry.lengthBytes, fileOffset, recordOffset: extent * SECTOR_BYTES + position })
        fileOffset = (flags & MULTI_EXTENT_FLAG) !== 0 ? fileOffset + entry.lengthBytes : 0
      }
    }
  }
  const root = entryAt(descriptor, 156)
  await walk(root.extent, root.lengthBytes, '', 0)
  return { descriptorOffset, sizeBytes, records }
}

/** Says in a volume descriptor how large the volume is; in both byte orders (ECMA-119 8.4.8, 7.3.3). */
export function writeVolumeSize (image: Buffer, { descriptorOffset }: Volume, sizeBytes: number): void {
  writeBothOrders(image, descriptorOffset + VOLUME_SIZE_OFFSET, sizeBytes / SECTOR_BYTES)
}

/** Says in a directory record where a file lies and how long it is (ECMA-119 9.1.3, 9.1.4). */
export function writeFileRecord (image: Buffer, { recordOffset }: FileRecord, offset: number, lengthBytes: number): void {
  writeBothOrders(image, recordOffset + 2, offset / SECTOR_BYTES)
  writeBothOrders(image, recordOffset + 10, lengthBytes)
}

function writeBothOrders (image: Buffer, position: number, value: number): void {
  image.writeUInt32LE(value, position)
  image.writeUInt32BE(value, position + 4)
}

/** @param withDots also the entries of the directory itself and of its parent */
async function entriesOf (bytes: Buffer, read: ReadBytes, naming: Naming, withDots = false): Promise<DirectoryEntry[]> {
  const entries: DirectoryEntry[] = []
  let position = 0
  while (position < bytes.length) {
    const length = bytes[position] ?? 0
    if (length === 0) {
      // a record does not cross a sector's end (ECMA-119 6.8.1.1)
      position = (Math.floor(position / SECTOR_BYTES) + 1) * SECTOR_BYTES
      continue
    }
    const nameLength = bytes[position + 32] ?? 0
    const isDot = nameLength === 1 && (bytes[position + 33] ?? 0) <= 1
    if (withDots || !isDot) {
      const systemUse = bytes.subarray(position + 33 + nameLength + (nameLength % 2 === 0 ? 1 : 0), position + length)
      const isoName = bytes.subarray(position + 33, position + 33 + nameLength)
      const names = naming === 'joliet'
        ? { name: isDot ? '' : withoutVersion(Buffer.from(isoName).swap16().toString('utf16le')), childLink: undefined, relocated: false }
        : await rockRidge(systemUse, isoName.toString('latin1'), read)
      entries.push({ position, ...entryAt(bytes, position), ...names })
    }
    position += length
  }
  return entries
}

function entryAt (bytes: Buffer, position: number): Pick<DirectoryEntry, 'extent' | 'lengthBytes' | 'flags'> {
  return { extent: bytes.readUInt32LE(position + 2), lengthBytes: bytes.readUInt32LE(position + 10), flags: bytes[position + 25] ?? 0 }
}

async function rockRidge (systemUse: Buffer, isoName: string, read: ReadBytes): Promise<Pick<DirectoryEntry, 'name' | 'childLink' | 'relocated'>> {
  let name = ''
  let childLink: number | undefined
  let relocated = false
  let area = systemUse
  for (let continued = true; continued;) {
    continued = false
    let next: { offset: number, length: number } | undefined
    for (let position = 0; position + 4 <= area.length;) {
      const signature = area.toString('latin1', position, position + 2)
      const length = area[position + 2] ?? 0
      if (length < 4 || signature === 'ST') break
      if (signature === 'NM') name += area.toString('latin1', position + 5, position + length)
      else if (signature === 'CL') childLink = area.readUInt32LE(position + 4)
      else if (signature === 'RE') relocated = true
      else if (signature === 'CE') next = { offset: area.readUInt32LE(position + 4) * SECTOR_BYTES + area.readUInt32LE(position + 12), length: area.readUInt32LE(position + 20) }
      position += length
    }
    if (next !== undefined) {
      area = await read(next.offset, next.length)
      continued = true
    }
  }
  return { name: name === '' ? withoutVersion(isoName) : name, childLink, relocated }
}

function withoutVersion (name: string): string {
  return name.replace(/;\d+$/, '').replace(/\.$/, '')
}
