import { chmodSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { freePort } from '../../demo/ports.ts'
import { findscu } from '../../src/dcmtk/findscu.ts'
import { silentLog } from '../../src/process.ts'
import { DEFAULTS, programsOf, temporaryFolder } from '../world.ts'

t.test('findscu runs where it may write: in the root of a container or a systemd unit it ended with "output directory is not writeable"', async t => {
  const folder = temporaryFolder(t)
  const wrapper = join(folder, 'findscu')
  const seen = join(folder, 'seen')
  writeFileSync(wrapper, `#!/bin/sh\npwd > ${seen}\nexec ${DEFAULTS.dcmtk.findscu} "$@"\n`)
  chmodSync(wrapper, 0o755)
  const peer = { aeTitle: 'ABPACS', host: '127.0.0.1', port: await freePort(), connectTimeoutMs: 20_000 }
  const context = { programs: programsOf(t), dcmtk: { ...DEFAULTS.dcmtk, findscu: wrapper }, log: silentLog }
  const result = await findscu(context, peer, { level: 'STUDY', callingAeTitle: 'CDRECORD', keys: { '0008,0050': 'X' }, timeoutMs: 20_000, tempDir: folder })
  t.match(result, { kind: 'no-association', fault: { kind: 'unreachable' } })
  t.equal(dirname(readFileSync(seen, 'utf8').trim()), realpathSync(folder))
})
