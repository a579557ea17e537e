/** Who waits behind whom for a turn at an archive. Pure, but for the order in which they came. */
import type { Activity } from './activity.ts'

export type Waiting = Pick<Activity, 'accessionNumbers' | 'manifest' | 'phase' | 'outcome'>

/** Those who wait for the same studies wait for one fetching, and stand at one place. */
interface Entry<T> {
  /** Names of the archives that are to send; undefined is the only one. */
  readonly archives: ReadonlyArray<string | undefined>
  readonly waiting: Set<T>
}

export class QueuePlaces<T extends Waiting> {
  /** By the studies, in the order in which somebody began to wait for them. */
  readonly #queue = new Map<string, Entry<T>>()
  readonly #studiesOf = new Map<T, string>()
  #places = new Map<T, number>()

  /** From 1; undefined for one that does not wait. */
  of (activity: T): number | undefined { return this.#places.get(activity) }

  /** Something of it has changed. @returns whose place is another now */
  changed (activity: T): readonly T[] {
    const waits = activity.phase === 'queued' && activity.outcome === undefined
    if (waits === this.#studiesOf.has(activity)) return []
    if (waits) this.#join(activity)
    else this.#leave(activity)
    const before = this.#places
    this.#places = placesIn([...this.#queue.values()])
    return [...this.#places].filter(([one, place]) => before.get(one) !== place).map(([one]) => one)
  }

  #join (activity: T): void {
    const studies = studiesOf(activity)
    const entry = this.#queue.get(studies) ?? { archives: archivesOf(activity), waiting: new Set() }
    entry.waiting.add(activity)
    this.#queue.set(studies, entry)
    this.#studiesOf.set(activity, studies)
  }

  #leave (activity: T): void {
    const studies = this.#studiesOf.get(activity) ?? ''
    this.#studiesOf.delete(activity)
    const entry = this.#queue.get(studies)
    entry?.waiting.delete(activity)
    if (entry?.waiting.size === 0) this.#queue.delete(studies)
  }
}

/** Only those at the same archive stand before one another. */
function placesIn<T> (queue: ReadonlyArray<Entry<T>>): Map<T, number> {
  return new Map(queue.flatMap(({ archives, waiting }, index) => {
    const before = queue.slice(0, index).filter(other => other.archives.some(name => archives.includes(name)))
    return [...waiting].map((activity): [T, number] => [activity, before.length + 1])
  }))
}

function archivesOf ({ manifest }: Waiting): Array<string | undefined> {
  const studies = manifest?.studies ?? []
  return studies.length === 0 ? [undefined] : studies.flatMap(({ archive, sources }) => sources === undefined ? [archive] : sources.map(source => source.archive))
}

function studiesOf ({ manifest, accessionNumbers }: Waiting): string {
  return [...manifest?.studies.map(({ studyInstanceUid }) => studyInstanceUid) ?? accessionNumbers].sort().join(',')
}
