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
    const onEvent = (one: Activity): void => { if (one === activity) changed() }
    this.on('changed', onEvent).on('ended', onEvent)
    return () => { this.off('changed', onEvent).off('ended', onEvent) }
  }

  #onChange (activity: Activity): void {
    const moved = this.#places.changed(activity)
    for (const one of moved) one.place = this.#places.of(one)
    for (const one of moved) if (one !== activity) this.emit('changed', one)
    if (activity.outcome === undefined) {
      this.emit('changed', activity)
      return
    }
    this.#running.delete(activity.id)
    this.#finished.unshift(activity)
    this.#finished.length = Math.min(this.#finished.length, REMEMBERED)
    this.emit('ended', activity)
  }
}
