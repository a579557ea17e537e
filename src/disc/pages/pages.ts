/** The pages of a disc, as IHE PDI asks (RAD TF-3 4.47): INDEX.HTM and README.TXT in the root, a page for each study, AUTORUN.INF. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Eta } from 'eta'
import type { Config } from '../../config/schema.ts'
import { PRODUCT } from '../../product.ts'
import type { LeftOutPrior } from '../../dicom/study.ts'
import { silentArchives, type DiscContents, type DiscStudy } from '../contents.ts'
import type { NotListed } from '../dicomdir/dicomdir.ts'
import { WEB_FOLDER, type WebContent, type WebSeries } from '../web/web-content.ts'
import { loadLanguage, type Language } from '../../language/language.ts'
import { personName } from '../../dicom/person-name.ts'
import { clean } from './clean.ts'
import { readmeText } from './readme.ts'
import { cspHash, viewerAssets } from '../viewer/assets.ts'
import { pageJson, type PageData } from '../viewer/page-data.ts'

export interface PageInput {
  contents: DiscContents
  disc: Config['disc']
  /** The viewer's folder on the disc, and the program in it that Windows may start; empty when none is configured. */
  viewer: { folder: string, program: string } | undefined
  web: WebContent
  notListed: readonly NotListed[]
  /** Images that are missing; undefined where nobody can tell. */
  missing: number | undefined
  /** Earlier studies that should be on it. */
  priorsLeftOut?: readonly LeftOutPrior[] | undefined
  createdAt: Date
  /** Name of the application profile, where there is one (PS3.11). */
  profile: string | undefined
  /** What the page's own viewer shows; undefined where the disc has none (disc.viewer). */
  pictures?: PageData | undefined
  /** The page is shown by the service, not from the disc: what else lies on the disc is not beside it. */
  online?: boolean
}

const STUDY_SCRIPT = readFileSync(join(import.meta.dirname, 'study.js'), 'utf8')

/**
 * What a page of the disc may do: show what lies beside it and run the script that we have put into it. `file:` stands beside 'self', since an
 * opaque origin is not itself everywhere. Seen to hold in Chromium, Firefox and WebKitGTK from file://.
 * @param scripts by hash
 */
function policyOf (scripts: readonly string[]): string {
  return [
    "default-src 'none'", "img-src 'self' file: data: blob:", "style-src 'unsafe-inline'", `script-src ${scripts.length === 0 ? "'none'" : scripts.join(' ')}`, "frame-src 'self' file:",
    "base-uri 'none'", "form-action 'none'"
  ].join('; ')
}

/** Of INDEX.HTM. Pictures that only a decoder can show are in scripts of their own. */
export function indexPolicy (pictures: PageData | undefined): string {
  return policyOf(pictures === undefined ? [] : [viewerAssets().scriptHash, ...(usesScripts(pictures) ? ["'self'", 'file:', "'wasm-unsafe-eval'"] : [])])
}

const html = new Eta({ views: import.meta.dirname, autoEscape: true, cache: true })

/**
 * @returns path on the disc and text
 * @throws Error when the language cannot be loaded
 */
export function renderPages (input: PageInput): Array<{ path: string, text: string }> {
  const { contents, disc, viewer, web, createdAt } = input
  const language = loadLanguage(disc.language, disc.language_dir)
  const today = language.date(createdAt.toISOString().slice(0, 10).replaceAll('-', ''))
  let seriesCount = 0
  const patients = contents.patients.map(({ patient, studies }) => ({
    patient: { ...patient, patientId: clean(patient.patientId) },
    name: clean(personName(patient.patientName)),
    studies: studies.map(study => viewOfStudy(study, web, language, () => seriesCount++))
  }))
  const studies = patients.flatMap(patient => patient.studies)
  const counts = { patients: patients.length, studies: studies.length, images: studies.reduce((sum, { count }) => sum + count, 0) }
  const silent = silentArchives(contents)
  const priorsLeftOut = (input.priorsLeftOut ?? []).map(prior => priorLine(prior, language))
  const notListed = input.notListed.map(({ fileId, reason }) => ({ fileId, reason: clean(reason) }))
  const reports = studies.flatMap(({ date, series }) => series.flatMap(({ reports, description, modality }) => reports.map(path => ({ path, title: [description || modality, date].join(', ') }))))
  const assets = input.pictures === undefined ? undefined : viewerAssets()
  const viewerPage = input.pictures === undefined || assets === undefined ? undefined : { data: pageJson(input.pictures), script: assets.script, style: assets.style }
  const data = {
    ...input,
    reports,
    viewerPage,
    policy: indexPolicy(input.pictures),
    notListed,
    silent,
    priorsLeftOut,
    language,
    patients,
    counts,
    today,
    product: PRODUCT,
    heading: disc.institution === '' ? language.say('title') : disc.institution
  }
  const readme = readmeText({ ...input, silent, priorsLeftOut, language, patients, counts, notListed, product: PRODUCT, today, set: contents })
  return [
    { path: 'INDEX.HTM', text: html.render('./index', data) },
    // Notepad takes a file without a mark for the machine's old code page
    { path: 'README.TXT', text: `\uFEFF${readme}` },
    ...patients.flatMap(({ name, studies }) => studies.filter(({ page }) => page !== '').map(study => ({
      path: study.page,
      text: html.render('./study', { language, name, study: relativeTo(study), script: STUDY_SCRIPT, policy: policyOf([cspHash(STUDY_SCRIPT)]), heading: `${study.description} ${study.date}` })
    }))),
    ...(viewer === undefined || viewer.program === '' ? [] : [{ path: 'AUTORUN.INF', text: `[autorun]\r\nopen=${viewer.folder}\\${viewer.program}\r\nlabel=${clean(disc.institution) || 'DICOM'}\r\n` }])
  ]
}

/** An earlier study that is not here, in a line: its date, description and number. */
function priorLine ({ studyDate, studyDescription, accessionNumber }: LeftOutPrior, language: Language): string {
  return [studyDate === '' ? '' : language.date(studyDate), clean(studyDescription), clean(accessionNumber)].filter(part => part !== '').join(', ')
}

interface StudyView {
  prior: boolean
  accessionNumber: string
  date: string
  description: string
  count: number
  page: string
  /** `index`: among all series of the disc, as the viewer counts them. */
  series: Array<WebSeries & { index: number, anchor: string, number: string, modality: string, description: string, count: number }>
}

function viewOfStudy (discStudy: DiscStudy, web: WebContent, language: Language, nextIndex: () => number): StudyView {
  const { study, series } = discStudy
  return {
    prior: study.prior === true,
    accessionNumber: study.accessionNumber,
    date: language.date(study.studyDate),
    description: clean(study.studyDescription),
    count: series.reduce((sum, { files }) => sum + files.length, 0),
    page: web.pages.get(discStudy) ?? '',
    series: series.map((discSeries, index) => ({
      ...web.series.get(discSeries) ?? { thumbnail: '', pictures: [], reports: [], framesLeftOut: 0, failed: false },
      index: nextIndex(),
      anchor: `s${index + 1}`,
      number: String(discSeries.series.seriesNumber ?? index + 1),
      modality: clean(discSeries.series.modality),
      description: clean(discSeries.series.seriesDescription),
      count: discSeries.files.length
    }))
  }
}

function usesScripts (pictures: PageData | undefined): boolean {
  return pictures?.patients.some(({ studies }) => studies.some(({ series }) => series.some(({ common, images }) => [common, ...images].some(({ pixels }) => pixels?.by === 'script' || pixels?.by === 'picking')))) ?? false
}

/** Links as they are from a page inside the web folder. */
function relativeTo (study: StudyView): StudyView {
  const inside = (path: string): string => path.replace(`${WEB_FOLDER}/`, '')
  return {
    ...study,
    series: study.series.map(series => ({ ...series, thumbnail: inside(series.thumbnail), pictures: series.pictures.map(inside), reports: series.reports.map(inside) }))
  }
}
