/** The pages of a disc, as IHE PDI asks (RAD TF-3 4.47): INDEX.HTM and README.TXT in the root, a page for each study, AUTORUN.INF. */
import { Eta } from 'eta'
import type { Config } from '../../config/schema.ts'
import { PRODUCT } from '../../product.ts'
import type { DiscContents, DiscStudy } from '../contents.ts'
import type { NotListed } from '../dicomdir/dicomdir.ts'
import { WEB_FOLDER, type WebContent, type WebSeries } from '../web/web-content.ts'
import { loadLanguage, type Language } from '../../language/language.ts'
import { personName } from '../../dicom/person-name.ts'

export interface PageInput {
  contents: DiscContents
  disc: Config['disc']
  /** The viewer's folder on the disc, and the program in it that Windows may start; empty when none is configured. */
  viewer: { folder: string, program: string } | undefined
  web: WebContent
  notListed: readonly NotListed[]
  /** Images that the PACS did not deliver (disc.allow_incomplete). */
  /** Images that are missing; undefined where nobody can tell. */
  missing: number | undefined
  createdAt: Date
  /** Name of the application profile, where there is one (PS3.11). */
  profile: string | undefined
}

const html = new Eta({ views: import.meta.dirname, autoEscape: true, cache: true })
const plain = new Eta({ views: import.meta.dirname, autoEscape: false, cache: true, autoTrim: [false, 'nl'] })

/**
 * @returns path on the disc and text
 * @throws Error when the language cannot be loaded
 */
export function renderPages (input: PageInput): Array<{ path: string, text: string }> {
  const { contents, disc, viewer, web, createdAt } = input
  const language = loadLanguage(disc.language, disc.language_dir)
  const today = language.date(createdAt.toISOString().slice(0, 10).replaceAll('-', ''))
  const patients = contents.patients.map(({ patient, studies }) => ({
    patient: { ...patient, patientId: clean(patient.patientId) },
    name: clean(personName(patient.patientName)),
    studies: studies.map(study => viewOfStudy(study, web, language))
  }))
  const studies = patients.flatMap(patient => patient.studies)
  const counts = { patients: patients.length, studies: studies.length, images: studies.reduce((sum, { count }) => sum + count, 0) }
  const notListed = input.notListed.map(({ fileId, reason }) => ({ fileId, reason: clean(reason) }))
  const data = { ...input, notListed, language, patients, counts, today, product: PRODUCT, heading: disc.institution === '' ? language.say('title') : disc.institution }
  const readme = plain.render('./readme', data).replace(/\n{3,}/g, '\n\n').replace(/\r?\n/g, '\r\n')
  return [
    { path: 'INDEX.HTM', text: html.render('./index', data) },
    // Notepad takes a file without a mark for the machine's old code page
    { path: 'README.TXT', text: `\uFEFF${readme}` },
    ...patients.flatMap(({ name, studies }) => studies.filter(({ page }) => page !== '').map(study => ({
      path: study.page,
      text: html.render('./study', { language, name, study: relativeTo(study), heading: `${study.description} ${study.date}` })
    }))),
    ...(viewer === undefined || viewer.program === '' ? [] : [{ path: 'AUTORUN.INF', text: `[autorun]\r\nopen=${viewer.folder}\\${viewer.program}\r\nlabel=${clean(disc.institution) || 'DICOM'}\r\n` }])
  ]
}

interface StudyView {
  accessionNumber: string
  date: string
  description: string
  count: number
  page: string
  series: Array<WebSeries & { anchor: string, number: string, modality: string, description: string, count: number }>
}

function viewOfStudy (discStudy: DiscStudy, web: WebContent, language: Language): StudyView {
  const { study, series } = discStudy
  return {
    accessionNumber: study.accessionNumber,
    date: language.date(study.studyDate),
    description: clean(study.studyDescription),
    count: series.reduce((sum, { files }) => sum + files.length, 0),
    page: web.pages.get(discStudy) ?? '',
    series: series.map((discSeries, index) => ({
      ...web.series.get(discSeries) ?? { thumbnail: '', pictures: [], reports: [], framesLeftOut: 0, failed: false },
      anchor: `s${index + 1}`,
      number: String(discSeries.series.seriesNumber ?? index + 1),
      modality: clean(discSeries.series.modality),
      description: clean(discSeries.series.seriesDescription),
      count: discSeries.files.length
    }))
  }
}

/** Links as they are from a page inside the web folder. */
function relativeTo (study: StudyView): StudyView {
  const inside = (path: string): string => path.replace(`${WEB_FOLDER}/`, '')
  return {
    ...study,
    series: study.series.map(series => ({ ...series, thumbnail: inside(series.thumbnail), pictures: series.pictures.map(inside), reports: series.reports.map(inside) }))
  }
}

/** What came from a PACS may hold control characters, which would forge a line of README.TXT. */
function clean (text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim()
}
