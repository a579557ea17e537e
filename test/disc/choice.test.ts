/** A part of the study: what was chosen is on the disc, all of it and nothing else, which the disc says; and nobody else gets a part for the whole. */
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { request } from 'undici'
import { demoStudies } from '../../demo/phantoms/studies.ts'
import { choiceOf, chosenFiles, choosePart, guardChoice, knowsEverySeries } from '../../src/disc/choice.ts'
import { filesOf } from '../../src/disc/contents.ts'
import { layOut } from '../../src/disc/layout.ts'
import { guardAllLaidOut } from '../../src/disc/material.ts'
import { asItCame } from '../../src/disc/uncompress.ts'
import { readObject } from '../../src/dicom/part10.ts'
import type { Series, Study } from '../../src/dicom/study.ts'
import { nothingLeft, readDisc, service, world, type Answer } from '../world.ts'

const X = 'MIX.2024.001'
const Y = 'MR.2024.001'
const PATH = `/api/iso/download?accession_number=${X}`

const demo = demoStudies()
const [mr] = demo.filter(({ accessionNumber }) => accessionNumber === Y)
if (mr === undefined) throw new Error('the demo has no MR')
const mixed: typeof mr = {
  ...mr, accessionNumber: X, studyDescription: 'CT with report',
  series: [
    { kind: 'CT', count: 5, description: 'Thorax' }, { kind: 'CT', count: 4, description: 'Contrast' },
    { kind: 'CR', count: 2, description: 'Chest' }, { kind: 'SR', count: 1, description: 'Report' }
  ]
}

for (const kind of ['dcmqrscp', 'orthanc'] as const) {
  t.test(`from ${kind}`, async t => {
    const here = await world(t, kind, { studies: [mr, mixed] })
    const mkiso = await service(t, here.pacs, here.receiverPort, { iso: { keep_for: '5m', checksums: true } })
    const all = here.of(X)
    const seriesUids = [...new Set(all.map(({ seriesInstanceUid }) => seriesInstanceUid))]
    const of = (...series: number[]): string[] => all
      .filter(({ seriesInstanceUid }) => series.includes(seriesUids.indexOf(seriesInstanceUid)))
      .map(({ sopInstanceUid }) => sopInstanceUid).sort()
    const onDisc = async (answer: Answer) => {
      const disc = await readDisc(t, answer.body, here.programs)
      return { uids: [...disc.instances.keys()].sort(), readme: readFileSync(join(disc.root, 'README.TXT'), 'utf8'), index: readFileSync(join(disc.root, 'INDEX.HTM'), 'utf8'), disc }
    }

    await t.test('what does not exist is told, with what does, before anything is moved', async t => {
      for (const [query, detail] of [
        ['modality=MR', 'there is no series of modality MR; there are CT'], ['series=1.2.3', 'there is no series 1.2.3; there are CT'],
        ['modality=CT,US', 'there is no series of modality US; there are CT'],
        [`modality=SR&series=${seriesUids[0] ?? ''}`, 'no series is both named and of a modality that is named']
      ] as const) {
        const answer = await mkiso.get(`${PATH}&${query}`)
        t.equal(answer.status, 404, query)
        t.match(answer.json(), { code: 'NO_SUCH_SERIES', detail }, query)
        for (const uid of seriesUids) t.match(answer.json()['detail'], uid)
      }
      for (const query of ['modality=', 'modality=CT;SR', 'modality=*', 'series=1.2.*', 'series=', 'series=1.2,,1.3', 'series=1.2%5C1.3', `series=${'1'.repeat(65)}`, 'modality=CT&modality=SR']) {
        t.equal((await mkiso.get(`${PATH}&${query}`)).status, 400, query)
      }
      t.equal(mkiso.app.studyStore.kept, 0, 'nothing was fetched')
      t.equal(here.pacs.moves(), 0)
    })

    await t.test('by modality, by series, and both', async t => {
      for (const [query, series, part] of [
        ['modality=SR', [3], '1 of 4 series, 1 of 12 images'], ['modality=CT,SR', [0, 1, 3], '3 of 4 series, 10 of 12 images'],
        [`series=${seriesUids[1] ?? ''},${seriesUids[2] ?? ''}`, [1, 2], '2 of 4 series, 6 of 12 images'],
        [`modality=CT&series=${seriesUids[1] ?? ''},${seriesUids[2] ?? ''}`, [1], '1 of 4 series, 4 of 12 images']
      ] as const) {
        const answer = await mkiso.get(`${PATH}&${query}`)
        t.equal(answer.status, 200, query)
        t.match(answer.headers, { 'x-mkiso-part': part, 'x-mkiso-images': String(of(...series).length) })
        t.match(answer.headers['content-disposition'], `filename=${X}-part.iso`)
        const { uids, readme, index, disc } = await onDisc(answer)
        t.strictSame(uids, of(...series), query)
        const sentence = `PART OF THE STUDY, as it was asked for: ${part} and documents.`
        t.match(readme.replace(/\s+/g, ' '), sentence)
        t.match(index, sentence)
        const check = await here.programs.run('sha256sum', ['-c', '--quiet', 'SHA256.TXT'], { cwd: disc.root })
        t.equal(check.exitCode, 0, check.stderr)
        const dicomdir = await here.programs.run('dcmdump', ['+P', '0004,1511', join(disc.root, 'DICOMDIR')])
        t.equal(dicomdir.stdout.match(/\(0004,1511\)/g)?.length, of(...series).length, 'the DICOMDIR lists those and no others')
      }
    })

    await t.test('a part is no whole for anybody else, nor the other way round', async t => {
      const whole = await mkiso.get(PATH)
      t.match(whole.headers['content-disposition'], `filename=${X}.iso`)
      t.equal(whole.headers['x-mkiso-part'], undefined)
      const { uids, readme, index } = await onDisc(whole)
      t.strictSame(uids, of(0, 1, 2, 3))
      t.notMatch(readme, 'PART OF')
      t.notMatch(index, 'PART OF')
      const part = await mkiso.get(`${PATH}&modality=SR`)
      t.not(part.headers['etag'], whole.headers['etag'])
      const crossed = await request(`${mkiso.url}${PATH}`, { headers: { range: 'bytes=100-', 'if-range': String(part.headers['etag']) } })
      await crossed.body.dump()
      t.equal(crossed.statusCode, 200, 'no bytes of the one after those of the other')
      const both = await Promise.all([mkiso.get(PATH), mkiso.get(`${PATH}&modality=CR`)])
      t.strictSame((await Promise.all(both.map(onDisc))).map(({ uids }) => uids), [of(0, 1, 2, 3), of(2)], 'at the same time')
    })

    await t.test('all series are no part; a list of studies, of which one has none', async t => {
      const all = await mkiso.get(`${PATH}&series=${seriesUids.join(',')}`)
      t.match(all.headers['content-disposition'], `filename=${X}.iso`)
      t.equal(all.headers['x-mkiso-part'], undefined)
      const list = await mkiso.get(`/api/iso/download-multiple?accession_numbers=${X},${Y}&modality=SR`)
      t.match(list.headers['content-disposition'], /-part\.iso"?$/)
      t.strictSame((await onDisc(list)).uids, of(3))
    })

    await t.test('HEAD, and a print, which is never of a part', async t => {
      const head = await request(`${mkiso.url}${PATH}&modality=SR`, { method: 'HEAD' })
      t.match(head.headers, { 'x-mkiso-part': '1 of 4 series, 1 of 12 images' })
      for (const query of ['modality=SR', 'series=1.2']) {
        const answer = await mkiso.get(`/api/iso/print?accession_number=${X}&${query}`)
        t.equal(answer.status, 400)
        t.match(answer.json(), { code: 'INVALID_REQUEST', detail: /a print is of whole studies/ })
      }
    })

    await t.test('which series there are', async t => {
      const answer = await mkiso.get(`/api/iso/studies?accession_number=${X}`)
      const [study] = answer.json()['studies'] as Array<{ series: Array<Record<string, unknown>> }>
      t.strictSame(study?.series.map(({ uid }) => uid).sort(), [...seriesUids].sort())
      t.match(study?.series.find(({ uid }) => uid === seriesUids[3]), { modality: 'SR', ...(kind === 'orthanc' ? { description: 'Report', number: 4 } : {}) })
    })
    await mkiso.app.studyStore.close()
    t.strictSame(await nothingLeft(mkiso), [])
  })
}

t.test('a study that lacks an image outside of the part is no disc: it is judged as a whole', async t => {
  const here = await world(t, 'dcmqrscp', { studies: [mixed] })
  const mkiso = await service(t, here.pacs, here.receiverPort, { pacs: { idle_timeout: '3s', settle_timeout: '200ms' } })
  // the PACS lists it, and cannot send it
  const [lost] = here.of(X).filter(({ instanceNumber }) => instanceNumber === 2)
  for (const entry of readdirSync(join(here.folder, 'pacs'), { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const object = entry.isFile() ? await readObject(path).catch(() => undefined) : undefined
    if (object !== undefined && object.sopInstanceUid === lost?.sopInstanceUid) rmSync(path)
  }
  t.match((await mkiso.get(`${PATH}&modality=SR`)).json(), { code: 'INCOMPLETE_RETRIEVAL' })
})

t.test('the part of studies that have come', async t => {
  const here = await world(t, 'dcmqrscp', { studies: [mixed] })
  const files = await Promise.all(here.of(X).map(async ({ path }) => ({ path, object: await readObject(path) })))
  const uids = [...new Set(files.map(({ object }) => object.seriesInstanceUid))]
  const series = (modalities: readonly string[]): Series[] => uids.map((seriesInstanceUid, index) => ({
    seriesInstanceUid, modality: modalities[index] ?? '', seriesNumber: index, seriesDescription: '', instanceCount: undefined, listing: 'whole',
    instances: files.filter(({ object }) => object.seriesInstanceUid === seriesInstanceUid)
      .map(({ object: { sopInstanceUid, sopClassUid } }) => ({ sopInstanceUid, sopClassUid, instanceNumber: undefined }))
  }))
  const patient = { patientId: '1', issuerOfPatientId: '', patientName: 'A', birthDate: '', sex: '' }
  const study = (modalities: readonly string[], listing: Study['seriesListing'] = 'whole'): Study => ({
    studyInstanceUid: files[0]?.object.studyInstanceUid ?? '', accessionNumber: X, patient, studyDate: '', studyTime: '', studyDescription: '', studyId: '',
    seriesCount: undefined, instanceCount: undefined, seriesListing: listing, series: series(modalities)
  })
  const complete = (modalities: readonly string[]) => ({ studies: [{ study: study(modalities), patient, files }], missing: 0 })

  // an archive that gives no modality: what stands in the images counts
  const sr = choiceOf({ modality: 'SR' })
  t.equal(knowsEverySeries({ studies: [study([])] }), false)
  t.equal(knowsEverySeries({ studies: [study(['CT', 'CT', 'CR', 'SR'], 'cut')] }), false)
  t.equal(knowsEverySeries({ studies: [study(['CT', 'CT', 'CR', 'SR'])] }), true)
  t.strictSame(choosePart(sr, complete([]).studies).part, { series: 1, ofSeries: 4, images: 1, ofImages: 12 })
  t.throws(() => { guardChoice(choiceOf({ modality: 'XA' }), { studies: [study(['CT', 'CT', 'CR', 'SR'])] }) }, { code: 'NO_SUCH_SERIES' })
  t.equal(choosePart(undefined, complete([]).studies).part, undefined)

  // the last guard: one file too few, one too many, another one
  const whole = complete(['CT', 'CT', 'CR', 'SR'])
  const choice = choiceOf({ modality: 'CT' })
  const { studies } = choosePart(choice, whole.studies)
  const contents = layOut(studies.map(one => ({ ...one, files: one.files.map(asItCame) })))
  t.equal(filesOf(contents).length, 9)
  t.doesNotThrow(() => { guardAllLaidOut(chosenFiles(choice, whole), [contents]) })
  t.throws(() => { guardAllLaidOut(chosenFiles(undefined, whole), [contents]) }, /12 images were received and 9 laid out/)
  t.throws(() => { guardAllLaidOut(chosenFiles(sr, whole), [contents]) }, /1 images were received and 9 laid out/)
  const short = layOut(studies.map(one => ({ ...one, files: one.files.slice(1).map(asItCame) })))
  t.throws(() => { guardAllLaidOut(chosenFiles(choice, whole), [short]) }, /9 images were received and 8 laid out/)
})
