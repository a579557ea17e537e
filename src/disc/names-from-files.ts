/**
 * Names and descriptions as the images themselves spell them. A PACS may answer C-FIND in a poorer character set than it stores: Orthanc
 * with its default encoding drops the ideographic group of a name and turns Cyrillic into nothing (measured). Where the PACS's text is a
 * poorer spelling of the image's, the image's is taken; where they differ in substance, the PACS is right, since it may have been
 * corrected.
 */
import type { DicomObject } from '../dicom/part10.ts'
import type { CompleteStudy } from '../studies/complete-studies.ts'

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

/** The image's spelling where the PACS's is the same without the characters that it could not write. */
export function richer (pacs: string, image: string | undefined): string {
  if (image === undefined || image === '' || image.includes('\uFFFD')) return pacs
  return isPoorer(pacs, image) ? image : pacs
}

/** What stands for a character that could not be written, and what is left between such ones. */
const MARKS = /[?\uFFFD^=\s]/

/**
 * Whether `pacs` is what is left of `image` in a character set that lacks some of its letters: each letter is there in its order, or has
 * been dropped or replaced by a mark. A letter is not dropped where others of its script could be written: those are two texts.
 */
function isPoorer (pacs: string, image: string): boolean {
  if (isMisread(pacs, image)) return true
  const letters = [...pacs].filter(letter => !MARKS.test(letter))
  const written = new Set(letters.map(scriptOf))
  let next = 0
  let dropped = 0
  for (const letter of image) {
    if (letter === letters[next]) next++
    else if (MARKS.test(letter)) continue
    else if (scriptOf(letter) === 'ASCII' || written.has(scriptOf(letter))) return letters.length === 0
    else dropped++
  }
  return letters.length === 0 || (next === letters.length && dropped > 0)
}

/** UTF-8 that the PACS took for Latin 1. */
function isMisread (pacs: string, image: string): boolean {
  const bytes = Buffer.from(image, 'utf8')
  return bytes.length > image.length && bytes.toString('latin1') === pacs
}

const SCRIPTS: ReadonlyArray<[string, RegExp]> = [
  ['ASCII', /[\0-\x7f]/],
  ['Latin', /\p{Script=Latin}/u], ['Cyrillic', /\p{Script=Cyrillic}/u], ['Greek', /\p{Script=Greek}/u], ['Arabic', /\p{Script=Arabic}/u],
  ['Hebrew', /\p{Script=Hebrew}/u],
  ['Thai', /\p{Script=Thai}/u], ['Hangul', /\p{Script=Hangul}/u], ['Han', /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u]
]

function scriptOf (letter: string): string {
  return SCRIPTS.find(([, pattern]) => pattern.test(letter))?.[0] ?? 'other'
}
