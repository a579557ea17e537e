/** A real DICOMweb server: Orthanc with its plugin, beside C-MOVE and C-GET from the same Orthanc, and with the limits that it has. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { dicomWebPlugin, type Orthanc } from '../../../demo/orthanc.ts'
import { demoStudies, oddStudies } from '../../../demo/phantoms/studies.ts'
import type { PhantomStudy } from '../../../demo/phantoms/catalogue.ts'
import { faultStudy, linkTo } from '../../faults/harness.ts'
import { nothingLeft, pixelDataSha256, readDisc, service, world, type Disc, type Overrides, type Service, type World } from '../../world.ts'

const PLUGIN = { Plugins: [dicomWebPlugin()], DefaultEncoding: 'Utf8' }

async function orthancWith (t: Test, studies: readonly PhantomStudy[], settings: Record<string, unknown> = {}): Promise<World & { orthanc: Orthanc }> {
  const here = await world(t, 'orthanc', { studies, orthanc: { ...PLUGIN, ...settings } })
  if (!('dicomWebUrl' in here.pacs)) throw new Error('no Orthanc')
  return { ...here, orthanc: here.pacs as Orthanc }
}

async function serviceBy (t: Test, { pacs, receiverPort, orthanc }: World & { orthanc: Orthanc }, retrieve: 'move' | 'get' | 'wado', more: Overrides = {}): Promise<Service> {
  return await service(t, pacs, receiverPort, {
    ...more, pacs: { retrieve, ...(retrieve === 'wado' ? { dicomweb: { url: orthanc.dicomWebUrl } } : {}), ...more['pacs'] }, disc: { web_content: 'none' }
  })
}

const uidsOf = (disc: Disc): string[] => [...disc.instances.keys()].sort()

/** SOP Instance UID to the digest of its pixels. */
function pixelsOf (disc: Disc): Record<string, string | undefined> {
  return Object.fromEntries(uidsOf(disc).map(uid => [uid, pixelDataSha256(join(disc.root, disc.instances.get(uid) ?? ''))]))
}

t.test('one study by C-MOVE, C-GET and WADO-RS: the same images, byte for byte', { timeout: 240_000 }, async t => {
  const studies = [...demoStudies().filter(({ accessionNumber }) => accessionNumber === 'MR.2024.001'), ...oddStudies()]
  const here = await orthancWith(t, studies)
  const services = { move: await serviceBy(t, here, 'move'), get: await serviceBy(t, here, 'get'), wado: await serviceBy(t, here, 'wado') }
  for (const accessionNumber of ['MR.2024.001', 'ODD.2024.001', 'ODD.2024.011', 'ODD.2024.013', 'ODD.2024.014', 'ODD.2024.016']) {
    await t.test(accessionNumber, async t => {
      const discs: Partial<Record<keyof typeof services, Disc>> = {}
      for (const retrieve of ['move', 'get', 'wado'] as const) {
        const answer = await services[retrieve].get(linkTo(accessionNumber))
        t.equal(answer.status, 200, answer.status === 200 ? retrieve : answer.body.toString())
        if (answer.status === 200) discs[retrieve] = await readDisc(t, answer.body, here.programs)
      }
      const { move, get, wado } = discs
      if (move === undefined || get === undefined || wado === undefined) return
      t.strictSame(uidsOf(wado), here.of(accessionNumber).map(({ sopInstanceUid }) => sopInstanceUid).sort(), 'every image and no other')
      t.strictSame(pixelsOf(wado), pixelsOf(move))
      t.strictSame(pixelsOf(wado), pixelsOf(get))
      const syntaxes = (disc: Disc): string[] => disc.objects.map(({ object }) => `${object.sopInstanceUid} ${object.transferSyntaxUid}`).sort()
      t.strictSame(syntaxes(wado), syntaxes(move), 'as they are stored')
      t.strictSame(wado.objects.map(({ object }) => object.patient.patientName), wado.objects.map(() => move.objects[0]?.object.patient.patientName))
    })
  }
  t.strictSame(await nothingLeft(services.wado), [])
  t.equal(services.wado.app.sharedReceiver, undefined, 'nothing listens for images')
  t.equal((await services.wado.get(linkTo('NONE.1'))).json()['code'], 'NO_DICOM_DATA')
  t.equal((await services.wado.get(linkTo('ODD.2024.001*'))).status, 400)
})

t.test('two patients under one accession number', async t => {
  const here = await orthancWith(t, demoStudies().filter(({ accessionNumber }) => accessionNumber === 'DUP.2024.001'))
  const mkiso = await serviceBy(t, here, 'wado')
  const answer = await mkiso.get(linkTo('DUP.2024.001'))
  t.match({ status: answer.status, ...answer.json() }, { status: 409, code: 'DIFFERENT_PATIENTS' })
})

t.test('limits of Orthanc cut lists off without a word, and the disc is whole all the same', { timeout: 120_000 }, async t => {
  const study = faultStudy('LIMIT', { images: 7, series: 3 })
  for (const [what, settings] of Object.entries({
    LimitFindInstances: { LimitFindInstances: 3 },
    LimitFindResults: { LimitFindResults: 1 },
    both: { LimitFindResults: 1, LimitFindInstances: 2 }
  })) {
    await t.test(what, async t => {
      const here = await orthancWith(t, [study], settings)
      const mkiso = await serviceBy(t, here, 'wado')
      const answer = await mkiso.get(linkTo('LIMIT'))
      t.equal(answer.status, 200, answer.status === 200 ? 'a disc' : answer.body.toString())
      if (answer.status === 200) t.strictSame(uidsOf(await readDisc(t, answer.body, here.programs)), here.of('LIMIT').map(({ sopInstanceUid }) => sopInstanceUid).sort())
    })
  }
})

t.test('pages: however few answers come at once, the list is the same', { timeout: 120_000 }, async t => {
  const here = await orthancWith(t, [faultStudy('PAGES', { images: 5, series: 4 })])
  for (const size of [1, 2, 3, 4, 5]) {
    const mkiso = await service(t, here.pacs, here.receiverPort, {
      pacs: { retrieve: 'wado', dicomweb: { url: here.orthanc.dicomWebUrl, page_size: size } }, disc: { web_content: 'none' }
    })
    const { archives: [one] } = mkiso.app
    if (one === undefined) throw new Error('no archive')
    const asking = { signal: new AbortController().signal, log: mkiso.app.log }
    const [study] = await one.archive.findStudies(['PAGES'], asking)
    if (study === undefined) throw new Error('no study')
    t.match(study, { seriesListing: 'whole', seriesCount: 4, instanceCount: 20 })
    const { series } = await one.archive.listInstances(study, asking)
    t.strictSame(series.map(({ listing, instances }) => [listing, instances.length]), Array.from({ length: 4 }, () => ['whole', 5]), `page_size: ${size}`)
  }
})

t.test('a file that is gone at the archive: no disc', async t => {
  const here = await orthancWith(t, [faultStudy('GONE', { images: 3 })])
  const [first] = here.of('GONE')
  const path = await here.orthanc.pathOf(first?.sopInstanceUid ?? '')
  if (path === undefined) throw new Error('no file')
  rmSync(path)
  const mkiso = await serviceBy(t, here, 'wado')
  const answer = await mkiso.get(linkTo('GONE'))
  t.equal(answer.status, 502)
  // its plugin opens a file of each series for the list of them (measured)
  t.match(answer.json(), { code: 'PACS_REFUSED', detail: /HTTP 500 to QIDO-RS/ })
  t.strictSame(await nothingLeft(mkiso), [])
})
