/** The HIS against the PACS through the whole service: nothing is fetched, printed or written into a log for somebody else. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { HisPatient } from '../../demo/patient-api.ts'
import { demoStudies } from '../../demo/phantoms/studies.ts'
import { startPublisher } from '../../demo/publisher.ts'
import { nothingLeft, patientApi, service, world } from '../world.ts'

const [A, B] = ['CR.2024.010', 'CR.2024.011'] as const

t.test('whose studies these are', async t => {
  // BUDI SANTOSO's, MR.0002
  const here = await world(t, 'dcmqrscp', { studies: demoStudies().filter(({ accessionNumber }) => accessionNumber === A || accessionNumber === B) })
  const dir = join(here.folder, 'publisher')
  mkdirSync(dir)
  const publisher = await startPublisher({ programs: here.programs, dir })
  const mine: HisPatient = { name: 'Budi Santoso, Tn.', medrecId: 'MR-0002' }
  const other: HisPatient = { name: 'DEWI LESTARI', medrecId: '0009' }
  const his = async (patients: Record<string, HisPatient>, settings: Record<string, unknown> = {}) => {
    const api = await patientApi(t, patients)
    const mkiso = await service(t, here.pacs, here.receiverPort, {
      patient_api: { base_url: api.baseUrl, required: true, retries: 0, timeout: '10s', ...settings }, cd_publisher: { host: '127.0.0.1', port: publisher.port }
    })
    t.teardown(async () => { await mkiso.app.close() })
    return { api, mkiso }
  }
  const moves = (): number => here.pacs.log().match(/Received Move SCP/gi)?.length ?? 0
  const paths = [`/api/iso/download?accession_number=${A}`, `/api/iso/download-multiple?accession_numbers=${A},${B}`, `/api/iso/print?accession_number=${A}`]

  t.test('somebody else: 409 before anything is fetched', async t => {
    const { mkiso } = await his({ [A]: other, [B]: other })
    const before = moves()
    for (const path of paths) {
      const answer = await mkiso.get(path)
      t.equal(answer.status, 409, path)
      t.match(answer.json(), { code: 'PATIENT_MISMATCH', error: 'the HIS and the PACS name different patients' })
      t.notMatch(answer.body.toString(), /DEWI|LESTARI|BUDI|SANTOSO|0009|MR\.0002/i)
    }
    t.match((await mkiso.get(`/api/iso/progress?accession_number=${A}`)).body.toString(), /PATIENT_MISMATCH/, 'the page is told')
    t.equal(moves(), before, 'nothing was moved')
    t.equal(publisher.associations(), 0, 'the robot was not troubled')
    t.notMatch(JSON.stringify(mkiso.log), /DEWI|LESTARI|"0009"/i, 'neither name nor number in the log')
    t.strictSame(await nothingLeft(mkiso), [])
    await mkiso.app.close()
  })

  t.test('the second number of a list is somebody else', async t => {
    const { mkiso, api } = await his({ [A]: mine, [B]: other })
    t.match((await mkiso.get(paths[1] ?? '')).json(), { code: 'DIFFERENT_PATIENTS' })
    t.strictSame([...api.requests].sort(), [A, B], 'every number was asked for')
    t.equal((await mkiso.get(paths[0] ?? '')).status, 200)
    await mkiso.app.close()
  })

  t.test('the same person as two systems write it: no warning', async t => {
    const { mkiso } = await his({ [A]: mine, [B]: mine })
    for (const path of paths) {
      const answer = await mkiso.get(path)
      t.equal(answer.status, 200, path)
      t.equal(answer.headers['x-mkiso-patient-warning'], undefined)
    }
    t.ok(moves() > 0, 'moves are seen')
    t.notOk(mkiso.log.some(({ msg }) => /differ in whose/.test(String(msg))))
    await mkiso.app.close()
  })

  t.test('one of two differs: a warning that says which, and no value', async t => {
    const { mkiso } = await his({ [A]: { name: 'BUDI SANTOSO', medrecId: 9 }, [B]: { name: 'BUDI SANTOSO', medrecId: 9 } })
    for (const path of paths) {
      const answer = await mkiso.get(path)
      t.equal(answer.status, 200, path)
      t.equal(answer.headers['x-mkiso-patient-warning'], 'medrec_id')
    }
    t.match(mkiso.log.find(({ msg }) => /differ in whose/.test(String(msg))), { level: 40, differing: ['medrec_id'] })
    await mkiso.app.close()
  })

  t.test('warn, and off', async t => {
    const warn = await his({ [A]: other, [B]: other }, { identity: 'warn' })
    t.equal((await warn.mkiso.get(paths[0] ?? '')).headers['x-mkiso-patient-warning'], 'medrec_id, patient_name')
    await warn.mkiso.app.close()
    const off = await his({ [A]: other, [B]: other }, { identity: 'off' })
    t.equal((await off.mkiso.get(paths[0] ?? '')).headers['x-mkiso-patient-warning'], undefined)
    t.strictSame(off.api.requests, [], 'a download of one number has nothing to ask')
    await off.mkiso.app.close()
  })

  t.test('a download of one number does without a HIS that does not answer or does not know it', async t => {
    const { mkiso, api } = await his({ [A]: mine })
    t.equal((await mkiso.get(`/api/iso/download?accession_number=${B}`)).status, 200)
    t.match((await mkiso.get(paths[1] ?? '')).json(), { code: 'ACCESSION_UNKNOWN' }, 'a list does not')
    api.mode = 'html-404'
    t.equal((await mkiso.get(paths[0] ?? '')).status, 200)
    t.match((await mkiso.get(paths[2] ?? '')).json(), { code: 'PATIENT_API_UNAVAILABLE', detail: /base_url right/ }, 'a print neither')
    await mkiso.app.close()
  })
})
