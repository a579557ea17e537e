/** Splits what is larger than the medium into a set of discs: studies are kept together where they fit. */
import type { Config } from '../config/schema.ts'
import { MkisoError } from '../errors.ts'
import { layOut, type DiscSource, type StudySources } from './layout.ts'
import { filesOf, type DiscContents } from './contents.ts'

/** Bytes of user data: CD-R of 80 minutes (360000 sectors), DVD-R, BD-R of one layer. */
export const CAPACITY_BYTES: Record<Config['disc']['capacity'], number> = { none: Infinity, cd: 360_000 * 2_048, dvd: 4_700_372_992, bd: 25_025_314_816 }

const SECTOR_BYTES = 2_048
/** Directory records of three name spaces, the DICOMDIR's records (measured: about 1.3 KB); the sector and the name that show it (2.4 KB). */
const OVERHEAD_PER_FILE_BYTES = 6 * 1_024
/** Volume descriptors, pages, thumbnails. */
const OVERHEAD_PER_DISC_BYTES = 8 * 1_024 ** 2
/** A picture of at most 1024 pixels as JPEG, and more for multi-frame images. */
const PICTURE_BYTES = 256 * 1_024

export interface SetOptions {
  capacityBytes: number
  /** Bytes of the viewer, which is on each disc. */
  viewerBytes: number
  webContent: Config['disc']['web_content']
}

/**
 * The same studies and files always give the same set, so that each disc can be asked for by itself.
 * @returns one disc or more; together they hold every file once
 * @throws MkisoError DISC_TOO_SMALL when one image is larger than the medium
 */
export function planSet (studies: readonly StudySources[], { capacityBytes, viewerBytes, webContent }: SetOptions): DiscContents[] {
  const budget = capacityBytes - viewerBytes - OVERHEAD_PER_DISC_BYTES
  const cost = (file: DiscSource): number => costOf(file, webContent)
  const discs: Array<{ files: Set<DiscSource>, used: number }> = []
  const put = (group: readonly DiscSource[]): boolean => {
    const size = group.reduce((sum, file) => sum + cost(file), 0)
    if (size > budget) return false
    let disc = discs.find(({ used }) => used + size <= budget)
    if (disc === undefined) discs.push(disc = { files: new Set(), used: 0 })
    for (const file of group) disc.files.add(file)
    disc.used += size
    return true
  }
  const whole = layOut(studies)
  if (put(studies.flatMap(({ files }) => files))) return [whole]
  // in the order in which a reader pages
  const bySource = new Map(studies.flatMap(({ files }) => files.map(file => [file.object, file])))
  for (const { series } of whole.patients.flatMap(({ studies }) => studies)) {
    const groups = series.map(({ files }) => files.flatMap(({ object }) => bySource.get(object) ?? []))
    if (put(groups.flat())) continue
    for (const group of groups) {
      if (put(group)) continue
      for (const file of group) {
        if (!put([file])) throw new MkisoError('DISC_TOO_SMALL', 'one image is larger than the medium (disc.capacity)')
      }
    }
  }
  return discs.map(({ files }, index) => {
    const own = studies.map(one => ({ ...one, files: one.files.filter(file => files.has(file)) })).filter(one => one.files.length > 0)
    return { ...layOut(own), disc: index + 1, discs: discs.length }
  })
}

/** What is left on a disc of a set when all is on it that {@link planSet} has planned: the images go first. */
export function roomBytes (contents: DiscContents, { capacityBytes, viewerBytes, webContent }: SetOptions): number {
  const used = filesOf(contents).reduce((sum, file) => sum + costOf(file, webContent), 0)
  return Math.max(0, capacityBytes - viewerBytes - OVERHEAD_PER_DISC_BYTES - used)
}

function costOf ({ sizeBytes }: Pick<DiscSource, 'sizeBytes'>, webContent: SetOptions['webContent']): number {
  return Math.ceil(sizeBytes / SECTOR_BYTES) * SECTOR_BYTES + OVERHEAD_PER_FILE_BYTES + (webContent === 'all' ? PICTURE_BYTES + Math.ceil(sizeBytes / 2) : 0)
}
