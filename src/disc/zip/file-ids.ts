/**
 * File IDs (PS3.10 8.2) that are given as images come, before anybody knows how many there will be: patient, study and series in the order in which the
 * first image of each came, images in the order in which they came. The order in which a reader pages them stands in the DICOMDIR, in the pages and in
 * each image's Instance Number; a file's number says nothing of it, as PS3.10 has it. So an image needs no list of the others to leave, and one that no
 * list names has a name too.
 */
import { join } from 'node:path'
import type { DicomObject } from '../../dicom/part10.ts'
import { identityKey } from '../../dicom/study.ts'
import { component, FILE_SET_FOLDER } from '../layout.ts'
import type { DiscContents } from '../contents.ts'

interface Folder {
  path: string
  /** Of folders or files in it. */
  count: number
}

export class FileIds {
  readonly #ofObject = new Map<string, string>()
  readonly #folders = new Map<string, Folder>()

  /** The File ID of an object, the same however often it is asked for. */
  of (object: DicomObject): string {
    const key = identityKey(object)
    let fileId = this.#ofObject.get(key)
    if (fileId === undefined) {
      const patient = this.#folder('', FILE_SET_FOLDER, 'PT')
      const study = this.#folder(object.studyInstanceUid, patient.path, 'ST', patient)
      const series = this.#folder(`${object.studyInstanceUid} ${object.seriesInstanceUid}`, study.path, 'SE', study)
      this.#ofObject.set(key, fileId = join(series.path, component('IM', series.count++)))
    }
    return fileId
  }

  /** The same contents, in the same order, under the File IDs that were given, and further ones for what has none yet. Nothing changes where none was given. */
  applyTo (contents: DiscContents): DiscContents {
    if (this.#ofObject.size === 0) return contents
    // they say nothing of whose an image is, and are given only where all are of one person
    if (contents.patients.length > 1) throw new Error('file IDs were given as for one patient')
    return {
      ...contents,
      patients: contents.patients.map(patient => ({
        ...patient,
        studies: patient.studies.map(study => ({
          ...study,
          series: study.series.map(series => ({ ...series, files: series.files.map(file => ({ ...file, fileId: this.of(file.object) })) }))
        }))
      }))
    }
  }

  #folder (key: string, parentPath: string, prefix: string, parent: Folder = { path: '', count: 0 }): Folder {
    let folder = this.#folders.get(key)
    if (folder === undefined) this.#folders.set(key, folder = { path: join(parentPath, component(prefix, parent.count++)), count: 0 })
    return folder
  }
}
