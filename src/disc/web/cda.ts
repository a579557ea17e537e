/**
 * A clinical document (HL7 CDA R2) as a page. What a person must be able to read of it is its narrative (CDA R2 1.2.3): titles and text of the
 * sections; so that is shown, and nothing that a machine was meant to read. No style sheet of the document is followed.
 */
import { SaxesParser } from 'saxes'
import { decodeText } from '../../dicom/character-set.ts'
import { documentPage } from './document-page.ts'

/** Elements of the narrative (CDA R2 4.3.5) and what they are in HTML; of what is not here the text is shown. */
const NARRATIVE: Readonly<Record<string, string>> = {
  paragraph: 'p', item: 'li', content: 'span', sub: 'sub', sup: 'sup', caption: 'p', footnote: 'small', table: 'table', thead: 'thead', tbody: 'tbody', tfoot: 'tfoot', tr: 'tr', th: 'th', td: 'td'
}
const DEEPEST_HEADING = 6

/** @throws Error when there is nothing in it that can be read */
export function cdaPage (document: Buffer): string {
  const out: string[] = []
  let title = ''
  const path: string[] = []
  /** How many of an element are open: `path` may be as long as the document. */
  const within = { text: 0, section: 0 }
  /** What closes each open element of the narrative. */
  const open: string[] = []
  let plainText = false
  const parser = new SaxesParser()
  const inText = (): boolean => within.text > 0 && within.section > 0
  const entered = (local: string, by: 1 | -1): void => { if (local === 'text' || local === 'section') within[local] += by }
  // an undeclared prefix does not matter here: only local names are looked at
  parser.on('opentag', ({ name, attributes }) => {
    const local = name.slice(name.indexOf(':') + 1)
    if (inText()) {
      const tag = local === 'list' ? attributes['listType'] === 'ordered' ? 'ol' : 'ul' : local === 'caption' && path.at(-1) === 'table' ? 'caption' : NARRATIVE[local]
      if (local === 'br') out.push('<br>')
      else if (tag !== undefined) out.push(`<${tag}${spans(attributes)}>`)
      open.push(tag === undefined ? '' : `</${tag}>`)
    } else if (local === 'title') out.push(`<h${Math.min(DEEPEST_HEADING, within.section + 1)}>`)
    else if (local === 'text' && path.at(-1) === 'section') out.push('<div>')
    else if (local === 'text' && path.at(-1) === 'nonXMLBody') {
      plainText = attributes['representation'] !== 'B64' && (attributes['mediaType'] ?? 'text/plain') === 'text/plain'
      if (plainText) out.push('<pre style="white-space: pre-wrap">')
    }
    path.push(local)
    entered(local, 1)
  })
  parser.on('closetag', ({ name }) => {
    const local = name.slice(name.indexOf(':') + 1)
    path.pop()
    entered(local, -1)
    if (inText()) out.push(open.pop() ?? '')
    else if (local === 'title') out.push(`</h${Math.min(DEEPEST_HEADING, within.section + 1)}>`)
    else if (local === 'text' && path.at(-1) === 'section') out.push('</div>')
    else if (local === 'text' && path.at(-1) === 'nonXMLBody' && plainText) out.push('</pre>')
  })
  const text = (value: string): void => {
    const inTitle = path.at(-1) === 'title' && (path.length === 2 || path.at(-2) === 'section')
    if (inTitle && path.length === 2) title += value
    if (inText() || inTitle || (plainText && path.at(-1) === 'text')) out.push(escaped(value))
  }
  parser.on('text', text)
  parser.on('cdata', text)
  parser.on('error', error => { throw error })
  parser.write(textOf(document)).close()
  const body = out.join('')
  if (body.replace(/<[^>]*>/g, '').trim() === '') throw new Error('the clinical document has no text')
  return documentPage(escaped(title.trim()), body)
}

/** Cells that span others; nothing else of an attribute is taken. */
function spans (attributes: Readonly<Record<string, string>>): string {
  return ['colspan', 'rowspan'].flatMap(name => /^\d{1,3}$/.test(attributes[name] ?? '') ? [` ${name}="${attributes[name]}"`] : []).join('')
}

/** UTF-8 unless it says another encoding (XML 1.0 4.3.3); the byte that makes the length even is none of it. */
function textOf (document: Buffer): string {
  const bytes = document.at(-1) === 0 ? document.subarray(0, -1) : document
  const encoding = /^[^>]*encoding\s*=\s*["']([\w.:-]+)["']/.exec(bytes.toString('latin1', 0, 200))?.[1] ?? 'utf-8'
  try {
    return new TextDecoder(encoding).decode(bytes)
  } catch {
    return decodeText(bytes, '')
  }
}

function escaped (text: string): string {
  return text.replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)
}
