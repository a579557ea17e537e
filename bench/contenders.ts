/** What the service is measured against. */
import { createReadStream } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { request } from 'undici'
import { listening, type Pacs } from '../demo/pacs.ts'
import type { PhantomInstance } from '../demo/phantoms/catalogue.ts'
import type { Programs } from '../src/process.ts'

export interface Measured {
  seconds: number
  /** After the last image. */
  firstByteMs?: number
  bytes?: number
}

export type Contender = (instances: readonly PhantomInstance[]) => Promise<Measured>

interface Context {
  programs: Programs
  pacs: Pacs
  port: number
  aeTitle: string
  folder: string
}

const seriesOf = (instances: readonly PhantomInstance[]): string[] => [...new Set(instances.map(({ seriesInstanceUid }) => seriesInstanceUid))]

async function drained (stream: AsyncIterable<Buffer>): Promise<number> {
  let bytes = 0
  for await (const chunk of stream) bytes += chunk.length
  return bytes
}

/** The original's flags: one storescp for the request, the study by UID, the image to a file, the file to the client. */
export async function original ({ programs, pacs, port, aeTitle, folder }: Context, instances: readonly PhantomInstance[]): Promise<Measured> {
  const startedAt = performance.now()
  const env = { TCP_NODELAY: '0' }
  const images = join(folder, 'images')
  await mkdir(images, { recursive: true })
  try {
    const receiver = programs.start('storescp', [String(port), '-aet', aeTitle, '-od', images, '+xa'], { env })
    await listening(receiver, port, 'storescp')
    const study = instances[0]?.studyInstanceUid ?? ''
    await programs.run('movescu', ['-aet', aeTitle, '-aec', pacs.aeTitle, '-aem', aeTitle, pacs.host, String(pacs.port), '-S', '-k', '0008,0052=STUDY', '-k', `0020,000d=${study}`, '--no-port'], { env })
    await receiver.stop()
    const iso = join(folder, 'disc.iso')
    await programs.run('genisoimage', ['-quiet', '-iso-level', '4', '-r', '-V', 'DICOM', '-o', iso, images])
    const bytes = await drained(createReadStream(iso) as AsyncIterable<Buffer>)
    return { seconds: (performance.now() - startedAt) / 1_000, bytes }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/**
 * What the same tools can do: receiver with fork and large PDUs, series side by side, the image through a pipe.
 * @param asksFirst with the two C-FINDs that tell the UIDs of study and series; else they are known by a miracle
 */
export async function tuned ({ programs, pacs, port, aeTitle, folder }: Context, instances: readonly PhantomInstance[], asksFirst: boolean): Promise<Measured> {
  const images = join(folder, 'images')
  await mkdir(images, { recursive: true })
  const receiver = programs.start('storescp', ['--fork', '+B', '+xa', '-dhl', '-pdu', '131072', '-aet', aeTitle, '-od', images, String(port)])
  try {
    await listening(receiver, port, 'storescp')
    // the service's receiver runs already, too
    const startedAt = performance.now()
    const study = instances[0]?.studyInstanceUid ?? ''
    const peer = ['-S', '-aet', aeTitle, '-aec', pacs.aeTitle, pacs.host, String(pacs.port)]
    if (asksFirst) {
      await programs.run('findscu', [...peer, '-k', '0008,0052=STUDY', '-k', `0008,0050=${instances[0]?.accessionNumber ?? ''}`, '-k', '0020,000d'])
      await programs.run('findscu', [...peer, '-k', '0008,0052=SERIES', '-k', `0020,000d=${study}`, '-k', '0020,000e'])
    }
    await Promise.all(seriesOf(instances).map(async series => await programs.run('movescu', ['-S', '-aet', aeTitle, '-aec', pacs.aeTitle, '-aem', aeTitle, '-pdu', '131072', '--no-port',
      '-k', '0008,0052=SERIES', '-k', `0020,000d=${study}`, '-k', `0020,000e=${series}`, pacs.host, String(pacs.port)])))
    const image = programs.start('genisoimage', ['-quiet', '-iso-level', '1', '-J', '-r', '-V', 'DICOM', images], { pipe: true })
    const bytes = await drained(image.stdout as AsyncIterable<Buffer>)
    return { seconds: (performance.now() - startedAt) / 1_000, bytes }
  } finally {
    await receiver.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

/** Orthanc's own archive with a DICOMDIR, a ZIP. */
export async function orthancMedia (httpPort: number, instances: readonly PhantomInstance[]): Promise<Measured> {
  const base = `http://127.0.0.1:${httpPort}`
  const found = await (await request(`${base}/tools/lookup`, { method: 'POST', body: instances[0]?.studyInstanceUid ?? '' })).body.json() as Array<{ Type: string, ID: string }>
  const id = found.find(({ Type }) => Type === 'Study')?.ID ?? ''
  const startedAt = performance.now()
  const answer = await request(`${base}/studies/${id}/media`, { headersTimeout: 600_000, bodyTimeout: 600_000 })
  const bytes = await drained(answer.body as AsyncIterable<Buffer>)
  return { seconds: (performance.now() - startedAt) / 1_000, bytes }
}
