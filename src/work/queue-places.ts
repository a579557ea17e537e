/** Who waits behind whom for a turn at an archive. Pure, but for the order in which they came. */
import type { Activity } from './activity.ts'

export type Waiting = Pick<Activity, 'accessionNumbers' | 'manifest' | 'phase' | 'outcome'>

export class QueuePlaces<T extends Waiting> {
  /** In the order in which they began to wait. */
  readonly #queued = new Set<T>()
  #places = new Map<T, number>()

  /** From 1; undefined for one that does not wait. */
  of (activity: T): number | undefined { return this.#places.get(activity) }

  /** Something of it has changed. @returns whose place is another now */
  changed (activity: T): readonly T[] {
    const waits = activity.phase === 'queued' && activity.outcome === undefined
    if (waits === this.#queued.has(activity)) return []
    if (waits) this.#queued.add(activity)
    else this.#queued.delete(activity)
    const before = this.#places
    this.#places = placesOf([...this.#queued])
    return [...this.#queued].filter(one => before.get(one) !== this.#places.get(one))
  }
}

/** Those who wait for the same studies have the same place, and only those at the same archive stand before one another. */
export function placesOf<T extends Waiting> (queue: readonly T[]): Map<T, number> {
  return new Map(queue.map((activity, index) => {
    const own = archivesOf(activity)
    const studies = studiesOf(activity)
    const before = queue.slice(0, index).filter(other => archivesOf(other).some(name => own.includes(name))).map(studiesOf)
    return [activity, 1 + new Set(before.filter(other => other !== studies)).size]
  }))
}

/** Names of the archives that are to send; undefined is the only one. */
function archivesOf ({ manifest }: Waiting): Array<string | undefined> {
  const studies = manifest?.studies ?? []
  return studies.length === 0 ? [undefined] : studies.flatMap(({ archive, sources }) => sources === undefined ? [archive] : sources.map(source => source.archive))
}

function studiesOf ({ manifest, accessionNumbers }: Waiting): string {
  return [...manifest?.studies.map(({ studyInstanceUid }) => studyInstanceUid) ?? accessionNumbers].sort().join(',')
}
