/** A download that broke goes on where it was; and never with bytes of another image. */
import { createHash } from 'node:crypto'
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { request } from 'undici'
import { writeStudy } from '../../demo/phantoms/catalogue.ts'
import { demoStudies } from '../../demo/phantoms/studies.ts'
import { freePort } from '../../demo/ports.ts'
import { eventually } from '../eventually.ts'
import { startNarrowWay } from '../screens/gate.ts'
import { nothingLeft, readDisc, service, world } from '../world.ts'

const CT = '/api/iso/download?accession_number=CT.2024.200'
const MR = '/api/iso/download?accession_number=MR.2024.001'
const STUDIES = demoStudies().filter(({ accessionNumber }) => /^(CT|MR)/.test(accessionNumber))

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

t.test('while the retrieval is kept', async t => {
  const here = await world(t, 'dcmqrscp', { studies: STUDIES })
  const mkiso = await service(t, here.pacs, here.receiverPort, { iso: { keep_for: '1m' } })
  /** Images that the PACS has sent. */
  const sent = (): number => here.pacs.log().match(/Received Store SCU RSP/g)?.length ?? 0
  let requests = 0
  const get = async (path: string, headers: Record<string, string>, method: 'GET' | 'HEAD' = 'GET'): Promise<{ status: number, headers: Record<string, unknown>, body: Buffer }> => {
    requests++
    const answer = await request(mkiso.url + path, { method, headers })
    return { status: answer.statusCode, headers: answer.headers, body: Buffer.from(await answer.body.arrayBuffer()) }
  }

  await t.test('HEAD moves nothing', async t => {
    const head = await get(CT, {}, 'HEAD')
    t.equal(head.status, 200)
    t.match(head.headers, { 'accept-ranges': 'bytes', 'content-type': 'application/octet-stream' })
    t.equal(head.headers['content-length'], undefined, 'nobody knows its size yet')
    t.equal(here.pacs.moves(), 0)
    t.equal((await get(CT.replace('CT', 'XX'), {}, 'HEAD')).status, 200, 'nor whether there is any: the PACS is not asked')
  })

  const whole = await get(CT, {})
  const etag = String(whole.headers['etag'])
  const size = whole.body.length
  const sentOfWhole = sent()
  t.ok(sentOfWhole >= here.of('CT.2024.200').length, 'each image was moved')
  requests = 0

  t.test('HEAD, when the disc is here, says all', async t => {
    const head = await get(CT, {}, 'HEAD')
    t.match(head.headers, { etag, 'content-length': String(size), 'accept-ranges': 'bytes' })
    t.equal(head.body.length, 0)
  })

  t.test('the same bytes however often it is sent', async t => {
    t.equal(sha256((await get(CT, {})).body), sha256(whole.body))
    // another disc of the same images gives them further names, which changes dates that Rock Ridge holds
    t.equal((await get('/api/iso/download-multiple?accession_numbers=CT.2024.200,MR.2024.001', {})).status, 200)
    const again = await get(CT, {})
    t.equal(sha256(again.body), sha256(whole.body))
    t.equal(again.headers['etag'], etag)
  })

  t.test('ranges', async t => {
    const middle = Math.floor(size / 2) + 7
    for (const [range, first, last] of [
      ['bytes=0-0', 0, 0], [`bytes=${middle}-${middle + 999_999}`, middle, middle + 999_999], [`bytes=${middle}-`, middle, size - 1], ['bytes=-5000', size - 5_000, size - 1], [`bytes=${size - 1}-${size + 10}`, size - 1, size - 1]
    ] as const) {
      for (const headers of [{ range }, { range, 'if-range': etag }]) {
        const part = await get(CT, headers)
        t.equal(part.status, 206, range)
        t.equal(part.headers['content-range'], `bytes ${first}-${last}/${size}`)
        t.equal(part.headers['content-length'], String(last - first + 1))
        t.ok(part.body.equals(whole.body.subarray(first, last + 1)), `${range}: the right bytes`)
      }
    }
    const beyond = await get(CT, { range: `bytes=${size}-` })
    t.equal(beyond.status, 416)
    t.equal(beyond.headers['content-range'], `bytes */${size}`)
    t.match(JSON.parse(beyond.body.toString()), { code: 'RANGE_NOT_SATISFIABLE' })
    for (const range of ['bytes=abc', 'bytes=5-2', 'pages=1-2', 'bytes=0-1,5-6']) {
      const answer = await get(CT, { range })
      t.ok(answer.status === 200 || answer.status === 416, `${range}: ${answer.status}`)
    }
    t.equal((await get(CT, { range: 'bytes=5-9', 'if-range': '"another"' })).status, 200, 'If-Range of another image: all of it')
  })

  t.test('curl --continue-at after a cut', async t => {
    const file = join(here.folder, 'cut.iso')
    const curl = async (...args: string[]): Promise<number> => (await here.programs.run('curl', ['-sS', ...args, '-o', file, mkiso.url + CT])).exitCode
    const narrow = await freePort()
    await startNarrowWay(t, narrow, Number(new URL(mkiso.url).port), 0.8 * size)
    // no more comes to it
    const cut = here.programs.start('curl', ['-sS', '--no-buffer', '-o', file, `http://127.0.0.1:${narrow}${CT}`])
    const most = 0.7 * size
    t.ok(await eventually(() => { try { return statSync(file).size >= most } catch { return false } }), 'most of it is there')
    await cut.stop('stopped', 0)
    const at = statSync(file).size
    t.ok(at < size, `cut at ${at} of ${size}`)
    t.equal(await curl('--continue-at', '-'), 0)
    t.equal(sha256(readFileSync(file)), sha256(whole.body), 'the whole disc')
    const further = sent() - sentOfWhole - here.of('MR.2024.001').length
    t.ok(further <= requests + 2, `nothing was moved for it: the ${further} further images beside those of the MR above are one a request, to compare`)
  })

  t.test('an image that the PACS has got meanwhile is on the next disc, and the old beginning gets no new end', async t => {
    const before = await get(MR, {})
    const added = await writeStudy({ ...(STUDIES.find(({ accessionNumber }) => accessionNumber === 'MR.2024.001') ?? STUDIES[0] ?? demoStudies()[0] as never), series: [{ kind: 'MR', count: 13 }, { kind: 'MR', count: 12 }] }, join(here.folder, 'phantoms'), here.programs)
    const fresh = added.filter(({ sopInstanceUid }) => !here.instances.some(instance => instance.sopInstanceUid === sopInstanceUid))
    t.equal(fresh.length, 1)
    await here.pacs.store(fresh.map(({ path }) => path))
    const part = await get(MR, { range: 'bytes=1000-' })
    t.equal(part.status, 200, 'curl --continue-at would say that it cannot')
    t.not(part.headers['etag'], before.headers['etag'])
    const disc = await readDisc(t, part.body, here.programs)
    t.ok(disc.instances.has(fresh[0]?.sopInstanceUid ?? ''), 'it is there')
    t.equal(disc.instances.size, 25)
    t.equal((await get(MR, { range: 'bytes=1000-', 'if-range': String(before.headers['etag']) })).status, 200)
    t.equal((await get(MR, { range: 'bytes=1000-' })).status, 200, 'the new beginning may be another client\'s behind the same address')
    t.equal((await get(MR, { range: 'bytes=1000-', 'if-range': String(part.headers['etag']) })).status, 206, 'who says which image it has may go on')
  })

  t.test('a client that never had the beginning is given all', async t => {
    const other = await service(t, here.pacs, here.receiverPort, { pacs: { retrieve: 'get' }, iso: { keep_for: '1m' } })
    const answer = await request(other.url + MR, { headers: { range: 'bytes=1000-' } })
    t.equal(answer.statusCode, 200)
    await answer.body.dump()
  })

  t.test('a file that became shorter breaks the download', async t => {
    const disc = await get(CT, {})
    const line = mkiso.log.findLast(({ msg }) => msg === 'iso created')
    const victim = join(String(line?.['path']), 'DICOM/PT000001/ST000001/SE000002/IM000050')
    const bytes = readFileSync(victim)
    truncateSync(victim, 100)
    await t.rejects(get(CT, {}), 'the connection is cut: no client takes it for a whole disc')
    writeFileSync(victim, bytes)
    t.equal(sha256((await get(CT, {})).body), sha256(disc.body))
  })
})

t.test('nothing kept, nothing to go on with', async t => {
  const here = await world(t, 'dcmqrscp', { studies: STUDIES.filter(({ accessionNumber }) => accessionNumber === 'MR.2024.001') })
  const mkiso = await service(t, here.pacs, here.receiverPort)
  const answer = await mkiso.get(MR)
  t.equal(answer.headers['accept-ranges'], undefined)
  t.strictSame(await nothingLeft(mkiso), [])
  const part = await request(mkiso.url + MR, { headers: { range: 'bytes=1000-', 'if-range': String(answer.headers['etag']) } })
  t.equal(part.statusCode, 200)
  await part.body.dump()
  t.strictSame(await nothingLeft(mkiso), [])
})
