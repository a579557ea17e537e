/** The small dictionary with which findscu, movescu and echoscu start: what we ask for stands in it, and as it stands in DCMTK's own. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ASKING_ENVIRONMENT } from '../../src/dcmtk/peer.ts'

const ROOT = join(import.meta.dirname, '../..')

/** Tag, as `0008,103e`, to VR and number of values. */
function dictionary (path: string): Map<string, string> {
  const lines = readFileSync(path, 'latin1').split('\n').filter(line => line.startsWith('('))
  return new Map(lines.map(line => {
    const [tag = '', vr, , count] = line.split('\t')
    return [tag.slice(1, -1).toLowerCase(), `${vr} ${count}`] as const
  }))
}

const ours = dictionary(ASKING_ENVIRONMENT['DCMDICTPATH'] ?? '')

t.test('each attribute is what it is in the dictionary of the installed DCMTK', async t => {
  const folder = readdirSync('/usr/share').find(name => name.startsWith('libdcmtk')) ?? 'dcmtk'
  const theirs = dictionary(join('/usr/share', folder, 'dicom.dic'))
  t.ok(theirs.size > 3_000, `${theirs.size} attributes in theirs`)
  for (const [tag, what] of ours) t.equal(what, theirs.get(tag), tag)
})

t.test('every attribute that stands in our questions is in it: of another one the tools do not know what its value is', async t => {
  const sources = ['src/archive/dimse/find.ts', 'src/archive/dimse/questions.ts', 'src/dcmtk/findscu.ts', 'src/dcmtk/fetch.ts']
  const asked = new Set(sources.flatMap(path => [...readFileSync(join(ROOT, path), 'utf8').matchAll(/['`"](\d{4},[\da-f]{4})(?=['`"=])/g)].map(([, tag = '']) => tag)))
  t.ok(asked.size >= 20, `${asked.size} attributes are asked for`)
  for (const tag of asked) t.ok(ours.has(tag), tag)
})

t.test('every element of a message is in it: without its VR no request is written', async t => {
  // PS3.7 E.1, those of C-ECHO, C-FIND, C-MOVE and C-CANCEL
  for (const tag of ['0000,0000', '0000,0002', '0000,0100', '0000,0110', '0000,0120', '0000,0600', '0000,0700', '0000,0800', '0000,0900', '0000,0901', '0000,0902', '0000,1020', '0000,1021', '0000,1022', '0000,1023']) {
    t.ok(ours.has(tag), tag)
  }
})
