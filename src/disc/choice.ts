/** Which part of the studies goes onto a disc: series by their UID, and by modality. */
import type { Manifest, Series } from '../dicom/study.ts'
import { MkisoError } from '../errors.ts'
import type { CompleteStudies, CompleteStudy, HeldFile } from '../studies/complete-studies.ts'
import type { Part } from './contents.ts'

/** What stands in an address: `series=1.2.3,1.2.4` and `modality=CT,SR`. */
export interface ChoiceQuery {
  series?: string | undefined
  modality?: string | undefined
}

/** A series is chosen when it is named, and of a modality that is named, where names are given. */
export interface Choice {
  /** Each once, in one order; undefined for all. */
  readonly series: readonly string[] | undefined
  readonly modalities: readonly string[] | undefined
}

const MODALITY = 0x00080060

/** UIDs of up to 64 characters; nginx takes a first line of 8 KB. */
export const SERIES_MAX_LENGTH = 6_500
export const SERIES_PATTERN = '^[0-9A-Za-z][0-9A-Za-z._-]{0,63}(?:,[0-9A-Za-z][0-9A-Za-z._-]{0,63})*$'
/** Code strings (PS3.5 6.2, VR CS) without blanks. */
export const MODALITY_PATTERN = '^[A-Z0-9_]{1,16}(?:,[A-Z0-9_]{1,16})*$'

/** @param query as the patterns let it through; @returns undefined for the whole studies */
export function choiceOf ({ series, modality }: ChoiceQuery): Choice | undefined {
  if (series === undefined && modality === undefined) return undefined
  return { series: series === undefined ? undefined : distinct(series), modalities: modality === undefined ? undefined : distinct(modality) }
}

/** The same text for the same choice. */
export function choiceKey (choice: Choice | undefined): string {
  return choice === undefined ? '' : JSON.stringify([choice.series ?? null, choice.modalities ?? null])
}

export function isChosen (choice: Choice | undefined, { seriesInstanceUid, modality }: Pick<Series, 'seriesInstanceUid' | 'modality'>): boolean {
  return choice === undefined || (choice.series?.includes(seriesInstanceUid) !== false && choice.modalities?.includes(modality) !== false)
}

/**
 * Everything that was named is there, and something is chosen.
 * @throws MkisoError NO_SUCH_SERIES, which names those that there are
 */
export function guardChoice (choice: Choice | undefined, { studies }: Manifest): void {
  if (choice === undefined) return
  const all = studies.flatMap(({ series }) => series)
  const unknown = [
    ...(choice.series ?? []).filter(uid => all.every(({ seriesInstanceUid }) => seriesInstanceUid !== uid)),
    ...(choice.modalities ?? []).filter(wanted => all.every(({ modality }) => modality !== wanted)).map(modality => `of modality ${modality}`)
  ]
  const thereAre = `there are ${all.map(nameOf).join(', ')}`
  if (unknown.length > 0) throw new MkisoError('NO_SUCH_SERIES', `there is no series ${unknown.join(', none ')}; ${thereAre}`)
  if (!all.some(one => isChosen(choice, one))) throw new MkisoError('NO_SUCH_SERIES', `no series is both named and of a modality that is named; ${thereAre}`)
}

/** True where the archive has named every series and its modality: what is not among them is not there. */
export function knowsEverySeries ({ studies }: Manifest): boolean {
  return studies.every(({ seriesListing, series }) => seriesListing === 'whole' && series.length > 0 && series.every(({ modality }) => modality !== ''))
}

/**
 * The chosen part of studies that have come, and have been found whole.
 * @returns `part`: undefined where nothing is left out
 * @throws MkisoError NO_SUCH_SERIES
 */
export function choosePart (choice: Choice | undefined, all: readonly CompleteStudy[]): { studies: CompleteStudy[], part: Part | undefined } {
  const described = all.map(withModalities)
  guardChoice(choice, { studies: described.map(({ study }) => study) })
  const studies = described.map((one): CompleteStudy => {
    const series = one.study.series.filter(series => isChosen(choice, series))
    const own = new Set(series.map(({ seriesInstanceUid }) => seriesInstanceUid))
    return { ...one, study: { ...one.study, series }, files: one.files.filter(({ object }) => own.has(object.seriesInstanceUid)) }
  }).filter(({ files }) => files.length > 0)
  const [chosen, whole] = [countOf(studies), countOf(described)]
  const part = chosen.images === whole.images ? undefined : { series: chosen.series, ofSeries: whole.series, images: chosen.images, ofImages: whole.images }
  return { studies, part }
}

/** What {@link choosePart} must have given, file by file, for the guard of the disc: a second way to the same. */
export function chosenFiles (choice: Choice | undefined, { studies }: Pick<CompleteStudies, 'studies'>): HeldFile[] {
  return studies.map(withModalities).flatMap(({ study, files }) => {
    const modalities = new Map(study.series.map(({ seriesInstanceUid, modality }) => [seriesInstanceUid, modality]))
    return files.filter(({ object: { seriesInstanceUid } }) => isChosen(choice, { seriesInstanceUid, modality: modalities.get(seriesInstanceUid) ?? '' }))
  })
}

/** Where the archive does not say of which modality a series is, its images do. */
function withModalities (one: CompleteStudy): CompleteStudy {
  if (one.study.series.every(({ modality }) => modality !== '')) return one
  const first = new Map<string, HeldFile>()
  for (const file of one.files) if (!first.has(file.object.seriesInstanceUid)) first.set(file.object.seriesInstanceUid, file)
  const series = one.study.series.map(series => series.modality !== ''
    ? series
    : { ...series, modality: first.get(series.seriesInstanceUid)?.object.attributes.text(MODALITY) ?? '' })
  return { ...one, study: { ...one.study, series } }
}

function countOf (studies: readonly CompleteStudy[]): { series: number, images: number } {
  return studies.reduce((sum, { study, files }) => ({ series: sum.series + study.series.length, images: sum.images + files.length }), { series: 0, images: 0 })
}

function nameOf ({ modality, seriesInstanceUid }: Series): string {
  return `${modality === '' ? '?' : modality} ${seriesInstanceUid}`
}

function distinct (list: string): string[] {
  return [...new Set(list.split(','))].sort()
}
