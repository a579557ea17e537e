/** Folders for what must be known after a restart. */
import { lstatSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { writableDirectory } from './load.ts'
import type { Config } from './schema.ts'

/** As package and image make it (StateDirectory=, VOLUME). */
const DEFAULT = '/var/lib/mkiso'
const IN_TEMP_DIR = 'mkiso-state'

/** The folder for state within the one for temporary files, where there is no better. */
export function stateInTempDir ({ iso: { temp_dir: tempDir } }: Pick<Config, 'iso'>): string {
  return join(tempDir, IN_TEMP_DIR)
}

/** `relay.state_dir`, or where nothing is configured what there is, best first; none where nothing is of use. */
export function stateFolders (config: Pick<Config, 'iso' | 'relay'>): string[] {
  const { relay: { state_dir: given } } = config
  if (given !== '') return [given]
  const inTempDir = stateInTempDir(config)
  return [DEFAULT, inTempDir].filter(folder => folder === DEFAULT ? writableDirectory(folder) : isOurs(folder))
}

/** In a folder that everybody may write to, somebody else may have made it, or a link in its place. */
function isOurs (folder: string): boolean {
  try { mkdirSync(folder, { mode: 0o700 }) } catch { /* it is there, or cannot be */ }
  try {
    const found = lstatSync(folder)
    return found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0
  } catch { return false }
}
