/** Pixels of a script file or of a picked file. */
import type { CodedPixels } from '../../src/disc/viewer/page-data.ts'
import type { Item } from './data.ts'
import { NoPictureError } from './pictures.ts'

export interface Decoded {
  columns: number
  rows: number
  /** Stored values; empty where there are colours. */
  values: Int16Array | Uint16Array | Uint8Array | Int8Array
  /** Red, green, blue. */
  rgb: Uint8Array | undefined
  min: number
  max: number
}

/** Files that the person has given to the page, by the last four parts of their path. */
const picked = new Map<string, File>()

/** @returns how many of the files belong to this disc */
export function takeFiles (files: Iterable<File & { path?: string }>, items: Iterable<Item>): number {
  const wanted = new Set<string>()
  for (const { image } of items) wanted.add(image.file)
  let taken = 0
  for (const file of files) {
    const path = file.webkitRelativePath === '' ? file.path ?? file.name : file.webkitRelativePath
    const parts = path.split('/')
    for (let from = 0; from < parts.length; from++) {
      const name = parts.slice(from).join('/').toUpperCase()
      if (!wanted.has(name)) continue
      picked.set(name, file)
      taken++
      break
    }
  }
  return taken
}

/** @throws NoPictureError */
export async function decodeItem (item: Item): Promise<Decoded> {
  const { pixels } = item.image
  if (pixels.by === 'picking') return await fromFile(item, pixels.coded)
  throw new NoPictureError('not_readable')
}

async function fromFile ({ image, frame }: Item, coded: CodedPixels): Promise<Decoded> {
  const file = picked.get(image.file)
  if (file === undefined) throw new NoPictureError('picking')
  if (file.size !== coded.sizeBytes) throw new NoPictureError('wrong_size')
  if (coded.encapsulated) throw new NoPictureError('not_readable')
  const frameBytes = image.columns * image.rows * coded.samples * coded.bitsAllocated / 8
  const start = coded.offset + frame * frameBytes
  const bytes = new Uint8Array(await file.slice(start, start + frameBytes).arrayBuffer())
  if (bytes.length < frameBytes) throw new NoPictureError('not_loaded')
  return ofBytes(bytes, image.columns, image.rows, coded)
}

/** Native pixels, little endian. */
export function ofBytes (bytes: Uint8Array, columns: number, rows: number, { samples, planar, photometric, bitsAllocated, bitsStored, highBit, signed }: CodedPixels): Decoded {
  const count = columns * rows
  if (samples === 3 && bitsAllocated === 8) {
    const rgb = new Uint8Array(3 * count)
    for (let at = 0; at < count; at++) for (let sample = 0; sample < 3; sample++) rgb[3 * at + sample] = bytes[planar === 1 ? sample * count + at : 3 * at + sample] ?? 0
    if (photometric.startsWith('YBR_FULL')) toRgb(rgb)
    return { columns, rows, values: new Uint8Array(0), rgb, min: 0, max: 255 }
  }
  if (samples !== 1 || (bitsAllocated !== 8 && bitsAllocated !== 16)) throw new NoPictureError('not_readable')
  const values = signed ? new Int16Array(count) : new Uint16Array(count)
  const mask = 2 ** bitsStored - 1
  const half = 2 ** (bitsStored - 1)
  const shift = highBit - bitsStored + 1
  let [min, max] = [Infinity, -Infinity]
  for (let at = 0; at < count; at++) {
    const cell = bitsAllocated === 8 ? bytes[at] ?? 0 : (bytes[2 * at] ?? 0) + 256 * (bytes[2 * at + 1] ?? 0)
    const stored = (cell >> shift) & mask
    const value = signed && stored >= half ? stored - 2 * half : stored
    values[at] = value
    if (value < min) min = value
    if (value > max) max = value
  }
  return { columns, rows, values, rgb: undefined, min, max }
}

/** PS3.3 C.7.6.3.1.2. */
function toRgb (ybr: Uint8Array): void {
  const byte = (value: number): number => Math.max(0, Math.min(255, Math.round(value)))
  for (let at = 0; at < ybr.length; at += 3) {
    const [y, cb, cr] = [ybr[at] ?? 0, (ybr[at + 1] ?? 0) - 128, (ybr[at + 2] ?? 0) - 128]
    ybr[at] = byte(y + 1.402 * cr)
    ybr[at + 1] = byte(y - 0.344136 * cb - 0.714136 * cr)
    ybr[at + 2] = byte(y + 1.772 * cb)
  }
}
