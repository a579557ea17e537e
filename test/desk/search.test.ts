/** A name that was typed in part, at real archives over each protocol: each compares names in its own way. */
import t from 'tap'
import { dicomWebPlugin, type Orthanc } from '../../demo/orthanc.ts'
import type { PhantomPatient, PhantomStudy } from '../../demo/phantoms/catalogue.ts'
import { service, world, type PacsKind } from '../world.ts'

const KEY = 'the-key-of-the-site'
const PERSONS: ReadonlyArray<readonly [accessionNumber: string, patientName: string, characterSet: NonNullable<PhantomPatient['characterSet']>]> = [
  ['N.1', 'RAHAYU^SITI', 'ISO_IR 192'], ['N.2', 'SANTOSO^BUDI', 'ISO_IR 192'], ['N.3', 'Müller^Jörg', 'ISO_IR 100'], ['N.4', 'NUÑEZ^MARÍA JOSÉ', 'ISO_IR 192'], ['N.5', 'Иванов^Пётр', 'ISO_IR 144'],
  ['N.6', 'قباني^نزار', 'ISO_IR 192'], ['N.7', 'SITI RAHAYU BINTI AHMAD', 'ISO_IR 192']
]
const TYPED: ReadonlyArray<readonly [typed: string, accessionNumbers: readonly string[]]> = [
  ['rahayu', ['N.1', 'N.7']], ['siti rah', ['N.1', 'N.7']], ['Ahay', ['N.1', 'N.7']], ['ahayu iti', ['N.1', 'N.7']], ['ahmad', ['N.7']], ['bu', ['N.2']], ['toso', ['N.2']],
  ['muller', ['N.3']], ['MÜLLER', ['N.3']], ['jorg üll', ['N.3']], ['nunez', ['N.4']], ['maría', ['N.4']], ['иванов', ['N.5']], ['ётр', ['N.5']], ['قباني', ['N.6']], ['hayux', []]
]

const studies = PERSONS.map(([accessionNumber, patientName, characterSet]): PhantomStudy => ({
  accessionNumber, patient: { patientId: `P.${accessionNumber}`, patientName, birthDate: '19700101', sex: 'O', characterSet }, studyDate: '20240501', studyDescription: 'Chest', series: [{ kind: 'CR', count: 1, rows: 64, columns: 64 }]
}))

for (const [kind, protocol] of [['dcmqrscp', 'C-FIND'], ['orthanc', 'C-FIND'], ['orthanc', 'QIDO-RS']] as ReadonlyArray<readonly [PacsKind, string]>) {
  t.test(`${protocol} at ${kind}`, async t => {
    const here = await world(t, kind, { studies, orthanc: { DefaultEncoding: 'Utf8', ...(protocol === 'C-FIND' ? {} : { Plugins: [dicomWebPlugin()] }) } })
    const pacs = protocol === 'C-FIND' ? {} : { retrieve: 'wado', dicomweb: { url: (here.pacs as Orthanc).dicomWebUrl } }
    const mkiso = await service(t, here.pacs, here.receiverPort, { auth: { enabled: true, api_key: KEY }, pacs })
    for (const [typed, accessionNumbers] of TYPED) {
      const answer = await fetch(`${mkiso.url}/api/iso/search?patient_name=${encodeURIComponent(typed)}`, { headers: { 'x-api-key': KEY } })
      const { studies: found = [], cut } = await answer.json() as { studies?: Array<{ accession_number: string }>, cut?: boolean }
      t.strictSame([answer.status, cut, found.map(one => one.accession_number).sort()], [200, false, accessionNumbers], typed)
    }
    t.equal(here.pacs.moves(), 0, 'nothing is moved')
    t.notOk(mkiso.log.some(({ msg }) => String(msg).includes('what was not asked for')), 'what a wide question finds is no fault of the archive')
  })
}
