/** What must be known of a file before it can begin in an archive; the file is read once. */
import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { crc32 } from 'node:zlib'

export interface FileDigest {
  crc32: number
  sizeBytes: number
  /** Hexadecimal; undefined where nobody wants it. */
  sha256: string | undefined
}

const READ_BYTES = 512 * 1_024

/**
 * @param beginning stands in place of the first bytes of the file
 * @throws Error when it cannot be read
 */
export async function digestOfFile (path: Buffer | string, beginning: Buffer, withSha256: boolean): Promise<FileDigest> {
  const hash = withSha256 ? createHash('sha256') : undefined
  const file = await open(path)
  try {
    const { size: sizeBytes } = await file.stat()
    const buffer = Buffer.allocUnsafe(Math.max(1, Math.min(READ_BYTES, sizeBytes)))
    let sum = crc32(beginning)
    hash?.update(beginning)
    for (let position = beginning.length; position < sizeBytes;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, position)
      if (bytesRead === 0) throw new Error('a file became shorter while it was read')
      const bytes = buffer.subarray(0, bytesRead)
      sum = crc32(bytes, sum)
      hash?.update(bytes)
      position += bytesRead
    }
    return { crc32: sum, sizeBytes, sha256: hash?.digest('hex') }
  } finally {
    await file.close()
  }
}
