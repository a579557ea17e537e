/** Reads a finished image file back: what a reader would find on it. */
import { open, type FileHandle } from 'node:fs/promises'
import { readLayout } from './iso9660.ts'

export interface ImageFacts {
  /** Size of the file. */
  fileBytes: number
  /** Size that the image says it has. */
  sizeBytes: number
  /** DICOM files of the file-set that begin as such (PS3.10 7.1). */
  dicomFiles: number
  hasDicomdir: boolean
}

const PREAMBLE_BYTES = 128

/** @throws Error when it is no image that we understand */
export async function readImageFacts (path: string): Promise<ImageFacts> {
  const file = await open(path, 'r')
  try {
    const { size: fileBytes } = await file.stat()
    const { sizeBytes, extents } = await readLayout(async (offset, length) => await read(file, offset, length))
    const dicom = new Set<string>()
    for (const { path, offset, fileOffset } of extents) {
      if (!path.startsWith('DICOM/') || fileOffset > 0) continue
      const magic = await read(file, offset + PREAMBLE_BYTES, 4)
      if (magic.toString('latin1') === 'DICM') dicom.add(path)
    }
    return { fileBytes, sizeBytes, dicomFiles: dicom.size, hasDicomdir: extents.some(({ path }) => path === 'DICOMDIR') }
  } finally {
    await file.close()
  }
}

async function read (file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length)
  const { bytesRead } = await file.read(buffer, 0, length, offset)
  if (bytesRead < length) throw new Error('the image ends too early')
  return buffer
}
