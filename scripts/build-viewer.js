/** The viewer of a disc as one script and one style sheet, which the pages of discs carry inside. */
import { join } from 'node:path'
import { build } from 'esbuild'

const ROOT = join(import.meta.dirname, '..')

export async function buildViewer () {
  await build({
    absWorkingDir: ROOT,
    entryPoints: { viewer: 'viewer/src/main.ts', style: 'viewer/viewer.css' },
    outdir: 'src/disc/viewer/assets',
    bundle: true,
    minify: true,
    charset: 'utf8',
    format: 'iife',
    legalComments: 'none',
    // what hospitals and patients have: no older than five years
    target: ['chrome90', 'firefox90', 'safari14.1']
  })
}

if (process.argv[1] === import.meta.filename) await buildViewer()
