/**
 * From a stored value to a grey on the screen (PS3.3 C.11.1, C.11.2): one rule for thumbnails and viewer. Pure, and used in the browser too.
 *
 * What is between the two is always a *curve*: straight pieces between knots, flat beyond the first and the last. A window is one piece, a
 * sigmoid or a VOI LUT several. A curve is what an SVG filter can draw.
 */

/** A window of the image (PS3.3 C.11.2.1.2); centre and width are in modality values. */
export interface Window {
  centre: number
  width: number
  /** VOI LUT Function (0028,1056); LINEAR where there is none. */
  shape: 'LINEAR' | 'LINEAR_EXACT' | 'SIGMOID'
  /** Window Center & Width Explanation (0028,1055). */
  name?: string
}

/** A look-up table (PS3.3 C.11.2.1.1). */
export interface Lut {
  /** First stored value mapped; what lies below gets the first entry. */
  first: number
  entries: readonly number[]
  /** Bits of an entry, 8 to 16. */
  bits: number
}

/** `x` in modality values, `y` from 0 (dark) to 1 (bright). */
export interface Knot { x: number, y: number }

/** By x; at least two. */
export type Curve = readonly Knot[]

/** An eighth of a grey level: a curve may be this far from what it stands for. */
const TOLERANCE = 0.125 / 255
/** A step has to have some width. */
const STEP = 1e-6

/**
 * Windows that can be used. A width of zero, a negative and an unreadable one say nothing. A width of 1 or less cannot be meant as PS3.3 C.11.2.1.2.1
 * counts (it takes one off) where values are no whole numbers, as after a slope of 0.00001: it is meant exactly.
 * @param slope of the modality transformation
 */
export function usableWindows (centres: readonly number[], widths: readonly number[], shape: string, names: readonly string[] = [], slope = 1): Window[] {
  const windows: Window[] = []
  for (const [index, centre] of centres.entries()) {
    const width = widths[index] ?? Number.NaN
    if (!Number.isFinite(centre) || !Number.isFinite(width) || width <= 0) continue
    const exact = shape === 'LINEAR_EXACT' || (shape !== 'SIGMOID' && (width < 1 || (width === 1 && Math.abs(slope) < 1)))
    const name = names[index]?.trim() ?? ''
    windows.push({ centre, width, shape: shape === 'SIGMOID' ? 'SIGMOID' : exact ? 'LINEAR_EXACT' : 'LINEAR', ...(name === '' ? {} : { name }) })
  }
  return windows
}

/** The window that shows all values from `min` to `max`, each with a grey of its own. */
export function windowOfRange (min: number, max: number): Window {
  return { centre: (min + max) / 2, width: max > min ? max - min : 1, shape: 'LINEAR_EXACT' }
}

/** PS3.3 C.11.2.1.2.1, C.11.2.1.3. */
export function curveOfWindow ({ centre, width, shape }: Window): Curve {
  if (shape === 'SIGMOID') return simplified(samples(centre - 2 * width, centre + 2 * width, 512, x => 1 / (1 + Math.exp(-4 * (x - centre) / width))))
  const middle = shape === 'LINEAR' ? centre - 0.5 : centre
  const half = Math.max(STEP, shape === 'LINEAR' ? (width - 1) / 2 : width / 2)
  return [{ x: middle - half, y: 0 }, { x: middle + half, y: 1 }]
}

/**
 * A VOI LUT as a curve over modality values.
 * @returns undefined where it does not only rise or only fall: then it cannot be drawn rightly, and is not
 */
export function curveOfLut ({ first, entries, bits }: Lut): Curve | undefined {
  const top = 2 ** bits - 1
  const knots = entries.map((entry, index) => ({ x: first + index, y: Math.min(1, entry / top) }))
  if (knots.length < 2) return undefined
  const rises = knots.every(({ y }, index) => index === 0 || y >= (knots[index - 1]?.y ?? 0))
  const falls = knots.every(({ y }, index) => index === 0 || y <= (knots[index - 1]?.y ?? 1))
  if (!rises && !falls) return undefined
  return simplified(knots)
}

/** The brightness of a modality value, 0 to 1. */
export function brightness (curve: Curve, x: number): number {
  const first = curve[0]
  const last = curve.at(-1)
  if (first === undefined || last === undefined) return 0
  if (x <= first.x) return first.y
  for (let index = 1; index < curve.length; index++) {
    const [a, b] = [curve[index - 1], curve[index]]
    if (a === undefined || b === undefined || x > b.x) continue
    return a.y + (b.y - a.y) * (x - a.x) / (b.x - a.x)
  }
  return last.y
}

/** The window that a person gets when dragging begins on a curve that is no window: its steepest reading, from end to end. */
export function windowOfCurve (curve: Curve): Window {
  const [first, last] = [curve[0]?.x ?? 0, curve.at(-1)?.x ?? 1]
  return windowOfRange(first, last)
}

function samples (from: number, to: number, count: number, f: (x: number) => number): Knot[] {
  return Array.from({ length: count + 1 }, (_, index) => {
    const x = from + (to - from) * index / count
    return { x, y: f(x) }
  })
}

/** Few knots of these that stay within the tolerance of all (Douglas and Peucker). */
function simplified (knots: readonly Knot[]): Curve {
  const kept = new Set([0, knots.length - 1])
  const open: Array<[number, number]> = [[0, knots.length - 1]]
  for (let piece = open.pop(); piece !== undefined; piece = open.pop()) {
    const [from, to] = piece
    const [a, b] = [knots[from], knots[to]]
    if (a === undefined || b === undefined) continue
    let worst = TOLERANCE
    let at = -1
    for (let index = from + 1; index < to; index++) {
      const knot = knots[index]
      if (knot === undefined) continue
      const away = Math.abs(a.y + (b.y - a.y) * (knot.x - a.x) / (b.x - a.x) - knot.y)
      if (away > worst) [worst, at] = [away, index]
    }
    if (at < 0) continue
    kept.add(at)
    open.push([from, at], [at, to])
  }
  return knots.filter((_, index) => kept.has(index))
}
