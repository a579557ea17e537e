/** Splits what is larger than the medium into a set of discs: studies are kept together where they fit. */
import type { Config } from '../config/schema.ts'
import { sopInstanceUidsOf, type Manifest } from '../dicom/study.ts'
import { MkisoError } from '../errors.ts'
import type { ReceivedFile } from '../studies/fetch-study.ts'
import { layOut } from './layout.ts'
import type { DiscContents } from './contents.ts'

/** Bytes of user data: CD-R of 80 minutes (360000 sectors), DVD-R, BD-R of one layer. */
export const CAPACITY_BYTES: Record<Config['disc']['capacity'], number> = { none: Infinity, cd: 360_000 * 2_048, dvd: 4_700_372_992, bd: 25_025_314_816 }

const SECTOR_BYTES = 2_048
/** Directory records of three name spaces, the DICOMDIR's records: well below this for each file (measured: about 1.3 KB). */
const OVERHEAD_PER_FILE_BYTES = 4 * 1_024
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
 * The same manifest and files always give the same set, so that each disc can be asked for by itself.
 * @returns one disc or more; together they hold every file once
 * @throws MkisoError DISC_TOO_SMALL when one image is larger than the medium
 */
export function planSet (manifest: Manifest, files: ReadonlyMap<string, ReceivedFile>, { capacityBytes, viewerBytes, webContent }: SetOptions): DiscContents[] {
  const budget = capacityBytes - viewerBytes - OVERHEAD_PER_DISC_BYTES
  const cost = ({ sizeBytes }: ReceivedFile): number => Math.ceil(sizeBytes / SECTOR_BYTES) * SECTOR_BYTES + OVERHEAD_PER_FILE_BYTES +
    (webContent === 'all' ? PICTURE_BYTES + Math.ceil(sizeBytes / 2) : 0)
  const discs: Array<{ files: Map<string, ReceivedFile>, used: number }> = []
  const put = (group: ReceivedFile[]): boolean => {
    const size = group.reduce((sum, file) => sum + cost(file), 0)
    if (size > budget) return false
    let disc = discs.find(({ used }) => used + size <= budget)
    if (disc === undefined) discs.push(disc = { files: new Map(), used: 0 })
    for (const file of group) disc.files.set(file.sopInstanceUid, file)
    disc.used += size
    return true
  }
  const whole = layOut(manifest, files)
  const all = [...files.values()]
  if (put(all)) return [whole]
  const present = (uids: readonly string[]): ReceivedFile[] => uids.flatMap(uid => files.get(uid) ?? [])
  for (const { studies } of whole.patients) {
    for (const { study, series } of studies) {
      if (put(present(sopInstanceUidsOf(study)))) continue
      for (const { files: images } of series) {
        const group = present(images.map(({ instance }) => instance.sopInstanceUid))
        if (put(group)) continue
        for (const file of group) {
          if (!put([file])) throw new MkisoError('DISC_TOO_SMALL', 'one image is larger than the medium (disc.capacity)')
        }
      }
    }
  }
  return discs.map(({ files }, index) => ({ ...layOut(manifest, files), disc: index + 1, discs: discs.length }))
}
