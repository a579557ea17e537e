/** Where each image goes on the disc: legal File IDs (PS3.10 8.2), patient/study/series in the order in which a reader pages them. */
import { linkSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { DicomObject } from '../dicom/part10.ts'
import { samePerson } from '../dicom/person.ts'
import type { Instance, Patient, Series, Study } from '../dicom/study.ts'
import type { DiscContents, DiscFile, DiscPatient, DiscSeries } from './contents.ts'
import { filesOf } from './contents.ts'

/** The folder of the file-set. */
export const FILE_SET_FOLDER = 'DICOM'

/** A file that is to go onto a disc. */
export interface DiscSource {
  /** As it came. */
  object: DicomObject
  /** As it came, or decoded, with what the copy is. */
  path: string
  sizeBytes: number
  transferSyntaxUid: string
}

/** A study to be laid out, of one patient. */
export interface StudySources {
  study: Study
  patient: Patient
  files: readonly DiscSource[]
}

/** Lays studies out as one disc. A file's name has two letters and six digits: 8 characters of A-Z and 0-9, no extension, 5 levels. */
export function layOut (studies: readonly StudySources[]): DiscContents {
  const patients: DiscPatient[] = []
  for (const { study, patient: whose, files } of [...studies].sort((a, b) => byStudyDate(a.study, b.study))) {
    let patient = patients.find(({ patient }) => samePerson(patient, whose).same)
    if (patient === undefined) patients.push(patient = { patient: whose, studies: [] })
    const folder = join(FILE_SET_FOLDER, component('PT', patients.indexOf(patient)), component('ST', patient.studies.length))
    const bySeries = new Map<string, DiscSource[]>()
    for (const file of files) {
      const own = bySeries.get(file.object.seriesInstanceUid)
      if (own === undefined) bySeries.set(file.object.seriesInstanceUid, [file])
      else own.push(file)
    }
    const series = [...study.series].sort(bySeriesNumber)
      .map((one, index): DiscSeries => ({ series: one, files: filesOfSeries(one, join(folder, component('SE', index)), bySeries.get(one.seriesInstanceUid) ?? []) }))
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

function filesOfSeries (series: Series, folder: string, files: readonly DiscSource[]): DiscFile[] {
  const byUid = new Map(files.map(file => [file.object.sopInstanceUid, file]))
  return inReadingOrder(series.instances)
    .flatMap(instance => {
      const file = byUid.get(instance.sopInstanceUid)
      return file === undefined ? [] : [{ instance, file }]
    })
    .map(({ instance, file }, index) => ({
      instance,
      object: file.object,
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

/** A File ID component. @param index from 0 */
export function component (prefix: string, index: number): string {
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
