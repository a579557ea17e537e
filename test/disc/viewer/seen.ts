/** What stands on the screen, against what should. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Engine } from './engines.ts'
import type { TestImage } from './images.ts'

/** Where pictures go that are not what they should be; for whoever looks into it. */
const KEEP = process.env['MKISO_TEST_PICTURES']

export interface State { place: string, message: string, stage: { left: number, top: number, width: number, height: number } }

export const STATE = `(() => {
  const stage = document.querySelector('.mv-stage')
  const { left, top, width, height } = stage.querySelector('canvas').getBoundingClientRect()
  return { place: document.querySelector('.mv-bar output').textContent, message: stage.querySelector('.mv-message').textContent, stage: { left, top, width, height } }
})()`

export async function worst (engine: Engine, { columns, rows, expected }: TestImage, frame: number): Promise<{ worst: number, at: string }> {
  const { stage } = await engine.evaluate<State>(STATE)
  const scale = Math.min(stage.width / columns, stage.height / rows)
  const shot = await engine.screenshot()
  let found = { worst: 0, at: '' }
  const each = Math.max(1, Math.floor(Math.min(columns, rows) / 40))
  for (let row = 0; row < rows; row += each) {
    for (let column = 0; column < columns; column += each) {
      const [x, y] = [Math.floor(stage.left + stage.width / 2 + (column + 0.5 - columns / 2) * scale), Math.floor(stage.top + stage.height / 2 + (row + 0.5 - rows / 2) * scale)]
      const wanted = expected(frame, column, row)
      for (const [index, seen] of shot.at(x, y).entries()) {
        const off = Math.abs(seen - Math.round(wanted[index] ?? 0))
        if (off > found.worst) found = { worst: off, at: `${column}, ${row} of ${frame}: ${shot.at(x, y).join(' ')} for ${wanted.map(one => one.toFixed(1)).join(' ')}` }
      }
    }
  }
  if (KEEP !== undefined && found.worst > 2) {
    mkdirSync(KEEP, { recursive: true })
    writeFileSync(join(KEEP, `${engine.name}.png`), shot.png)
  }
  return found
}

/** What stands on the picture is none of it. */
export const WITHOUT_TEXT = 'document.head.append(Object.assign(document.createElement("style"), { textContent: ".mv-corner, .mv-edge, .mv-warning { visibility: hidden }" }))'
