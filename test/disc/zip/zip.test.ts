/** A disc as a ZIP: the same file-set, from the first image on, whole or visibly broken. */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { request } from 'undici'
import { startOrthanc } from '../../../demo/orthanc.ts'
import { freePort } from '../../../demo/ports.ts'
import { demoStudies, oddStudies } from '../../../demo/phantoms/studies.ts'
import { eventually } from '../../eventually.ts'
import { nothingLeft, pixelDataSha256, readDisc, readZip, service, temporaryFolder, world, type Disc, type World } from '../../world.ts'
import { PATIENT_ORTHANC, startGate } from '../../screens/gate.ts'

const PASSWORD = 'Merapi-2930 m'
const ZIP = (accessionNumber: string, rest = ''): string => `/api/iso/download?accession_number=${accessionNumber}&format=zip${rest}`
const demo = (pattern: RegExp): ReturnType<typeof demoStudies> => demoStudies().filter(({ accessionNumber }) => pattern.test(accessionNumber))
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

/** The data set of a file, without the preamble, which is no part of it (PS3.10 7.1). */
const dataSetOf = (path: string): Buffer => readFileSync(path).subarray(128)

/** Every DICOM file is referenced, every reference resolves, and readers that have nothing to do with us find no fault. */
async function indexed (t: Test, disc: Disc, { programs }: World): Promise<void> {
  const dicomdir = join(disc.root, 'DICOMDIR')
  const references: string[] = []
  await programs.run('dcmdump', ['+L', '+P', '0004,1500', dicomdir], {
    onLine: line => { references.push(...(/CS \[(.*)\]/.exec(line)?.[1] ?? '').split('\n').filter(Boolean).map(value => value.replaceAll('\\', '/'))) }
  })
  t.strictSame([...references].sort(), disc.objects.map(({ path }) => path).sort(), 'every file is referenced once, every reference resolves')
  const verified = await programs.run('dciodvfy', [dicomdir])
  t.strictSame(`${verified.stdout}\n${verified.stderr}`.split('\n').filter(line => /^Error/.test(line)), [], 'dciodvfy')
  for (const { path } of disc.objects) {
    const { stdout } = await programs.run('dcmftest', [join(disc.root, path)])
    if (!stdout.startsWith('yes:')) t.fail(`dcmftest ${stdout}`)
  }
}

t.test('the same file-set as the image has', async t => {
  const studies = [...oddStudies(), ...demo(/^(CT|MR|US|XA)/)]
  const here = await world(t, 'orthanc', { studies })
  const viewer = temporaryFolder(t, 'viewer')
  mkdirSync(join(viewer, 'sub'))
  writeFileSync(join(viewer, 'sub', 'прог é.exe'), 'viewer')
  const mkiso = await service(t, here.pacs, here.receiverPort, { iso: { keep_for: '1m', checksums: true, microdicom_path: viewer } })
  for (const accessionNumber of new Set(studies.map(study => study.accessionNumber))) {
    await t.test(accessionNumber, async t => {
      const answer = await mkiso.get(ZIP(accessionNumber))
      t.equal(answer.status, 200)
      t.match(answer.headers, { 'content-type': 'application/zip', 'content-disposition': new RegExp(`^attachment; filename="?${accessionNumber}\\.zip"?$`) })
      const zip = await readZip(t, answer.body, here.programs)
      const iso = await readDisc(t, (await mkiso.get(`/api/iso/download?accession_number=${accessionNumber}`)).body, here.programs)
      const contentOf = (disc: Disc): string[] => disc.objects.map(({ path, object }) => `${object.seriesInstanceUid} ${object.sopInstanceUid} ${sha256(dataSetOf(join(disc.root, path)))}`).sort()
      t.strictSame(contentOf(zip), contentOf(iso), 'the same objects, byte by byte from the preamble on')
      await indexed(t, zip, here)
      for (const name of ['INDEX.HTM', 'README.TXT', 'DICOMDIR', 'SHA256.TXT', 'VIEWER/sub/прог é.exe']) t.ok(zip.files.includes(name), name)
      const sums = await here.programs.run('sha256sum', ['--quiet', '-c', 'SHA256.TXT'], { cwd: zip.root })
      t.equal(sums.exitCode, 0, sums.stdout)
      t.equal(readFileSync(join(zip.root, 'SHA256.TXT'), 'utf8').trim().split('\n').length, zip.files.length - 1, 'a checksum of every file')
    })
  }

  await t.test('several accession numbers of one patient', async t => {
    const answer = await mkiso.get('/api/iso/download-multiple?accession_numbers=CT.2024.200,MR.2024.001&format=zip')
    t.match(answer.headers['content-disposition'], /RAHAYU SITI-CT\.2024\.200_MR\.2024\.001\.zip/)
    const zip = await readZip(t, answer.body, here.programs)
    t.strictSame(zip.objects.map(({ object }) => object.sopInstanceUid).sort(), [...here.of('CT.2024.200'), ...here.of('MR.2024.001')].map(({ sopInstanceUid }) => sopInstanceUid).sort())
    await indexed(t, zip, here)
  })

  await t.test('a PACS imports the folder', async t => {
    const zip = await readZip(t, (await mkiso.get(ZIP('CT.2024.200'))).body, here.programs)
    const dir = join(here.folder, 'other')
    mkdirSync(dir)
    const other = await startOrthanc({ programs: here.programs, dir, destinations: [] })
    await other.store(zip.objects.map(({ path }) => join(zip.root, path)))
    t.equal((await here.programs.run('findscu', ['-S', '-aec', other.aeTitle, '-k', 'QueryRetrieveLevel=STUDY', '-k', 'AccessionNumber=CT.2024.200', '-k', 'NumberOfStudyRelatedInstances', other.host, String(other.port)])).exitCode, 0)
  })

  await t.test('what is wrong is told before anything leaves', async t => {
    for (const [path, status, code] of [
      [ZIP('NONE'), 404, 'NO_DICOM_DATA'], [ZIP('CT.2024.200', '&disc=2'), 400, 'INVALID_REQUEST'], [ZIP('CT.2024.200', '&password=secretsecret'), 400, 'INVALID_REQUEST'],
      ['/api/iso/download?accession_number=CT.2024.200&format=rar', 400, 'INVALID_REQUEST']
    ] as const) {
      const answer = await mkiso.get(path)
      t.equal(answer.status, status, path)
      t.match(answer.json(), { code })
      t.notMatch(answer.body.toString(), 'secretsecret')
    }
  })
})

t.test('while images come', async t => {
  const target = await freePort()
  const here = await world(t, 'orthanc', { studies: demo(/^CT/), receiverPort: await freePort(), orthanc: PATIENT_ORTHANC })
  const gate = await startGate(t, here.receiverPort, target)
  const audit = join(temporaryFolder(t), 'audit.jsonl')
  const mkiso = await service(t, here.pacs, target, { iso: { keep_for: '1m' }, audit: { file: audit } })
  const images = here.of('CT.2024.200')
  const bytesOf = images.reduce((sum, { path }) => sum + statSync(path).size, 0)

  await t.test('the first image has left before the last has come; and the rest of it can be asked for', async t => {
    gate.allow(bytesOf / 2)
    const answer = await request(mkiso.url + ZIP('CT.2024.200'))
    t.equal(answer.statusCode, 200)
    t.equal(answer.headers['content-length'], undefined)
    t.equal(answer.headers['transfer-encoding'], 'chunked')
    const etag = String(answer.headers['etag'])
    const pieces: Buffer[] = []
    let length = 0
    const reading = readInto(pieces, answer.body, bytes => { length += bytes })
    t.ok(await eventually(() => length > bytesOf / 4), 'images have left')
    t.equal(mkiso.app.studyStore.running, 1, 'while others come')
    // a second client shares it, from its beginning
    const second = request(mkiso.url + ZIP('CT.2024.200')).then(async one => ({ etag: one.headers['etag'], body: Buffer.from(await one.body.arrayBuffer()) }))
    // and one that broke off asks for the rest, which is there when it is whole
    const rest = request(mkiso.url + ZIP('CT.2024.200'), { headers: { range: 'bytes=100000-', 'if-range': etag } })
      .then(async one => ({ status: one.statusCode, range: one.headers['content-range'], body: Buffer.from(await one.body.arrayBuffer()) }))
    t.ok(await eventually(() => mkiso.app.activities.running.length === 3))
    gate.open()
    await reading
    const whole = Buffer.concat(pieces)
    const zip = await readZip(t, whole, here.programs)
    t.strictSame(zip.objects.map(({ object }) => object.sopInstanceUid).sort(), images.map(({ sopInstanceUid }) => sopInstanceUid).sort())
    for (const { object, path } of zip.objects) {
      t.equal(pixelDataSha256(join(zip.root, path)), images.find(({ sopInstanceUid }) => sopInstanceUid === object.sopInstanceUid)?.pixelDataSha256)
    }
    t.match(await second, { etag, body: whole }, 'the same bytes')
    const part = await rest
    t.equal(part.status, 206)
    t.equal(part.range, `bytes 100000-${whole.length - 1}/${whole.length}`)
    t.ok(part.body.equals(whole.subarray(100_000)), 'the same bytes')
    const again = await mkiso.get(ZIP('CT.2024.200'))
    t.match(again.headers, { etag, 'content-length': String(whole.length), 'x-mkiso-images': String(images.length) })
    t.ok(again.body.equals(whole), 'and later with its size')
    const head = await request(mkiso.url + ZIP('CT.2024.200'), { method: 'HEAD' })
    t.match(head.headers, { etag, 'content-length': String(whole.length) })
    const lines = readFileSync(audit, 'utf8').trim().split('\n').map(line => JSON.parse(line) as Record<string, Record<string, unknown>>)
    const [begin, end] = ['begin', 'end'].map(phase => lines.find(line => String(line['phase']) === phase))
    t.match(begin, { disc: { format: 'zip' }, outcome: undefined })
    t.equal(begin?.['disc']?.['size_bytes'], undefined, 'not known then')
    t.match(end, { disc: { format: 'zip', size_bytes: whole.length }, studies: [{ instances: images.length }], outcome: 'success', sent_bytes: whole.length })
  })
})

async function readInto (pieces: Buffer[], body: AsyncIterable<Buffer>, onBytes: (bytes: number) => void): Promise<void> {
  for await (const piece of body) {
    pieces.push(piece)
    onBytes(piece.length)
  }
}

/** A gate that holds the second half of a study back, a client that has read from the first, and what becomes of it. */
async function halfWay (t: Test, overrides: Record<string, Record<string, unknown>> = {}) {
  const target = await freePort()
  const here = await world(t, 'orthanc', { studies: demo(/^CT/), receiverPort: await freePort(), orthanc: PATIENT_ORTHANC })
  const gate = await startGate(t, here.receiverPort, target)
  const audit = join(temporaryFolder(t), 'audit.jsonl')
  const mkiso = await service(t, here.pacs, target, { audit: { file: audit }, ...overrides })
  gate.allow(here.of('CT.2024.200').reduce((sum, { path }) => sum + statSync(path).size, 0) / 2)
  const pieces: Buffer[] = []
  let length = 0
  const answer = await request(mkiso.url + ZIP('CT.2024.200'))
  const reading = readInto(pieces, answer.body, bytes => { length += bytes })
  reading.catch(() => {})
  t.ok(await eventually(() => length > 1_000_000), 'images have left')
  return { here, gate, mkiso, answer, reading, bytes: () => Buffer.concat(pieces), audit: () => readFileSync(audit, 'utf8').trim().split('\n').map(line => JSON.parse(line) as Record<string, unknown>) }
}

/** No reader opens it. */
async function opensNowhere (t: Test, archive: Buffer, { programs }: World): Promise<void> {
  const file = join(temporaryFolder(t), 'broken.zip')
  writeFileSync(file, archive)
  for (const [program, ...args] of [['unzip', '-t'], ['7z', 't'], ['python3', '-m', 'zipfile', '-t']]) {
    t.not((await programs.run(program ?? '', [...args, file])).exitCode, 0, `${program ?? ''} finds it broken`)
  }
}

t.test('the PACS is killed in the middle: the answer breaks off', async t => {
  const { here, gate, mkiso, reading, bytes, audit } = await halfWay(t, { pacs: { idle_timeout: '2s', settle_timeout: '300ms', connect_timeout: '1s', find_timeout: '2s' } })
  await here.pacs.stop()
  gate.open()
  await t.rejects(reading, 'the client sees it')
  await opensNowhere(t, bytes(), here)
  t.ok(await eventually(() => audit().some(({ phase }) => phase === 'end')))
  t.match(audit().find(({ phase }) => phase === 'end'), { outcome: 'failed', code: /^(INCOMPLETE_RETRIEVAL|PACS_UNREACHABLE|PACS_TIMEOUT)$/ })
  t.ok(mkiso.log.some(({ msg }) => msg === 'a disc broke off on its way out'))
  t.strictSame(await nothingLeft(mkiso), [])
})

t.test('the client leaves in the middle: nothing is left, and nothing is waited for', async t => {
  const { here, mkiso, answer, bytes, gate } = await halfWay(t)
  answer.body.destroy()
  t.ok(await eventually(() => mkiso.app.activities.running.length === 0))
  gate.open()
  t.strictSame(await nothingLeft(mkiso), [])
  await opensNowhere(t, bytes(), here)
})

t.test('the operator cancels: the answer breaks off', async t => {
  const { here, mkiso, reading, bytes } = await halfWay(t)
  const [activity] = mkiso.app.activities.running
  mkiso.app.activities.cancel(activity?.id ?? '', 'operator')
  await t.rejects(reading)
  await opensNowhere(t, bytes(), here)
})

t.test('with a password', async t => {
  const here = await world(t, 'orthanc', { studies: demo(/^MR/) })
  const audit = join(temporaryFolder(t), 'audit.jsonl')
  const mkiso = await service(t, here.pacs, here.receiverPort, { iso: { keep_for: '1m', checksums: true }, audit: { file: audit }, log: { level: 'trace' } })
  const post = async (headers: Record<string, string> = {}, password = PASSWORD): Promise<{ status: number, headers: Record<string, unknown>, body: Buffer }> => {
    const answer = await request(`${mkiso.url}/api/iso/download-multiple?accession_number=MR.2024.001&format=zip`, {
      method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers }, body: new URLSearchParams({ password }).toString()
    })
    return { status: answer.statusCode, headers: answer.headers, body: Buffer.from(await answer.body.arrayBuffer()) }
  }
  const answer = await post()
  t.equal(answer.status, 200)
  const archive = join(temporaryFolder(t), 'archive.zip')
  writeFileSync(archive, answer.body)
  const { patient } = demo(/^MR/)[0] ?? { patient: undefined }
  const secrets = ['RAHAYU', 'SITI', 'MR.0001', 'MR.2024.001', here.of('MR.2024.001')[0]?.sopInstanceUid ?? '', here.of('MR.2024.001')[0]?.seriesInstanceUid ?? '', '1.2.840', 'DICM']
  t.ok(patient)

  await t.test('nothing about the patient can be read without it', async t => {
    const readable = [(await here.programs.run('strings', ['-a', archive])).stdout, (await here.programs.run('7z', ['l', '-slt', archive])).stdout, String(answer.headers['content-disposition'])]
    for (const secret of secrets) for (const text of readable) t.notOk(text.includes(secret), secret)
    t.notOk(secrets.some(secret => answer.body.includes(secret)))
    t.match(answer.headers['content-disposition'], /^attachment; filename="?studies-[0-9a-f]{6}\.zip"?$/)
    t.match(readable[1], 'AES-256')
  })
  await t.test('a wrong one gives no byte, the right one everything', async t => {
    const out = temporaryFolder(t)
    t.not((await here.programs.run('7z', ['x', '-pwrong password', `-o${out}`, archive])).exitCode, 0)
    const got = (await here.programs.run('find', [out, '-type', 'f', '-size', '+0'])).stdout
    t.equal(got, '', 'not a byte')
    const zip = await readZip(t, answer.body, here.programs, PASSWORD)
    t.strictSame(zip.objects.map(({ object }) => object.sopInstanceUid).sort(), here.of('MR.2024.001').map(({ sopInstanceUid }) => sopInstanceUid).sort())
    await indexed(t, zip, here)
    t.equal((await here.programs.run('sha256sum', ['--quiet', '-c', 'SHA256.TXT'], { cwd: zip.root })).exitCode, 0)
  })
  await t.test('it goes on where it broke, for the same password only', async t => {
    const etag = String(answer.headers['etag'])
    const rest = await post({ range: 'bytes=50001-', 'if-range': etag })
    t.equal(rest.status, 206)
    t.ok(rest.body.equals(answer.body.subarray(50_001)))
    const other = await post({ range: 'bytes=50001-', 'if-range': etag }, 'another password')
    t.equal(other.status, 200, 'all of another')
  })
  await t.test('by header, too; and it stands in no log and no record', async t => {
    const byHeader = await request(`${mkiso.url}${ZIP('MR.2024.001')}`, { headers: { 'x-zip-password': PASSWORD } })
    const body = Buffer.from(await byHeader.body.arrayBuffer())
    t.ok(body.equals((await post()).body), 'the same studies, the same password, the same bytes')
    t.notOk(JSON.stringify(mkiso.log).includes(PASSWORD))
    const records = readFileSync(audit, 'utf8')
    t.notOk(records.includes(PASSWORD))
    t.match(JSON.parse(records.split('\n')[0] ?? ''), { disc: { format: 'zip', encrypted: true } })
  })
  await t.test('what is none is refused', async t => {
    t.equal((await post({}, 'short')).status, 400)
    t.equal((await request(`${mkiso.url}/api/iso/download?accession_number=MR.2024.001`, { headers: { 'x-zip-password': PASSWORD } })).statusCode, 400, 'an image has none')
  })
})
