/** How the frames of an image are shown, for the viewer and for pictures that are rendered: one rule for both. */
import type { FrameDescription, ImageDescription } from './image-description.ts'
import type { FrameView } from './page-data.ts'
import { largestOf } from '../../numbers.ts'
import { storedRange } from './value-range.ts'
import { curveOfLut, usableWindows, windowOfRange, type Window } from './window.ts'

/** So many images of a series without windows are read for a range that holds for all. */
const RANGES_A_SERIES = 8

export interface Described {
  /** On this machine. */
  sourcePath: string
  description: ImageDescription | undefined
}

/** @param fallback of the series; of an image that says no window */
export function viewsOf (description: ImageDescription, fallback: Window | undefined): FrameView[] {
  return description.frames.map(frame => viewOf(frame, description, fallback))
}

function viewOf (frame: FrameDescription, description: ImageDescription, fallback: Window | undefined): FrameView {
  const lut = description.modalityLut !== undefined
  const slope = lut ? 1 : frame.slope
  const intercept = lut ? 0 : frame.intercept
  const windows = usableWindows(frame.centres, frame.widths, frame.voiFunction, frame.windowNames, slope)
  const curve = frame.voiLut === undefined ? undefined : curveOfLut(frame.voiLut)
  const spacing = frame.pixelSpacing ?? frame.imagerPixelSpacing
  return {
    slope,
    intercept,
    windows: windows.length > 0 || curve !== undefined || fallback === undefined ? windows : [fallback],
    ...(curve === undefined ? {} : { curve }),
    ...(spacing === undefined ? {} : { spacing }),
    ...(frame.pixelSpacing === undefined && frame.imagerPixelSpacing !== undefined ? { atDetector: true as const } : {}),
    ...(frame.position === undefined ? {} : { position: frame.position }),
    ...(frame.orientation === undefined ? {} : { orientation: frame.orientation })
  }
}

/**
 * The window of images that say none: the range of a few of the series, so that what is next to each other looks alike.
 * @returns undefined where none needs it, or none can be read
 */
export function windowOfSeries (files: readonly Described[]): Window | undefined {
  const without = files.filter(({ description }) => description !== undefined && needsRange(description))
  const step = Math.max(1, Math.floor(without.length / RANGES_A_SERIES))
  const ranges = without.filter((_, index) => index % step === 0).flatMap(({ sourcePath, description }) => {
    if (description === undefined) return []
    // what the image says of its values counts the padding too
    const said = description.pixelPadding === undefined ? description.valueRange : undefined
    const range = said ?? storedRange(sourcePath, description)
    if (range === undefined) return []
    const { slope, intercept } = description.modalityLut === undefined ? description.frames[0] ?? { slope: 1, intercept: 0 } : { slope: 1, intercept: 0 }
    return [range.min, range.max].map(value => {
      const entries = description.modalityLut
      return entries === undefined ? value * slope + intercept : entries.entries[Math.max(0, Math.min(entries.entries.length - 1, value - entries.first))] ?? 0
    })
  })
  return ranges.length === 0 ? undefined : windowOfRange(-largestOf(ranges.map(value => -value), -Infinity), largestOf(ranges, -Infinity))
}

/** True for grey values that say no window: what they are shown with depends on their series. */
export function needsRange (description: ImageDescription): boolean {
  if (!description.photometricInterpretation.startsWith('MONOCHROME')) return false
  return description.frames.some(({ centres, widths, voiFunction, slope, voiLut }) =>
    usableWindows(centres, widths, voiFunction, [], slope).length === 0 && (voiLut === undefined || curveOfLut(voiLut) === undefined))
}
