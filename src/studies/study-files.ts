/** What a held study does with files. */
import { mkdirSync, renameSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { sameDataSet } from './same-data-set.ts'
import type { HeldFile } from './complete-studies.ts'

export interface StudyFiles {
  createFolder (folder: string): void
  /** Within one file system. */
  move (from: string, to: string): void
  /** Whether both hold the same object, byte for byte. */
  same (a: HeldFile, b: HeldFile): Promise<boolean>
  remove (path: string): Promise<void>
}

export const filesOnDisk: StudyFiles = {
  createFolder: folder => { mkdirSync(folder, { mode: 0o700 }) },
  move: renameSync,
  same: sameDataSet,
  remove: async path => { await rm(path, { recursive: true, force: true }) }
}
