/** A structured report as a page that stands by itself on a disc. */
import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import sanitizeHtml from 'sanitize-html'
import type { Programs, SpawnOptions } from '../../process.ts'
import { LARGEST_PAGE_BYTES } from '../render-limits.ts'
import { documentPage } from './document-page.ts'

/** A report with a fault is better read with a gap than not at all. */
const LENIENT = ['+U8', '-Er', '-Ev', '-Ec', '-Ei']

/**
 * Writes the page of a report (PS3.3 A.35) with dsr2html.
 * @param target file to write, HTML in UTF-8
 * @throws Error with what dsr2html says when there is no page
 */
export async function renderReport (
  programs: Programs, dsr2html: string, path: string, target: string, options: SpawnOptions
): Promise<void> {
  let reason = ''
  // a report with letters beyond ASCII that names no character set is refused (measured: exit code 2); Latin 1 is what such senders mean
  for (const assumed of [[], ['+Ca', 'latin-1']]) {
    const result = await programs.run(dsr2html, [...LENIENT, ...assumed, path, target], options)
    const sizeBytes = await stat(target).then(({ size }) => size, () => 0)
    if (sizeBytes >= LARGEST_PAGE_BYTES) {
      await rm(target)
      throw new Error(`its page has ${sizeBytes} bytes or more`)
    }
    if (result.exitCode === 0) {
      await writeFile(target, reportPage(await readFile(target, 'utf8')))
      return
    }
    reason = result.stderr.trim()
  }
  throw new Error(reason)
}

/** What dsr2html writes (measured over its templates); its own style sheet is not worth letting styles in. */
const CLEANING: sanitizeHtml.IOptions = {
  allowedTags: [
    'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'p', 'div', 'span', 'br', 'hr', 'b', 'i', 'u', 'em', 'strong', 'small', 'sup', 'sub', 'code', 'pre', 'ul', 'ol', 'li', 'dl', 'dt', 'dd',
    'table', 'caption', 'thead', 'tbody', 'tr', 'th', 'td', 'a'
  ],
  // links inside the page only: nothing on a disc may lead to the network, and a link's address is text of the report
  allowedAttributes: { a: ['href', 'name'], td: ['colspan', 'rowspan'], th: ['colspan', 'rowspan'], span: ['class'], div: ['class'], p: ['class'] },
  allowedSchemes: [],
  allowProtocolRelative: false,
  transformTags: {
    a: (tagName, { href, name }) => {
      const inside = href !== undefined && /^#[\w-]+$/.test(href)
      return inside || name !== undefined
        ? { tagName, attribs: { ...(inside ? { href } : {}), ...(name === undefined ? {} : { name }) } }
        : { tagName: 'span', attribs: {} }
    }
  },
  nonTextTags: ['script', 'style', 'textarea', 'option', 'noscript', 'title']
}

/**
 * The page of a disc from what dsr2html has written. It puts UIDs of the report into addresses as they are (`javascript:` among them ran as
 * script), links the images that a report names to `http://localhost/dicom.cgi`, and its last line to its makers (all measured).
 */
export function reportPage (html: string): string {
  const title = sanitizeHtml(/<title>([\s\S]*?)<\/title>/i.exec(html)?.[1] ?? '', { allowedTags: [], allowedAttributes: {} })
  const body = /<body[^>]*>([\s\S]*)<\/body>/i.exec(html)?.[1] ?? html
  return documentPage(title, sanitizeHtml(body, CLEANING).trim())
}
