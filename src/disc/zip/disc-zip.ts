/**
 * The disc as a ZIP. An image goes in as soon as it is whole and may be handed out (StoredStudy.mayLeave); what speaks of all of them, DICOMDIR, pages,
 * checksums, comes behind them. The central directory, without which it is no archive, comes when the studies have been judged complete, everything that
 * went in is theirs, and everything that is theirs went in: whole, or visibly broken.
 */
import { open, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import pLimit from 'p-limit'
import type { LeftOutPrior } from '../../dicom/study.ts'
import { MkisoError } from '../../errors.ts'
import type { Log } from '../../process.ts'
import type { HeldFile } from '../../studies/complete-studies.ts'
import type { Holding } from '../../studies/holding.ts'
import { CHECKSUM_FILE, writeChecksums } from '../checksums.ts'
import { filesOf, type DiscContents, type DiscFile, type Part } from '../contents.ts'
import type { NotListed } from '../dicomdir/dicomdir.ts'
import { layOut, type DiscSource, type StudySources } from '../layout.ts'
import { filesOfRoot, type Root, type RootOptions } from '../root.ts'
import { asItCame } from '../uncompress.ts'
import { picturePreamble, PREAMBLE_BYTES } from '../viewer/bmp.ts'
import { describeFile } from '../viewer/image-description.ts'
import { digestOfFile, type FileDigest } from './digest.ts'
import { FileIds } from './file-ids.ts'
import { GrowingZip } from './growing-zip.ts'

export interface DiscZipOptions {
  holding: Pick<Holding, 'onFile' | 'onWithdrawn' | 'mayLeave'>
  /** What it will hold, once everything is there and is what it shall be (decoded ...). */
  received: Promise<{ studies: readonly StudySources[], part: Part | undefined, missing: number | undefined, priorsLeftOut: readonly LeftOutPrior[] }>
  /** Images may go in before that: they are put in as they come. */
  asTheyCome: boolean
  /** Pictures of the page's own viewer: the headers of bitmaps stand in preambles. */
  pictures: boolean
  checksums: boolean
  /** Folder for what is no image; need not exist, whoever owns it removes it. */
  folder: string
  fill: (root: string, options: Pick<RootOptions, 'contents' | 'missing' | 'priorsLeftOut' | 'headers' | 'hasPicture'>) => Promise<Root>
  signal: AbortSignal
  log: Log
}

/** What is known of it when it is whole. */
export interface ZipFacts {
  contents: DiscContents
  notListed: readonly NotListed[]
  missing: number | undefined
}

/** Files that are read at the same time. */
const AT_ONCE = 2
const NOTHING = Buffer.alloc(0)

interface Entered extends FileDigest { name: string, hasPicture: boolean }

export class DiscZip {
  readonly zip = new GrowingZip()
  /** Settles when nothing works for it any more. */
  readonly ended: Promise<void>
  readonly #options: DiscZipOptions
  readonly #limit = pLimit(AT_ONCE)
  readonly #fileIds = new FileIds()
  /** By the path of the file. */
  readonly #entering = new Map<string, Promise<Entered>>()
  #facts: ZipFacts | undefined

  constructor (options: DiscZipOptions) {
    this.#options = options
    const { holding, signal } = options
    const abort = (): void => { this.zip.fail(signal.reason as Error) }
    signal.addEventListener('abort', abort, { once: true })
    const ends = [
      holding.onWithdrawn(file => { this.#onWithdrawn(file) }),
      holding.onFile(file => { this.#take(file) }),
      () => { signal.removeEventListener('abort', abort) }
    ]
    this.ended = this.#make().catch((error: unknown) => {
      this.zip.fail(error instanceof Error ? error : new Error(String(error)))
    }).finally(() => { for (const end of ends) end() })
  }

  /** undefined until it is whole. */
  get facts (): ZipFacts | undefined { return this.#facts }

  #take (file: HeldFile): void {
    if (!this.#options.asTheyCome || this.zip.failure !== undefined || !this.#options.holding.mayLeave(file)) return
    this.#enter(asItCame(file), this.#fileIds.of(file.object)).catch((error: unknown) => { this.#fail(error) })
  }

  #onWithdrawn ({ path }: HeldFile): void {
    if (this.#entering.has(path)) this.zip.fail(new MkisoError('INCOMPLETE_RETRIEVAL', TAKEN_BACK))
  }

  /** Who reads hears of it at once. */
  #fail (error: unknown): void { this.zip.fail(error instanceof Error ? error : new Error(String(error))) }

  async #enter (source: DiscSource, name: string): Promise<Entered> {
    let entering = this.#entering.get(source.path)
    if (entering === undefined) {
      entering = this.#limit(async () => {
        this.#options.signal.throwIfAborted()
        const beginning = await this.#beginningOf(source)
        const digest = await digestOfFile(source.path, beginning, this.#options.checksums)
        if (digest.sizeBytes !== source.sizeBytes) throw new MkisoError('ISO_CREATION_FAILED', 'a file of the disc changed its length')
        this.zip.add({ name, path: source.path, beginning, crc32: digest.crc32, sizeBytes: digest.sizeBytes })
        return { ...digest, name, hasPicture: beginning.length > 0 }
      })
      entering.catch(() => {})
      this.#entering.set(source.path, entering)
    }
    return await entering
  }

  /** The header of a bitmap, where the file has nothing of its own in its preamble: our receiver writes zeros there. */
  async #beginningOf (source: DiscSource): Promise<Buffer> {
    if (!this.#options.pictures) return NOTHING
    try {
      const preamble = picturePreamble(await describeFile({ ...source, sourcePath: source.path }))
      return preamble !== undefined && await hasFreePreamble(source.path) ? preamble : NOTHING
    } catch (error) {
      this.#options.log.debug({ err: error }, 'an image of a ZIP is no picture')
      return NOTHING
    }
  }

  async #make (): Promise<void> {
    const startedAt = performance.now()
    const { received, folder, fill, log, signal } = this.#options
    const { studies, part, missing, priorsLeftOut } = await received
    const contents = { ...this.#fileIds.applyTo(layOut(studies)), part }
    const files = filesOf(contents)
    this.#guardAllTheirs(files)
    const entered = await Promise.all(files.map(async file => await this.#enter({ ...file, path: file.sourcePath }, file.fileId)))
    guardAllEntered(files, entered, this.zip)
    signal.throwIfAborted()

    const root = join(folder, 'root')
    await mkdir(root, { recursive: true, mode: 0o700 })
    const pictures = new Set(files.filter((_, index) => entered[index]?.hasPicture === true).map(({ fileId }) => fileId))
    const { grafts, notListed } = await fill(root, { contents, missing, priorsLeftOut, headers: 'preamble', hasPicture: ({ fileId }) => pictures.has(fileId) })
    const others = await filesOfRoot(root, grafts)
    const digests = new Map<string, FileDigest>()
    for (const { name, path } of others) digests.set(name, await this.#add(name, path))
    if (this.#options.checksums) {
      for (const { name, ...digest } of entered) digests.set(name, digest)
      const listed = [...files.map(({ fileId, sourcePath }) => ({ name: fileId, path: sourcePath })), ...others]
      await writeChecksums(listed, async ({ name }) => sumOf(digests.get(name)), root)
      await this.#add(CHECKSUM_FILE, join(root, CHECKSUM_FILE))
    }
    signal.throwIfAborted()
    // known before anybody hears that it is whole
    this.#facts = { contents, notListed, missing }
    this.zip.finish()
    log.info({ size_bytes: this.zip.image().sizeBytes, instances: files.length, duration_ms: Math.round(performance.now() - startedAt) }, 'zip whole')
  }

  async #add (name: string, path: string): Promise<FileDigest> {
    this.#options.signal.throwIfAborted()
    const digest = await digestOfFile(path, NOTHING, this.#options.checksums)
    this.zip.add({ name, path, beginning: NOTHING, crc32: digest.crc32, sizeBytes: digest.sizeBytes })
    return digest
  }

  /** @throws MkisoError INCOMPLETE_RETRIEVAL when something went in that turned out to be none of the studies' */
  #guardAllTheirs (files: readonly DiscFile[]): void {
    const paths = new Set(files.map(({ sourcePath }) => sourcePath))
    for (const path of this.#entering.keys()) if (!paths.has(path)) throw new MkisoError('INCOMPLETE_RETRIEVAL', TAKEN_BACK)
  }
}

const TAKEN_BACK = 'an image that had gone out turned out not to be the archive\'s, or to be another one; begin the download again'

/**
 * The last guard: every image of the file-set is in the archive, whole, under its name, and no other is.
 * @throws MkisoError ISO_CREATION_FAILED, which is a fault of ours
 */
export function guardAllEntered (files: readonly DiscFile[], entered: ReadonlyArray<Pick<Entered, 'name' | 'sizeBytes'>>, zip: Pick<GrowingZip, 'files'>): void {
  const inZip = new Map(zip.files.map(file => [file.name, file]))
  const right = files.filter(({ fileId, sourcePath, sizeBytes }, index) => {
    const file = inZip.get(fileId)
    return file?.path === sourcePath && file.sizeBytes === sizeBytes && entered[index]?.name === fileId
  })
  if (right.length === files.length && inZip.size === files.length) return
  throw new MkisoError('ISO_CREATION_FAILED', `the archive has ${right.length} of ${files.length} files, and ${inZip.size} in all`)
}

function sumOf (digest: FileDigest | undefined): string {
  if (digest?.sha256 === undefined) throw new Error('a file of the archive has no checksum')
  return digest.sha256
}

async function hasFreePreamble (path: string): Promise<boolean> {
  const file = await open(path)
  try {
    const preamble = Buffer.alloc(PREAMBLE_BYTES, 1)
    await file.read(preamble, 0, PREAMBLE_BYTES, 0)
    return preamble.every(byte => byte === 0)
  } finally {
    await file.close()
  }
}
