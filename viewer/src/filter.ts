/**
 * The SVG filter that turns red and green of a picture, the high and low byte of a value, into the grey of a curve: within 1 of 255 in
 * Chromium, Firefox and WebKit (measured, test/disc/viewer). A colour matrix cuts off below 0 and above 1, as a window does; but it is not
 * exact: Firefox counts with whole 128ths from -256 to 256. So narrow windows are drawn with tables, which are exact everywhere, and curves as
 * three windows side by side with a table behind each.
 */
import type { GreyCode } from '../../src/disc/viewer/page-data.ts'
import { brightness, type Curve } from '../../src/disc/viewer/window.ts'

export interface GreyRule {
  code: GreyCode
  slope: number
  intercept: number
  curve: Curve
  inverse: boolean
}

const OPAQUE = '0 0 0 1 0'
/** So many high bytes are drawn with tables, one for each: what is wider than 4 * 256 values has coefficients far below 256. */
const MOST_TABLES = 5
/** Values a window needs for a colour matrix in Firefox: 255 * 256 / 300 is less than 256. */
const NARROWEST = 300
const SECTIONS = 3
/**
 * Chromium on a desk counts in 32-bit floating point and needs no tables, which cost it 60 ms a picture of 1000 x 700 on a slow machine; a
 * phone's graphics card may count in 16 bits. This function is Chromium's alone.
 */
const COUNTS_EXACTLY = 'webkitRequestFileSystem' in window && !matchMedia('(pointer: coarse)').matches

/** The content of a `filter` element. */
export function greyFilter ({ code, slope, intercept, curve, inverse }: GreyRule): string {
  // over what is in the bytes, 0 to 65535
  const bytes = curve
    .map(({ x, y }) => ({ x: (x - intercept) / slope + code.bias, y: inverse ? 1 - y : y }))
    .sort((a, b) => a.x - b.x)
  const [first, last] = [bytes[0], bytes.at(-1)]
  if (first === undefined || last === undefined) return ''
  const [from, to] = [Math.max(0, Math.floor(first.x / 256)), Math.min(255, Math.floor(last.x / 256))]
  const isWindow = bytes.length === 2 && Math.abs(last.y - first.y) === 1
  if (to - from < MOST_TABLES && !(isWindow && COUNTS_EXACTLY)) return byTables(code, bytes, from, to)
  return tableFilter(code) + (isWindow ? byMatrix(first, last) : bySections(bytes, first.x, last.x))
}

type Knot = Curve[number]

/** One straight piece, from dark to bright or from bright to dark. */
function byMatrix (first: Knot, last: Knot): string {
  const row = rowOf(first.x, last.x, last.y < first.y)
  return `<feColorMatrix values="${row} ${row} ${row} ${OPAQUE}"/>`
}

/** 0 at one value and 1 at another, or the other way round. */
function rowOf (from: number, to: number, falls: boolean): string {
  const scale = (falls ? -1 : 1) / (to - from)
  return `${256 * 255 * scale} ${255 * scale} 0 0 ${-from * scale + (falls ? 1 : 0)}`
}

/**
 * For each high byte a table of the low one, which counts only where the high byte is that one: its mask is 1 there, and grey + mask - 1 is
 * cut off at 0 elsewhere. What lies below and above needs one table more.
 */
function byTables (code: GreyCode, curve: Curve, from: number, to: number): string {
  const beyond = table(red => {
    const high = highByte(code, red)
    return high < from ? brightness(curve, 256 * high + 255) : high > to ? brightness(curve, 256 * high) : 0
  })
  const parts = [`<feComponentTransfer in="SourceGraphic">${transfer('R', beyond)}</feComponentTransfer><feColorMatrix result="sum" values="${'1 0 0 0 0 '.repeat(3)}${OPAQUE}"/>`]
  for (let high = from; high <= to; high++) {
    const mask = table(red => highByte(code, red) === high ? 1 : 0)
    const greys = table(low => brightness(curve, 256 * high + low))
    parts.push(`<feComponentTransfer in="SourceGraphic">${transfer('R', mask)}${transfer('G', greys)}</feComponentTransfer><feColorMatrix values="${'1 1 0 0 -1 '.repeat(3)}${OPAQUE}" result="part"/>` +
      '<feComposite operator="arithmetic" k2="1" k3="1" in="sum" in2="part" result="sum"/>')
  }
  return parts.join('')
}

/** Each section of the curve has a window of its own, in red, green and blue, and a table of what it adds to the sections before it. */
function bySections (curve: Curve, start: number, end: number): string {
  const [low, high] = [brightness(curve, start), brightness(curve, end)]
  const falls = high < low
  const rising = (x: number): number => falls ? 1 - brightness(curve, x) : brightness(curve, x)
  const bounds = [start, ...[1, 2].map(third => placeOf(rising, start, end, rising(start) + (rising(end) - rising(start)) * third / SECTIONS)), end]
  // not narrower than a matrix can draw
  for (let index = 1; index < SECTIONS; index++) bounds[index] = Math.max(bounds[index] ?? 0, (bounds[index - 1] ?? 0) + NARROWEST)
  for (let index = SECTIONS - 1; index > 0; index--) bounds[index] = Math.min(bounds[index] ?? 0, (bounds[index + 1] ?? 0) - NARROWEST)
  const sections = [0, 1, 2].map(index => ({ from: bounds[index] ?? start, to: bounds[index + 1] ?? end }))
  const grey = (x: number): number => Math.round(255 * rising(x))
  const tables = sections.map(({ from, to }, index) => transfer('RGB'[index] ?? 'R', table(t => (grey(from + (to - from) * t / 255) - grey(from)) / 255)))
  const base = grey(start) / 255
  const sum = falls ? `-1 -1 -1 0 ${1 - base} ` : `1 1 1 0 ${base} `
  return `<feColorMatrix values="${sections.map(({ from, to }) => rowOf(from, to, false)).join(' ')} ${OPAQUE}"/><feComponentTransfer>${tables.join('')}</feComponentTransfer>` +
    `<feColorMatrix values="${sum.repeat(3)}${OPAQUE}"/>`
}

/** Where a rising function reaches a height. */
function placeOf (rising: (x: number) => number, start: number, end: number, height: number): number {
  let [a, b] = [start, end]
  for (let halving = 0; halving < 30; halving++) {
    const middle = (a + b) / 2
    if (rising(middle) < height) a = middle
    else b = middle
  }
  return b
}

function transfer (channel: string, values: string): string {
  return `<feFunc${channel} type="discrete" tableValues="${values}"/>`
}

/** Of what is 0 to 1. A quarter of a level more, since Chromium cuts off what it counts. */
function table (f: (byte: number) => number): string {
  return Array.from({ length: 256 }, (_, byte) => ((Math.round(255 * Math.max(0, Math.min(1, f(byte)))) + 0.25) / 255).toFixed(6)).join(' ')
}

/**
 * The high byte that red stands for, where it is not all of red: a decoder widens fewer than 8 bits in its own way (Chromium and Firefox repeat
 * them, WebKit appends zeros), the upper bits are right in all. The sign bit is inverted, which adds the bias.
 */
export function highByte ({ highBits, shifted }: GreyCode, red: number): number {
  const bits = red >> (8 - highBits)
  return shifted ? bits ^ (1 << (highBits - 1)) : bits
}

function tableFilter (code: GreyCode): string {
  return code.highBits === 8 && !code.shifted ? '' : `<feComponentTransfer>${transfer('R', table(red => highByte(code, red) / 255))}</feComponentTransfer>`
}

/** Colours as they are, in the order of a bitmap made of R, G, B; or of Y, Cb, Cr (PS3.3 C.7.6.3.1.2); brightness and contrast over them. */
export function colourFilter (colour: 'rgb' | 'bgr' | 'ybr', centre: number, width: number, inverse: boolean): string {
  const gain = (inverse ? -1 : 1) * 255 / width
  const offset = inverse ? 1 + (centre - width / 2) / width : -(centre - width / 2) / width
  const rows = colour === 'rgb'
    ? [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
    : colour === 'bgr'
      ? [[0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0]]
      // blue is Y, green is Cb, red is Cr; their zero is 128 of 255
      : [[1.402, 0, 1, -1.402 * 128 / 255], [-0.714136, -0.344136, 1, (0.714136 + 0.344136) * 128 / 255], [0, 1.772, 1, -1.772 * 128 / 255]]
  return `<feColorMatrix values="${rows.map(([r = 0, g = 0, b = 0, c = 0]) => `${r * gain} ${g * gain} ${b * gain} 0 ${c * gain + offset}`).join(' ')} ${OPAQUE}"/>`
}
