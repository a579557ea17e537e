/** Who wants what: the sinks of a receiver by Study Instance UID. UIDs of a peer are only compared here. */
import type { StudySink } from './archive.ts'

interface Wanted {
  sink: StudySink
  /** Of the archive that was asked for it. */
  archiveAeTitle: string | undefined
}

export class WantedStudies {
  readonly #wanted = new Map<string, Wanted>()

  /**
   * Objects of the study go to the sink from now on. A later sink for the same study takes the place of an earlier one.
   * @param archiveAeTitle of the archive that is asked, where several may send here
   * @returns the way to end it
   */
  add (studyInstanceUid: string, sink: StudySink, archiveAeTitle?: string): () => void {
    this.#wanted.set(studyInstanceUid, { sink, archiveAeTitle })
    return () => { if (this.sinkOf(studyInstanceUid) === sink) this.#wanted.delete(studyInstanceUid) }
  }

  sinkOf (studyInstanceUid: string): StudySink | undefined { return this.#wanted.get(studyInstanceUid)?.sink }

  /** AE title of the archive that has been asked for the study. */
  archiveAeTitleOf (studyInstanceUid: string): string | undefined { return this.#wanted.get(studyInstanceUid)?.archiveAeTitle }

  get size (): number { return this.#wanted.size }

  /** Every sink: for an object whose study is not known. */
  all (): StudySink[] { return [...this.#wanted.values()].map(({ sink }) => sink) }
}
