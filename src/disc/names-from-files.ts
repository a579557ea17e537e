/**
 * Names and descriptions as the images themselves spell them. A PACS may answer C-FIND in a poorer character set than it stores: Orthanc
 * with its default encoding drops the ideographic group of a name and turns Cyrillic into nothing (measured). Where the PACS's text is a
 * poorer spelling of the image's, the image's is taken; where they differ in substance, the PACS is right, since it may have been corrected.
 */
import { decodeText } from '../dicom/character-set.ts'
import type { Manifest } from '../dicom/study.ts'
import { readElements } from '../dicom/part10.ts'
import type { ReceivedFile } from '../studies/fetch-study.ts'

const SPECIFIC_CHARACTER_SET = 0x00080005
const STUDY_DESCRIPTION = 0x00081030
const SERIES_DESCRIPTION = 0x0008103E
const PATIENT_NAME = 0x00100010
const TAGS: ReadonlySet<number> = new Set([SPECIFIC_CHARACTER_SET, STUDY_DESCRIPTION, SERIES_DESCRIPTION, PATIENT_NAME])

/** Reads one file a series. */
export function withNamesFromFiles (manifest: Manifest, files: ReadonlyMap<string, ReceivedFile>): Manifest {
  return {
    studies: manifest.studies.map(study => {
      const series = study.series.map(one => {
        const file = one.instances.map(({ sopInstanceUid }) => files.get(sopInstanceUid)).find(found => found !== undefined)
        return { one, texts: file === undefined ? undefined : textsOf(file.path) }
      })
      const first = series.find(({ texts }) => texts !== undefined)?.texts
      return {
        ...study,
        studyDescription: richer(study.studyDescription, first?.(STUDY_DESCRIPTION)),
        patient: { ...study.patient, patientName: richer(study.patient.patientName, first?.(PATIENT_NAME)) },
        series: series.map(({ one, texts }) => ({ ...one, seriesDescription: richer(one.seriesDescription, texts?.(SERIES_DESCRIPTION)) }))
      }
    })
  }
}

function textsOf (path: string): (tag: number) => string {
  const { values } = readElements(path, TAGS)
  const characterSet = values.get(SPECIFIC_CHARACTER_SET)?.toString('latin1') ?? ''
  return tag => decodeText(values.get(tag) ?? Buffer.alloc(0), characterSet).replace(/[ \0]+$/, '').trim()
}

/** The image's spelling when the PACS's is the same without the characters that it could not write. */
export function richer (pacs: string, image: string | undefined): string {
  if (image === undefined || image === '' || image.includes('\uFFFD')) return pacs
  // what is left of a text in a poorer character set: letters of ASCII and delimiters, or marks in place of letters
  const skeleton = (text: string): string => text.replace(/[^\x21-\x7e]|[?=^ ]/g, '')
  return skeleton(pacs) === skeleton(image) || /^[?=^\s]*$/.test(pacs) ? image : pacs
}
