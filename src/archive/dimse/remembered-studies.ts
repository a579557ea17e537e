/** What the lists of a PACS said of studies that are likely to be fetched next; a help, and never a witness. */
import type { Study } from '../../dicom/study.ts'

export interface Remembered {
  accessionNumber: string
  /** By Series Instance UID. */
  modalities: ReadonlyMap<string, string>
}

const MOST_STUDIES = 1_000

export class RememberedStudies {
  readonly #studies = new Map<string, Remembered>()

  remember (studies: readonly Study[]): void {
    for (const { studyInstanceUid, accessionNumber, series } of studies) {
      this.#studies.delete(studyInstanceUid)
      this.#studies.set(studyInstanceUid, { accessionNumber, modalities: new Map(series.map(one => [one.seriesInstanceUid, one.modality])) })
    }
    for (const oldest of this.#studies.keys()) {
      if (this.#studies.size <= MOST_STUDIES) return
      this.#studies.delete(oldest)
    }
  }

  of (studyInstanceUid: string): Remembered | undefined { return this.#studies.get(studyInstanceUid) }
}
