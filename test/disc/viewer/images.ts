/** Images of every kind that a viewer stumbles over, and what must be seen of each, computed from the standard and not from our code. */
import { part10, uidOf, type Element } from '../../../demo/phantoms/writer.ts'

export type Colour = readonly [number, number, number]

export interface TestImage {
  name: string
  file: Buffer
  columns: number
  rows: number
  frames: number
  /** What stands on the screen, 0 to 255, before it is rounded. */
  expected (frame: number, column: number, row: number): Colour
  /** How far the screen may be off; 1 for grey, 2 for colour. */
  within: number
  /** The word that stands there instead of a picture. */
  noPicture?: RegExp
}

interface Kind {
  columns?: number
  rows?: number
  frames?: number
  elements?: Element[]
  allocated?: 8 | 16
  stored?: number
  highBit?: number
  signed?: boolean
  photometric?: string
  samples?: number
  /** Stored value of a pixel, for each sample. */
  value (frame: number, column: number, row: number, sample: number): number
  /** Bits that are none of the value's. */
  rubbish? (column: number, row: number): number
  /** From what is stored to the screen. */
  seen (values: number[], frame: number): Colour | number
}

const clamp = (value: number): number => Math.max(0, Math.min(255, value))
const grey = (value: number): Colour => [clamp(value), clamp(value), clamp(value)]
/** PS3.3 C.11.2.1.2.1. */
const linear = (x: number, centre: number, width: number): number => {
  if (x <= centre - 0.5 - (width - 1) / 2) return 0
  if (x > centre - 0.5 + (width - 1) / 2) return 255
  return ((x - (centre - 0.5)) / (width - 1) + 0.5) * 255
}
const ds = (tag: string, value: string): Element => [tag, 'DS', value]
const window = (centre: string, width: string): Element[] => [ds('00281050', centre), ds('00281051', width)]
const ramp = (most: number, columns: number, rows: number) => (_: number, column: number, row: number): number => Math.floor(most * (row * columns + column) / (columns * rows))

function made (name: string, kind: Kind): TestImage {
  const { columns = 64, rows = 64, frames = 1, elements = [], allocated = 16, stored = allocated, highBit = stored - 1, signed = false, photometric = 'MONOCHROME2', samples = 1, value, rubbish, seen } = kind
  const pixels = Buffer.alloc(columns * rows * frames * samples * allocated / 8)
  for (let frame = 0, at = 0; frame < frames; frame++) {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        for (let sample = 0; sample < samples; sample++, at++) {
          const cell = ((value(frame, column, row, sample) & (2 ** stored - 1)) << (highBit - stored + 1)) | (rubbish?.(column, row) ?? 0)
          if (allocated === 8) pixels[at] = cell
          else pixels.writeUInt16LE(cell & 0xFFFF, 2 * at)
        }
      }
    }
  }
  const uid = uidOf(`viewer ${name}`)
  const all: Element[] = [
    ['00080060', 'CS', 'OT'], ['0020000D', 'UI', uidOf('viewer study')], ['0020000E', 'UI', uidOf(`series ${name}`)], ['00200013', 'IS', '1'], ['00280002', 'US', samples], ['00280004', 'CS', photometric],
    ...(samples > 1 ? [['00280006', 'US', 0] as const] : []), ...(frames > 1 ? [['00280008', 'IS', String(frames)] as const] : []), ['00280010', 'US', rows], ['00280011', 'US', columns],
    ['00280100', 'US', allocated], ['00280101', 'US', stored], ['00280102', 'US', highBit], ['00280103', 'US', signed ? 1 : 0], ...elements, ['7FE00010', allocated === 8 ? 'OB' : 'OW', pixels]
  ]
  return {
    name, columns, rows, frames, within: samples > 1 || photometric === 'PALETTE COLOR' ? 2 : 1,
    file: part10('1.2.840.10008.5.1.4.1.1.7', uid, all, text => Buffer.from(text, 'latin1')),
    expected: (frame, column, row) => {
      const answer = seen(Array.from({ length: samples }, (_, sample) => value(frame, column, row, sample)), frame)
      return typeof answer === 'number' ? grey(answer) : answer
    }
  }
}

function lut (first: number, entries: readonly number[], bits: number): Element[] {
  const data = Buffer.alloc(2 * entries.length)
  for (const [index, entry] of entries.entries()) data.writeUInt16LE(entry, 2 * index)
  return [['00283002', 'US', [entries.length, first & 0xFFFF, bits]], ['00283003', 'LO', ''], ['00283006', 'OW', data]]
}

/** A film curve: shallow, steep, shallow. */
const FILM = Array.from({ length: 4_096 }, (_, value) => Math.round(4_095 * (0.5 - 0.5 * Math.cos(Math.PI * value / 4_095))))
const palette = (f: (index: number) => number): Buffer => {
  const data = Buffer.alloc(512)
  for (let index = 0; index < 256; index++) data.writeUInt16LE(f(index) * 257, 2 * index)
  return data
}
const ct: Element[] = [...window('40', '400'), ds('00281052', '-1024'), ds('00281053', '1')]
const groups = (centre: string, width: string): Element[] => [['00289132', 'SQ', [window(centre, width)]]]

export function testImages (): TestImage[] {
  const signed12 = (frame: number, column: number, row: number): number => ramp(4_000, 64, 64)(frame, column, row) - 2_000
  const exact = (x: number, centre: number, width: number): number => ((x - centre) / width + 0.5) * 255
  return [
    made('CT, 12 bits', { stored: 12, elements: ct, value: ramp(4_095, 64, 64), seen: ([v = 0]) => linear(v - 1_024, 40, 400) }),
    made('rubbish above 12 bits', { stored: 12, elements: ct, value: ramp(4_095, 64, 64), rubbish: (column, row) => ((column ^ row) & 15) << 12, seen: ([v = 0]) => linear(v - 1_024, 40, 400) }),
    made('13 bits', { stored: 13, elements: window('4000', '3000'), value: ramp(8_191, 64, 64), seen: ([v = 0]) => linear(v, 4_000, 3_000) }),
    made('10 bits, high bit 15', { stored: 10, highBit: 15, elements: window('512', '700'), value: ramp(1_023, 64, 64), rubbish: column => column & 63, seen: ([v = 0]) => linear(v, 512, 700) }),
    made('8 bits in 16', { stored: 8, elements: window('128', '200'), value: ramp(255, 64, 64), seen: ([v = 0]) => linear(v, 128, 200) }),
    made('16 bits, narrow window', { elements: window('30000', '60'), value: (_, column, row) => 29_900 + column + row, seen: ([v = 0]) => linear(v, 30_000, 60) }),
    made('signed 16 bits', { signed: true, elements: window('-300', '1500'), value: ramp(65_535, 64, 64), seen: ([v = 0]) => linear((v << 16) >> 16, -300, 1_500) }),
    made('signed 12 bits, sign bits repeated', { stored: 12, signed: true, elements: window('-100', '900'), value: signed12, rubbish: (column, row) => signed12(0, column, row) < 0 ? 0xF000 : 0, seen: ([v = 0]) => linear(v, -100, 900) }),
    made('signed 12 bits, sign bits zero', { stored: 12, signed: true, elements: window('-100', '900'), value: signed12, seen: ([v = 0]) => linear(v, -100, 900) }),
    made('odd width', { columns: 61, rows: 47, stored: 12, elements: ct, value: ramp(4_095, 61, 47), seen: ([v = 0]) => linear(v - 1_024, 40, 400) }),
    made('8 bits, width 61', { columns: 61, rows: 47, allocated: 8, elements: window('128', '256'), value: (_, column, row) => (3 * column + 5 * row) & 255, seen: ([v = 0]) => linear(v, 128, 256) }),
    made('8 bits, signed', { allocated: 8, signed: true, elements: window('0', '200'), value: (_, column, row) => ((column * 4 + row) & 255) - 128, seen: ([v = 0]) => linear(v, 0, 200) }),
    made('MONOCHROME1', { stored: 12, photometric: 'MONOCHROME1', elements: window('2000', '3000'), value: ramp(4_095, 64, 64), seen: ([v = 0]) => 255 - linear(v, 2_000, 3_000) }),
    made('window of width 0, then a good one', { stored: 12, elements: window('50\\900', '0\\1600'), value: ramp(4_095, 64, 64), seen: ([v = 0]) => linear(v, 900, 1_600) }),
    made('window that is no number: the range', { stored: 12, elements: window('', '--'), value: ramp(3_000, 64, 64), seen: ([v = 0]) => 255 * v / 2_999 }),
    made('padding is not in the range', {
      signed: true, elements: [['00280120', 'SS', -2_000]], value: (_, column, row) => column < 8 ? -2_000 : 8 * row + column - 8, seen: ([v = 0]) => v === -2_000 ? 0 : 255 * v / (8 * 63 + 55)
    }),
    made('slope of 0.00001', { elements: [...window('0.2', '0.4'), ds('00281052', '0'), ds('00281053', '1e-05')], value: ramp(65_535, 64, 64), seen: ([v = 0]) => exact(v * 1e-5, 0.2, 0.4) }),
    made('a slope below 0', { stored: 12, elements: [...window('-2000', '3000'), ds('00281052', '0'), ds('00281053', '-1')], value: ramp(4_095, 64, 64), seen: ([v = 0]) => linear(-v, -2_000, 3_000) }),
    made('Presentation LUT Shape INVERSE', { stored: 12, elements: [...window('2000', '3000'), ['20500020', 'CS', 'INVERSE']], value: ramp(4_095, 64, 64), seen: ([v = 0]) => 255 - linear(v, 2_000, 3_000) }),
    made('LINEAR_EXACT', { stored: 12, elements: [...window('2000', '100'), ['00281056', 'CS', 'LINEAR_EXACT']], value: ramp(4_095, 64, 64), seen: ([v = 0]) => exact(v, 2_000, 100) }),
    made('SIGMOID', { stored: 12, elements: [...window('2000', '1000'), ['00281056', 'CS', 'SIGMOID']], value: ramp(4_095, 64, 64), seen: ([v = 0]) => 255 / (1 + Math.exp(-4 * (v - 2_000) / 1_000)) }),
    made('VOI LUT', { stored: 12, elements: [['00283010', 'SQ', [lut(0, FILM, 12)]]], value: ramp(4_095, 64, 64), seen: ([v = 0]) => (FILM[v] ?? 0) * 255 / 4_095 }),
    made('VOI LUT that falls, MONOCHROME1', {
      stored: 12, photometric: 'MONOCHROME1', elements: [['00283010', 'SQ', [lut(0, [...FILM].reverse(), 12)]]], value: ramp(4_095, 64, 64), seen: ([v = 0]) => 255 - (FILM[4_095 - v] ?? 0) * 255 / 4_095
    }),
    made('modality LUT, 8 bits', {
      allocated: 8, elements: [['00283000', 'SQ', [lut(0, Array.from({ length: 256 }, (_, v) => v * v), 16)]], ...window('20000', '30000')], value: (_, column, row) => (column * 4 + row) & 255, seen: ([v = 0]) => linear(v * v, 20_000, 30_000)
    }),
    made('window in functional groups', {
      stored: 12, frames: 2, elements: [['52009230', 'SQ', [groups('1000', '800'), groups('3000', '500')]]], value: ramp(4_095, 64, 64), seen: ([v = 0], frame) => frame === 0 ? linear(v, 1_000, 800) : linear(v, 3_000, 500)
    }),
    made('frames of odd width and height', { columns: 33, rows: 31, frames: 5, stored: 12, elements: window('2000', '4000'), value: (frame, column, row) => 700 * frame + 10 * column + row, seen: ([v = 0]) => linear(v, 2_000, 4_000) }),
    made('more frames than one bitmap holds', { columns: 512, rows: 512, frames: 70, allocated: 8, elements: window('128', '256'), value: (frame, column, row) => (frame + column + row) & 255, seen: ([v = 0]) => linear(v, 128, 256) }),
    made('RGB', { allocated: 8, photometric: 'RGB', samples: 3, value: (_, column, row, sample) => [column * 4, row * 4, (column * row) & 255][sample] ?? 0, seen: ([r = 0, g = 0, b = 0]) => [r, g, b] }),
    made('RGB, width 63', { columns: 63, rows: 50, allocated: 8, photometric: 'RGB', samples: 3, value: (_, column, row, sample) => [column * 4, row * 4, (column * row) & 255][sample] ?? 0, seen: ([r = 0, g = 0, b = 0]) => [r, g, b] }),
    made('YBR_FULL', {
      allocated: 8, photometric: 'YBR_FULL', samples: 3, value: (_, column, row, sample) => [40 + column * 3, 64 + row * 2, 200 - column - row][sample] ?? 0,
      seen: ([y = 0, cb = 0, cr = 0]) => [clamp(y + 1.402 * (cr - 128)), clamp(y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128)), clamp(y + 1.772 * (cb - 128))]
    }),
    made('PALETTE COLOR', {
      allocated: 8, photometric: 'PALETTE COLOR', value: (_, column, row) => (column * 4 + row) & 255, seen: ([v = 0]) => [v, 255 - v, (v * 3) & 255],
      elements: [['00281101', 'US', [256, 0, 16]], ['00281102', 'US', [256, 0, 16]], ['00281103', 'US', [256, 0, 16]],
        ['00281201', 'OW', palette(v => v)], ['00281202', 'OW', palette(v => 255 - v)], ['00281203', 'OW', palette(v => (v * 3) & 255)]]
    })
  ]
}
