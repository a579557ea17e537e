import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, readlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { imageStream, type Image } from '../../src/disc/image/image.ts'
import { eventually } from '../eventually.ts'

const MIB = 1024 ** 2

/** Two files of odd sizes, a gap between them and padding behind. */
function image (folder: string): { image: Image, bytes: Buffer } {
  const [one, two] = [randomBytes(3 * MIB + 17), randomBytes(2 * MIB + 1)]
  writeFileSync(join(folder, 'one'), one)
  writeFileSync(join(folder, 'two'), two)
  const gap = Buffer.alloc(MIB - 17)
  const bytes = Buffer.concat([one, gap, two, Buffer.alloc(300_000)])
  return {
    bytes,
    image: {
      sizeBytes: bytes.length,
      segments: [
        { path: join(folder, 'one'), offset: 0, lengthBytes: one.length, fileOffset: 0 },
        { path: join(folder, 'two'), offset: one.length + gap.length, lengthBytes: two.length, fileOffset: 0 }
      ]
    }
  }
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

function openFilesBelow (folder: string): string[] {
  return readdirSync('/proc/self/fd').flatMap(fd => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`)
      return path.startsWith(folder) ? [path] : []
    } catch { return [] }
  })
}

async function serve (image: Image): Promise<{ server: Server, url: string }> {
  const server = createServer((_, response) => {
    const stream = imageStream(image)
    response.once('close', () => stream.destroy())
    stream.on('error', () => response.destroy())
    stream.pipe(response)
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

t.test('no buffer is used again before it has been written', async t => {
  const { image: wanted, bytes } = image(t.testdir())
  // the destination looks at a chunk only when it has it written, some turns later
  const seen: Buffer[] = []
  const slow = new Writable({
    highWaterMark: 3 * MIB,
    write (chunk: Buffer, _, callback) {
      void (async () => {
        for (let turn = 0; turn < 5; turn++) await nextTurn()
        seen.push(Buffer.from(chunk))
        callback()
      })()
    }
  })
  imageStream(wanted).pipe(slow)
  await finished(slow)
  t.equal(sha256(Buffer.concat(seen)), sha256(bytes))
})

t.test('read chunk by chunk, from any byte to any byte', async t => {
  const { image: wanted, bytes } = image(t.testdir())
  const end = bytes.length - 1
  for (const [first, last] of [[0, 0], [5, 3 * MIB + 16], [3 * MIB + 16, 4 * MIB + 3], [3 * MIB + 100, 3 * MIB + 200], [end, end], [1, end]] as const) {
    const chunks: Buffer[] = []
    for await (const chunk of imageStream(wanted, { first, last })) chunks.push(chunk as Buffer)
    t.equal(sha256(Buffer.concat(chunks)), sha256(bytes.subarray(first, last + 1)), `${first} to ${last}`)
  }
})

t.test('a client that leaves leaves no file open', async t => {
  const folder = t.testdir()
  // more than the buffers of both ends take: it cannot be through
  const [path, lengthBytes] = [join(folder, 'large'), 256 * MIB]
  writeFileSync(path, '')
  truncateSync(path, lengthBytes)
  const { server, url } = await serve({ sizeBytes: lengthBytes, segments: [{ path, offset: 0, lengthBytes, fileOffset: 0 }] })
  t.teardown(() => server.close())
  const leaving = new AbortController()
  const answer = await fetch(url, { signal: leaving.signal })
  await answer.body?.getReader().read()
  t.equal(openFilesBelow(folder).length, 1, 'one file is open while it is sent')
  leaving.abort()
  t.ok(await eventually(() => openFilesBelow(folder).length === 0), 'none when the client has left')
})

t.test('a file that became shorter breaks the answer off', async t => {
  const folder = t.testdir()
  const { image: wanted } = image(folder)
  truncateSync(join(folder, 'two'), 100)
  const { server, url } = await serve(wanted)
  t.teardown(() => server.close())
  await t.rejects(fetch(url).then(async answer => await answer.arrayBuffer()))
  t.ok(await eventually(() => openFilesBelow(folder).length === 0))
})
