/** disc.priors by body part: real archives, some of which name it; and those that refuse to. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { dicomWebPlugin, type Orthanc } from '../../demo/orthanc.ts'
import { freePort } from '../../demo/ports.ts'
import type { PhantomSeries, PhantomStudy } from '../../demo/phantoms/catalogue.ts'
import { writeImages, type MadeImage } from '../made-images.ts'
import { linkTo, nothingRemains, PATIENT, SHORT_LIMITS } from '../faults/harness.ts'
import { page, startLyingDicomweb, type Json, type Reply, type Searched } from '../faults/lying-dicomweb.ts'
import { programsOf, readDisc, service, temporaryFolder, world, type Overrides, type Service, type World } from '../world.ts'

type Kind = PhantomSeries['kind']

/** @param series as `CT:CHEST` */
function study (accessionNumber: string, studyDate: string, series: ReadonlyArray<readonly [Kind, string]>, patient = PATIENT): PhantomStudy {
  return {
    accessionNumber, patient, studyDate, studyDescription: `Study ${accessionNumber}`,
    series: series.map(([kind, bodyPart]): PhantomSeries => ({ kind, bodyPart, count: 1, rows: 64, columns: 64 }))
  }
}

const STUDIES = [
  study('CT.OLD', '20210101', [['CT', 'ABDOMEN'], ['SR', '']]),
  study('XRAY', '20220101', [['CR', 'CHEST']]),
  study('KNEE', '20221201', [['CR', 'KNEE']]),
  study('EMPTY', '20221202', [['US-colour', '']]),
  // that both have a report says nothing
  study('REPORT', '20230101', [['MR', 'HEAD'], ['SR', ''], ['PR', '']]),
  study('ASKED', '20240101', [['CT', 'CHEST'], ['CT', ''], ['SR', ''], ['PR', '']]),
  study('LATER', '20250101', [['CR', 'CHEST']]),
  study('SAME.ID', '20231231', [['CR', 'CHEST']], { ...PATIENT, patientName: 'SOMEBODY^ELSE', birthDate: '19800202' }),
  study('OTHER', '20231230', [['CR', 'CHEST']], { ...PATIENT, patientId: 'FAULT.2', patientName: 'THIRD^PERSON' })
]

const disc = { web_content: 'none', priors: 2 }

/** The earlier studies on the disc of a number, as its README.TXT names them in order; every image of theirs and of the asked one is on it, and no other. */
async function priorsOf (t: Test, { programs, instances }: Pick<World, 'programs' | 'instances'>, mkiso: Service, accessionNumber = 'ASKED'): Promise<string[]> {
  const answer = await mkiso.get(linkTo(accessionNumber))
  t.equal(answer.status, 200, answer.status === 200 ? 'a disc' : answer.body.toString())
  if (answer.status !== 200) return []
  const read = await readDisc(t, answer.body, programs)
  const readme = readFileSync(join(read.root, 'README.TXT'), 'utf8')
  t.notMatch(readme, /could not be put|NOT COMPLETE/)
  const priors = [...readme.matchAll(/Earlier study: .*Study ([A-Z.]+)/g)].map(([, name = '']) => name)
  const wanted = instances.filter(one => [accessionNumber, ...priors].includes(one.accessionNumber)).map(({ sopInstanceUid }) => sopInstanceUid)
  t.strictSame([...read.instances.keys()].sort(), wanted.sort())
  return priors
}

t.test('dcmqrscp, which names neither the modalities of a study nor body parts: the modality decides', async t => {
  const here = await world(t, 'dcmqrscp', { studies: STUDIES })
  const mkiso = await service(t, here.pacs, here.receiverPort, { disc })
  t.strictSame(await priorsOf(t, here, mkiso), ['CT.OLD'])
  await nothingRemains(t, mkiso)
})

t.test('Orthanc, by every way: the chest X-ray comes with the chest CT', async t => {
  const here = await world(t, 'orthanc', { studies: STUDIES, orthanc: { Plugins: [dicomWebPlugin()], DefaultEncoding: 'Utf8' } })
  const url = (here.pacs as Orthanc).dicomWebUrl
  const ways: Record<string, Overrides> = { move: {}, get: { pacs: { retrieve: 'get' } }, wado: { pacs: { retrieve: 'wado', dicomweb: { url } } } }
  for (const [way, overrides] of Object.entries(ways)) {
    await t.test(way, async t => {
      const mkiso = await service(t, here.pacs, here.receiverPort, { ...overrides, disc })
      t.strictSame(await priorsOf(t, here, mkiso), ['CT.OLD', 'XRAY'], 'by either, in the order of the disc')
      t.strictSame(await priorsOf(t, here, mkiso, 'REPORT'), [], 'a report is no likeness')
      t.strictSame(await priorsOf(t, here, mkiso, 'KNEE'), ['XRAY'], 'the modality alone')
      t.strictSame(await priorsOf(t, here, mkiso, 'EMPTY'), [], 'an empty body part says nothing')
    })
    await t.test(`${way}: the last one only`, async t => {
      const mkiso = await service(t, here.pacs, here.receiverPort, { ...overrides, disc: { ...disc, priors: 1 } })
      t.strictSame(await priorsOf(t, here, mkiso), ['XRAY'])
    })
    await t.test(`${way}: a study that was kept before its body part was asked for is the same study`, async t => {
      const mkiso = await service(t, here.pacs, here.receiverPort, { ...overrides, disc, iso: { keep_for: '1m', microdicom_path: '' } })
      const both = await mkiso.get('/api/iso/download-multiple?accession_numbers=ASKED,XRAY')
      t.equal(both.status, 200)
      const before = mkiso.log.length
      t.strictSame(await priorsOf(t, here, mkiso), ['CT.OLD', 'XRAY'])
      t.equal(mkiso.log.slice(before).filter(({ msg }) => msg === 'the study is here and unchanged').length, 2)
    })
  }
})

t.test('a DICOMweb server that refuses the body part, or every wish: the disc is the same without', async t => {
  const programs = programsOf(t)
  const folder = temporaryFolder(t, 'web')
  for (const { refuses, priors } of [
    { refuses: undefined, priors: ['WEB.CT', 'WEB.CR'] }, { refuses: '00180015', priors: ['WEB.CT'] }, { refuses: 'includefield', priors: ['WEB.CT'] }
  ]) {
    await t.test(refuses === undefined ? 'it takes it' : `it refuses ${refuses}`, async t => {
      const web = await startLyingDicomweb()
      t.teardown(async () => { await web.close() })
      const modalities: Record<string, string> = { '1.2.1': 'CT', '1.2.2': 'CR', '1.2.3': 'CT' }
      const answerOf = (one: Json, { level, request: { url = '' } }: Searched): Json => {
        const uid = String(one['0020000D']?.Value?.[0])
        const modality = { vr: 'CS', Value: [modalities[uid]] }
        switch (level) {
          case 'studies': return { ...one, '00080061': modality, '00081030': { vr: 'LO', Value: [`Study ${String(one['00080050']?.Value?.[0])}`] } }
          case 'series': return { ...one, '00080060': modality, ...url.includes('00180015') ? { '00180015': { vr: 'CS', Value: ['CHEST'] } } : {} }
          case 'instances': return one
        }
      }
      const search = (searched: Searched): Reply => refuses !== undefined && searched.request.url?.includes(refuses) === true
        ? { status: 400 }
        : page(searched.all.map(one => answerOf(one, searched)), searched.limit, searched.offset)
      const instances = [['WEB.ASKED', '20240101'], ['WEB.CR', '20230101'], ['WEB.CT', '20220101']].flatMap(([accessionNumber = '', studyDate = ''], index) => {
        const uid = `1.2.${index + 1}`
        const images: MadeImage[] = [{
          accessionNumber, studyInstanceUid: uid, seriesInstanceUid: `${uid}.1`, sopInstanceUid: `${uid}.1.1`, patient: PATIENT, content: uid, instanceNumber: 1, studyDate, modality: modalities[uid] ?? '',
          studyDescription: `Study ${accessionNumber}`
        }]
        web.add(images, { search })
        return writeImages(folder, images)
      })
      const mkiso = await service(t, { aeTitle: 'UNUSED', host: '127.0.0.1', port: 1 }, await freePort(), { ...SHORT_LIMITS, pacs: { retrieve: 'wado', dicomweb: { url: web.url } }, disc: { ...disc, web_content: 'none' } })
      t.strictSame(await priorsOf(t, { programs, instances }, mkiso, 'WEB.ASKED'), priors)
      const first = web.requests.filter(path => /\/series\?/.test(path) && path.includes('00180015')).length
      t.ok(first > 0)
      const before = web.requests.length
      t.strictSame(await priorsOf(t, { programs, instances }, mkiso, 'WEB.ASKED'), priors)
      const again = web.requests.slice(before).filter(path => path.includes('00180015')).length
      if (refuses === undefined) t.ok(again > 0)
      else t.equal(again, 0, 'it is not asked for it again')
      if (refuses === '00180015') t.ok(web.requests.slice(before).some(path => path.includes('/series?includefield=0008103E&includefield=00201209')), 'and for its counts as before')
    })
  }
})
