/** Where an image lies in the patient, and where a point of it lies on the screen. */
import type { Item } from './data.ts'

export type Vector = readonly [number, number, number]

export interface Placement {
  /** Screen pixels a column of the image. */
  scale: number
  /** Height of a pixel of the image in widths of it. */
  aspect: number
  panX: number
  panY: number
  /** Quarter turns, clockwise. */
  turns: number
}

export interface Size { width: number, height: number }

/** From image coordinates (column, row) to those of a canvas of a size. */
export function matrixOf ({ scale, aspect, panX, panY, turns }: Placement, image: Size, canvas: Size): DOMMatrix {
  return new DOMMatrix()
    .translateSelf(canvas.width / 2 + panX, canvas.height / 2 + panY)
    .rotateSelf(90 * turns)
    .scaleSelf(scale, scale * aspect)
    .translateSelf(-image.width / 2, -image.height / 2)
}

/** The scale at which the whole image is seen. */
export function fittingScale ({ aspect, turns }: Pick<Placement, 'aspect' | 'turns'>, image: Size, canvas: Size): number {
  const [width, height] = turns % 2 === 0 ? [image.width, image.height * aspect] : [image.height * aspect, image.width]
  return Math.min(canvas.width / width, canvas.height / height)
}

export function aspectOf ({ view }: Item): number {
  return view.spacing === undefined ? 1 : view.spacing[0] / view.spacing[1]
}

/** Rows and columns of the image as directions in the patient: x to the left, y to the back, z to the head (PS3.3 C.7.6.2.1.1). */
function directions ({ view }: Item): { right: Vector, down: Vector } | undefined {
  const [a, b, c, d, e, f] = view.orientation ?? []
  if (a === undefined || b === undefined || c === undefined || d === undefined || e === undefined || f === undefined) return undefined
  return { right: [a, b, c], down: [d, e, f] }
}

export function normalOf (item: Item): Vector | undefined {
  const both = directions(item)
  if (both === undefined) return undefined
  const [[a, b, c], [d, e, f]] = [both.right, both.down]
  return [b * f - c * e, c * d - a * f, a * e - b * d]
}

export function dot (a: Vector, b: Vector): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/** Letters for a direction, the strongest first, at most two: `L`, `AR`. */
function letters ([x, y, z]: Vector): string {
  const parts = [{ size: x, plus: 'L', minus: 'R' }, { size: y, plus: 'P', minus: 'A' }, { size: z, plus: 'H', minus: 'F' }]
  return parts
    .filter(({ size }) => Math.abs(size) > 0.3)
    .sort((a, b) => Math.abs(b.size) - Math.abs(a.size))
    .slice(0, 2)
    .map(({ size, plus, minus }) => size > 0 ? plus : minus)
    .join('')
}

const OPPOSITE: Record<string, string> = { L: 'R', R: 'L', A: 'P', P: 'A', H: 'F', F: 'H' }

function opposite (text: string): string {
  return [...text].map(letter => OPPOSITE[letter] ?? '').join('')
}

/** What lies at the top, right, bottom and left of the screen; empty where the image does not say. */
export function edgesOf (item: Item, turns: number): [string, string, string, string] {
  const both = directions(item)
  const [rows = '', columns = ''] = item.image.patientOrientation
  const right = both === undefined ? /^[LRAPHF]{1,3}$/.test(rows) ? rows : '' : letters(both.right)
  const down = both === undefined ? /^[LRAPHF]{1,3}$/.test(columns) ? columns : '' : letters(both.down)
  const edges: [string, string, string, string] = [opposite(down), right, down, opposite(right)]
  // a quarter turn brings what was on the left to the top
  for (let turn = 0; turn < turns % 4; turn++) edges.unshift(edges.pop() ?? '')
  return edges
}

/** The image of a stack that lies nearest to another image, where both lie alike in the same patient's frame. */
export function nearest (items: readonly Item[], to: Item): number | undefined {
  const normal = normalOf(to)
  const { position } = to.view
  if (normal === undefined || position === undefined || to.image.frameOfReference === '') return undefined
  const wanted = dot(normal, position)
  let best: number | undefined
  let bestAway = Infinity
  for (const [index, item] of items.entries()) {
    const own = normalOf(item)
    if (own === undefined || item.view.position === undefined || item.image.frameOfReference !== to.image.frameOfReference || Math.abs(dot(own, normal)) < 0.95) continue
    const away = Math.abs(dot(normal, item.view.position) - wanted)
    if (away < bestAway) [best, bestAway] = [index, away]
  }
  return best
}

export interface Point { x: number, y: number }

/** Length of a line on an image, and in what. */
export function lengthOf ({ view }: Item, a: Point, b: Point): { value: number, unit: 'mm' | 'pixels', atDetector: boolean } {
  const [dx, dy] = [b.x - a.x, b.y - a.y]
  if (view.spacing === undefined) return { value: Math.hypot(dx, dy), unit: 'pixels', atDetector: false }
  return { value: Math.hypot(dx * view.spacing[1], dy * view.spacing[0]), unit: 'mm', atDetector: view.atDetector === true }
}
