/** `disc.transfer_syntax: uncompressed`: explicit VR little endian for readers that take nothing else (PS3.11 D, STD-GEN-CD). */
import { mkdirSync, statSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import pLimit from 'p-limit'
import type { Config } from '../config/schema.ts'
import { readObject, type DicomObject } from '../dicom/part10.ts'
import type { ToolContext } from '../dcmtk/peer.ts'
import { MkisoError } from '../errors.ts'
import type { HeldFile } from '../studies/complete-studies.ts'
import type { DiskSpace } from '../studies/disk-space.ts'
import type { DiscSource } from './layout.ts'
import { decodedBytes, decodingFault, decodingLimits } from './render-limits.ts'

const EXPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2.1'
const AT_ONCE = 2
const TIMEOUT_MS = 300_000

/** Program and arguments for a transfer syntax; undefined where nothing decodes it (MPEG). */
function decoderFor (transferSyntaxUid: string, dcmtk: Config['dcmtk'], tools: Config['tools']): [program: string, ...args: string[]] | undefined {
  if (/^1\.2\.840\.10008\.1\.2(\.2|\.1\.99)?$/.test(transferSyntaxUid)) return [dcmtk.dcmconv, '+te']
  if (/^1\.2\.840\.10008\.1\.2\.4\.(5[017]|70)$/.test(transferSyntaxUid)) return [dcmtk.dcmdjpeg]
  if (/^1\.2\.840\.10008\.1\.2\.4\.8[01]$/.test(transferSyntaxUid)) return [dcmtk.dcmdjpls]
  if (transferSyntaxUid === '1.2.840.10008.1.2.5') return [dcmtk.dcmdrle]
  if (/^1\.2\.840\.10008\.1\.2\.4\.9[01]$/.test(transferSyntaxUid)) return [tools.gdcmconv, '--raw']
  return undefined
}

/** A file as it came. */
export function asItCame ({ path, object }: HeldFile): DiscSource {
  return { object, path, sizeBytes: object.sizeBytes, transferSyntaxUid: object.transferSyntaxUid }
}

/** Decodes files, one folder for all their copies. What cannot be decoded stays as it is, with a warning. */
export class Decoder {
  readonly #context: ToolContext
  readonly #tools: Config['tools']
  readonly #folder: string
  readonly #disk: DiskSpace
  readonly #limit = pLimit(AT_ONCE)
  #copies = 0

  /** @param folder need not exist; whoever owns it removes it */
  constructor (context: ToolContext, tools: Config['tools'], folder: string, disk: DiskSpace) {
    this.#context = context
    this.#tools = tools
    this.#folder = folder
    this.#disk = disk
  }

  /**
   * @returns the files to put onto the disc, in the same order; a copy is whole, and of the object
   * @throws MkisoError INSUFFICIENT_DISK_SPACE
   */
  async uncompress (files: readonly HeldFile[], signal: AbortSignal): Promise<DiscSource[]> {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
    let written = 0
    const expected = files.reduce((sum, { object }) => sum + expectedBytes(object), 0)
    return await this.#disk.withRoomFor(expected, () => written, async () => await Promise.all(files.map(async file => await this.#limit(async () => {
      const decoded = await this.#decode(file, signal)
      if (decoded.path !== file.path) written += decoded.sizeBytes
      return decoded
    }))))
  }

  async #decode (file: HeldFile, signal: AbortSignal): Promise<DiscSource> {
    const { transferSyntaxUid, sopInstanceUid } = file.object
    const { programs, dcmtk, log } = this.#context
    if (transferSyntaxUid === EXPLICIT_LITTLE_ENDIAN) return asItCame(file)
    const decoder = decodingFault(file.object) === undefined ? decoderFor(transferSyntaxUid, dcmtk, this.#tools) : undefined
    const path = join(this.#folder, String(++this.#copies))
    if (decoder !== undefined) {
      if (!await this.#disk.hasRoomFor(decodedBytes(file.object))) throw noRoom()
      const [program, ...args] = decoder
      const result = await programs.run(program, [...args, file.path, path], { signal, timeoutMs: TIMEOUT_MS, limits: decodingLimits(file.object) })
      if (result.exitCode === 0 && await isWhole(path, file.object)) return { object: file.object, path, transferSyntaxUid: EXPLICIT_LITTLE_ENDIAN, sizeBytes: statSync(path).size }
      signal.throwIfAborted()
      // it could be decoded, and there was no room for it
      const isFull = !await this.#disk.hasRoomFor(0)
      // what a program that met its limit has written takes room, and is nothing
      await rm(path, { force: true })
      if (isFull) throw noRoom()
    }
    log.warn({ sop_instance_uid: sopInstanceUid, transfer_syntax: transferSyntaxUid }, 'an image could not be decoded; it is on the disc as it was stored')
    return asItCame(file)
  }
}

/** Not every decoder says that it could not write to the end. */
async function isWhole (path: string, { sopInstanceUid, studyInstanceUid, pixelData }: DicomObject): Promise<boolean> {
  const copy = await readObject(path).catch(() => undefined)
  return copy?.sopInstanceUid === sopInstanceUid && copy.studyInstanceUid === studyInstanceUid && copy.transferSyntaxUid === EXPLICIT_LITTLE_ENDIAN &&
    (copy.pixelData === undefined) === (pixelData === undefined)
}

function noRoom (): MkisoError {
  return new MkisoError('INSUFFICIENT_DISK_SPACE', 'iso.temp_dir has no more room beside iso.disk_reserve for the decoded images (disc.transfer_syntax: uncompressed)')
}

function expectedBytes (object: DicomObject): number {
  return object.transferSyntaxUid === EXPLICIT_LITTLE_ENDIAN || decodingFault(object) !== undefined ? 0 : decodedBytes(object)
}
