/** What a disc is: read by programs that have nothing to do with those that wrote it. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import t, { type Test } from 'tap'
import { demoStudies, oddStudies } from '../../demo/phantoms/studies.ts'
import { startOrthanc } from '../../demo/orthanc.ts'
import { nothingLeft, pixelDataSha256, readDisc, service, world, type Disc, type World } from '../world.ts'

const STUDIES = [...oddStudies(), ...demoStudies().filter(({ accessionNumber }) => /^(CT|MR|US)/.test(accessionNumber))]
/** File IDs: at most 8 components of at most 8 characters (PS3.10 8.2). */
const FILE_ID = /^[A-Z0-9_]{1,8}(\/[A-Z0-9_]{1,8}){0,7}$/

/** Every DICOM file is referenced, every reference resolves, and three readers find no error in the DICOMDIR. */
async function indexed (t: Test, disc: Disc, { programs }: World): Promise<void> {
  const dicomdir = join(disc.root, 'DICOMDIR')
  t.match((await programs.run('dcmdump', ['+P', '0004,1130', dicomdir])).stdout, /CS \[DICOM\]/, 'the file-set ID is the volume ID')
  const references: string[] = []
  await programs.run('dcmdump', ['+L', '+P', '0004,1500', dicomdir], {
    onLine: line => { references.push(...(/CS \[(.*)\]/.exec(line)?.[1] ?? '').split('\n').filter(Boolean).map(value => value.replaceAll('\\', '/'))) }
  })
  t.strictSame([...references].sort(), [...disc.instances.values()].sort(), 'every file is referenced once, every reference resolves')
  const verified = await programs.run('dciodvfy', [dicomdir])
  t.strictSame(`${verified.stdout}\n${verified.stderr}`.split('\n').filter(line => /^Error/.test(line)), [], 'dciodvfy')
  const dumped = await programs.run('dcdirdmp', [dicomdir])
  t.equal(dumped.exitCode, 0)
  t.strictSame(`${dumped.stdout}\n${dumped.stderr}`.split('\n').filter(line => /error/i.test(line)), [], 'dcdirdmp')
}

/** Links of a page that lead nowhere, letter by letter. */
function deadLinks (disc: Disc, page: string): string[] {
  const html = readFileSync(join(disc.root, page), 'utf8')
  // data: is in the page itself
  return [...html.matchAll(/(?:href|src)="(?!data:)([^"#]+)(?:#[^"]*)?"/g)].map(([, link = '']) => posix.join(posix.dirname(page), link))
    .filter(path => !disc.files.includes(path) && !disc.files.some(file => file.startsWith(path)))
}

t.test('discs from Orthanc', async t => {
  const here = await world(t, 'orthanc', { studies: STUDIES })
  const mkiso = await service(t, here.pacs, here.receiverPort, { disc: { institution: 'Rumah <Sakit> & Co', contact: 'Radiologi 0', privacy_note: 'Private.' }, iso: { checksums: true } })

  for (const accessionNumber of new Set(STUDIES.map(study => study.accessionNumber))) {
    t.test(`${accessionNumber}: indexed, legal, linked`, async t => {
      const answer = await mkiso.get(`/api/iso/download?accession_number=${accessionNumber}`)
      t.equal(answer.status, 200)
      t.equal(answer.headers['x-mkiso-not-listed'], undefined, 'nothing is left out of the index')
      const disc = await readDisc(t, answer.body, here.programs)
      t.strictSame([...disc.instances.keys()].sort(), here.of(accessionNumber).map(({ sopInstanceUid }) => sopInstanceUid).sort())
      await indexed(t, disc, here)
      t.ok([...disc.instances.values()].every(path => FILE_ID.test(path)), 'legal File IDs')
      for (const page of disc.files.filter(path => path.endsWith('.HTM') && !/RP\d+\.HTM$/.test(path))) t.strictSame(deadLinks(disc, page), [], `${page}: no dead link`)
      t.strictSame(disc.files.filter(path => /\.JPG$|ST\d+\.HTM$/.test(path)), [], 'pictures are drawn by the viewer, none is rendered')
      const sums = await here.programs.run('sha256sum', ['--quiet', '-c', 'SHA256.TXT'], { cwd: disc.root })
      t.equal(sums.exitCode, 0, sums.stdout)
      t.equal(readFileSync(join(disc.root, 'SHA256.TXT'), 'utf8').trim().split('\n').length, disc.files.filter(path => !path.endsWith('.BMP')).length - 1, 'a checksum of every file')
    })
  }

  t.test('names in every character set, on the page as in the DICOMDIR', async t => {
    const names: Array<[string, string]> = [
      ['ODD.2024.011', 'Wang XiaoDong (王 小东)'], ['ODD.2024.012', 'Yamada Tarou (山田 太郎)'], ['ODD.2024.013', 'Иванов Пётр'], ['ODD.2024.014', 'Hong Gildong (洪 吉洞)'], ['ODD.2024.015', 'Buc Jérôme']
    ]
    for (const [accessionNumber, name] of names) {
      const disc = await readDisc(t, (await mkiso.get(`/api/iso/download?accession_number=${accessionNumber}`)).body, here.programs)
      t.match(readFileSync(join(disc.root, 'INDEX.HTM'), 'utf8'), `<h2>${name}</h2>`)
      t.match(readFileSync(join(disc.root, 'README.TXT'), 'utf8'), name)
      const image = join(disc.root, [...disc.instances.values()][0] ?? '')
      const nameBytes = async (file: string): Promise<string> => /\(0010,0010\) PN \[(.*)\]/.exec((await here.programs.run('dcmdump', ['+L', '+P', '0010,0010', file])).stdout)?.[1] ?? 'none'
      t.equal(await nameBytes(join(disc.root, 'DICOMDIR')), await nameBytes(image), 'the same bytes')
    }
    const nobody = await readDisc(t, (await mkiso.get('/api/iso/download?accession_number=ODD.2024.002')).body, here.programs)
    t.match((await here.programs.run('dcmdump', ['+P', '0010,0020', join(nobody.root, 'DICOMDIR')])).stdout, /LO \[.+\]/, 'an empty Patient ID is not empty in the DICOMDIR, where it is type 1')
  })

  t.test('an image without Modality: the DICOMDIR has the PACS\'s, the image stays as it came', async t => {
    const disc = await readDisc(t, (await mkiso.get('/api/iso/download?accession_number=ODD.2024.001')).body, here.programs)
    const omitted = here.of('ODD.2024.001').at(-1)
    const path = join(disc.root, disc.instances.get(omitted?.sopInstanceUid ?? '') ?? '')
    t.equal(pixelDataSha256(path), omitted?.pixelDataSha256)
    t.equal((await here.programs.run('dcmdump', ['+P', '0008,0060', path])).stdout, '')
    const modalities = (await here.programs.run('dcmdump', ['+P', '0008,0060', join(disc.root, 'DICOMDIR')])).stdout
    t.equal(modalities.match(/CS \[\w+\]/g)?.length, 13, 'one for each series')
  })

  t.test('the pages: escaped, complete, in two languages', async t => {
    const disc = await readDisc(t, (await mkiso.get('/api/iso/download-multiple?accession_numbers=CT.2024.200,MR.2024.001')).body, here.programs)
    const index = readFileSync(join(disc.root, 'INDEX.HTM'), 'utf8')
    t.match(index, 'Rumah &lt;Sakit&gt; &amp; Co')
    for (const text of ['RAHAYU SITI', 'MR.0001', '17 August 1985', '5 March 2024', 'CT Thorax', 'Thorax contrast', 'T2 axial', 'Radiologi 0', 'Private.', 'README.TXT']) t.match(index, text)
    t.notMatch(index.replaceAll('http://www.w3.org/2000/svg', ''), /https?:\/\//, 'no request to another host')
    const readme = readFileSync(join(disc.root, 'README.TXT'), 'utf8')
    t.notMatch(readme.replaceAll('\r\n', ''), /[\r\n]/, 'CRLF throughout')
    for (const text of ['Rumah <Sakit> & Co', 'RAHAYU SITI', 'CT.2024.200', 'Images: 100', 'Windows', 'macOS', 'Linux', 'mkiso-server', 'DISCLAIMER']) t.match(readme, text)
    const indonesian = await service(t, here.pacs, here.receiverPort, { pacs: { retrieve: 'get' }, disc: { language: 'id' } })
    const other = await readDisc(t, (await indonesian.get('/api/iso/download?accession_number=US.2024.001')).body, here.programs)
    const halaman = readFileSync(join(other.root, 'INDEX.HTM'), 'utf8')
    for (const text of ['<html lang="id">', '7 Maret 2024', 'Citra medis', '1 Januari 1970']) t.match(halaman, text)
  })

  t.test('the names of ISO 9660 and Joliet; the physical order is that of the DICOMDIR', async t => {
    const viewer = join(here.folder, 'viewer')
    mkdirSync(join(viewer, 'Plug ins', 'deep'), { recursive: true })
    writeFileSync(join(viewer, 'Start the viewer.exe'), 'MZ')
    writeFileSync(join(viewer, 'Plug ins', 'deep', 'A long name of a plug-in.dll'), 'MZ')
    const withViewer = await service(t, here.pacs, here.receiverPort, {
      pacs: { retrieve: 'get' }, iso: { microdicom_path: viewer }, disc: { viewer_program: 'Start the viewer.exe', web_content: 'none' }
    })
    const answer = await withViewer.get('/api/iso/download?accession_number=MR.2024.001')
    const file = join(here.folder, 'viewer.iso')
    writeFileSync(file, answer.body)
    const list = async (...args: string[]): Promise<string[]> => (await here.programs.run('isoinfo', ['-f', ...args, '-i', file])).stdout.split('\n').filter(Boolean)
    const plain = await list()
    const fileSet = plain.filter(path => path.startsWith('/DICOM/'))
    t.equal(fileSet.filter(path => /\/IM/.test(path)).length, 24)
    t.ok(fileSet.every(path => FILE_ID.test(path.slice(1).replace(/\.;1$/, ''))), 'level 1 names in the file-set')
    t.ok(plain.every(path => path.split('/').length <= 9), 'at most 8 levels')
    t.ok((await list('-J')).includes('/VIEWER/Plug ins/deep/A long name of a plug-in.dll'), 'Joliet keeps the long names of the viewer')
    const found = (await here.programs.run('xorriso', ['-indev', file, '-find', '/', '-type', 'f'])).stdout.split('\n').map(path => path.replaceAll("'", '')).filter(Boolean)
    t.ok(found.filter(path => path.startsWith('/DICOM/')).every(path => FILE_ID.test(path.slice(1))), 'xorriso agrees')
    t.ok(found.includes('/VIEWER/Start the viewer.exe') && found.includes('/AUTORUN.INF') && !found.some(path => path.startsWith('/IHE_PDI/ST')))
    const disc = await readDisc(t, answer.body, here.programs)
    t.equal(readFileSync(join(disc.root, 'AUTORUN.INF'), 'utf8').split('\r\n')[1], 'open=VIEWER\\Start the viewer.exe')
    const references = (await here.programs.run('dcmdump', ['+L', '+P', '0004,1500', join(disc.root, 'DICOMDIR')])).stdout.split('\n').flatMap(line => /CS \[(.*)\]/.exec(line)?.[1]?.replaceAll('\\', '/') ?? [])
    const extents = (await here.programs.run('xorriso', ['-indev', file, '-find', '/DICOM', '-type', 'f', '-exec', 'report_lba', '--'])).stdout.split('\n')
      .flatMap(line => { const match = /File data lba: *\d+ *, *(\d+) .*'\/(DICOM\/.*)'/.exec(line); return match === null ? [] : [{ at: Number(match[1]), path: match[2] }] })
    t.strictSame(extents.sort((a, b) => a.at - b.at).map(({ path }) => path), references)
  })

  t.test('the flags of the original: level 4, no Joliet', async t => {
    const original = await service(t, here.pacs, here.receiverPort, { pacs: { retrieve: 'get' }, iso: { level: 4, joliet: false } })
    const answer = await original.get('/api/iso/download?accession_number=US.2024.001')
    const file = join(here.folder, 'original.iso')
    writeFileSync(file, answer.body)
    t.notMatch((await here.programs.run('isoinfo', ['-d', '-i', file])).stdout, /Joliet with UCS/)
    t.equal((await readDisc(t, answer.body, here.programs)).instances.size, 3)
  })

  t.test('uncompressed: every image is explicit VR little endian', async t => {
    const strict = await service(t, here.pacs, here.receiverPort, { pacs: { retrieve: 'move' }, our_ae: { base_port: here.receiverPort }, disc: { transfer_syntax: 'uncompressed' } })
    await mkiso.app.close()
    const answer = await strict.get('/api/iso/download?accession_number=ODD.2024.001')
    t.equal(answer.status, 200, answer.status === 200 ? '' : answer.body.toString())
    if (answer.status !== 200) return
    const disc = await readDisc(t, answer.body, here.programs)
    t.strictSame([...new Set(disc.objects.map(({ object }) => object.transferSyntaxUid))], ['1.2.840.10008.1.2.1'])
    t.equal(disc.instances.size, here.of('ODD.2024.001').length)
    await indexed(t, disc, here)
    t.strictSame(await nothingLeft(strict), [])
  })
})

t.test('an independent reader imports the disc', async t => {
  const here = await world(t, 'orthanc', { studies: oddStudies().filter(({ accessionNumber }) => accessionNumber === 'ODD.2024.001') })
  const mkiso = await service(t, here.pacs, here.receiverPort)
  const disc = await readDisc(t, (await mkiso.get('/api/iso/download?accession_number=ODD.2024.001')).body, here.programs)
  const dir = join(here.folder, 'empty')
  mkdirSync(dir)
  const empty = await startOrthanc({ programs: here.programs, dir, destinations: [] })
  // +rd: dcmsend takes the names from the DICOMDIR
  const sent = await here.programs.run('dcmsend', ['-nh', '+rd', '-aec', empty.aeTitle, empty.host, String(empty.port), join(disc.root, 'DICOMDIR')])
  t.equal(sent.exitCode, 0, sent.stderr)
  const ids = await empty.get('/instances') as string[]
  const imported = await Promise.all(ids.map(async id => String(await empty.get(`/instances/${id}/simplified-tags`).then(tags => (tags as Record<string, unknown>)['SOPInstanceUID']))))
  t.strictSame(imported.sort(), here.instances.map(({ sopInstanceUid }) => sopInstanceUid).sort())
})

t.test('a set of three discs', async t => {
  const here = await world(t, 'dcmqrscp', { studies: demoStudies().filter(({ accessionNumber }) => /^(CT|MR)/.test(accessionNumber)) })
  const { CAPACITY_BYTES } = await import('../../src/disc/disc-set.ts')
  const real = CAPACITY_BYTES.cd
  // a real CD would need 2 GB of phantoms; the plan does not know the difference
  CAPACITY_BYTES.cd = 20_000_000
  t.teardown(() => { CAPACITY_BYTES.cd = real })
  const mkiso = await service(t, here.pacs, here.receiverPort, { disc: { capacity: 'cd' }, iso: { keep_for: '1m' } })
  const link = '/api/iso/download-multiple?accession_numbers=CT.2024.200,MR.2024.001'
  const whole = await mkiso.get(link)
  t.equal(whole.status, 413)
  const links = whole.json()['discs'] as string[]
  t.match(mkiso.app.serviceState.now().finished[0], { outcome: 'set', error: { code: 'DISC_TOO_SMALL' } }, 'an answer, and no failure')
  t.match(whole.json(), { code: 'DISC_TOO_SMALL', error: 'the studies need more than one disc', detail: /^3 discs/ })
  const set = /&set=([0-9a-f]{16})$/.exec(links[0] ?? '')?.[1] ?? 'none'
  t.strictSame(links, [1, 2, 3].map(n => `${link}&disc=${n}&set=${set}`))
  const other = await mkiso.get(`${link}&disc=2&set=0123456789abcdef`)
  t.equal(other.status, 409, 'a disc of another set is not given out')
  t.match(other.json(), { code: 'SET_CHANGED', discs: links })
  const seen: string[] = []
  const moves = here.pacs.moves()
  for (const [index, one] of links.entries()) {
    const answer = await mkiso.get(one)
    t.equal(answer.status, 200)
    t.ok(answer.body.length <= 20_000_000, 'it fits')
    t.equal(answer.headers['x-mkiso-discs'], '3')
    t.match(String(answer.headers['link']), index < 2 ? 'rel="next"' : 'rel="prev"')
    t.match(answer.headers['content-disposition'], `-${index + 1}of3.iso`)
    const disc = await readDisc(t, answer.body, here.programs)
    await indexed(t, disc, here)
    t.match(readFileSync(join(disc.root, 'INDEX.HTM'), 'utf8'), `Disc ${index + 1} of 3`)
    t.match(readFileSync(join(disc.root, 'README.TXT'), 'utf8'), `Disc ${index + 1} of 3`)
    seen.push(...disc.instances.keys())
  }
  t.strictSame(seen.sort(), here.instances.map(({ sopInstanceUid }) => sopInstanceUid).sort(), 'the union is the manifest, nothing twice')
  t.equal(here.pacs.moves() - moves, 6, 'nothing but one image of each of the two studies is asked for, to compare, for each disc')
  const none = await mkiso.get(`${link}&disc=4`)
  t.equal(none.status, 400)
  t.match(none.json(), { detail: 'there is no disc 4: the set has 3' })
  const single = await mkiso.get('/api/iso/download?accession_number=MR.2024.001&disc=1')
  t.equal(single.status, 200, 'disc 1 of 1')
  t.equal(single.headers['x-mkiso-discs'], undefined)
})

t.test('all pictures, reports, and what cannot be rendered', async t => {
  const here = await world(t, 'orthanc', { studies: oddStudies().filter(({ accessionNumber }) => accessionNumber === 'ODD.2024.001') })
  const mkiso = await service(t, here.pacs, here.receiverPort, { disc: { web_content: 'all' } })
  const disc = await readDisc(t, (await mkiso.get('/api/iso/download?accession_number=ODD.2024.001')).body, here.programs)
  const pictures = disc.files.filter(path => /^IHE_PDI\/ST\d+\/SE\d+\/IM\d+\.JPG$/.test(path))
  // 10 frames, 2 JPEG, 2 JPEG 2000, 2 RLE, 2 ultrasound, 1 dose, 1 CT
  t.equal(pictures.length, 10 + 2 + 2 + 2 + 2 + 1 + 1)
  for (const path of pictures) t.same(readFileSync(join(disc.root, path)).subarray(0, 2), Buffer.from([0xff, 0xd8]), path)
  t.match(readFileSync(join(disc.root, disc.files.find(path => /RP\d+\.HTM$/.test(path)) ?? ''), 'utf8'), /a round lesion that wanders/)
  t.equal(readFileSync(join(disc.root, disc.files.find(path => /RP\d+\.PDF$/.test(path)) ?? ''), 'latin1').slice(0, 5), '%PDF-')
  t.strictSame(deadLinks(disc, 'IHE_PDI/ST000001.HTM'), [])
  await mkiso.app.close()
  const broken = await service(t, here.pacs, here.receiverPort, { dcmtk: { dcmj2pnm: '/bin/false', dsr2html: '/nowhere/dsr2html' }, disc: { web_content: 'all' } })
  const answer = await broken.get('/api/iso/download?accession_number=ODD.2024.001')
  t.equal(answer.status, 200, 'a picture that cannot be rendered never fails a disc')
  const bare = await readDisc(t, answer.body, here.programs)
  t.match(readFileSync(join(bare.root, 'IHE_PDI/ST000001.HTM'), 'utf8'), /could not be shown here/)
  t.strictSame(await nothingLeft(broken), [])
})
