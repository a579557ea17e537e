/** What a browser may be shown of a kept disc, file by file: its page, what the page's viewer draws, and rendered documents. Not the DICOM files. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { SECTOR_BYTES } from '../image/iso9660.ts'
import type { Image } from '../image/image.ts'
import type { Span } from '../image/placement.ts'
import { indexPolicy, renderPages, type PageInput } from '../pages/pages.ts'
import { DOCUMENT_POLICY } from '../web/document-page.ts'
import { WEB_FOLDER } from '../web/web-content.ts'

export interface ShownDisc {
  /** Folder that is the root of the image. */
  root: string
  /** Names that begin with a header and end in the file behind it. */
  spans: readonly Span[]
  page: PageInput
}

/** One file of it, as it goes out. */
export interface ShownFile {
  /** Media type; without a charset where the page says it. */
  type: string
  /** Content Security Policy of the answer. */
  policy: string
  /** Text, or bytes that are read when they go out. */
  content: string | Image
}

const INDEX = 'INDEX.HTM'
/** Names of the disc; nothing that a path could climb with. */
const NAME = new RegExp(`^${WEB_FOLDER}(?:/[A-Z0-9_]+)+\\.(BMP|TXT|HTM|PDF|JPG)$`)
const TYPES = { BMP: 'image/bmp', TXT: 'text/javascript', HTM: 'text/html; charset=utf-8', PDF: 'application/pdf', JPG: 'image/jpeg' }
const FRAMED = "frame-ancestors 'self'"

/** @returns undefined where there is no such file */
export function shownFile (disc: ShownDisc, path: string): ShownFile | undefined {
  if (path === INDEX) return { type: TYPES.HTM, policy: `${indexPolicy(disc.page.pictures)}; ${FRAMED}`, content: indexText(disc.page) }
  const extension = NAME.exec(path)?.[1] as keyof typeof TYPES | undefined
  if (extension === undefined) return undefined
  const content = spanContent(disc, path) ?? (extension === 'BMP' ? undefined : fileContent(join(disc.root, path)))
  // the reader of PDF that browsers have needs what a policy would forbid it
  return content === undefined ? undefined : { type: TYPES[extension], policy: extension === 'PDF' ? FRAMED : `${DOCUMENT_POLICY}; ${FRAMED}`, content }
}

function indexText (page: PageInput): string {
  const index = renderPages({ ...page, online: true }).find(({ path }) => path === INDEX)
  if (index === undefined) throw new Error('the disc has no first page')
  return index.text
}

/** The header in its sector, headers of other spans that lie before the file, then the file: as on the image. */
function spanContent ({ root, spans }: ShownDisc, path: string): Image | undefined {
  const span = spans.find(one => one.path === path)
  if (span === undefined) return undefined
  const alike = spans.filter(({ over }) => over === span.over)
  const before = (alike.length - alike.indexOf(span)) * SECTOR_BYTES
  const file = fileContent(join(root, span.over))
  if (file === undefined) return undefined
  return {
    sizeBytes: before + span.reachBytes,
    // what it reaches beyond the file is zero, as the padding of a sector is
    segments: [{ bytes: span.header, offset: 0, lengthBytes: span.header.length }, ...file.segments.map(segment => ({ ...segment, offset: before }))]
  }
}

function fileContent (path: string): Image | undefined {
  const found = statSync(path, { throwIfNoEntry: false })
  return found?.isFile() === true ? { sizeBytes: found.size, segments: [{ path, offset: 0, lengthBytes: found.size, fileOffset: 0 }] } : undefined
}
