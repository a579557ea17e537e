/** `mkiso make`: a disc image into a file. The disc is a download like any other: of the service that runs here, else of one that lives as long as this command. */
import { readFileSync } from 'node:fs'
import type { ActivityState } from '../http/activity-state.ts'
import type { Config } from '../config/schema.ts'
import { parseAccessionNumbers } from '../dicom/accession-number.ts'
import { isoFileName } from '../disc/file-name.ts'
import type { DiscFormat } from '../disc/discs.ts'
import { readImageFacts, type ImageFacts } from '../disc/image/verify.ts'
import { readZipFacts } from '../disc/zip/verify.ts'
import { MkisoError } from '../errors.ts'
import { UsageError, type Arguments } from './arguments.ts'
import { download, RefusedError, type Download } from './download.ts'
import { EXIT } from './exit-codes.ts'
import { FileError, ImageFile } from './image-file.ts'
import { interrupted } from './interrupted.ts'
import { keyOf, readKeyFile } from './key.ts'
import { openSource, type Source } from './source.ts'
import { megabytes, ProgressLine } from './progress.ts'

const say = (text: string): void => { process.stdout.write(`${text}\n`) }
const complain = (text: string): void => { process.stderr.write(`mkiso: ${text}\n`) }

export async function make (config: Config, { operands, values, config: configFile }: Arguments): Promise<number> {
  const accessionNumbers = numbersOf(operands, config)
  if (values.disc !== undefined && !/^[1-9][0-9]{0,2}$/.test(values.disc)) throw new UsageError(`--disc ${values.disc} is not a number from 1`)
  const format = /\.zip$/i.test(values.output ?? '') ? 'zip' : 'iso'
  if (format === 'zip' && values.disc !== undefined) throw new UsageError('a ZIP is not split into a set: leave --disc out')
  if (format !== 'zip' && values['password-file'] !== undefined) throw new UsageError('only a ZIP can have a password: -o FILE.zip')
  const password = values['password-file'] === undefined ? undefined : passwordOf(values['password-file'])
  const suffix = values.disc === undefined ? '' : `-${values.disc}`
  const file = new ImageFile(values.output ?? `${isoFileName(accessionNumbers.join('_'))}${suffix}.iso`)
  const ctrlC = interrupted()
  const verbose = values.verbose === true
  const progress = new ProgressLine(accessionNumbers.join(','), process.stderr, process.stderr.isTTY && !verbose)
  const startedAt = performance.now()
  let source: Source | undefined
  try {
    await file.check(values.force === true)
    source = await openSource(config, { key: values['key-file'] === undefined ? () => keyOf(configFile) : () => readKeyFile(values['key-file'] ?? ''), verbose })
    const disc = await download(source, { accessionNumbers, disc: values.disc, format, password, signal: ctrlC.signal, onState: state => { draw(state, progress) } })
    let written = 0
    const onBytes = (bytes: number): void => {
      written += bytes
      progress.update({ phase: 'writing', done: written, of: disc.sizeBytes, unit: 'bytes', bytes: written })
    }
    await file.write(disc.body, onBytes, ctrlC.signal).catch((error: unknown) => {
      throw ctrlC.signal.aborted || error instanceof FileError ? error : new RefusedError(`the disc broke off after ${megabytes(written)} of ${megabytes(disc.sizeBytes)} (${reasonOf(error)})`, EXIT.failed)
    })
    const images = await verify(file.partPath, format, disc)
    await file.complete()
    progress.clear()
    say(`${file.path}  ${images} images, ${megabytes(disc.sizeBytes)}, ${((performance.now() - startedAt) / 1_000).toFixed(1)} s`)
    for (const warning of disc.warnings) complain(warning)
    return EXIT.ok
  } catch (error) {
    progress.clear()
    if (ctrlC.signal.aborted) {
      complain('interrupted; nothing is left')
      return EXIT.interrupted
    }
    if (error instanceof FileError) {
      complain(error.message)
      return EXIT.fault
    }
    if (!(error instanceof RefusedError)) throw error
    complain(error.message)
    return error.exitCode
  } finally {
    await file.discard()
    await source?.close()
    ctrlC.end()
  }
}

/** What a person is told of the phases; the writing of the file is told by who writes it. */
const WORDS: Partial<Record<ActivityState['phase'], string>> = { finding: 'asking the PACS', queued: 'waiting for the PACS', receiving: 'receiving', making: 'making the disc', ready: 'the disc is ready' }

function draw ({ phase, images_received: done, images_expected: of, received_bytes: bytes }: ActivityState, progress: ProgressLine): void {
  const words = WORDS[phase]
  if (words !== undefined) progress.update({ phase: words, done, of, unit: 'images', bytes })
}

function numbersOf (operands: readonly string[], config: Config): string[] {
  try {
    return parseAccessionNumbers(operands.join(','), config.server.max_accessions)
  } catch (error) {
    if (error instanceof MkisoError) throw new UsageError(error.detail ?? error.message)
    throw error
  }
}

/** What was written is read again. @returns the number of DICOM files */
async function verify (path: string, format: DiscFormat, { sizeBytes, images }: Download): Promise<number> {
  const facts = await factsOf(path, format).catch((error: unknown) => { throw new RefusedError(`the image cannot be read back: ${reasonOf(error)}`, EXIT.failed) })
  if (facts.fileBytes !== sizeBytes || facts.sizeBytes !== sizeBytes) throw new RefusedError(`the image has ${facts.fileBytes} bytes and says ${facts.sizeBytes}; it should have ${sizeBytes}`, EXIT.failed)
  if (!facts.hasDicomdir || facts.dicomFiles !== images) throw new RefusedError(`${facts.dicomFiles} of ${images} images are on the disc${facts.hasDicomdir ? '' : ', and no DICOMDIR'}`, EXIT.failed)
  return facts.dicomFiles
}

/** What a reader finds, and how large it says that it is. */
async function factsOf (path: string, format: DiscFormat): Promise<ImageFacts> {
  if (format === 'iso') return await readImageFacts(path)
  const facts = await readZipFacts(path)
  return { ...facts, sizeBytes: facts.fileBytes }
}

/** @throws UsageError */
function passwordOf (path: string): string {
  let text
  try {
    text = readFileSync(path, 'utf8').replace(/\r?\n$/, '')
  } catch (error) {
    throw new UsageError(`--password-file ${path} cannot be read: ${reasonOf(error)}`)
  }
  if (!/^[\x20-\x7e]{8,99}$/.test(text)) throw new UsageError(`--password-file ${path} does not hold 8 to 99 characters of ASCII`)
  return text
}

function reasonOf (error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
