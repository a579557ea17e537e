/**
 * A ZIP that is read while it is made: files are added as they become known, readers wait for more, and the central directory, without which no reader
 * opens it, comes when everything that must be so has been seen to be so. Until then it can fail, and everybody who reads it is broken off.
 *
 * What is kept is what stands in it, not its bytes: those of the files are read from where they lie, for each reader from its own place. With a password
 * it is the same files under the same names, encrypted for whoever reads.
 */
import { createHmac, randomBytes, randomUUID } from 'node:crypto'
import { open } from 'node:fs/promises'
import type { GrowingImage, Segment } from '../image/image.ts'
import { MkisoError } from '../../errors.ts'
import { ADDED_BYTES, encrypted, SALT_BYTES } from './encryption.ts'
import { centralHeader, dosTimeOf, endRecords, localHeader, type DosTime, type ZipRecord } from './records.ts'

/** A file of the archive: one of this machine, of which the first bytes may be others. */
export interface ZipFile {
  /** Path in the archive, with `/`. */
  name: string
  /** Of all of it, with what stands in place of its first bytes. */
  crc32: number
  sizeBytes: number
  path: Buffer | string
  /** Stands in place of so many bytes of the file. */
  beginning: Buffer
}

const READ_BYTES = 64 * 1_024

export class GrowingZip {
  /** Of all files: the moment in which it was begun. */
  readonly time: DosTime
  readonly #secret = randomBytes(32)
  readonly #etag = `"${randomUUID()}"`
  readonly #files: ZipFile[] = []
  readonly #names = new Set<string>()
  #finished = false
  #failure: Error | undefined
  #change = deferred()
  readonly #begun = deferred()
  readonly #done = deferred()

  constructor (createdAt = new Date()) {
    this.time = dosTimeOf(createdAt)
  }

  get files (): readonly ZipFile[] { return this.#files }

  get finished (): boolean { return this.#finished }

  get failure (): Error | undefined { return this.#failure }

  /** Resolves with the first file. @throws {@link failure} */
  get begun (): Promise<void> { return this.#begun.promise }

  /** Resolves when nothing will be added any more. @throws {@link failure} */
  get done (): Promise<void> { return this.#done.promise }

  /** Resolves when something has changed. @throws {@link failure} */
  get changed (): Promise<void> { return this.#change.promise }

  /** @throws Error for a second file of the same name, and when nothing can be added any more */
  add (file: ZipFile): void {
    if (this.#finished || this.#failure !== undefined) throw this.#failure ?? new Error('the archive is finished')
    if (this.#names.has(file.name)) throw new Error(`${file.name} is in the archive already`)
    this.#names.add(file.name)
    this.#files.push(file)
    this.#begun.resolve()
    this.#tell()
  }

  /** Everything is in it: it gets its central directory. */
  finish (): void {
    if (this.#failure !== undefined) throw this.#failure
    this.#finished = true
    this.#begun.resolve()
    this.#done.resolve()
    this.#tell()
  }

  /** It will never be whole; not for one that is. */
  fail (error: Error): void {
    if (this.#finished || this.#failure !== undefined) return
    this.#failure = error
    for (const waiting of [this.#begun, this.#done, this.#change]) waiting.reject(error)
  }

  /** Its bytes, the same whenever it is asked for: in the clear, or encrypted with a password, which is kept by nobody but the reader. */
  image (password?: string): ZipImage { return new ZipImage(this, password) }

  /** A strong validator of the bytes (RFC 9110 8.8.3). */
  etag (password?: string): string {
    return password === undefined ? this.#etag : `"${this.#derive('etag', password).toString('hex').slice(0, 32)}"`
  }

  /** For one file and one password, and known to nobody before it is sent. */
  salt (index: number, password: string): Buffer {
    return this.#derive(`salt ${index}`, password).subarray(0, SALT_BYTES)
  }

  #derive (purpose: string, password: string): Buffer {
    return createHmac('sha256', this.#secret).update(`${purpose}\0${password}`).digest()
  }

  #tell (): void {
    const { resolve } = this.#change
    this.#change = deferred()
    resolve()
  }
}

/** What a reader reads. */
export class ZipImage implements GrowingImage {
  readonly #zip: GrowingZip
  readonly #password: string | undefined
  readonly #segments: Segment[] = []
  readonly #central: Buffer[] = []
  #offset = 0
  #taken = 0
  #ended = false

  constructor (zip: GrowingZip, password: string | undefined) {
    this.#zip = zip
    this.#password = password
  }

  get failure (): Error | undefined { return this.#zip.failure }

  get sizeBytes (): number | undefined {
    this.#catchUp()
    return this.#ended ? this.#offset : undefined
  }

  get segments (): readonly Segment[] {
    this.#catchUp()
    return this.#segments
  }

  get whole (): Promise<number> {
    const whole = this.#zip.done.then(() => {
      this.#catchUp()
      return this.#offset
    })
    whole.catch(() => {})
    return whole
  }

  async more (than: number): Promise<void> {
    while (this.segments.length <= than && !this.#ended) await this.#zip.changed
  }

  #catchUp (): void {
    const { files, finished } = this.#zip
    for (; this.#taken < files.length; this.#taken++) {
      const file = files[this.#taken]
      if (file !== undefined) this.#append(file, this.#taken)
    }
    if (!finished || this.#ended) return
    this.#ended = true
    const central = Buffer.concat(this.#central.splice(0))
    this.#put(central)
    this.#put(endRecords(files.length, this.#offset - central.length, central.length))
  }

  #append (file: ZipFile, index: number): void {
    const { name, crc32, sizeBytes, path, beginning } = file
    const password = this.#password
    const record: ZipRecord = {
      name: Buffer.from(name), crc32, sizeBytes, storedBytes: sizeBytes + (password === undefined ? 0 : ADDED_BYTES), encrypted: password !== undefined
    }
    this.#central.push(centralHeader(record, this.#zip.time, this.#offset))
    const header = localHeader(record, this.#zip.time)
    if (password !== undefined) {
      this.#put(header)
      const salt = this.#zip.salt(index, password)
      this.#segments.push({ made: (from, until) => slice(encrypted(password, salt, contentOf(file)), from, until), offset: this.#offset, lengthBytes: record.storedBytes })
      this.#offset += record.storedBytes
      return
    }
    this.#put(Buffer.concat([header, beginning]))
    const lengthBytes = sizeBytes - beginning.length
    if (lengthBytes > 0) this.#segments.push({ path, offset: this.#offset, lengthBytes, fileOffset: beginning.length })
    this.#offset += lengthBytes
  }

  #put (bytes: Buffer): void {
    this.#segments.push({ bytes, offset: this.#offset, lengthBytes: bytes.length })
    this.#offset += bytes.length
  }
}

/** Pieces that are only good until the next one is asked for. @throws MkisoError when the file is shorter than it was */
async function * contentOf ({ path, beginning, sizeBytes }: ZipFile): AsyncGenerator<Buffer, undefined> {
  if (beginning.length > 0) yield beginning
  const file = await open(path)
  try {
    const buffer = Buffer.allocUnsafe(READ_BYTES)
    for (let position = beginning.length; position < sizeBytes;) {
      const { bytesRead } = await file.read(buffer, 0, Math.min(READ_BYTES, sizeBytes - position), position)
      if (bytesRead === 0) throw new MkisoError('ISO_CREATION_FAILED', 'a file of the archive became shorter while it was sent')
      position += bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    await file.close()
  }
}

/** Bytes from here up to there of what is made in one go. */
async function * slice (pieces: AsyncIterable<Buffer>, from: number, until: number): AsyncGenerator<Buffer, undefined> {
  let position = 0
  for await (const piece of pieces) {
    const bytes = piece.subarray(Math.max(0, from - position), Math.max(0, until - position))
    position += piece.length
    if (bytes.length > 0) yield bytes
    if (position >= until) return
  }
}

interface Deferred { promise: Promise<void>, resolve: () => void, reject: (error: Error) => void }

/** A promise whose failure nobody need wait for. */
function deferred (): Deferred {
  const made: Deferred = { promise: Promise.resolve(), resolve: () => {}, reject: () => {} }
  made.promise = new Promise<void>((resolve, reject) => { Object.assign(made, { resolve, reject }) })
  made.promise.catch(() => {})
  return made
}
