/** The viewer's script and style sheet, as scripts/build-viewer.js has made them. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface ViewerAssets {
  script: string
  style: string
  /** For a Content Security Policy: `'sha256-...'`. */
  scriptHash: string
}

/** Script file with the decoders of compressed images, to be linked onto discs that have such. */
export const CODECS_PATH = join(import.meta.dirname, 'assets', 'codecs.txt')

const FOLDER = join(import.meta.dirname, 'assets')
let loaded: ViewerAssets | undefined

/**
 * Read once.
 * @throws Error when the viewer has not been built
 */
export function viewerAssets (): ViewerAssets {
  loaded ??= read()
  return loaded
}

function read (): ViewerAssets {
  try {
    const script = readFileSync(join(FOLDER, 'viewer.js'), 'utf8').trim()
    // esbuild writes <\\/script; an end tag would end the script on the page
    if (/<\/script|<!--/i.test(script)) throw new Error('the script cannot stand in a page')
    return { script, style: readFileSync(join(FOLDER, 'style.css'), 'utf8').trim(), scriptHash: cspHash(script) }
  } catch (error) {
    throw new Error('the viewer of discs has not been built: npm run build', { cause: error })
  }
}

/** A script in a page, as a policy names it (CSP 3, 2.3.1). */
export function cspHash (script: string): string {
  return `'sha256-${createHash('sha256').update(script).digest('base64')}'`
}
