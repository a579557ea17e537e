/** Where the journal of prints lies. */
import { lstatSync, mkdirSync } from 'node:fs'
import { rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { writableDirectory } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import type { Log } from '../process.ts'
import { Journal } from './journal.ts'

/** As package and image make it (StateDirectory=, VOLUME). */
const DEFAULT = '/var/lib/mkiso'
const IN_TEMP_DIR = 'mkiso-state'
const JOURNAL = 'prints'

/** After the journal was closed: one that was never used leaves nothing in the folder for temporary files. */
export async function tidyUp ({ iso: { temp_dir: tempDir } }: Config): Promise<void> {
  for (const path of [join(tempDir, IN_TEMP_DIR, JOURNAL), join(tempDir, IN_TEMP_DIR)]) {
    await rmdir(path).catch(() => { /* it is not there, or in use */ })
  }
}

/**
 * Opens the journal in `relay.state_dir`, or where nothing is configured in the best place that there is: a service that has worked without a
 * journal must not fail to start for want of a folder.
 * @throws Error of the file system when `relay.state_dir` is set and of no use
 */
export async function openJournal (config: Config, workDir: string, log: Log): Promise<Journal> {
  const { relay: { state_dir: given }, iso: { temp_dir: tempDir } } = config
  if (given !== '') return await Journal.open(join(given, JOURNAL), log)
  const inTempDir = join(tempDir, IN_TEMP_DIR)
  for (const folder of [DEFAULT, inTempDir]) {
    if (folder === DEFAULT ? !writableDirectory(folder) : !isOurs(folder)) continue
    try {
      const journal = await Journal.open(join(folder, JOURNAL), log)
      if (folder === inTempDir) {
        log.warn({ folder }, 'the journal of prints lies in iso.temp_dir; give it a folder that nobody clears away: relay.state_dir')
      }
      return journal
    } catch (error) {
      log.warn({ err: error, folder }, 'the journal of prints cannot lie here')
    }
  }
  log.warn({ folder: workDir }, 'the journal of prints goes with this service: after a restart nobody knows what the robot has; set relay.state_dir')
  return await Journal.open(join(workDir, JOURNAL), log, true)
}

/** In a folder that everybody may write to, somebody else may have made it, or a link in its place. */
function isOurs (folder: string): boolean {
  try { mkdirSync(folder, { mode: 0o700 }) } catch { /* it is there, or cannot be */ }
  try {
    const found = lstatSync(folder)
    return found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0
  } catch { return false }
}
