/** Pixels of a script file or of a picked file. */
import type { Frame } from '../codecs/codecs.ts'
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

/** What script files have brought, by name. */
const brought = new Map<string, Uint8Array[]>()
const scripts = new Map<string, Promise<void>>()

declare global {
  interface Window {
    viewerPixels?: (name: string, lengths: readonly number[], text: string) => void
    viewerCodecs?: (module: Uint8Array) => Promise<(frame: Frame) => Frame>
  }
}

/** A byte is a character, those from 128 on in the private area (WHATWG Encoding 14.5). */
window.viewerPixels = (name, lengths, text) => {
  const bytes = new Uint8Array(text.length)
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at) & 0xFF
  let start = 0
  brought.set(name, lengths.map(length => {
    start += length
    return bytes.subarray(start - length, start)
  }))
}

async function script (path: string): Promise<void> {
  let loading = scripts.get(path)
  if (loading === undefined) {
    loading = new Promise<void>((resolve, reject) => {
      const made = document.createElement('script')
      made.charset = 'x-user-defined'
      made.onload = () => { made.remove(); resolve() }
      made.onerror = () => { made.remove(); reject(new NoPictureError('not_loaded')) }
      made.src = path
      document.head.append(made)
    })
    scripts.set(path, loading)
    loading.catch(() => { scripts.delete(path) })
  }
  await loading
}

let codecs: Promise<(frame: Frame) => Frame> | undefined

async function decoder (path: string): Promise<(frame: Frame) => Frame> {
  codecs ??= script(path).then(async () => {
    const module = brought.get('codecs')?.[0]
    if (module === undefined || window.viewerCodecs === undefined) throw new NoPictureError('not_loaded')
    return await window.viewerCodecs(module)
  })
  return await codecs
}

/** @throws NoPictureError */
export async function decodeItem (item: Item): Promise<Decoded> {
  const { pixels } = item.image
  if (pixels.by !== 'picking' && pixels.by !== 'script') throw new NoPictureError('not_readable')
  const { columns, rows } = item.image
  const { coded } = pixels
  const frame = pixels.by === 'picking' ? await fromFile(item, coded) : await fromScript(item, pixels.script)
  if (!coded.encapsulated) return ofBytes(frame, columns, rows, coded)
  if (pixels.codecs === undefined) throw new NoPictureError('not_readable')
  const decode = await decoder(pixels.codecs)
  let decoded: Frame
  try {
    decoded = decode({ ...coded, columns, rows, bytes: frame })
  } catch {
    throw new NoPictureError('not_readable')
  }
  const { planar, photometric, bitsAllocated, bytes } = decoded
  if (decoded.columns !== columns || decoded.rows !== rows || bytes.length < columns * rows * coded.samples * bitsAllocated / 8) throw new NoPictureError('wrong_size')
  return ofBytes(bytes, columns, rows, { ...coded, planar, photometric, bitsAllocated, highBit: coded.bitsStored - 1 })
}

async function fromScript ({ frame }: Item, path: string): Promise<Uint8Array> {
  await script(path)
  const bytes = brought.get(path)?.[frame]
  if (bytes === undefined) throw new NoPictureError('not_readable')
  return bytes
}

async function fromFile ({ image, frame }: Item, coded: CodedPixels): Promise<Uint8Array> {
  const file = picked.get(image.file)
  if (file === undefined) throw new NoPictureError('picking')
  if (file.size !== coded.sizeBytes) throw new NoPictureError('wrong_size')
  if (coded.encapsulated) return fragmentOf(new Uint8Array(await file.slice(coded.offset, coded.offset + coded.lengthBytes).arrayBuffer()), frame, image.frames)
  const frameBytes = image.columns * image.rows * coded.samples * coded.bitsAllocated / 8
  const start = coded.offset + frame * frameBytes
  const bytes = new Uint8Array(await file.slice(start, start + frameBytes).arrayBuffer())
  if (bytes.length < frameBytes) throw new NoPictureError('not_loaded')
  return bytes
}

/** One fragment a frame, after the table of offsets (PS3.5 A.4); of several to a frame nothing is shown. */
function fragmentOf (bytes: Uint8Array, frame: number, frames: number): Uint8Array {
  const view = new DataView(bytes.buffer)
  const fragments: Uint8Array[] = []
  for (let at = 0; at + 8 <= bytes.length && view.getUint32(at, true) === 0xE000FFFE;) {
    const length = view.getUint32(at + 4, true)
    fragments.push(bytes.subarray(at + 8, at + 8 + length))
    at += 8 + length
  }
  const found = fragments[frame + 1]
  if (found === undefined || fragments.length !== frames + 1) throw new NoPictureError('not_readable')
  return found
}

/** Native pixels. */
export function ofBytes (
  bytes: Uint8Array, columns: number, rows: number, { samples, planar, photometric, bitsAllocated, bitsStored, highBit, signed, transferSyntaxUid }: CodedPixels
): Decoded {
  const [low, high] = transferSyntaxUid === '1.2.840.10008.1.2.2' ? [1, 0] : [0, 1]
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
    const cell = bitsAllocated === 8 ? bytes[at] ?? 0 : (bytes[2 * at + low] ?? 0) + 256 * (bytes[2 * at + high] ?? 0)
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
