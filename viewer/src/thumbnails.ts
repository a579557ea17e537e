/** The picture that stands for a series, in the list and on the page below: its middle one, as the viewer itself shows it; or why there is none. */
import { curveOfWindow, windowOfRange } from '../../src/disc/viewer/window.ts'
import type { Item, Stack } from './data.ts'
import { element } from './dom.ts'
import { canvasOf, NoPictureError, pictureOf, type Picture } from './pictures.ts'
import { filterElement, type Say } from './viewport.ts'

/** Where such a picture is shown. */
export interface Place {
  element: HTMLElement
  /** Of its sides, on the screen. */
  pixels: number
  /** What the place is called when it holds a picture, where nothing beside it says so. */
  label?: string
  /** Words for a person who sees the place, not for its picture. */
  explain: (sentence: string) => void
}

let made = 0

/** Another image does not stand for one that cannot be shown. Presentation states and the like in the series are no images. */
function middleOf (stack: Stack): Item | undefined {
  const images = stack.items.filter(({ image: { pixels } }) => pixels.by !== 'none' || pixels.reason !== 'no-picture')
  return images[Math.floor(images.length / 2)]
}

/** @param filters where the filters of the canvases go */
export async function showThumbnail (stack: Stack, places: readonly Place[], filters: Element, say: Say): Promise<void> {
  const item = middleOf(stack)
  try {
    if (item === undefined) throw new NoPictureError('no_picture')
    const picture = await pictureOf(item)
    for (const { element: place, pixels, label } of places) {
      place.replaceChildren(drawn(item, picture, pixels, filters))
      place.classList.add('mv-drawn')
      if (label !== undefined) place.setAttribute('aria-label', label)
    }
  } catch (error) {
    const word = error instanceof NoPictureError ? error.word : 'not_loaded'
    for (const { element: place, explain } of places) {
      place.replaceChildren(element('span', {}, stack.modality))
      place.classList.remove('mv-drawn')
      place.removeAttribute('aria-label')
      explain(say(word))
    }
  }
}

function drawn (item: Item, picture: Picture, pixels: number, filters: Element): HTMLCanvasElement {
  const { columns, rows } = item.image
  const { canvas, context } = canvasOf(pixels, pixels)
  const scale = pixels / Math.max(columns, rows)
  context.setTransform(scale, 0, 0, scale, (pixels - columns * scale) / 2, (pixels - rows * scale) / 2)
  context.imageSmoothingEnabled = picture.colour !== 'grey'
  picture.draw(context)
  const id = `mv-thumb-${++made}`
  const { min, max } = picture.range ?? { min: 0, max: 255 }
  const range = windowOfRange(min * item.view.slope + item.view.intercept, max * item.view.slope + item.view.intercept)
  filters.append(filterElement(id, item, picture, { fallback: curveOfWindow(range) }))
  canvas.style.filter = `url(#${id})`
  return canvas
}
