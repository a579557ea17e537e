/** `mkiso make`: a disc image into a file. The disc is a download like any other: of the service that runs here, else of one that lives as long as this command. */
import { randomUUID } from 'node:crypto'
import type { Readable } from 'node:stream'
import { request } from 'undici'
import type { Config } from '../config/schema.ts'
import { parseAccessionNumbers } from '../dicom/accession-number.ts'
import { isoFileName } from '../disc/file-name.ts'
import { readImageFacts } from '../disc/image/verify.ts'
import { ERRORS, MkisoError, type ErrorCode } from '../errors.ts'
import { UsageError, type Arguments } from './arguments.ts'
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
    const disc = await download(source, accessionNumbers, values.disc, progress, ctrlC.signal)
    let written = 0
    const onBytes = (bytes: number): void => {
      written += bytes
      progress.update({ phase: 'writing', done: written, of: disc.sizeBytes, unit: 'bytes', bytes: written })
    }
    await file.write(disc.body, onBytes, ctrlC.signal).catch((error: unknown) => {
      throw ctrlC.signal.aborted || error instanceof FileError ? error : new RefusedError(`the disc broke off after ${megabytes(written)} of ${megabytes(disc.sizeBytes)} (${reasonOf(error)})`, EXIT.failed)
    })
    const images = await verify(file.partPath, disc)
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

function numbersOf (operands: readonly string[], config: Config): string[] {
  try {
    return parseAccessionNumbers(operands.join(','), config.server.max_accessions)
  } catch (error) {
    if (error instanceof MkisoError) throw new UsageError(error.detail ?? error.message)
    throw error
  }
}

/** No disc, with the sentences to print. */
class RefusedError extends Error {
  readonly exitCode: number
  constructor (message: string, exitCode: number) {
    super(message)
    this.exitCode = exitCode
  }
}

interface Download {
  body: Readable
  sizeBytes: number
  /** DICOM files that are on the disc. */
  images: number
  warnings: string[]
}

async function download (source: Source, accessionNumbers: readonly string[], disc: string | undefined, progress: ProgressLine, signal: AbortSignal): Promise<Download> {
  const url = new URL(accessionNumbers.length > 1 ? '/api/iso/download-multiple' : '/api/iso/download', source.url)
  url.searchParams.set('accession_number', accessionNumbers.join(','))
  if (disc !== undefined) url.searchParams.set('disc', disc)
  const requestId = `make-${randomUUID()}`
  const unfollow = source.follow(requestId, progress)
  let answer: Awaited<ReturnType<typeof request>>
  try {
    // a long C-MOVE is silent; the service knows when it has taken too long
    answer = await request(url, { headers: { 'x-request-id': requestId, accept: 'application/octet-stream', ...source.headers }, headersTimeout: 0, bodyTimeout: 600_000, signal })
  } catch (error) {
    signal.throwIfAborted()
    throw new RefusedError(`the service at ${source.url} does not answer any more (${reasonOf(error)})`, EXIT.failed)
  } finally {
    unfollow()
  }
  const { statusCode, headers, body } = answer
  if (statusCode !== 200) throw refused(statusCode, await body.text(), source)
  const count = (name: string): number => Number(headers[name] ?? 0)
  return {
    body,
    sizeBytes: count('content-length'),
    images: count('x-mkiso-images'),
    warnings: [
      ...(count('x-mkiso-missing') > 0 ? [`warning: ${count('x-mkiso-missing')} images are missing, which disc.allow_incomplete lets through`] : []),
      ...(count('x-mkiso-not-listed') > 0 ? [`warning: the DICOMDIR does not list ${count('x-mkiso-not-listed')} files; README.TXT names them`] : []),
      ...(count('x-mkiso-discs') > 1 ? [`this is disc ${disc ?? '1'} of ${count('x-mkiso-discs')}`] : [])
    ]
  }
}

function refused (status: number, text: string, source: Source): RefusedError {
  let body: { error?: string, code?: string, detail?: string, discs?: string[], request_id?: string } = {}
  try { body = JSON.parse(text) as typeof body } catch { /* something between us and the service */ }
  const code = Object.keys(ERRORS).find((known): known is ErrorCode => known === body.code)
  const advice = code === 'UNAUTHORIZED'
    ? `the service at ${source.url} needs a key that the configuration does not hold in the clear: give it with --key-file FILE`
    : code === 'DISC_TOO_SMALL'
      ? `make each of the ${body.discs?.length ?? ''} discs: --disc 1, --disc 2 ...`
      : status >= 500 ? 'mkiso doctor tells what is wrong' : code === undefined ? '' : ERRORS[code].advice
  const what = [body.error ?? `the service answered ${status}`, body.detail].filter(part => part !== undefined && part !== '').join(': ')
  return new RefusedError([what, advice, body.request_id === undefined ? '' : `request id ${body.request_id}`].filter(line => line !== '').join('\n       '), status >= 500 ? EXIT.failed : EXIT.refused)
}

/** What was written is read again. @returns the number of DICOM files */
async function verify (path: string, { sizeBytes, images }: Download): Promise<number> {
  const facts = await readImageFacts(path).catch((error: unknown) => { throw new RefusedError(`the image cannot be read back: ${reasonOf(error)}`, EXIT.failed) })
  if (facts.fileBytes !== sizeBytes || facts.sizeBytes !== sizeBytes) throw new RefusedError(`the image has ${facts.fileBytes} bytes and says ${facts.sizeBytes}; it should have ${sizeBytes}`, EXIT.failed)
  if (!facts.hasDicomdir || facts.dicomFiles !== images) throw new RefusedError(`${facts.dicomFiles} of ${images} images are on the disc${facts.hasDicomdir ? '' : ', and no DICOMDIR'}`, EXIT.failed)
  return facts.dicomFiles
}

function reasonOf (error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
