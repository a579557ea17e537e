/** What a test needs to ask a PACS as the service does. */
import type { Test } from 'tap'
import type { Pacs as TestPacs } from '../../demo/pacs.ts'
import { AssociationLimit } from '../../src/archive/dimse/association-limit.ts'
import type { FindContext } from '../../src/archive/dimse/find.ts'
import { pacsOf, type Pacs } from '../../src/archive/dimse/pacs.ts'
import type { Asking } from '../../src/archive/archive.ts'
import { silentLog, type Log } from '../../src/process.ts'
import { DEFAULTS, programsOf, temporaryFolder } from '../world.ts'

export interface Asker {
  context: FindContext
  asking: Asking
  /** Warnings so far. */
  warnings: Array<{ message: string, fields: Record<string, unknown> }>
}

export function askerOf (t: Test, { aeTitle, host, port }: Pick<TestPacs, 'aeTitle' | 'host' | 'port'>, pacs: Partial<Pacs> = {}): Asker {
  const limit = new AssociationLimit({ associations: 8, moves: 4 })
  const warnings: Asker['warnings'] = []
  const log: Log = { ...silentLog, warn: (fields, message) => { warnings.push({ message, fields: { ...fields } }) } }
  const context = {
    programs: programsOf(t), dcmtk: DEFAULTS.dcmtk, log, limit, callingAeTitle: 'CDRECORD', tempDir: temporaryFolder(t, 'find'),
    pacs: { ...pacsOf(DEFAULTS.archives[0]), name: aeTitle, aeTitle, host, port, ...pacs }
  }
  return { context, asking: { signal: new AbortController().signal, log }, warnings }
}
