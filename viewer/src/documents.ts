/** Reports and documents, read in their place. */
import { button, element } from './dom.ts'
import type { Say } from './viewport.ts'

export interface DocumentReader {
  element: HTMLDialogElement
  open (path: string, title: string): void
}

export function documentReader (say: Say): DocumentReader {
  const dialog = element('dialog', { class: 'mv-dialog', 'aria-label': say('reports') })
  return {
    element: dialog,
    open: (path, title) => {
      // nothing of a report runs; a PDF needs the browser's own reader
      const frame = element('iframe', { src: path, title: title || say('reports'), ...(isPdf(path) ? {} : { sandbox: '' }) })
      dialog.replaceChildren(
        element('p', {}, button('✕', say('close'), () => { dialog.close() }), ' ', element('a', { href: path, target: '_blank', rel: 'noopener' }, say('open_report'))),
        frame)
      dialog.showModal()
    }
  }
}

export function isPdf (path: string): boolean {
  return path.endsWith('.PDF')
}
