/** docs/conformance.md says what is proposed and accepted: its rows against the tools with the arguments that the service gives them, and against our own receiver. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { freePort } from '../../demo/ports.ts'
import { isStorageClass } from '../../src/archive/dimse/association/transfer-syntax.ts'
import { createGetTransport } from '../../src/archive/dimse/get-transport.ts'
import { pacsOf } from '../../src/archive/dimse/pacs.ts'
import { createPerRequestScp } from '../../src/archive/dimse/per-request-scp.ts'
import { PortPool } from '../../src/archive/dimse/port-pool.ts'
import type { TransportOptions } from '../../src/archive/dimse/transport.ts'
import { echoscu } from '../../src/dcmtk/echoscu.ts'
import { findscu } from '../../src/dcmtk/findscu.ts'
import { movescu } from '../../src/dcmtk/movescu.ts'
import { silentLog } from '../../src/process.ts'
import { DEFAULTS, programsOf, temporaryFolder } from '../world.ts'
import { accepted, requestOf, type PresentationContext } from './association.ts'

const statement = readFileSync(join(import.meta.dirname, '../../docs/conformance.md'), 'utf8').split('\n')
const CT = '1.2.840.10008.5.1.4.1.1.2'
const IMPLICIT = '1.2.840.10008.1.2'
const EXPLICIT = '1.2.840.10008.1.2.1'
const signal = new AbortController().signal

/** The parts of the service, without the service. @param port the PACS's, and our receiver's */
function options (t: Test, port: number): TransportOptions {
  const config = { ...DEFAULTS, our_ae: { ...DEFAULTS.our_ae, base_port: port } }
  return { programs: programsOf(t), dcmtk: config.dcmtk, log: silentLog, config, pacs: pacsOf({ ...DEFAULTS.archives[0], host: '127.0.0.1', port }), receiverTls: undefined, pool: new PortPool(1), workDir: temporaryFolder(t) }
}

t.test('presentation contexts that are proposed', async t => {
  const folder = temporaryFolder(t)
  const context = { programs: programsOf(t), dcmtk: DEFAULTS.dcmtk, log: silentLog }
  const peer = (port: number) => ({ aeTitle: 'ABPACS', host: '127.0.0.1', port, connectTimeoutMs: 5_000 })
  const part = { studyInstanceUid: '1.2.3' }
  const calls: Record<string, (port: number) => Promise<unknown>> = {
    echo: async port => await echoscu(context, peer(port), 'CDRECORD'),
    find: async port => await findscu(context, peer(port), { level: 'STUDY', callingAeTitle: 'CDRECORD', keys: { '0008,0050': 'X' }, timeoutMs: 5_000, tempDir: folder }),
    move: async port => await movescu(context, peer(port), { callingAeTitle: 'CDRECORD', destinationAeTitle: 'CDRECORD', part, timeoutMs: 5_000 }),
    get: async port => {
      const session = await createGetTransport(options(t, port)).open({ signal, log: silentLog })
      await session.fetch(part, { signal, log: silentLog, onActivity: () => {}, remembered: undefined })
      await session.close()
    }
  }
  for (const [name, call] of Object.entries(calls)) {
    const rows = statement.map(line => new RegExp(`^\\| ${name} \\| ([\\d.]+) \\| ([\\d., ]+) \\|$`).exec(line)).filter(row => row !== null)
    const stated = rows.map(([, abstractSyntax = '', list = '']): PresentationContext => ({ abstractSyntax, transferSyntaxes: list.split(', ') }))
    t.ok(stated.length > 0, name)
    const proposed = await requestOf(call)
    t.strictSame(proposed.slice(0, stated.length), stated, name)
    const storage = proposed.slice(stated.length)
    t.equal(storage.length, name === 'get' ? 126 : 0, 'storage contexts')
    t.ok(storage.every(({ abstractSyntax }) => isStorageClass(abstractSyntax)))
    const isUncompressed = (list: readonly string[]): boolean => list.join() === [EXPLICIT, IMPLICIT].join()
    t.ok(storage.every(({ transferSyntaxes: list }) => isUncompressed(list) || (list.length === 1 && list[0] !== EXPLICIT)), 'uncompressed, or one compressed syntax')
  }
})

t.test('transfer syntaxes and SOP classes that the receiver accepts', async t => {
  const port = await freePort()
  const session = await createPerRequestScp(options(t, port)).open({ signal, log: silentLog })
  t.teardown(async () => { await session.close() })
  const rows = statement.map(line => /^\| ([12]\.[\d.]+) [^|]+ \| (yes|no) \|$/.exec(line)).filter(row => row !== null)
  t.ok(rows.length > 25)
  const answers = await accepted(port, 'CDRECORD', rows.map(([, uid = '']) => ({ abstractSyntax: CT, transferSyntaxes: [uid] })))
  t.strictSame(rows.map(([, uid], index) => `${uid ?? ''} ${answers[index] === true ? 'yes' : 'no'}`), rows.map(([, uid, answer]) => `${uid ?? ''} ${answer ?? ''}`))
  const classes = { verification: '1.2.840.10008.1.1', 'a private class': '1.3.12.2.1107.5.9.1', 'Query/Retrieve': '1.2.840.10008.5.1.4.1.2.2.1' }
  t.strictSame(await accepted(port, 'ANYTHING', Object.values(classes).map(abstractSyntax => ({ abstractSyntax, transferSyntaxes: [IMPLICIT] }))), [true, true, false])
})
