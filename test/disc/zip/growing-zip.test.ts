/** The archive by itself: what readers that have nothing to do with us say of it, at every offset, while it grows, with a password, and when it is large. */
import { randomBytes } from 'node:crypto'
import { createWriteStream, mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Writable, type Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import t, { type Test } from 'tap'
import { imageStream } from '../../../src/disc/image/image.ts'
import { digestOfFile } from '../../../src/disc/zip/digest.ts'
import { GrowingZip } from '../../../src/disc/zip/growing-zip.ts'
import { programsOf, temporaryFolder } from '../../world.ts'
import { readersOf } from './readers.ts'

const PASSWORD = 'correct horse 7!'
const NONE = Buffer.alloc(0)

async function addFile (zip: GrowingZip, name: string, path: string, beginning: Buffer = NONE): Promise<void> {
  zip.add({ name, path, beginning, ...await digestOfFile(path, beginning, false) })
}

/** Files of lengths about which a writer can be wrong by one, and names that are not ASCII. */
function someFiles (t: Pick<Test, 'teardown'>): Map<string, { path: string, beginning: Buffer, content: Buffer }> {
  const folder = temporaryFolder(t, 'zip')
  return new Map([0, 1, 15, 16, 17, 129, 65_535, 65_536, 65_537, 300_001].map((size, index) => {
    const path = join(folder, String(index))
    const bytes = randomBytes(size)
    writeFileSync(path, bytes)
    const beginning = index % 2 === 1 && size >= 128 ? Buffer.alloc(128, 'x') : NONE
    return [index === 4 ? 'VIEWER/прос мотр é.txt' : `DICOM/PT000001/IM${index}`, { path, beginning, content: Buffer.concat([beginning, bytes.subarray(beginning.length)]) }]
  }))
}

t.test('every reader finds every byte', async t => {
  const programs = programsOf(t)
  const files = someFiles(t)
  const zip = new GrowingZip()
  for (const [name, { path, beginning }] of files) await addFile(zip, name, path, beginning)
  zip.finish()
  for (const password of [undefined, PASSWORD]) {
    const archive = join(temporaryFolder(t), 'archive.zip')
    await pipeline(imageStream(zip.image(password)), createWriteStream(archive))
    t.equal(statSync(archive).size, zip.image(password).sizeBytes)
    for (const reader of readersOf(programs, password)) {
      await t.test(`${reader.name}${password === undefined ? '' : ', with a password'}`, async t => {
        t.equal(await reader.test(archive), '', 'finds no fault')
        const root = join(temporaryFolder(t), 'out')
        mkdirSync(root)
        t.equal(await reader.extract(archive, root), '')
        for (const [name, { content }] of files) t.ok(readFileSync(join(root, name)).equals(content), name)
      })
    }
  }
})

t.test('the same bytes from every offset, in the clear and encrypted', async t => {
  const zip = new GrowingZip()
  for (const [name, { path, beginning }] of someFiles(t)) await addFile(zip, name, path, beginning)
  zip.finish()
  for (const password of [undefined, PASSWORD]) {
    const whole = await buffer(imageStream(zip.image(password)))
    for (let first = 0; first < whole.length; first += 9_973) {
      const last = Math.min(whole.length - 1, first + 70_000)
      const part = await buffer(imageStream(zip.image(password), { first, last }))
      if (!part.equals(whole.subarray(first, last + 1))) t.fail(`${first} to ${last}`)
    }
    t.ok((await buffer(imageStream(zip.image(password)))).equals(whole))
  }
  t.not(zip.etag(), zip.etag(PASSWORD))
  t.not(zip.etag(PASSWORD), zip.etag('another password'))
  t.equal(zip.etag(PASSWORD), zip.etag(PASSWORD))
  const [one, other] = await Promise.all([PASSWORD, 'another password'].map(async password => await buffer(imageStream(zip.image(password)))))
  t.notOk(one?.equals(other ?? NONE))
})

t.test('while it grows', async t => {
  const files = [...someFiles(t)].map(([name, { path }]) => ({ name, path }))
  const [first = { name: '', path: '' }, ...rest] = files.reverse()

  await t.test('a reader gets what is there, waits, and gets the rest', async t => {
    for (const password of [undefined, PASSWORD]) {
      const zip = new GrowingZip()
      await addFile(zip, first.name, first.path)
      const image = zip.image(password)
      t.equal(image.sizeBytes, undefined)
      const early = imageStream(image)
      const head = await read(early, 300_001)
      t.ok(head.length > 300_001, 'all of the first file, before there is a second')
      const others = [imageStream(zip.image(password)), imageStream(zip.image(password))].map(async stream => await buffer(stream))
      for (const { name, path } of rest) await addFile(zip, name, path)
      zip.finish()
      const all = Buffer.concat([head, await buffer(early)])
      t.equal(all.length, await image.whole)
      for (const other of await Promise.all(others)) t.ok(other.equals(all), 'all readers get the same')
      t.ok((await buffer(imageStream(zip.image(password)))).equals(all), 'and those who come later')
    }
  })

  await t.test('one that fails breaks its readers off, also those who are far behind', async t => {
    const zip = new GrowingZip()
    await addFile(zip, first.name, first.path)
    const [waiting, behind] = [imageStream(zip.image()), imageStream(zip.image())]
    const head = await read(waiting, 300_001)
    zip.fail(new Error('an image is lost'))
    await t.rejects(buffer(waiting), { message: 'an image is lost' })
    await t.rejects(buffer(behind), { message: 'an image is lost' })
    t.equal(head.lastIndexOf('PK\x05\x06'), -1, 'no end of an archive')
    t.throws(() => { zip.finish() }, { message: 'an image is lost' })
    await t.rejects(zip.image().whole, { message: 'an image is lost' })
  })

  await t.test('a file that has gone is told by why it went', async t => {
    const zip = new GrowingZip()
    zip.add({ name: 'gone', path: '/nowhere/at/all', beginning: NONE, crc32: 0, sizeBytes: 10 })
    const reading = buffer(imageStream(zip.image()))
    reading.catch(() => {})
    zip.fail(new Error('the study failed'))
    await t.rejects(reading, { message: 'the study failed' })
  })

  await t.test('a reader that leaves waits for nothing', async t => {
    const zip = new GrowingZip()
    await addFile(zip, first.name, first.path)
    const stream = imageStream(zip.image())
    await read(stream, 300_001)
    const closed = new Promise<void>(resolve => { stream.once('close', resolve) })
    stream.destroy()
    await closed
    t.pass()
  })

  await t.test('nothing stands in it twice, and nothing comes after its end', async t => {
    const zip = new GrowingZip()
    await addFile(zip, first.name, first.path)
    await t.rejects(addFile(zip, first.name, first.path), /already/)
    zip.finish()
    await t.rejects(addFile(zip, 'more', first.path), /finished/)
  })
})

t.test('more than 65,535 files', async t => {
  const programs = programsOf(t)
  const zip = new GrowingZip()
  const path = join(temporaryFolder(t), 'file')
  writeFileSync(path, 'x')
  const digest = await digestOfFile(path, NONE, false)
  const count = 65_540
  for (let index = 0; index < count; index++) zip.add({ name: `DICOM/IM${index}`, path, beginning: NONE, ...digest })
  zip.finish()
  const archive = join(temporaryFolder(t), 'archive.zip')
  await pipeline(imageStream(zip.image()), createWriteStream(archive))
  for (const reader of readersOf(programs)) t.equal(await reader.count(archive), count, `${reader.name} finds all`)
  t.equal(await readersOf(programs)[0]?.test(archive), '')
})

t.test('a file above 4 GiB, and one behind it', async t => {
  const programs = programsOf(t)
  const folder = temporaryFolder(t)
  const [large, small] = [join(folder, 'large'), join(folder, 'small')]
  writeFileSync(large, 'begin')
  truncateSync(large, 2 ** 32 + 12_345)
  writeFileSync(large, 'end', { flag: 'a' })
  writeFileSync(small, 'small')
  const zip = new GrowingZip()
  await addFile(zip, 'DICOM/LARGE', large)
  await addFile(zip, 'DICOM/SMALL', small)
  zip.finish()
  const image = zip.image()
  const size = image.sizeBytes ?? 0
  // what lies between is zero: a hole in the archive as in the file
  const archive = join(folder, 'archive.zip')
  writeFileSync(archive, await buffer(imageStream(image, { first: 0, last: 99_999 })))
  truncateSync(archive, 2 ** 32)
  writeFileSync(archive, await buffer(imageStream(image, { first: 2 ** 32, last: size - 1 })), { flag: 'a' })
  t.equal(statSync(archive).size, size)
  for (const reader of readersOf(programs)) {
    t.equal(await reader.count(archive), 2, reader.name)
    t.equal(await reader.read(archive, 'DICOM/SMALL'), 'small', `${reader.name} finds what lies behind it`)
  }
  t.equal(await readersOf(programs)[0]?.test(archive), '', 'its checksum is right')
  const before = process.memoryUsage().rss
  let peak = before
  await pipeline(imageStream(zip.image(), undefined, () => { peak = Math.max(peak, process.memoryUsage().rss) }), new Writable({ write: (_chunk, _encoding, done) => { done() } }))
  t.ok(peak - before < 100e6, `memory stays: ${Math.round((peak - before) / 1e6)} MB more`)
})

/** At least so many bytes from a stream that does not end. */
async function read (stream: Readable, atLeast: number): Promise<Buffer> {
  const pieces: Buffer[] = []
  let length = 0
  while (length < atLeast) {
    const piece = stream.read() as Buffer | null
    if (piece === null) {
      await new Promise(resolve => { stream.once('readable', resolve) })
      continue
    }
    pieces.push(piece)
    length += piece.length
  }
  return Buffer.concat(pieces)
}
