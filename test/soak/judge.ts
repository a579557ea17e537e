/** What a disc of the soak holds, against the truth: every image by its pixel data, and what the viewer shows of it. */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readObject } from '../../src/dicom/part10.ts'
import type { Programs } from '../../src/process.ts'
import { pixelDataSha256 } from '../world.ts'

/** BITMAPFILEHEADER and BITMAPINFOHEADER. */
const OFFSET_AT = 10
const WIDTH_AT = 18
const HEIGHT_AT = 22
const BITS_AT = 28

/**
 * Takes it apart with a reader that has nothing to do with what wrote it.
 * @returns SOP Instance UID and SHA-256 of the pixel data of each image
 * @throws Error when the reader finds anything wrong
 */
export async function digestsOfFolder (file: string, root: string, format: 'iso' | 'zip', programs: Programs): Promise<string[]> {
  const [program, args] = format === 'iso' ? ['xorriso', ['-osirrox', 'on', '-indev', file, '-extract', '/', root]] as const : ['unzip', ['-q', file, '-d', root]] as const
  const { exitCode, stdout, stderr } = await programs.run(program, args)
  if (exitCode !== 0) throw new Error(`${program}: ${stdout} ${stderr}`)
  await programs.run('chmod', ['-R', 'u+rwX', root])
  const files = readdirSync(join(root, 'DICOM'), { recursive: true, withFileTypes: true }).filter(entry => entry.isFile() && !entry.name.includes('.')).map(({ parentPath, name }) => join(parentPath, name))
  return await Promise.all(files.map(async path => `${(await readObject(path)).sopInstanceUid} ${pixelDataSha256(path) ?? ''}`))
}

/**
 * Each picture of the viewer is a BMP whose pixel array is the pixel data of an image, in place, and every image has one.
 * @param truth SHA-256 of the pixel data of the images
 * @returns what is wrong
 */
export function pictureFaults (root: string, format: 'iso' | 'zip', truth: ReadonlySet<string>): string | undefined {
  for (const name of ['INDEX.HTM', 'README.TXT', 'DICOMDIR']) if (!existsSync(join(root, name))) return `${name} is missing`
  if (!/id="viewer-data"/.test(readFileSync(join(root, 'INDEX.HTM'), 'utf8'))) return 'the first page has no viewer'
  const shown = new Set<string>()
  for (const { parentPath, name } of readdirSync(root, { recursive: true, withFileTypes: true })) {
    if (!/\.BMP$/i.test(name)) continue
    const path = join(parentPath, name)
    const bytes = readFileSync(path)
    const offset = bytes.readUInt32LE(OFFSET_AT)
    const rowBytes = Math.ceil(bytes.readInt32LE(WIDTH_AT) * bytes.readUInt16LE(BITS_AT) / 32) * 4
    const end = offset + rowBytes * Math.abs(bytes.readInt32LE(HEIGHT_AT))
    if (bytes.toString('latin1', 0, 2) !== 'BM' || end > bytes.length) return `${name} is no whole picture`
    const digest = createHash('sha256').update(bytes.subarray(offset, end)).digest('hex')
    if (!truth.has(digest)) return `${name} shows something else than the image`
    shown.add(digest)
  }
  return format === 'iso' && shown.size !== truth.size ? `${shown.size} of ${truth.size} images have a picture` : undefined
}
