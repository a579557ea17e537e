/** One picture of a stack, with what stands on it and what hands do to it. */
import { curveOfWindow, windowOfCurve, windowOfRange, type Curve, type Window } from '../../src/disc/viewer/window.ts'
import { mayShow, type Item, type Stack } from './data.ts'
import { element, svg } from './dom.ts'
import { colourFilter, greyFilter } from './filter.ts'
import { aspectOf, edgesOf, fittingScale, lengthOf, matrixOf, type Placement, type Point } from './geometry.ts'
import { canvasOf, NoPictureError, pictureOf, type Picture } from './pictures.ts'

export type Tool = 'scroll' | 'window' | 'pan' | 'zoom' | 'measure'
export type Say = (key: string, values?: Record<string, string | number>) => string

export interface ViewportHost {
  say: Say
  locale: string
  tool: () => Tool
  /** The picture has changed: what follows it can follow. */
  onShown: (viewport: Viewport) => void
  onActive: (viewport: Viewport) => void
}

const EMPTY: Stack = {
  id: -1,
  patient: { name: '', patientId: '', birthDate: '' },
  study: { date: '', description: '', accessionNumber: '' },
  number: '',
  modality: '',
  description: '',
  reports: [],
  items: [],
  images: 0
}
/** Pictures that are fetched before they are asked for, on either side. */
const AHEAD = [1, -1, 2, 3]
const DEFAULT_FRAME_MS = 100
const COLOUR_WINDOW: Window = { centre: 127.5, width: 255, shape: 'LINEAR_EXACT' }
let filters = 0

export class Viewport {
  readonly element: HTMLElement
  stack = EMPTY
  index = 0
  readonly #host: ViewportHost
  readonly #canvas: HTMLCanvasElement
  readonly #context: CanvasRenderingContext2D
  readonly #filters: SVGElement
  readonly #lines: SVGElement
  readonly #corners: { topLeft: HTMLElement, topRight: HTMLElement, bottomLeft: HTMLElement, bottomRight: HTMLElement }
  readonly #edges: HTMLElement[]
  readonly #message: HTMLElement
  readonly #slider: HTMLInputElement
  readonly #place: HTMLOutputElement
  #shown: { item: Item, picture: Picture } | undefined
  #window: Window | undefined
  #curve: Curve | undefined
  #inverted = false
  #zoom = 1
  #panX = 0
  #panY = 0
  #turns = 0
  #measured = new Map<Item, Array<{ a: Point, b: Point }>>()
  #cursor: Point | undefined
  #begun: Point | undefined
  #cine: number | undefined
  #drawing = false

  constructor (host: ViewportHost) {
    this.#host = host
    const { canvas, context } = canvasOf(1, 1)
    this.#canvas = canvas
    this.#context = context
    this.#filters = svg('svg', { width: 0, height: 0, 'aria-hidden': 'true', class: 'mv-filters' })
    this.#lines = svg('svg', { class: 'mv-lines', 'aria-hidden': 'true' })
    const corner = (name: string): HTMLElement => element('div', { class: `mv-corner mv-${name}` })
    this.#corners = { topLeft: corner('tl'), topRight: corner('tr'), bottomLeft: corner('bl'), bottomRight: corner('br') }
    this.#edges = ['top', 'right', 'bottom', 'left'].map(name => element('div', { class: `mv-edge mv-${name}` }))
    this.#message = element('p', { class: 'mv-message', role: 'status' })
    this.#slider = element('input', { type: 'range', min: 1, max: 1, value: 1, 'aria-label': host.say('slider') })
    this.#place = element('output', { 'aria-live': 'polite' })
    const stage = element('div', { class: 'mv-stage', tabindex: 0, role: 'group', 'aria-label': host.say('view') },
      this.#canvas, this.#filters, this.#lines, ...Object.values(this.#corners), ...this.#edges,
      element('div', { class: 'mv-warning' }, host.say('not_for_diagnosis')), this.#message)
    this.element = element('div', { class: 'mv-viewport' }, stage, element('div', { class: 'mv-bar' }, this.#slider, this.#place))
    this.#slider.addEventListener('input', () => { this.show(Number(this.#slider.value) - 1) })
    this.element.addEventListener('focusin', () => { host.onActive(this) })
    this.#listen(stage)
    new ResizeObserver(() => { this.draw() }).observe(stage)
  }

  get item (): Item | undefined {
    return this.stack.items[this.index]
  }

  get playing (): boolean {
    return this.#cine !== undefined
  }

  /** Shows a stack from its first picture that may be shown. */
  open (stack: Stack, index = Math.max(0, stack.items.findIndex(mayShow))): void {
    this.stop()
    this.stack = stack
    this.#window = this.#curve = undefined
    this.#slider.max = String(Math.max(1, stack.items.length))
    this.#slider.disabled = stack.items.length < 2
    this.resetView()
    this.show(index)
  }

  show (index: number): void {
    this.index = Math.max(0, Math.min(this.stack.items.length - 1, index))
    this.#slider.value = String(this.index + 1)
    void this.#load()
  }

  /** @returns false at either end */
  step (by: number): boolean {
    const before = this.index
    if (this.stack.items.length === 0) return false
    this.show(this.index + by)
    return this.index !== before
  }

  async #load (): Promise<void> {
    const item = this.item
    if (item === undefined) {
      this.#fail('no_picture')
      return
    }
    const slow = setTimeout(() => { if (this.item === item && this.#shown?.item !== item) this.#message.textContent = this.#host.say('loading') }, 150)
    try {
      const picture = await pictureOf(item)
      // a later one has been asked for
      if (this.item !== item) return
      this.#shown = { item, picture }
      this.#message.textContent = ''
      this.draw()
      this.#host.onShown(this)
      for (const near of AHEAD) {
        const next = this.stack.items[this.index + near]
        if (next !== undefined && next.image.pixels.by === 'bitmap') pictureOf(next).catch(() => { /* told when it is shown */ })
      }
    } catch (error) {
      if (this.item === item) this.#fail(error instanceof NoPictureError ? error.word : 'not_loaded')
    } finally {
      clearTimeout(slow)
    }
  }

  /** No image rather than the one before. */
  #fail (word: string): void {
    this.#shown = undefined
    this.#message.textContent = this.#host.say(word)
    this.draw()
    this.#host.onShown(this)
  }

  /** What is between values and greys now: the person's window, or the image's own. */
  curve (): Curve {
    if (this.#curve !== undefined) return this.#curve
    return curveOfWindow(this.#window ?? this.ownWindow())
  }

  /** The window that the image asks for; where it asks for a curve that is none, the one from end to end. */
  ownWindow (): Window {
    const { item, picture } = this.#shown ?? {}
    if (item === undefined || picture === undefined) return COLOUR_WINDOW
    if (picture.colour !== 'grey') return COLOUR_WINDOW
    const [own] = item.view.windows
    if (own !== undefined) return own
    if (item.view.curve !== undefined) return windowOfCurve(item.view.curve)
    const { min, max } = picture.range ?? { min: 0, max: 255 }
    const [from, to] = [min * item.view.slope + item.view.intercept, max * item.view.slope + item.view.intercept]
    return windowOfRange(Math.min(from, to), Math.max(from, to))
  }

  get isGrey (): boolean {
    return this.#shown?.picture.colour === 'grey'
  }

  setWindow (window: Window | undefined): void {
    this.#window = window
    this.#curve = undefined
    this.draw()
    this.#host.onShown(this)
  }

  setCurve (curve: Curve): void {
    this.#curve = curve
    this.draw()
    this.#host.onShown(this)
  }

  invert (): void {
    this.#inverted = !this.#inverted
    this.draw()
  }

  rotate (): void {
    this.#turns = (this.#turns + 1) % 4
    this.draw()
  }

  /** @param factor more than 1 is closer */
  zoomBy (factor: number): void {
    const before = this.#zoom
    this.#zoom = Math.max(0.1, Math.min(40, this.#zoom * factor))
    this.#panX *= this.#zoom / before
    this.#panY *= this.#zoom / before
    this.draw()
  }

  panBy (x: number, y: number): void {
    this.#panX += x
    this.#panY += y
    this.draw()
  }

  /** By parts of the window's width: right is wider, down is darker. */
  windowBy (wider: number, brighter: number): void {
    const from = this.#window ?? this.ownWindow()
    const width = Math.max(from.width * Math.exp(wider), 1e-9)
    this.setWindow({ centre: from.centre - brighter * from.width, width, shape: from.shape })
  }

  resetView (): void {
    this.#zoom = 1
    this.#panX = this.#panY = this.#turns = 0
    this.#inverted = false
    this.draw()
  }

  reset (): void {
    this.#window = this.#curve = undefined
    this.#measured.clear()
    this.#begun = this.#cursor = undefined
    this.resetView()
    this.#host.onShown(this)
  }

  play (): void {
    const each = Math.max(15, this.item?.image.frameTimeMs ?? DEFAULT_FRAME_MS)
    if (this.stack.items.length < 2) return
    this.#cine = window.setInterval(() => {
      // waits for what is not there yet
      if (this.#shown?.item === this.item || this.#message.textContent !== '') this.show((this.index + 1) % this.stack.items.length)
    }, each)
  }

  stop (): void {
    clearInterval(this.#cine)
    this.#cine = undefined
  }

  draw (): void {
    if (this.#drawing) return
    this.#drawing = true
    requestAnimationFrame(() => {
      this.#drawing = false
      this.#drawNow()
    })
  }

  #placement (item: Item): Placement {
    const aspect = aspectOf(item)
    const canvas = { width: this.#canvas.width, height: this.#canvas.height }
    const image = { width: item.image.columns, height: item.image.rows }
    const ratio = devicePixelRatio
    const scale = this.#zoom * fittingScale({ aspect, turns: this.#turns }, image, canvas)
    return { scale, aspect, panX: this.#panX * ratio, panY: this.#panY * ratio, turns: this.#turns }
  }

  #matrix (item: Item): DOMMatrix {
    return matrixOf(this.#placement(item), { width: item.image.columns, height: item.image.rows }, { width: this.#canvas.width, height: this.#canvas.height })
  }

  #drawNow (): void {
    const { clientWidth, clientHeight } = this.#canvas.parentElement ?? this.#canvas
    const [width, height] = [Math.max(1, Math.round(clientWidth * devicePixelRatio)), Math.max(1, Math.round(clientHeight * devicePixelRatio))]
    if (this.#canvas.width !== width || this.#canvas.height !== height) canvasOf(width, height, this.#canvas)
    // as large on the screen as in memory: whatever scales it would mix the bytes of values
    this.#canvas.style.width = `${width / devicePixelRatio}px`
    this.#canvas.style.height = `${height / devicePixelRatio}px`
    this.#context.resetTransform()
    this.#context.clearRect(0, 0, width, height)
    const shown = this.#shown
    this.#write()
    if (shown === undefined) return
    // colours may be mixed; what is enlarged shows its pixels
    this.#context.imageSmoothingEnabled = shown.picture.colour !== 'grey' && this.#placement(shown.item).scale < 1
    this.#context.setTransform(this.#matrix(shown.item))
    shown.picture.draw(this.#context)
    this.#canvas.style.filter = `url(#${this.#filter(shown)})`
  }

  /** A new name for each: what a filter has been is kept by some engine somewhere. */
  #filter ({ item, picture }: { item: Item, picture: Picture }): string {
    const id = `mv-filter-${++filters}`
    const over = this.#curve ?? (this.#window === undefined ? undefined : curveOfWindow(this.#window))
    this.#filters.replaceChildren(filterElement(id, item, picture, { over, window: this.#window, inverted: this.#inverted, fallback: this.curve() }))
    return id
  }

  #write (): void {
    const { say } = this.#host
    const { topLeft, topRight, bottomLeft, bottomRight } = this.#corners
    const { stack } = this
    const item = this.#shown?.item
    this.#place.textContent = stack.items.length === 0 ? '' : `${this.index + 1} / ${stack.items.length}`
    setLines(topLeft, [stack.patient.name, stack.patient.patientId === '' ? '' : `${say('patient_id')}: ${stack.patient.patientId}`, stack.patient.birthDate])
    setLines(topRight, [stack.study.description, stack.study.date, [stack.modality, stack.number].filter(Boolean).join(' '), stack.description])
    const asked = this.item
    setLines(bottomLeft, asked === undefined
      ? []
      : [`${say('image')} ${asked.image.number}`, asked.image.frames > 1 ? `${say('frame')} ${asked.frame + 1} / ${asked.image.frames}` : '', asked.image.lossy ? say('lossy') : ''])
    const edges = item === undefined ? ['', '', '', ''] : edgesOf(item, this.#turns)
    for (const [index, edge] of this.#edges.entries()) edge.textContent = edges[index] ?? ''
    const lines: string[] = []
    if (this.#shown !== undefined) {
      const window = this.#window ?? this.ownWindow()
      const { view } = this.#shown.item
      const byCurve = this.#curve !== undefined || (this.#window === undefined && view.windows.length === 0 && view.curve !== undefined)
      if (this.isGrey) lines.push(byCurve ? say('preset_lut') : say('window', { centre: this.#number(window.centre), width: this.#number(window.width) }))
      lines.push(say('zoom', { percent: Math.round(100 * this.#placement(this.#shown.item).scale / devicePixelRatio) }))
      const value = this.#valueUnderCursor()
      if (value !== undefined) lines.push(`${this.#number(value)} ${this.#shown.item.image.unit}`.trim())
    }
    setLines(bottomRight, lines)
    this.#drawLines()
  }

  #number (value: number): string {
    const size = Math.abs(value)
    return new Intl.NumberFormat(this.#host.locale, size !== 0 && size < 10 ? { maximumSignificantDigits: 3 } : { maximumFractionDigits: 0, useGrouping: false }).format(value)
  }

  #valueUnderCursor (): number | undefined {
    const { item, picture } = this.#shown ?? {}
    if (item === undefined || picture?.valueAt === undefined || this.#cursor === undefined) return undefined
    const [column, row] = [Math.floor(this.#cursor.x), Math.floor(this.#cursor.y)]
    if (column < 0 || row < 0 || column >= item.image.columns || row >= item.image.rows) return undefined
    const value = picture.valueAt(column, row)
    return value === undefined ? undefined : value * item.view.slope + item.view.intercept
  }

  #drawLines (): void {
    const item = this.#shown?.item
    if (item === undefined) {
      this.#lines.replaceChildren()
      return
    }
    const matrix = this.#matrix(item)
    const onScreen = ({ x, y }: Point): Point => {
      const point = matrix.transformPoint({ x, y })
      return { x: point.x / devicePixelRatio, y: point.y / devicePixelRatio }
    }
    const measuring = this.#begun !== undefined && this.#cursor !== undefined ? [{ a: this.#begun, b: this.#cursor }] : []
    const drawn: SVGElement[] = []
    for (const { a, b } of [...this.#measured.get(item) ?? [], ...measuring]) {
      const [from, to] = [onScreen(a), onScreen(b)]
      const { value, unit, atDetector } = lengthOf(item, a, b)
      const number = new Intl.NumberFormat(this.#host.locale, { maximumFractionDigits: 1 }).format(value)
      const text = `${number} ${this.#host.say(unit)}${atDetector ? ` (${this.#host.say('at_detector')})` : ''}`
      drawn.push(svg('line', { x1: from.x, y1: from.y, x2: to.x, y2: to.y }))
      for (const { x, y } of [from, to]) drawn.push(svg('circle', { cx: x, cy: y, r: 3 }))
      drawn.push(svg('text', { x: to.x + 8, y: to.y - 6 }, text))
    }
    if (this.#host.tool() === 'measure' && this.#cursor !== undefined && document.activeElement === this.#canvas.parentElement) {
      const { x, y } = onScreen(this.#cursor)
      drawn.push(svg('path', { d: `M${x - 8} ${y}H${x + 8}M${x} ${y - 8}V${y + 8}` }))
    }
    this.#lines.replaceChildren(...drawn)
  }

  /** With the keyboard: the cross goes in pixels of the screen. */
  moveCursor (x: number, y: number): void {
    const item = this.#shown?.item
    if (item === undefined) return
    const matrix = this.#matrix(item)
    const at = this.#cursor ?? { x: item.image.columns / 2, y: item.image.rows / 2 }
    const point = matrix.transformPoint(at)
    const moved = matrix.inverse().transformPoint({ x: point.x + x * devicePixelRatio, y: point.y + y * devicePixelRatio })
    this.#cursor = { x: moved.x, y: moved.y }
    this.#write()
  }

  /** Begins a line at the cross, or ends it there. */
  mark (): void {
    const item = this.#shown?.item
    if (item === undefined) return
    this.#cursor ??= { x: item.image.columns / 2, y: item.image.rows / 2 }
    if (this.#begun === undefined) this.#begun = this.#cursor
    else this.#endLine(item)
    this.#write()
  }

  #endLine (item: Item): void {
    const [a, b] = [this.#begun, this.#cursor]
    this.#begun = undefined
    if (a === undefined || b === undefined || Math.hypot(a.x - b.x, a.y - b.y) < 0.5) return
    this.#measured.set(item, [...this.#measured.get(item) ?? [], { a, b }])
  }

  #imagePoint (event: MouseEvent): Point | undefined {
    const item = this.#shown?.item
    if (item === undefined) return undefined
    const { left, top } = this.#canvas.getBoundingClientRect()
    const point = this.#matrix(item).inverse().transformPoint({ x: (event.clientX - left) * devicePixelRatio, y: (event.clientY - top) * devicePixelRatio })
    return { x: point.x, y: point.y }
  }

  #listen (stage: HTMLElement): void {
    const pointers = new Map<number, { x: number, y: number }>()
    let tool: Tool = 'window'
    let scrolled = 0
    stage.addEventListener('contextmenu', event => { event.preventDefault() })
    stage.addEventListener('pointerdown', event => {
      stage.focus({ preventScroll: true })
      try { stage.setPointerCapture(event.pointerId) } catch { /* one that is gone already */ }
      pointers.set(event.pointerId, { x: event.clientX, y: event.clientY })
      tool = event.button === 2 ? 'zoom' : event.button === 1 || event.shiftKey ? 'pan' : this.#host.tool()
      scrolled = 0
      if (tool === 'measure' && pointers.size === 1) this.#begun = this.#cursor = this.#imagePoint(event)
      else this.#begun = undefined
      if (event.button === 1) event.preventDefault()
    })
    stage.addEventListener('pointermove', event => {
      const before = pointers.get(event.pointerId)
      if (event.pointerType !== 'touch' || this.#begun !== undefined) this.#cursor = this.#imagePoint(event)
      if (before === undefined) {
        this.#write()
        return
      }
      const [x, y] = [event.clientX - before.x, event.clientY - before.y]
      if (pointers.size === 2) {
        const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1] ?? before
        const far = Math.hypot(before.x - other.x, before.y - other.y)
        if (far > 0) this.zoomBy(Math.hypot(event.clientX - other.x, event.clientY - other.y) / far)
        this.panBy(x / 2, y / 2)
      } else if (pointers.size === 1) {
        if (tool === 'pan') this.panBy(x, y)
        else if (tool === 'zoom') this.zoomBy(Math.exp(-y / 150))
        else if (tool === 'window') this.windowBy(x / 250, -y / 250)
        else if (tool === 'scroll') {
          scrolled += y
          const each = Math.max(6, Math.min(30, 300 / Math.max(1, this.stack.items.length)))
          const steps = Math.trunc(scrolled / each)
          if (steps !== 0) {
            scrolled -= steps * each
            this.step(steps)
          }
        } else this.#write()
      }
      pointers.set(event.pointerId, { x: event.clientX, y: event.clientY })
    })
    const up = (event: PointerEvent): void => {
      pointers.delete(event.pointerId)
      const item = this.#shown?.item
      if (tool === 'measure' && item !== undefined) this.#endLine(item)
      this.#write()
    }
    stage.addEventListener('pointerup', up)
    stage.addEventListener('pointercancel', up)
    stage.addEventListener('wheel', event => {
      if (event.ctrlKey) {
        event.preventDefault()
        this.zoomBy(Math.exp(-event.deltaY / 300))
        return
      }
      // at either end the page itself goes on
      if (event.deltaY !== 0 && this.step(Math.sign(event.deltaY))) event.preventDefault()
    }, { passive: false })
  }
}

function setLines (corner: HTMLElement, lines: readonly string[]): void {
  corner.replaceChildren(...lines.filter(Boolean).map(line => element('div', {}, line)))
}

export interface Look {
  /** What the person has chosen instead of the image's own. */
  over?: Curve | undefined
  /** For colours. */
  window?: Window | undefined
  inverted?: boolean
  /** Where the image has none of its own. */
  fallback: Curve
}

/** Also for thumbnails, which have the image's own curve. */
export function filterElement (id: string, item: Item, picture: Picture, { over, window, inverted = false, fallback }: Look): SVGElement {
  const filter = svg('filter', { id, x: 0, y: 0, width: 1, height: 1, 'color-interpolation-filters': 'sRGB' })
  const { view, image } = item
  const [own] = view.windows
  const curve = over ?? (own !== undefined ? curveOfWindow(own) : view.curve ?? fallback)
  const { centre, width } = window ?? COLOUR_WINDOW
  // the markup is numbers that were made here
  filter.innerHTML = picture.colour === 'grey' && picture.code !== undefined
    ? greyFilter({ code: picture.code, slope: view.slope, intercept: view.intercept, curve, inverse: image.inverse !== inverted })
    : colourFilter(picture.colour === 'grey' ? 'rgb' : picture.colour, centre, width, inverted)
  return filter
}
