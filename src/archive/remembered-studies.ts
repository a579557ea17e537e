/** What the lists of a PACS said of studies that are likely to be fetched next; a help, and never a witness. */
import type { Archive } from './archive.ts'
import type { Study } from '../dicom/study.ts'

export interface Remembered {
  accessionNumber: string
  /** By Series Instance UID. */
  modalities: ReadonlyMap<string, string>
}

type Questions = Pick<Archive, 'findStudies' | 'search' | 'listInstances'>

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

  /** The questions of an archive, of whose answers this remembers what it found. */
  asking (find: Questions): Questions {
    return {
      findStudies: async (accessionNumbers, asking) => {
        const found = await find.findStudies(accessionNumbers, asking)
        this.remember(found)
        return found
      },
      search: async (search, asking) => await find.search(search, asking),
      listInstances: async (study, asking, only) => await find.listInstances(study, asking, only)
    }
  }

  of (studyInstanceUid: string): Remembered | undefined { return this.#studies.get(studyInstanceUid) }
}
