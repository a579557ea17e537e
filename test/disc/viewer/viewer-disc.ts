/** A disc with the viewer, from files to the image, without a PACS before it. */
import { createWriteStream, linkSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Test } from 'tap'
import { authorImage } from '../../../src/disc/image/author.ts'
import type { DiscContents, DiscFile } from '../../../src/disc/contents.ts'
import { imageStream, type Image } from '../../../src/disc/image/image.ts'
import { renderPages } from '../../../src/disc/pages/pages.ts'
import { picturePreamble } from '../../../src/disc/viewer/bmp.ts'
import { describeFile, type ImageDescription } from '../../../src/disc/viewer/image-description.ts'
import { planViewer, type ViewerOptions, type ViewerPlan } from '../../../src/disc/viewer/plan.ts'
import { readObject } from '../../../src/dicom/part10.ts'
import { NO_WEB_CONTENT } from '../../../src/disc/web/web-content.ts'
import { loadLanguage } from '../../../src/language/language.ts'
import { silentLog, type Programs } from '../../../src/process.ts'
import { DEFAULTS, temporaryFolder } from '../../world.ts'

export interface DiscSeries {
  modality: string
  description: string
  reports?: string[]
  /** DICOM files of this machine. */
  files: string[]
}

export interface ViewerDisc {
  image: Image
  iso: string
  /** What is on it, as xorriso reads it. */
  root: string
  /** DICOM file of each series and place, from the root of the disc. */
  fileIds: string[][]
  descriptions: ImageDescription[][]
  plan: ViewerPlan
  /** Before it became an image. */
  source: string
}

export async function viewerDisc (t: Pick<Test, 'teardown'>, programs: Programs, series: readonly DiscSeries[], options: Partial<ViewerOptions> & { language?: ViewerOptions['language'], largestFileBytes?: number, extra?: Record<string, string> } = {}): Promise<ViewerDisc> {
  const folder = temporaryFolder(t, 'viewer')
  const source = join(folder, 'source')
  const descriptions: ImageDescription[][] = []
  const fileIds = series.map(({ files }, at) => files.map((file, index) => {
    const fileId = `DICOM/PT000001/ST000001/${component('SE', at + 1)}/${component('IM', index + 1)}`
    put(join(source, fileId), readFileSync(file))
    return fileId
  }))
  const language = options.language ?? loadLanguage('en', '')
  for (const { files } of series) descriptions.push(await Promise.all(files.map(described)))
  const plan = planViewer([{
    name: 'RAHAYU SITI', patientId: 'MR.0001', birthDate: '17 August 1985',
    studies: [{
      date: '5 March 2024', description: 'Phantoms', accessionNumber: 'A1',
      series: series.map(({ modality, description, reports, files }, at) => ({
        number: String(at + 1), modality, description, reports: reports ?? [],
        files: files.map((sourcePath, index) => ({ fileId: fileIds[at]?.[index] ?? '', sourcePath, description: descriptions[at]?.[index] }))
      }))
    }]
  }], { maxScriptBytes: 2 ** 30, headers: 'before', ...options, language })
  for (const { path, fileId } of plan.links) {
    mkdirSync(dirname(join(source, path)), { recursive: true })
    linkSync(join(source, fileId), join(source, path))
  }
  // as in a ZIP: the folder is what a reader has
  if (options.headers === 'preamble') {
    for (const [at, ids] of fileIds.entries()) {
      for (const [index, fileId] of ids.entries()) {
        const description = descriptions[at]?.[index]
        const preamble = description === undefined ? undefined : picturePreamble(description)
        if (preamble !== undefined) writeFileSync(join(source, fileId), preamble, { flag: 'r+' })
      }
    }
  }
  for (const { path, bytes } of plan.scripts) put(join(source, path), await bytes())
  for (const [path, text] of Object.entries(options.extra ?? {})) put(join(source, path), text)
  const pages = renderPages({
    contents: await contentsOf(series, fileIds), disc: DEFAULTS.disc, viewer: undefined, web: NO_WEB_CONTENT, notListed: [], missing: 0, createdAt: new Date('2024-03-06T00:00:00Z'), profile: undefined,
    pictures: plan.data
  })
  for (const { path, text } of pages) put(join(source, path), text)
  const sortFile = join(folder, 'order')
  writeFileSync(sortFile, `${join(source, 'README.TXT')} 1\n`)
  const image = await authorImage({ programs, tools: DEFAULTS.tools, iso: DEFAULTS.iso, log: silentLog },
    { root: source, grafts: [], sortFile, largestFileBytes: options.largestFileBytes ?? 0, spans: plan.spans }, join(folder, 'head'), new AbortController().signal)
  const iso = join(folder, 'disc.iso')
  await pipeline(imageStream(image), createWriteStream(iso))
  const root = join(folder, 'root')
  const result = await programs.run('xorriso', ['-osirrox', 'on', '-indev', iso, '-extract', '/', root])
  if (result.exitCode !== 0) throw new Error(result.stderr)
  await programs.run('chmod', ['-R', 'u+rwX', root])
  return { image, iso, root, fileIds, descriptions, plan, source }
}

/** What the pages say of it; of a series without files its modality. */
async function contentsOf (series: readonly DiscSeries[], fileIds: readonly string[][]): Promise<DiscContents> {
  const patient = { patientId: 'MR.0001', issuerOfPatientId: '', patientName: 'RAHAYU^SITI', birthDate: '19850817', sex: 'F' }
  const made = await Promise.all(series.map(async ({ modality, description, files }, at) => ({
    series: { seriesInstanceUid: `1.${at}`, modality, seriesNumber: at + 1, seriesDescription: description, instances: [], instanceCount: undefined, listing: 'whole' as const },
    files: await Promise.all(files.map(async (sourcePath, index): Promise<DiscFile> => {
      const object = await readObject(sourcePath)
      const { sopInstanceUid, sopClassUid, sizeBytes, transferSyntaxUid } = object
      return { instance: { sopInstanceUid, sopClassUid, instanceNumber: index + 1 }, object, sourcePath, sizeBytes, transferSyntaxUid, fileId: fileIds[at]?.[index] ?? '' }
    }))
  })))
  const study = {
    studyInstanceUid: '1', accessionNumber: 'A1', patient, studyDate: '20240305', studyTime: '', studyDescription: 'Phantoms', studyId: '',
    seriesCount: undefined, instanceCount: undefined, seriesListing: 'whole' as const, series: made.map(one => one.series)
  }
  return { patients: [{ patient, studies: [{ study, series: made }] }], disc: 1, discs: 1 }
}

/** As it is done with a file that has come from a PACS. */
export async function described (sourcePath: string): Promise<ImageDescription> {
  const object = await readObject(sourcePath)
  return await describeFile({ object, sourcePath, sizeBytes: object.sizeBytes, transferSyntaxUid: object.transferSyntaxUid })
}

function put (path: string, content: string | Buffer): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content)
}

function component (prefix: string, n: number): string {
  return prefix + String(n).padStart(6, '0')
}
