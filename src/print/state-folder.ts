/** Where the journal of prints lies. */
import { rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../config/schema.ts'
import { stateFolders, stateInTempDir } from '../config/state-folder.ts'
import type { Log } from '../process.ts'
import { Journal } from './journal.ts'

const JOURNAL = 'prints'

/** After the journal was closed: one that was never used leaves nothing in the folder for temporary files. */
export async function tidyUp (config: Config): Promise<void> {
  const folder = stateInTempDir(config)
  for (const path of [join(folder, JOURNAL), folder]) {
    await rmdir(path).catch(() => { /* it is not there, or in use */ })
  }
}

/**
 * Opens the journal in `relay.state_dir`, or where nothing is configured in the best place that there is: a service that has worked without a
 * journal must not fail to start for want of a folder.
 * @throws Error of the file system when `relay.state_dir` is set and of no use
 */
export async function openJournal (config: Config, workDir: string, log: Log): Promise<Journal> {
  const { relay: { state_dir: given } } = config
  if (given !== '') return await Journal.open(join(given, JOURNAL), log)
  for (const folder of stateFolders(config)) {
    try {
      const journal = await Journal.open(join(folder, JOURNAL), log)
      if (folder === stateInTempDir(config)) {
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
