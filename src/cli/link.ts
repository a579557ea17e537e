/** `mkiso link`: a signed link for somebody who has no key, with a QR code. */
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { extname, resolve } from 'node:path'
import QRCode from 'qrcode'
import { DOWNLOAD_PAGE, signedLink } from '../auth/signed-links.ts'
import { parseDurationMs } from '../config/duration.ts'
import type { Config } from '../config/schema.ts'
import { parseAccessionNumbers } from '../dicom/accession-number.ts'
import { MODALITY_PATTERN, SERIES_MAX_LENGTH, SERIES_PATTERN } from '../disc/choice.ts'
import { MkisoError } from '../errors.ts'
import { downloadPath } from '../http/links.ts'
import { UsageError, type Arguments } from './arguments.ts'
import { EXIT } from './exit-codes.ts'

const FORMATS = ['iso', 'zip']
const PICTURES = { '.svg': 'svg', '.png': 'png' } as const

const say = (text: string): void => { process.stdout.write(`${text}\n`) }
const complain = (text: string): void => { process.stderr.write(`mkiso: ${text}\n`) }

/** @throws UsageError */
export async function link (config: Config, { operands, values }: Pick<Arguments, 'operands' | 'values'>): Promise<number> {
  const { auth: { enabled, signedLinks } } = config
  const accessionNumbers = numbersOf(operands, config)
  checkOptions(values)
  const output = values.output === undefined ? undefined : pictureOf(values.output)
  if (signedLinks === undefined) {
    complain('auth.signed_links.secret is empty, so the service takes no links: set one ("openssl rand -hex 32"), start the service again, then make the link')
    return EXIT.fault
  }
  const base = baseOf(values.base, config)
  const forMs = durationOf(values.for, signedLinks.maxAgeMs)
  const url = base + signedLink(signedLinks.secret, {
    path: values.direct === true ? downloadPath(accessionNumbers) : DOWNLOAD_PAGE,
    accessionNumbers,
    expires: String(Math.floor((Date.now() + forMs) / 1_000)),
    ...(values.once === true ? { once: randomBytes(16).toString('hex') } : {}),
    ...(values.modality === undefined ? {} : { modality: values.modality }),
    ...(values.series === undefined ? {} : { series: values.series })
  }, values.format === undefined ? {} : { format: values.format })
  if (output !== undefined && !await writePicture(url, output, values.force === true)) return EXIT.fault
  say(url)
  if (values.qr === true || process.stdout.isTTY) say(await QRCode.toString(url, { type: 'utf8' }))
  if (output !== undefined) complain(`the QR code is in ${output.path}`)
  if (!enabled) complain('auth.enabled is false: who reaches the service needs no link')
  return EXIT.ok
}

/** As it stands in the link. */
function numbersOf (operands: readonly string[], config: Config): string {
  try {
    return parseAccessionNumbers(operands.join(','), config.server.max_accessions).join(',')
  } catch (error) {
    if (error instanceof MkisoError) throw new UsageError(error.detail ?? error.message)
    throw error
  }
}

function checkOptions ({ format, series, modality }: Arguments['values']): void {
  if (format !== undefined && !FORMATS.includes(format)) throw new UsageError(`--format ${format} is not ${FORMATS.join(' or ')}`)
  if (modality !== undefined && !new RegExp(MODALITY_PATTERN).test(modality)) throw new UsageError(`--modality ${modality} is not a list such as CT,SR`)
  if (series !== undefined && (series.length > SERIES_MAX_LENGTH || !new RegExp(SERIES_PATTERN).test(series))) throw new UsageError(`--series ${series} is not a list of Series Instance UIDs`)
}

function baseOf (given: string | undefined, { server: { public_url: configured } }: Config): string {
  const base = given ?? configured
  if (base === '') throw new UsageError('the address by which browsers reach the service is not known: set server.public_url, or give --base https://HOST')
  try {
    const { protocol, origin } = new URL(base)
    if (['http:', 'https:'].includes(protocol)) return origin
  } catch { /* told below */ }
  throw new UsageError(`--base ${base} is not an address such as https://mkiso.example`)
}

function durationOf (given: string | undefined, maxAgeMs: number): number {
  if (given === undefined) return maxAgeMs
  const forMs = parseDurationMs(given)
  if (forMs === undefined || forMs < 1_000) throw new UsageError(`--for ${given} is not a time such as 24h or 30m`)
  if (forMs > maxAgeMs) throw new UsageError(`--for ${given} is longer than auth.signed_links.max_age, which the service would refuse`)
  return forMs
}

function pictureOf (file: string): { path: string, type: 'svg' | 'png' } {
  const extension = extname(file).toLowerCase()
  if (extension !== '.svg' && extension !== '.png') throw new UsageError(`--output ${file} is neither .svg nor .png`)
  return { path: resolve(file), type: PICTURES[extension] }
}

/** A link is a key: its picture is for this user's eyes only. @returns false when it could not be written, which has been said */
async function writePicture (url: string, { path, type }: { path: string, type: 'svg' | 'png' }, force: boolean): Promise<boolean> {
  const content = type === 'svg' ? await QRCode.toString(url, { type: 'svg' }) : await QRCode.toBuffer(url, { type: 'png', scale: 8 })
  try {
    await writeFile(path, content, { flag: force ? 'w' : 'wx', mode: 0o600 })
    return true
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    complain(code === 'EEXIST' ? `${path} exists; --force replaces it` : `${path} cannot be written: ${code}`)
    return false
  }
}
