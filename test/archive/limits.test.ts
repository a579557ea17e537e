/**
 * A PACS with a limit of answers (Orthanc: LimitFindInstances, LimitFindResults): its lists are cut off, with status 0xFE00. The disc is whole all the
 * same, or nobody gets one and the administrator reads what to raise. Where this Orthanc answers everything, everything is on the disc.
 */
import t, { type Test } from 'tap'
import type { PhantomStudy } from '../../demo/phantoms/catalogue.ts'
import { faultStudy, PATIENT } from '../faults/harness.ts'
import { nothingLeft, pixelDataSha256, readDisc, service, world, type Answer, type World } from '../world.ts'
import { keepsItsLimit } from './orthanc-limits.ts'

const RETRIEVE = ['move', 'get'] as const

function study (accessionNumber: string, counts: readonly number[], seed?: string): PhantomStudy {
  const series = counts.map(count => ({ kind: 'CR', count, rows: 16, columns: 16 } as const))
  return { ...faultStudy(accessionNumber), series, ...(seed === undefined ? {} : { seed }) }
}

async function holdsAll (t: Test, answer: Answer, here: World, accessionNumber: string): Promise<void> {
  t.equal(answer.status, 200, answer.status === 200 ? 'a disc' : answer.body.toString('utf8', 0, 500))
  if (answer.status !== 200) return
  const disc = await readDisc(t, answer.body, here.programs)
  const expected = here.of(accessionNumber)
  t.strictSame(disc.objects.map(({ object }) => object.sopInstanceUid).sort(), expected.map(({ sopInstanceUid }) => sopInstanceUid).sort(), `all ${expected.length} images`)
  const wrong = expected.filter(({ sopInstanceUid, pixelDataSha256: sha }) => pixelDataSha256(`${disc.root}/${disc.instances.get(sopInstanceUid) ?? ''}`) !== sha)
  t.strictSame(wrong, [], 'with their pixels')
}

interface Limited {
  limit: number
  /** Accession number to the number of images of each series. */
  studies: Record<string, number[]>
}

const LIMITED: Limited[] = [
  { limit: 100, studies: { 'LIMIT.100': [120, 60] } },
  // the list of series is cut off as well
  { limit: 5, studies: { 'LIMIT.5': [12, 6], 'LIMIT.5.SERIES': [1, 2, 1, 2, 1, 2, 1, 2] } }
]

for (const { limit, studies } of LIMITED) {
  await t.test(`Orthanc with LimitFindInstances and LimitFindResults ${limit}`, async t => {
    const crowd = limit === 5 ? Array.from({ length: 7 }, (_, index) => study('LIMIT.STUDIES', [1], `study ${index}`)) : []
    const here = await world(t, 'orthanc', {
      studies: [...Object.entries(studies).map(([accessionNumber, counts]) => study(accessionNumber, counts)), ...crowd],
      orthanc: { LimitFindInstances: limit, LimitFindResults: limit }
    })
    for (const retrieve of RETRIEVE) {
      await t.test(`pacs.retrieve: ${retrieve}`, async t => {
        const mkiso = await service(t, here.pacs, here.receiverPort, { pacs: { retrieve }, disc: { web_content: 'none' } })
        for (const [accessionNumber, counts] of Object.entries(studies)) {
          await t.test(`series of ${counts.join(', ')} images`, async t => {
            await holdsAll(t, await mkiso.get(`/api/iso/download?accession_number=${accessionNumber}`), here, accessionNumber)
          })
        }
        if (crowd.length > 0) {
          await t.test('more studies under one accession number than it answers: nobody knows whose the others are', async t => {
            const answer = await mkiso.get('/api/iso/download?accession_number=LIMIT.STUDIES')
            if (!await keepsItsLimit(here, 'AccessionNumber=LIMIT.STUDIES', limit)) { await holdsAll(t, answer, here, 'LIMIT.STUDIES'); return }
            t.equal(answer.status, 502)
            t.match(answer.json(), { code: 'PACS_REFUSED', detail: /cut its answer off after 5 studies \(status 0xFE00\): raise its limit of answers \(Orthanc: LimitFindResults\)/ })
            t.notMatch(answer.body.toString(), new RegExp(PATIENT.patientName.replace('^', '.')))
          })
        }
        t.strictSame(await nothingLeft(mkiso), [])
        await mkiso.app.close()
      })
    }
  })
}
