/** Reads a finished archive back: what a reader would find in it. */
import { open, type FileHandle } from 'node:fs/promises'
import { FILE_SET_FOLDER } from '../layout.ts'

export interface ZipFacts {
  /** Size of the file. */
  fileBytes: number
  /** DICOM files of the file-set; those that can be read without a password begin as such (PS3.10 7.1). */
  dicomFiles: number
  hasDicomdir: boolean
}

const END_BYTES = 22
const LOCATOR_BYTES = 20
const CENTRAL_HEADER = 0x02014B50
const MAX_32 = 0xFFFFFFFF
const PREAMBLE_BYTES = 128

/** @throws Error when it is no archive of ours */
export async function readZipFacts (path: string): Promise<ZipFacts> {
  const file = await open(path, 'r')
  try {
    const { size: fileBytes } = await file.stat()
    const { offset, sizeBytes } = await findCentral(file, fileBytes)
    const central = await read(file, offset, sizeBytes)
    let dicomFiles = 0
    let hasDicomdir = false
    for (let at = 0; at < central.length;) {
      if (central.readUInt32LE(at) !== CENTRAL_HEADER) throw new Error('the central directory is broken')
      const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map(field => central.readUInt16LE(at + field))
      const name = central.toString('utf8', at + 46, at + 46 + (nameBytes ?? 0))
      const extra = central.subarray(at + 46 + (nameBytes ?? 0), at + 46 + (nameBytes ?? 0) + (extraBytes ?? 0))
      if (name === 'DICOMDIR') hasDicomdir = true
      if (name.startsWith(`${FILE_SET_FOLDER}/`) && await beginsAsDicom(file, central, at, extra)) dicomFiles++
      at += 46 + (nameBytes ?? 0) + (extraBytes ?? 0) + (commentBytes ?? 0)
    }
    return { fileBytes, dicomFiles, hasDicomdir }
  } finally {
    await file.close()
  }
}

async function findCentral (file: FileHandle, fileBytes: number): Promise<{ offset: number, sizeBytes: number }> {
  const end = await read(file, fileBytes - END_BYTES, END_BYTES)
  if (end.readUInt32LE(0) !== 0x06054B50) throw new Error('the archive has no end')
  const [sizeBytes, offset] = [end.readUInt32LE(12), end.readUInt32LE(16)]
  if (offset !== MAX_32 && sizeBytes !== MAX_32 && end.readUInt16LE(10) !== 0xFFFF) return { offset, sizeBytes }
  const locator = await read(file, fileBytes - END_BYTES - LOCATOR_BYTES, LOCATOR_BYTES)
  const zip64 = await read(file, Number(locator.readBigUInt64LE(8)), 56)
  return { sizeBytes: Number(zip64.readBigUInt64LE(40)), offset: Number(zip64.readBigUInt64LE(48)) }
}

/** @param at the entry in the central directory */
async function beginsAsDicom (file: FileHandle, central: Buffer, at: number, extra: Buffer): Promise<boolean> {
  const encrypted = (central.readUInt16LE(at + 8) & 1) !== 0
  if (encrypted) return true
  const [stored, size, offset] = [20, 24, 42].map(field => central.readUInt32LE(at + field))
  // what does not fit in 32 bits stands in the extra field of ZIP64, which is our first, in the order of the others that do not
  const before = [stored, size].filter(value => value === MAX_32).length
  const place = offset === MAX_32 ? Number(extra.readBigUInt64LE(4 + 8 * before)) : offset ?? 0
  const header = await read(file, place, 30)
  const content = place + header.length + header.readUInt16LE(26) + header.readUInt16LE(28)
  return (await read(file, content + PREAMBLE_BYTES, 4)).toString('latin1') === 'DICM'
}

async function read (file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length)
  const { bytesRead } = await file.read(buffer, 0, length, Math.max(0, offset))
  if (bytesRead < length || offset < 0) throw new Error('the archive ends too early')
  return buffer
}
