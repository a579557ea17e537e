/** docs/conformance.md says what the tools propose and accept: its rows against the tools, with the arguments that the service gives them. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { freePort } from '../../demo/ports.ts'
import { echoscu } from '../../src/dcmtk/echoscu.ts'
import { findscu } from '../../src/dcmtk/findscu.ts'
import { getscu } from '../../src/dcmtk/getscu.ts'
import { movescu } from '../../src/dcmtk/movescu.ts'
import { storescp } from '../../src/dcmtk/storescp.ts'
import { silentLog } from '../../src/process.ts'
import { DEFAULTS, programsOf, temporaryFolder } from '../world.ts'
import { accepted, requestOf, type PresentationContext } from './association.ts'

const statement = readFileSync(join(import.meta.dirname, '../../docs/conformance.md'), 'utf8').split('\n')
const CT = '1.2.840.10008.5.1.4.1.1.2'
const IMPLICIT = '1.2.840.10008.1.2'

t.test('presentation contexts that are proposed', async t => {
  const folder = temporaryFolder(t)
  const context = { programs: programsOf(t), dcmtk: DEFAULTS.dcmtk, log: silentLog }
  const peer = (port: number) => ({ aeTitle: 'ABPACS', host: '127.0.0.1', port, connectTimeoutMs: 5_000 })
  const part = { studyInstanceUid: '1.2.3' }
  const calls: Record<string, (port: number) => Promise<unknown>> = {
    echo: async port => await echoscu(context, peer(port), 'CDRECORD'),
    find: async port => await findscu(context, peer(port), { level: 'STUDY', callingAeTitle: 'CDRECORD', keys: { '0008,0050': 'X' }, timeoutMs: 5_000, tempDir: folder }),
    move: async port => await movescu(context, peer(port), { callingAeTitle: 'CDRECORD', destinationAeTitle: 'CDRECORD', part, timeoutMs: 5_000 }),
    get: async port => await getscu(context, peer(port), { callingAeTitle: 'CDRECORD', part, folder, timeoutMs: 5_000 })
  }
  for (const [name, call] of Object.entries(calls)) {
    const rows = statement.map(line => new RegExp(`^\\| ${name} \\| ([\\d.]+) \\| ([\\d., ]+) \\|$`).exec(line)).filter(row => row !== null)
    const stated = rows.map(([, abstractSyntax = '', list = '']): PresentationContext => ({ abstractSyntax, transferSyntaxes: list.split(', ') }))
    t.ok(stated.length > 0, name)
    const proposed = await requestOf(call)
    t.strictSame(name === 'get' ? proposed.slice(0, 1) : proposed, stated, name)
    if (name === 'get') {
      t.equal(proposed.length - 1, 120, 'storage classes')
      t.ok(proposed.every(({ transferSyntaxes }) => transferSyntaxes.join(', ') === stated[0]?.transferSyntaxes.join(', ')))
    }
  }
})

t.test('transfer syntaxes and SOP classes that the receiver accepts', async t => {
  const port = await freePort()
  await storescp({ programs: programsOf(t), dcmtk: DEFAULTS.dcmtk, log: silentLog }, { aeTitle: 'CDRECORD', port, folder: temporaryFolder(t), idleTimeoutMs: DEFAULTS.pacs.idleTimeoutMs, tls: undefined })
  const rows = statement.map(line => /^\| (1\.2\.840\.10008\.1\.2[\d.]*) [^|]+ \| (yes|no) \|$/.exec(line)).filter(row => row !== null)
  t.ok(rows.length > 25)
  const answers = await accepted(port, 'CDRECORD', rows.map(([, uid = '']) => ({ abstractSyntax: CT, transferSyntaxes: [uid] })))
  t.strictSame(rows.map(([, uid], index) => `${uid ?? ''} ${answers[index] === true ? 'yes' : 'no'}`), rows.map(([, uid, answer]) => `${uid ?? ''} ${answer ?? ''}`))
  const classes = { verification: '1.2.840.10008.1.1', 'a private class': '1.3.12.2.1107.5.9.1', 'Query/Retrieve': '1.2.840.10008.5.1.4.1.2.2.1' }
  t.strictSame(await accepted(port, 'ANYTHING', Object.values(classes).map(abstractSyntax => ({ abstractSyntax, transferSyntaxes: [IMPLICIT] }))), [true, true, false])
})
