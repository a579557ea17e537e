/**
 * Names and descriptions as the images themselves spell them. A PACS may answer C-FIND in a poorer character set than it stores: Orthanc
 * with its default encoding drops the ideographic group of a name and turns Cyrillic into nothing (measured). Where the PACS's text is a
 * poorer spelling of the image's, the image's is taken; where they differ in substance, the PACS is right, since it may have been corrected.
 */
import type { DicomObject } from '../dicom/part10.ts'
import type { CompleteStudy } from '../studies/holding.ts'

const STUDY_DESCRIPTION = 0x00081030
const SERIES_DESCRIPTION = 0x0008103E

/** Asks one file a series. */
export function withNamesFromFiles (studies: readonly CompleteStudy[]): CompleteStudy[] {
  return studies.map(one => {
    const firstOf = new Map<string, DicomObject>()
    for (const { object } of one.files) if (!firstOf.has(object.seriesInstanceUid)) firstOf.set(object.seriesInstanceUid, object)
    const [first] = firstOf.values()
    const patient = { ...one.patient, patientName: richer(one.patient.patientName, first?.patient.patientName) }
    const series = one.study.series.map(described =>
      ({ ...described, seriesDescription: richer(described.seriesDescription, firstOf.get(described.seriesInstanceUid)?.attributes.text(SERIES_DESCRIPTION)) }))
    return { ...one, patient, study: { ...one.study, patient, series, studyDescription: richer(one.study.studyDescription, first?.attributes.text(STUDY_DESCRIPTION)) } }
  })
}

/** The image's spelling when the PACS's is the same without the characters that it could not write. */
export function richer (pacs: string, image: string | undefined): string {
  if (image === undefined || image === '' || image.includes('\uFFFD')) return pacs
  // what is left of a text in a poorer character set: letters of ASCII and delimiters, or marks in place of letters
  const skeleton = (text: string): string => text.replace(/[^\x21-\x7e]|[?=^ ]/g, '')
  return skeleton(pacs) === skeleton(image) || /^[?=^\s]*$/.test(pacs) ? image : pacs
}
