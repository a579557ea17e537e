/** What the page was told, as the viewer uses it. */
import type { FrameView, ImageData, PageData } from '../../src/disc/viewer/page-data.ts'

/** A picture of a stack: an image, or a frame of one. */
export interface Item {
  image: ImageData
  /** From 0. */
  frame: number
  view: FrameView
}

export interface Stack {
  id: number
  patient: { name: string, patientId: string, birthDate: string }
  study: { date: string, description: string, accessionNumber: string }
  number: string
  modality: string
  description: string
  reports: readonly string[]
  items: readonly Item[]
  images: number
}

const NO_VIEW: FrameView = { slope: 1, intercept: 0, windows: [] }

export function stacksOf (data: PageData): Stack[] {
  const stacks: Stack[] = []
  for (const { studies, ...patient } of data.patients) {
    for (const { series, ...study } of studies) {
      for (const { common, images, ...one } of series) {
        const items = images.flatMap(own => {
          // what the service leaves out of an image stands in `common`: together they are whole
          const image = { ...common, ...own } as ImageData
          return Array.from({ length: Math.max(1, image.frames) }, (_, frame): Item => ({ image, frame, view: image.views[frame] ?? image.views[0] ?? NO_VIEW }))
        })
        stacks.push({ ...one, id: stacks.length, patient, study, items, images: images.length })
      }
    }
  }
  return stacks
}

/** True where the image may have a picture. */
export function mayShow ({ image }: Item): boolean {
  return image.pixels.by !== 'none'
}
