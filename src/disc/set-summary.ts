/** What is on each disc of a set, for whoever chooses among them. */
import { filesOf, type DiscContents } from './contents.ts'

/** As it goes over the wire. */
export interface DiscOfSet {
  disc: number
  link: string
  /** Of its images; the disc's pages come on top. */
  size_bytes: number
  images: number
  studies: Array<{ accession_number: string, date: string, description: string, series: Array<{ modality: string, description: string, images: number }> }>
}

export function discOfSet (contents: DiscContents, link: string): DiscOfSet {
  const files = filesOf(contents)
  return {
    disc: contents.disc,
    link,
    size_bytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    images: files.length,
    studies: contents.patients.flatMap(({ studies }) => studies.map(({ study, series }) => ({
      accession_number: study.accessionNumber,
      date: study.studyDate,
      description: study.studyDescription,
      series: series.map(one => ({ modality: one.series.modality, description: one.series.seriesDescription, images: one.files.length }))
    })))
  }
}
