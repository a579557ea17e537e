/** The pictures of a disc for people with only a browser: the folder IHE_PDI. */
import { linkSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { DiscContents, DiscSeries, DiscStudy } from '../contents.ts'
import type { Renderer } from './renderer.ts'

/** Folder of the web content in the root of the disc (IHE RAD TF-3 4.47). */
export const WEB_FOLDER = 'IHE_PDI'

/** Paths are from the root of the disc; upper case, since Linux tells the difference. */
export interface WebSeries {
  /** Empty when there is none. */
  thumbnail: string
  pictures: string[]
  /** Pages and PDF documents. */
  reports: string[]
  /** Frames of multi-frame images beyond what is shown. */
  framesLeftOut: number
  /** A picture should be there, but could not be rendered. */
  failed: boolean
}

export interface WebContent {
  /** A page a study. One Series Instance UID may stand in two studies, and one Study Instance UID under two patients. */
  pages: ReadonlyMap<DiscStudy, string>
  series: ReadonlyMap<DiscSeries, WebSeries>
}

export const NO_WEB_CONTENT: WebContent = { pages: new Map(), series: new Map() }

/** Waits for the renderer and puts what it made in its place below the root of a disc. */
export async function placeWebContent (renderer: Renderer, contents: DiscContents, root: string): Promise<WebContent> {
  const pages = new Map<DiscStudy, string>()
  const seriesOf = new Map<DiscSeries, WebSeries>()
  const place = (source: string, path: string): string => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    linkSync(source, join(root, path))
    return path
  }
  let studyNumber = 0
  for (const study of contents.patients.flatMap(({ studies }) => studies)) {
    const studyFolder = `${WEB_FOLDER}/${component('ST', ++studyNumber)}`
    if (renderer.drawsImages) pages.set(study, `${studyFolder}.HTM`)
    for (const [index, one] of study.series.entries()) {
      const folder = `${studyFolder}/${component('SE', index + 1)}`
      const web: WebSeries = { thumbnail: '', pictures: [], reports: [], framesLeftOut: 0, failed: false }
      const { thumbnail, pictures, documents, framesLeftOut, failed } = await renderer.finish(one.files)
      if (thumbnail !== undefined) web.thumbnail = place(thumbnail, `${folder}/THUMB.JPG`)
      for (const picture of pictures) web.pictures.push(place(picture, `${folder}/${component('IM', web.pictures.length + 1)}.JPG`))
      for (const { path, extension } of documents) web.reports.push(place(path, `${folder}/${component('RP', web.reports.length + 1)}.${extension}`))
      Object.assign(web, { framesLeftOut, failed })
      seriesOf.set(one, web)
    }
  }
  return { pages, series: seriesOf }
}

function component (prefix: string, n: number): string {
  return prefix + String(n).padStart(6, '0')
}
