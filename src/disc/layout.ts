/** Where each image goes on the disc: legal File IDs (PS3.10 8.2), patient/study/series in the order in which a reader pages them. */
import { linkSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Instance, Manifest, Series, Study } from '../dicom/study.ts'
import { samePatient } from '../studies/same-patient.ts'
import type { ReceivedFile } from '../studies/fetch-study.ts'
import type { DiscContents, DiscFile, DiscPatient, DiscSeries } from './contents.ts'
import { filesOf } from './contents.ts'

/** The folder of the file-set. */
export const FILE_SET_FOLDER = 'DICOM'

/**
 * Lays a manifest out as one disc. A file's name has two letters and six digits: 8 characters of A-Z and 0-9, no extension, 5 levels.
 * @param files by SOP Instance UID; instances without a file are left out
 */
export function layOut (manifest: Manifest, files: ReadonlyMap<string, ReceivedFile>): DiscContents {
  const patients: DiscPatient[] = []
  for (const study of [...manifest.studies].sort(byStudyDate)) {
    let patient = patients.find(({ patient }) => samePatient(patient, study.patient))
    if (patient === undefined) patients.push(patient = { patient: study.patient, studies: [] })
    const folder = join(FILE_SET_FOLDER, component('PT', patients.indexOf(patient)), component('ST', patient.studies.length))
    const series = [...study.series].sort(bySeriesNumber)
      .map((one, index): DiscSeries => ({ series: one, files: filesOfSeries(one, join(folder, component('SE', index)), files) }))
      .filter(({ files }) => files.length > 0)
    patient.studies.push({ study, series })
  }
  return { patients, disc: 1, discs: 1 }
}

/** Puts the files where they belong, as hard links: a second copy of the images is never made. */
export function linkFiles (contents: DiscContents, root: string): void {
  const made = new Set<string>()
  for (const { fileId, sourcePath } of filesOf(contents)) {
    const path = join(root, fileId)
    const folder = dirname(path)
    if (!made.has(folder)) {
      mkdirSync(folder, { recursive: true })
      made.add(folder)
    }
    linkSync(sourcePath, path)
  }
}

function filesOfSeries (series: Series, folder: string, files: ReadonlyMap<string, ReceivedFile>): DiscFile[] {
  return inReadingOrder(series.instances)
    .flatMap(instance => {
      const file = files.get(instance.sopInstanceUid)
      return file === undefined ? [] : [{ instance, file }]
    })
    .map(({ instance, file }, index) => ({
      // what the file itself says counts more than a PACS that names no class
      instance: { ...instance, sopClassUid: file.sopClassUid },
      object: file,
      sourcePath: file.path,
      sizeBytes: file.sizeBytes,
      transferSyntaxUid: file.transferSyntaxUid,
      fileId: join(folder, component('IM', index))
    }))
}

/** The order in which a reader pages: instance number, then UID. */
export function inReadingOrder (instances: readonly Instance[]): Instance[] {
  return [...instances].sort((a, b) => (a.instanceNumber ?? Infinity) - (b.instanceNumber ?? Infinity) || compare(a.sopInstanceUid, b.sopInstanceUid))
}

function component (prefix: string, index: number): string {
  return prefix + String(index + 1).padStart(6, '0')
}

function byStudyDate (a: Study, b: Study): number {
  return compare(a.studyDate + a.studyTime, b.studyDate + b.studyTime) || compare(a.studyInstanceUid, b.studyInstanceUid)
}

function bySeriesNumber (a: Series, b: Series): number {
  return (a.seriesNumber ?? Infinity) - (b.seriesNumber ?? Infinity) || compare(a.seriesInstanceUid, b.seriesInstanceUid)
}

/** By code unit: the same on every machine, whatever its language. NaN from Infinity - Infinity falls through to here. */
function compare (a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
