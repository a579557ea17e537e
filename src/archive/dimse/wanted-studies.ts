/** Who wants what: the sinks of a receiver by Study Instance UID. UIDs of a peer are only compared here. */
import type { StudySink } from '../archive.ts'

export class WantedStudies {
  readonly #sinks = new Map<string, StudySink>()

  /**
   * Objects of the study go to the sink from now on. A later sink for the same study takes the place of an earlier one.
   * @returns the way to end it
   */
  add (studyInstanceUid: string, sink: StudySink): () => void {
    this.#sinks.set(studyInstanceUid, sink)
    return () => { if (this.#sinks.get(studyInstanceUid) === sink) this.#sinks.delete(studyInstanceUid) }
  }

  sinkOf (studyInstanceUid: string): StudySink | undefined { return this.#sinks.get(studyInstanceUid) }

  get size (): number { return this.#sinks.size }

  /** Every sink: for an object whose study is not known. */
  all (): StudySink[] { return [...this.#sinks.values()] }
}
