/** How far a disc has come: a bar that is drawn over itself on a terminal, else a line now and then. */
import { cutText } from '../text.ts'

export interface State {
  /** What is done now: `receiving`, `writing` ... */
  phase: string
  done: number
  /** undefined while nobody knows. */
  of: number | undefined
  unit: 'images' | 'bytes'
  /** For the speed, and shown as megabytes. */
  bytes: number
}

export interface Output {
  write (text: string): unknown
  isTTY?: boolean
  columns?: number
}

const REDRAW_MS = 100
const LINE_EVERY_PERCENT = 25
const BAR = 24

export class ProgressLine {
  readonly #out: Output
  readonly #title: string
  readonly #bar: boolean
  #phase = ''
  #phaseSinceMs = 0
  #bytesBefore = 0
  #drawnMs = 0
  #percent = 0
  #drawn = false

  /** @param bar false where other lines are written between */
  constructor (title: string, out: Output = process.stderr, bar = out.isTTY === true) {
    this.#title = title
    this.#bar = bar
    this.#out = out
  }

  update (state: State, nowMs = performance.now()): void {
    const fresh = state.phase !== this.#phase
    if (fresh) {
      this.#phase = state.phase
      this.#phaseSinceMs = nowMs
      this.#bytesBefore = state.bytes
      this.#percent = 0
    }
    const percent = state.of === undefined || state.of === 0 ? 0 : Math.min(100, Math.floor(100 * state.done / state.of))
    if (!this.#bar) {
      if (!fresh && percent < this.#percent + LINE_EVERY_PERCENT) return
      this.#percent = percent - percent % LINE_EVERY_PERCENT
      this.#out.write(`${this.#title}  ${this.#describe(state, nowMs)}\n`)
      return
    }
    if (!fresh && nowMs - this.#drawnMs < REDRAW_MS && percent < 100) return
    this.#drawnMs = nowMs
    const filled = Math.round(BAR * percent / 100)
    const bar = state.of === undefined ? '' : `[${'#'.repeat(filled)}${'-'.repeat(BAR - filled)}] `
    // a line that wraps could not be drawn over
    const line = cutText(`${this.#title}  ${bar}${this.#describe(state, nowMs)}`, columnsOf(this.#out) - 1)
    this.#out.write(`\r\u001b[K${line}`)
    this.#drawn = true
  }

  /** Leaves no half line behind. */
  clear (): void {
    if (this.#drawn) this.#out.write('\r\u001b[K')
    this.#drawn = false
  }

  #describe ({ phase, done, of, unit, bytes }: State, nowMs: number): string {
    const seconds = (nowMs - this.#phaseSinceMs) / 1_000
    const rate = seconds > 0.5 ? (bytes - this.#bytesBefore) / seconds : 0
    const left = seconds > 0.5 && of !== undefined && done > 0 && done < of ? seconds * (of - done) / done : undefined
    return [
      phase,
      of === undefined && done === 0 ? '' : unit === 'images' ? `${done}${of === undefined ? '' : ` of ${of}`} images  ${megabytes(bytes)}` : `${megabytes(done)} of ${megabytes(of ?? done)}`,
      rate > 0 ? `${megabytes(rate)}/s` : '',
      left === undefined ? '' : `${Math.ceil(left)} s left`
    ].filter(part => part !== '').join('  ')
  }
}

/** A terminal that does not tell its width says 0. */
function columnsOf ({ columns = 0 }: Output): number {
  return columns < 20 ? 80 : columns
}

export function megabytes (bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}
