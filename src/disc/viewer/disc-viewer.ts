/** The viewer of one disc: what is on it, as the viewer's page needs it, and what must lie in its root. */
import { linkSync, mkdirSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Config } from '../../config/schema.ts'
import { isNoSpace } from '../../disk.ts'
import { personName } from '../../dicom/person-name.ts'
import { loadLanguage, type Language } from '../../language/language.ts'
import type { Log } from '../../process.ts'
import type { DiscContents, DiscFile, DiscStudy } from '../contents.ts'
import { clean } from '../pages/clean.ts'
import type { WebContent } from '../web/web-content.ts'
import { viewerAssets } from './assets.ts'
import { describeFile, type ImageDescription } from './image-description.ts'
import { planViewer, type ViewerFile, type ViewerOptions, type ViewerPatient, type ViewerPlan, type ViewerStudy } from './plan.ts'

/** For the page, and for the author of the image. */
export type ShownPictures = Pick<ViewerPlan, 'data' | 'spans'>

export interface DiscViewerOptions {
  contents: DiscContents
  web: WebContent
  disc: Config['disc']
  /** Room on the medium for data that only the viewer needs, bytes. */
  roomBytes: number
  headers: ViewerOptions['headers']
  /** Files whose preamble has a picture's header; undefined where none can. */
  hasPicture?: ((file: DiscFile) => boolean) | undefined
  log: Log
  signal: AbortSignal
}

/**
 * Puts what the viewer needs into the root of the disc, where the images are already.
 * @throws the signal's reason; Error when nothing can be shown, and the disc is to be made without
 */
export async function placeViewer (root: string, options: DiscViewerOptions): Promise<ShownPictures> {
  const { contents, disc, roomBytes, headers, log, signal } = options
  // a page without its script would show nothing of all this
  viewerAssets()
  const language = loadLanguage(disc.language, disc.language_dir)
  const patients: ViewerPatient[] = []
  for (const { patient, studies } of contents.patients) {
    const shown: ViewerStudy[] = []
    for (const study of studies) shown.push(await viewerStudy(study, language, options))
    patients.push({ name: clean(personName(patient.patientName)), patientId: clean(patient.patientId), birthDate: language.date(patient.birthDate), studies: shown })
  }
  signal.throwIfAborted()
  const plan = planViewer(patients, { language, maxScriptBytes: Math.min(disc.viewerMaxBytes, roomBytes), headers })
  const made = new Set<string>()
  const folderOf = (path: string): void => {
    const folder = dirname(path)
    if (made.has(folder)) return
    mkdirSync(folder, { recursive: true })
    made.add(folder)
  }
  for (const { path, fileId } of plan.links) {
    folderOf(join(root, path))
    linkSync(join(root, fileId), join(root, path))
  }
  for (const { path, bytes } of plan.scripts) {
    signal.throwIfAborted()
    try {
      folderOf(join(root, path))
      await writeFile(join(root, path), await bytes())
    } catch (error) {
      // without its scripts rather than with a half of one
      if (isNoSpace(error)) throw error
      await rm(join(root, path), { force: true })
      // the page says of this one picture that it could not be read
      log.warn({ path, err: error }, 'the viewer of a disc cannot show an image')
    }
  }
  return plan
}

async function viewerStudy ({ study, series }: DiscStudy, language: Language, { web, log, hasPicture }: DiscViewerOptions): Promise<ViewerStudy> {
  const described = []
  for (const [index, one] of series.entries()) {
    const files: ViewerFile[] = []
    for (const file of one.files) {
      files.push({ fileId: file.fileId, sourcePath: file.sourcePath, description: await descriptionOf(file, log), preambleFree: hasPicture?.(file) === true })
    }
    described.push({
      number: String(one.series.seriesNumber ?? index + 1),
      modality: clean(one.series.modality),
      description: clean(one.series.seriesDescription),
      reports: web.series.get(one)?.reports ?? [],
      files
    })
  }
  return { date: language.date(study.studyDate), description: clean(study.studyDescription), accessionNumber: clean(study.accessionNumber), series: described }
}

async function descriptionOf (file: DiscFile, log: Log): Promise<ImageDescription | undefined> {
  try {
    return await describeFile(file)
  } catch (error) {
    log.warn({ file: file.fileId, err: error }, 'the viewer of a disc cannot show an image')
    return undefined
  }
}
