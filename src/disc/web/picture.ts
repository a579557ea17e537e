/** Pictures of an image as JPEG files, by dcmj2pnm: with the numbers by which the viewer shows it (src/disc/viewer/window.ts), not with DCMTK's own. */
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import type { Config } from '../../config/schema.ts'
import type { Programs, SpawnOptions } from '../../process.ts'
import type { ImageDescription } from '../viewer/image-description.ts'
import type { FrameView } from '../viewer/page-data.ts'
import { curveOfWindow } from '../viewer/window.ts'

export interface PictureContext {
  programs: Programs
  dcmtk: Config['dcmtk']
  tools: Config['tools']
  run: SpawnOptions
}

/** What is drawn of an image. */
export interface PictureSource {
  path: string
  description: ImageDescription
  /** One for all frames, or one for each. */
  views: readonly FrameView[]
}

const JPEG_LS = /^1\.2\.840\.10008\.1\.2\.4\.8[01]$/
const JPEG_2000 = /^1\.2\.840\.10008\.1\.2\.4\.9[0-3]$/
const QUALITY = ['+oj', '+Jq', '85']

/** @throws Error with what the program says when there is no picture */
export async function drawFrame (context: PictureContext, { path, description, views }: PictureSource, frame: number, pixels: number, target: string): Promise<void> {
  const view = views[frame] ?? views[0]
  await draw(context, [...windowArguments(description, view), ...scaling(description, pixels), '+F', String(frame + 1), path, target], target)
}

/**
 * The first frames, as `base.0.jpg`, `base.1.jpg` ...
 * @returns paths, fewer where dcmj2pnm has made fewer
 * @throws as {@link drawFrame}
 */
export async function drawFrames (context: PictureContext, source: PictureSource, count: number, pixels: number, base: string): Promise<string[]> {
  const made = Array.from({ length: count }, (_, index) => `${base}.${index}.jpg`)
  const { path, description, views } = source
  const [first = ''] = made
  // dcmj2pnm has one window for all frames of a run, and counts their names up by itself
  if (views.length > 1) for (const [frame, target] of made.entries()) await drawFrame(context, source, frame, pixels, target)
  else if (count === 1) await drawFrame(context, source, 0, pixels, first)
  else await draw(context, [...windowArguments(description, views[0]), ...scaling(description, pixels), '+Fr', '1', String(count), path, base], first)
  return made.filter(one => existsSync(one))
}

/**
 * Makes a copy that dcmj2pnm reads: it decodes neither JPEG-LS nor JPEG 2000 (measured).
 * @param work with the path of the copy, which is removed afterwards
 * @throws Error with what the decoder says
 */
export async function withReadable<T> (
  { programs, dcmtk, tools, run }: PictureContext, path: string, transferSyntaxUid: string, copy: string, work: (path: string) => Promise<T>
): Promise<T> {
  const [program, ...args] = JPEG_LS.test(transferSyntaxUid) ? [dcmtk.dcmdjpls] : JPEG_2000.test(transferSyntaxUid) ? [tools.gdcmconv, '--raw'] : []
  if (program === undefined) return await work(path)
  try {
    const result = await programs.run(program, [...args, path, copy], run)
    if (result.exitCode !== 0) throw new Error(`${program}: ${result.stderr.trim()}`)
    return await work(copy)
  } finally {
    await rm(copy, { force: true })
  }
}

async function draw ({ programs, dcmtk, run }: PictureContext, args: readonly string[], first: string): Promise<void> {
  const result = await programs.run(dcmtk.dcmj2pnm, [...QUALITY, ...args], run)
  // a picture that is not there must not reach the disc as a link
  if (result.exitCode !== 0 || !existsSync(first)) throw new Error(result.stderr.trim().split('\n')[0] ?? '')
}

function scaling ({ rows, columns }: ImageDescription, pixels: number): string[] {
  return Math.max(rows, columns) > pixels ? [columns >= rows ? '+Sxv' : '+Syv', String(pixels)] : []
}

/**
 * dcmj2pnm counts what the modality LUT gives in whole numbers (a slope of 0.00001 gives black) and knows windows of the top level only, so it
 * is told to leave the stored values alone and is given the window in them. Its windows are LINEAR (PS3.3 C.11.2.1.2.1): one more in width and
 * half more in centre than what is meant exactly.
 */
export function windowArguments (description: ImageDescription, view: FrameView | undefined): string[] {
  if (!description.photometricInterpretation.startsWith('MONOCHROME')) return []
  if (view === undefined) return ['+Wm']
  const [window] = view.windows
  if (window === undefined) return view.curve === undefined ? ['+Wm'] : ['+Wl', '1']
  const { slope, intercept } = view
  const stored = (x: number): number => (x - intercept) / slope
  // a falling line through the values is the same line, upside down; MONOCHROME1 and a Presentation LUT Shape are turned by dcmj2pnm itself
  const polarity = slope < 0 ? ['+P'] : []
  const table = description.modalityLut === undefined ? ['-M'] : []
  const { shape, centre, width } = window
  if (shape === 'SIGMOID') return [...table, ...polarity, '+Wfs', '+Ww', String(stored(centre)), String(width / Math.abs(slope))]
  const [from = 0, to = 1] = curveOfWindow(window).map(({ x }) => stored(x))
  return [...table, ...polarity, '+Wfl', '+Ww', String((from + to) / 2 + 0.5), String(Math.abs(to - from) + 1)]
}
