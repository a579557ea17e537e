/** Four hundred pages that follow one study: each image is told to each of them, and none of them costs the others anything. */
import { createHash } from 'node:crypto'
import t from 'tap'
import { Agent, request, type Dispatcher } from 'undici'
import { faultStudy } from '../faults/harness.ts'
import { serve } from '../served.ts'
import { readDisc, temporaryFolder, world } from '../world.ts'
import { during, tell } from './measured.ts'

const PAGES = 400
const IMAGES = 200
const ACCESSION_NUMBER = 'PAGES.1'

interface PageState { phase: string, outcome?: string, images_received: number, link?: string, error?: unknown }

/** Follows as a page does, and takes the disc when it is ready. @returns the disc, and the last event */
async function page (url: string, dispatcher: Dispatcher): Promise<{ disc: Buffer, last: PageState, events: number }> {
  const { statusCode, body } = await request(`${url}/api/iso/progress?accession_number=${ACCESSION_NUMBER}`, { dispatcher, headersTimeout: 0, bodyTimeout: 0 })
  if (statusCode !== 200) throw new Error(`${statusCode}: ${await body.text()}`)
  let rest = ''
  let events = 0
  let last: PageState | undefined
  let disc: Promise<Buffer> | undefined
  for await (const chunk of body) {
    const parts = (rest + String(chunk)).split('\n\n')
    rest = parts.pop() ?? ''
    for (const part of parts.filter(one => one.startsWith('data: '))) {
      events++
      last = JSON.parse(part.slice('data: '.length)) as PageState
      if (last.link !== undefined) disc ??= download(url + last.link, dispatcher)
    }
  }
  if (disc === undefined || last === undefined) throw new Error(`no disc: ${JSON.stringify(last)}`)
  return { disc: await disc, last, events }
}

async function download (link: string, dispatcher: Dispatcher): Promise<Buffer> {
  const { statusCode, body } = await request(link, { dispatcher, headersTimeout: 0, bodyTimeout: 0 })
  const bytes = Buffer.from(await body.arrayBuffer())
  if (statusCode !== 200) throw new Error(`${statusCode}: ${bytes.toString()}`)
  return bytes
}

t.test(`${PAGES} pages of one study of ${IMAGES} images`, async t => {
  const here = await world(t, 'dcmqrscp', { studies: [faultStudy(ACCESSION_NUMBER, { images: IMAGES / 2, series: 2, size: 32 })] })
  const { pid, url } = await serve(here.programs, temporaryFolder(t, 'pages'), here.pacs, here.receiverPort, { disc: { web_content: 'none' } })
  const dispatcher = new Agent({ connections: null, pipelining: 1 })
  t.teardown(async () => { await dispatcher.destroy() })
  const alone = await page(url, dispatcher)
  const { result: pages, seen } = await during({ pid, url }, async () => await Promise.all(Array.from({ length: PAGES }, async () => await page(url, dispatcher))))

  t.equal(pages.filter(({ last }) => last.outcome === 'success' && last.images_received === IMAGES).length, PAGES, 'each has had its last event')
  const different = [...new Map(pages.map(({ disc }) => [createHash('sha256').update(disc).digest('hex'), disc])).values()]
  t.ok(different.length <= 3, `${different.length} different discs`)
  for (const disc of different) {
    const { instances } = await readDisc(t, disc, here.programs)
    t.strictSame([...instances.keys()].sort(), here.instances.map(({ sopInstanceUid }) => sopInstanceUid).sort(), 'every image')
  }
  t.strictSame(seen.bad, [])
  t.comment(`${Math.round(seen.tookMs)} ms, ${seen.cpuSeconds.toFixed(1)} s of processor; ${pages.reduce((sum, { events }) => sum + events, 0)} events (${alone.events} for one page alone)`)
  t.comment(`its event loop stood still for ${seen.standstillMs} ms at most; ${tell(seen)}; ${seen.before.memoryMib} MiB before, at most ${seen.peakMib} MiB`)
})
