/**
 * The records of a ZIP file (PKWARE APPNOTE 6.3.10): local headers, central directory, their ZIP64 forms, and the extra field of AES (WinZip AE-2).
 *
 * We write them ourselves. A ZIP that goes on where it broke off must be known byte by byte, at any offset, without being made again, and be read by
 * several clients at once while it still grows; the libraries (yazl, @zip.js/zip.js, archiver) give a stream that is made once, from its beginning.
 * Every size and checksum is known before an entry begins, so there are no data descriptors: a reader of a stream needs none.
 */

/** What stands of a file in the archive. */
export interface ZipRecord {
  /** Path with `/`. */
  name: Buffer
  /** Of the content as it is; 0 for one that is encrypted, whose authentication code stands in its place (AE-2). */
  crc32: number
  /** Of the content as it is. */
  sizeBytes: number
  /** Of what stands in the archive: more where it is encrypted. */
  storedBytes: number
  encrypted: boolean
}

/** A date as MS-DOS wrote it: day and time, with two seconds' resolution, in the time of wherever it is read. */
export interface DosTime { date: number, time: number }

const LOCAL_HEADER = 0x04034B50
const CENTRAL_HEADER = 0x02014B50
const ZIP64_END = 0x06064B50
const ZIP64_LOCATOR = 0x07064B50
const END = 0x06054B50
const MAX_16 = 0xFFFF
const MAX_32 = 0xFFFFFFFF
/** Names are UTF-8 (4.4.4, bit 11). */
const UTF_8 = 0x0800
const ENCRYPTED = 0x0001
const STORED = 0
const AES = 99
const NEEDS_FOLDERS = 20
const NEEDS_ZIP64 = 45
const NEEDS_AES = 51
const ZIP64_FIELD = 0x0001
const AES_FIELD = 0x9901
/** Made on Unix, by 4.5 of the specification: the attributes are a mode. */
const MADE_BY = 0x0300 | NEEDS_ZIP64
/** A regular file that everybody may read. */
const ATTRIBUTES = 0o100644 * 0x10000
const EARLIEST_YEAR = 1980

export function dosTimeOf (date: Date): DosTime {
  return {
    date: (Math.max(0, date.getFullYear() - EARLIEST_YEAR) << 9) | ((date.getMonth() + 1) << 5) | date.getDate(),
    time: (date.getHours() << 11) | (date.getMinutes() << 5) | (date.getSeconds() >> 1)
  }
}

export function localHeader (record: ZipRecord, { date, time }: DosTime): Buffer {
  const { name, sizeBytes, storedBytes } = record
  const large = Math.max(sizeBytes, storedBytes) >= MAX_32
  const extra = Buffer.concat([...(large ? [zip64Field([sizeBytes, storedBytes])] : []), ...aesField(record)])
  const header = Buffer.alloc(30)
  header.writeUInt32LE(LOCAL_HEADER, 0)
  header.writeUInt16LE(needs(record, large), 4)
  writeCommon(header, 6, record, { date, time })
  header.writeUInt32LE(large ? MAX_32 : storedBytes, 18)
  header.writeUInt32LE(large ? MAX_32 : sizeBytes, 22)
  header.writeUInt16LE(name.length, 26)
  header.writeUInt16LE(extra.length, 28)
  return Buffer.concat([header, name, extra])
}

/** @param offset of the local header in the archive */
export function centralHeader (record: ZipRecord, { date, time }: DosTime, offset: number): Buffer {
  const { name, sizeBytes, storedBytes } = record
  // those that do not fit stand in the extra field, in this order (4.5.3)
  const large = [sizeBytes, storedBytes, offset].filter(value => value >= MAX_32)
  const extra = Buffer.concat([...(large.length > 0 ? [zip64Field(large)] : []), ...aesField(record)])
  const header = Buffer.alloc(46)
  header.writeUInt32LE(CENTRAL_HEADER, 0)
  header.writeUInt16LE(MADE_BY, 4)
  header.writeUInt16LE(needs(record, large.length > 0), 6)
  writeCommon(header, 8, record, { date, time })
  header.writeUInt32LE(Math.min(storedBytes, MAX_32), 20)
  header.writeUInt32LE(Math.min(sizeBytes, MAX_32), 24)
  header.writeUInt16LE(name.length, 28)
  header.writeUInt16LE(extra.length, 30)
  header.writeUInt32LE(ATTRIBUTES, 38)
  header.writeUInt32LE(Math.min(offset, MAX_32), 42)
  return Buffer.concat([header, name, extra])
}

/** What stands behind the central directory. @param offset of the central directory */
export function endRecords (entries: number, offset: number, sizeBytes: number): Buffer {
  const end = Buffer.alloc(22)
  end.writeUInt32LE(END, 0)
  end.writeUInt16LE(Math.min(entries, MAX_16), 8)
  end.writeUInt16LE(Math.min(entries, MAX_16), 10)
  end.writeUInt32LE(Math.min(sizeBytes, MAX_32), 12)
  end.writeUInt32LE(Math.min(offset, MAX_32), 16)
  if (entries < MAX_16 && offset < MAX_32 && sizeBytes < MAX_32) return end
  const zip64 = Buffer.alloc(56)
  zip64.writeUInt32LE(ZIP64_END, 0)
  // of what follows this field
  zip64.writeBigUInt64LE(BigInt(zip64.length - 12), 4)
  zip64.writeUInt16LE(MADE_BY, 12)
  zip64.writeUInt16LE(NEEDS_ZIP64, 14)
  for (const [index, value] of [entries, entries, sizeBytes, offset].entries()) zip64.writeBigUInt64LE(BigInt(value), 24 + 8 * index)
  const locator = Buffer.alloc(20)
  locator.writeUInt32LE(ZIP64_LOCATOR, 0)
  locator.writeBigUInt64LE(BigInt(offset + sizeBytes), 8)
  locator.writeUInt32LE(1, 16)
  return Buffer.concat([zip64, locator, end])
}

/** Flags, method, time, date, CRC: the same in both headers. */
function writeCommon (header: Buffer, at: number, { encrypted, crc32 }: ZipRecord, { date, time }: DosTime): void {
  header.writeUInt16LE(UTF_8 | (encrypted ? ENCRYPTED : 0), at)
  header.writeUInt16LE(encrypted ? AES : STORED, at + 2)
  header.writeUInt16LE(time, at + 4)
  header.writeUInt16LE(date, at + 6)
  header.writeUInt32LE(encrypted ? 0 : crc32, at + 8)
}

function needs ({ encrypted }: ZipRecord, zip64: boolean): number {
  return encrypted ? NEEDS_AES : zip64 ? NEEDS_ZIP64 : NEEDS_FOLDERS
}

function zip64Field (values: readonly number[]): Buffer {
  const field = Buffer.alloc(4 + 8 * values.length)
  field.writeUInt16LE(ZIP64_FIELD, 0)
  field.writeUInt16LE(8 * values.length, 2)
  for (const [index, value] of values.entries()) field.writeBigUInt64LE(BigInt(value), 4 + 8 * index)
  return field
}

/** AE-2, AES-256, and the method of what is encrypted (www.winzip.com/en/support/aes-encryption, II.B). */
function aesField ({ encrypted }: ZipRecord): Buffer[] {
  if (!encrypted) return []
  const field = Buffer.alloc(11)
  field.writeUInt16LE(AES_FIELD, 0)
  field.writeUInt16LE(7, 2)
  field.writeUInt16LE(2, 4)
  field.write('AE', 6, 'latin1')
  field.writeUInt8(3, 8)
  field.writeUInt16LE(STORED, 9)
  return [field]
}
