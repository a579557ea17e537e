/** From an item to something that can be drawn: the bitmap that the disc has for it, or pixels that were decoded here. */
import type { GreyCode, PixelsByBitmap } from '../../src/disc/viewer/page-data.ts'
import { decodeItem, type Decoded } from './decode.ts'
import type { Item } from './data.ts'
import { highByte } from './filter.ts'

export interface Picture {
  colour: 'grey' | 'rgb' | 'bgr' | 'ybr'
  code: GreyCode | undefined
  /** Draws it with its first pixel at 0, 0 of the canvas's coordinates. */
  draw (context: CanvasRenderingContext2D): void
  /** The stored value of a pixel, where the bytes can be read. */
  valueAt: ((column: number, row: number) => number | undefined) | undefined
  /** Smallest and largest stored value, where the bytes can be read. */
  range: { min: number, max: number } | undefined
}

/** Why there is no picture, as the key of a word. */
export class NoPictureError extends Error {
  readonly word: string

  constructor (word: string) {
    super(word)
    this.word = word
  }
}

/** What browsers hold of pictures that are not shown, bytes; a phone has less. */
const HELD_BYTES = 256 * 1_024 ** 2

interface Held { bytes: number, picture: Promise<HTMLImageElement> }

const held = new Map<string, Held>()
const drawn = new Map<Item, { bytes: number, picture: Promise<Picture> }>()

/** @throws NoPictureError */
export async function pictureOf (item: Item): Promise<Picture> {
  const { pixels } = item.image
  if (pixels.by === 'none') throw new NoPictureError(pixels.reason === 'no-picture' ? 'no_picture' : 'not_readable')
  const known = drawn.get(item)
  if (known !== undefined) {
    drawn.delete(item)
    drawn.set(item, known)
    return await known.picture
  }
  if (pixels.by !== 'bitmap' || pixels.rowsAbreast > 1) {
    const picture = pixels.by === 'bitmap' ? untangled(item) : decodeItem(item).then(pictureOfDecoded)
    keep(drawn, item, { bytes: 8 * item.image.columns * item.image.rows, picture })
    return await picture
  }
  const { columns, rows } = item.image
  const bitmap = await bitmapOf(item)
  const top = (item.frame % pixels.framesEach) * rows
  return pictureOfBitmap(pixels, context => { context.drawImage(bitmap, 0, top, columns, rows, 0, 0, columns, rows) })
}

function pictureOfBitmap ({ colour, grey }: PixelsByBitmap, draw: Picture['draw']): Picture {
  return { colour, code: grey, draw, valueAt: grey === undefined ? undefined : valueReader(grey, draw), range: undefined }
}

/** From a server a canvas may be read; one that has drawn a file of a disc may not (measured in three engines). */
let mayRead = location.protocol !== 'file:'

function valueReader (code: GreyCode, draw: Picture['draw']): Picture['valueAt'] {
  return (column, row) => {
    if (!mayRead) return undefined
    const { context } = canvasOf(1, 1)
    context.translate(-column, -row)
    draw(context)
    try {
      const [red = 0, green = 0] = context.getImageData(0, 0, 1, 1).data
      return 256 * highByte(code, red) + green - code.bias
    } catch {
      mayRead = false
      return undefined
    }
  }
}

function keep<K, V extends { bytes: number, picture: Promise<unknown> }> (cache: Map<K, V>, key: K, value: V): void {
  cache.set(key, value)
  // what failed may be there the next time: a folder has been picked
  value.picture.catch(() => { cache.delete(key) })
  let bytes = 0
  for (const one of cache.values()) bytes += one.bytes
  for (const [old, one] of cache) {
    if (bytes <= HELD_BYTES || old === key) break
    cache.delete(old)
    bytes -= one.bytes
  }
}

export function forgetPictures (): void {
  drawn.clear()
}

/** The bitmap of an item, once it is whole and as large as it was announced: another one is no picture of this image. */
async function bitmapOf ({ image, frame }: Item): Promise<HTMLImageElement> {
  const { pixels } = image
  if (pixels.by !== 'bitmap') throw new NoPictureError('not_readable')
  const part = Math.floor(frame / pixels.framesEach)
  const file = pixels.files[part]
  const height = pixels.heights[part]
  if (file === undefined || height === undefined) throw new NoPictureError('not_readable')
  const known = held.get(file)
  if (known !== undefined) {
    held.delete(file)
    held.set(file, known)
    return await known.picture
  }
  const picture = loaded(file).then(async bitmap => {
    if (bitmap.naturalWidth !== pixels.width || bitmap.naturalHeight !== height) throw new NoPictureError('wrong_size')
    // a bitmap that is cut off or broken loads, and fails here
    await bitmap.decode().catch(() => { throw new NoPictureError('not_loaded') })
    return bitmap
  })
  keep(held, file, { bytes: 4 * pixels.width * height, picture })
  return await picture
}

async function loaded (file: string): Promise<HTMLImageElement> {
  return await new Promise((resolve, reject) => {
    const bitmap = new Image()
    bitmap.onload = () => { resolve(bitmap) }
    bitmap.onerror = () => { reject(new NoPictureError('not_loaded')) }
    bitmap.src = file
  })
}

/** Two or four rows of the image stand side by side in the bitmap: they are put below each other. */
async function untangled (item: Item): Promise<Picture> {
  const { pixels, columns, rows } = item.image
  if (pixels.by !== 'bitmap') throw new NoPictureError('not_readable')
  const bitmap = await bitmapOf(item)
  const { canvas, context } = canvasOf(columns, rows)
  const top = (item.frame % pixels.framesEach) * rows
  for (let row = 0; row < rows; row++) {
    const at = top + row
    context.drawImage(bitmap, (at % pixels.rowsAbreast) * columns, Math.floor(at / pixels.rowsAbreast), columns, 1, 0, row, columns, 1)
  }
  return pictureOfBitmap(pixels, context => { context.drawImage(canvas, 0, 0) })
}

function pictureOfDecoded ({ columns, rows, values, rgb, min, max }: Decoded): Picture {
  const { canvas, context } = canvasOf(columns, rows)
  const pixels = context.createImageData(columns, rows)
  const bias = min < 0 ? 32_768 : 0
  const count = columns * rows
  for (let at = 0; at < count; at++) {
    if (rgb !== undefined) pixels.data.set(rgb.subarray(3 * at, 3 * at + 3), 4 * at)
    else {
      const value = (values[at] ?? 0) + bias
      pixels.data[4 * at] = value >> 8
      pixels.data[4 * at + 1] = value & 0xFF
    }
    pixels.data[4 * at + 3] = 255
  }
  context.putImageData(pixels, 0, 0)
  return {
    colour: rgb === undefined ? 'grey' : 'rgb',
    code: rgb === undefined ? { highBits: 8, shifted: false, bias } : undefined,
    draw: context => { context.drawImage(canvas, 0, 0) },
    valueAt: rgb === undefined ? (column, row) => values[row * columns + column] ?? 0 : undefined,
    range: rgb === undefined ? { min, max } : undefined
  }
}

/** A canvas in memory: on WebKit one on the graphics card shows nothing through a filter (measured), and graphics cards may count in half precision. */
export function canvasOf (columns: number, rows: number, canvas = document.createElement('canvas')): { canvas: HTMLCanvasElement, context: CanvasRenderingContext2D } {
  canvas.width = columns
  canvas.height = rows
  const context = canvas.getContext('2d', { willReadFrequently: true })
  if (context === null) throw new NoPictureError('not_loaded')
  // between two values lies none: their high and low bytes must not be mixed
  context.imageSmoothingEnabled = false
  return { canvas, context }
}
