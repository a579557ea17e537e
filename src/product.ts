/** Name and version, as pages, log and OpenAPI show them. */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** package.json stands beside `src`, or two levels above the built file. */
function versionOf (folder: string): string {
  for (let here = folder; here !== dirname(here); here = dirname(here)) {
    try {
      const content: unknown = JSON.parse(readFileSync(join(here, 'package.json'), 'utf8'))
      if (typeof content === 'object' && content !== null && 'version' in content) return String(content.version)
    } catch { /* one level higher */ }
  }
  return '0.0.0'
}

export const PRODUCT = { name: 'mkiso-server', version: versionOf(import.meta.dirname) }
