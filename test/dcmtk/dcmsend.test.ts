/** Why an image did not go to the publisher, in words that say what to change. */
import { join } from 'node:path'
import { writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { writeStudy } from '../../demo/phantoms/catalogue.ts'
import { listening } from '../../demo/pacs.ts'
import { freePort } from '../../demo/ports.ts'
import { dcmsend } from '../../src/dcmtk/dcmsend.ts'
import { echoscu } from '../../src/dcmtk/echoscu.ts'
import type { SendRequest } from '../../src/dcmtk/send.ts'
import { storescu } from '../../src/dcmtk/storescu.ts'
import { silentLog } from '../../src/process.ts'
import { faultStudy } from '../faults/harness.ts'
import { startLyingPacs } from '../faults/lying-pacs.ts'
import { DEFAULTS, programsOf, temporaryFolder } from '../world.ts'

const SENDERS = { dcmsend, storescu }

async function sending (t: Test): Promise<{ context: Parameters<typeof dcmsend>[0], request: SendRequest, folder: string }> {
  const folder = temporaryFolder(t, 'send')
  const programs = programsOf(t)
  const images = join(folder, 'images')
  const series = (['CT', 'MR'] as const).map(kind => ({ kind, count: 1, rows: 16, columns: 16 }))
  await writeStudy({ ...faultStudy('SEND'), series }, images, programs)
  const request = { callingAeTitle: 'CDRECORD', folder: images, fileCount: 2, timeoutMs: 60_000, tempDir: folder }
  return { context: { programs, dcmtk: DEFAULTS.dcmtk, log: silentLog }, request, folder }
}

t.test('a class that the robot does not take: the class and the reason, not a number', async t => {
  const { context, request, folder } = await sending(t)
  const profile = join(folder, 'profile.cfg')
  writeFileSync(profile, ['[[TransferSyntaxes]]', '[Plain]', 'TransferSyntax1 = LittleEndianImplicit',
    '[[PresentationContexts]]', '[CT]', 'PresentationContext1 = CTImageStorage\\Plain', '[[Profiles]]', '[OnlyCT]', 'PresentationContexts = CT', ''].join('\n'))
  const port = await freePort()
  await listening(context.programs.start('storescp', ['-xf', profile, 'ONLYCT', '-od', folder, String(port)]), port, 'storescp')
  const peer = { aeTitle: 'ROBOT', host: '127.0.0.1', port, connectTimeoutMs: 20_000 }
  t.strictSame(await dcmsend(context, peer, request),
    { kind: 'sent', confirmed: 1, reasons: ['no acceptable presentation context for MRImageStorage'] })
  t.match(await storescu(context, peer, request), { kind: 'sent', confirmed: 1, reasons: [/No presentation context for: \(MR\)/] })
})

t.test('a robot that is busy is not one that refuses', async t => {
  const { context, request } = await sending(t)
  const liar = await startLyingPacs(1)
  t.teardown(async () => { await liar.close() })
  const as = (aeTitle: string) => ({ aeTitle, host: liar.host, port: liar.port, connectTimeoutMs: 20_000 })
  for (const [name, send] of Object.entries(SENDERS)) {
    t.strictSame(await send(context, as('BUSY'), request),
      { kind: 'no-association', fault: { kind: 'busy', reason: 'temporary: local limit exceeded' } }, name)
    t.match(await send(context, as('OTHERNAME'), request), { kind: 'no-association', fault: { kind: 'called-title-unknown' } }, name)
    t.match(await send(context, as('CLOSED'), request), { kind: 'no-association', fault: { kind: 'rejected' } }, name)
  }
  t.match(await echoscu(context, as('BUSY'), 'CDRECORD'), { kind: 'busy' })
})
