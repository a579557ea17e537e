/** The registry of running and finished work: pages, metrics, log and command line all read this one. */
import { EventEmitter } from 'node:events'
import { Activity, type NewActivity } from './activity.ts'
import { QueuePlaces } from './queue-places.ts'

/** Finished activities that are remembered. */
const REMEMBERED = 50

export interface ActivityEvents {
  started: [Activity]
  /** Many times a second while images or bytes flow: a listener that writes must pace itself. */
  changed: [Activity]
  ended: [Activity]
}

export class Activities extends EventEmitter<ActivityEvents> {
  readonly #running = new Map<string, Activity>()
  readonly #finished: Activity[] = []
  readonly #places = new QueuePlaces<Activity>()
  /** Who listens to one. A listener to all that picks its own made 400 pages of one study look 160,000 times at each image. */
  readonly #listeners = new Map<Activity, Set<() => void>>()

  constructor () {
    super()
    // a listener for each open page
    this.setMaxListeners(0)
  }

  /** In the order in which they began. */
  get running (): readonly Activity[] { return [...this.#running.values()] }

  /** The last of them, newest first. */
  get finished (): readonly Activity[] { return this.#finished }

  get (id: string): Activity | undefined {
    return this.#running.get(id) ?? this.#finished.find(activity => activity.id === id)
  }

  begin (details: NewActivity): Activity {
    const activity = new Activity(details, changed => { this.#onChange(changed) })
    this.#running.set(activity.id, activity)
    this.emit('started', activity)
    return activity
  }

  /** @returns false when nothing with this id runs, or when it cannot be ended any more */
  cancel (id: string, by: 'client' | 'operator'): boolean {
    return this.#running.get(id)?.cancel(by) ?? false
  }

  /** Calls back when this one changes or ends. @returns the way to stop */
  listenTo (activity: Activity, changed: () => void): () => void {
    const listeners = this.#listeners.get(activity) ?? new Set()
    this.#listeners.set(activity, listeners.add(changed))
    return () => {
      listeners.delete(changed)
      if (listeners.size === 0 && this.#listeners.get(activity) === listeners) this.#listeners.delete(activity)
    }
  }

  #onChange (activity: Activity): void {
    const moved = this.#places.changed(activity)
    for (const one of moved) one.place = this.#places.of(one)
    for (const one of moved.filter(one => one !== activity)) {
      this.emit('changed', one)
      this.#tell(one)
    }
    if (activity.outcome === undefined) {
      this.emit('changed', activity)
      this.#tell(activity)
      return
    }
    this.#running.delete(activity.id)
    this.#finished.unshift(activity)
    this.#finished.length = Math.min(this.#finished.length, REMEMBERED)
    this.emit('ended', activity)
    this.#tell(activity)
  }

  #tell (activity: Activity): void {
    for (const changed of this.#listeners.get(activity) ?? []) changed()
  }
}
