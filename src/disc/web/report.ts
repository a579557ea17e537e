/** A structured report as a page that stands by itself on a disc. */
import { readFile, writeFile } from 'node:fs/promises'
import type { Programs } from '../../process.ts'

/** A report with a fault is better read with a gap than not at all. */
const LENIENT = ['+U8', '-Er', '-Ev', '-Ec', '-Ei']

/**
 * Writes the page of a report (PS3.3 A.35) with dsr2html.
 * @param target file to write, HTML in UTF-8
 * @throws Error with what dsr2html says when there is no page
 */
export async function renderReport (programs: Programs, dsr2html: string, path: string, target: string, options: { signal: AbortSignal, timeoutMs: number }): Promise<void> {
  let reason = ''
  // a report with letters beyond ASCII that names no character set is refused (measured: exit code 2); Latin 1 is what such senders mean
  for (const assumed of [[], ['+Ca', 'latin-1']]) {
    const result = await programs.run(dsr2html, [...LENIENT, ...assumed, path, target], options)
    if (result.exitCode === 0) {
      await writeFile(target, withoutOutsideLinks(await readFile(target, 'utf8')))
      return
    }
    reason = result.stderr.trim()
  }
  throw new Error(reason)
}

/**
 * dsr2html links the images that a report names to `http://localhost/dicom.cgi`, and its last line to its makers (measured): nothing on a
 * disc may lead to the network. The words stay; links inside the page (`#...`) too. Text of the report cannot look like a link, since
 * dsr2html escapes it.
 */
export function withoutOutsideLinks (html: string): string {
  return html.replace(/<a href="[a-z][a-z0-9+.-]*:[^"]*"[^>]*>([\s\S]*?)<\/a>/gi, '$1')
}
