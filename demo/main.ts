/**
 * `npm run demo`: a hospital on this machine (site.ts: a PACS, an old one, one that speaks DICOMweb where Orthanc and
 * its plugin are installed), one disc downloaded as a proof, and a page to try everything from, which opens by itself
 * where there is a browser. Stays up until Ctrl-C; with `--once` it ends after the download, leaves the disc, and says where: exit code 0 when
 * it holds every image. `--no-open` opens nothing.
 */
import { createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { findProgram } from '../src/config/load.ts'
import { Programs } from '../src/process.ts'
import { startFront } from './front.ts'
import { portFrom } from './ports.ts'
import { PORTS, startSite, type Site } from './site.ts'

const SHOWN = 'CT.2024.200'
const say = (text: string): void => { process.stdout.write(`${text}\n`) }

async function main (): Promise<number> {
  const once = process.argv.includes('--once')
  const folder = await mkdtemp(join(tmpdir(), 'mkiso-demo-'))
  const programs = new Programs()
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { stop.abort() })
  let site: Site | undefined
  try {
    site = await startSite({ programs, folder, signal: stop.signal, say })
    // what --once makes is for whoever asked: it outlives the rest
    const discFolder = once ? await mkdtemp(join(tmpdir(), 'mkiso-demo-disc-')) : folder
    if (!await downloadOne(site, join(discFolder, `${SHOWN}.iso`), programs, stop.signal)) return 1
    if (once) return 0
    const wanted = PORTS.front
    const port = await portFrom(wanted)
    if (port !== wanted) say(`port ${wanted} (front) is taken: ${port} instead`)
    const front = await startFront(site, port)
    try {
      say(`\nOpen  ${front.url}/\n\nThe service: ${site.url}    Swagger: ${site.url}/docs    status: ${site.url}/status\nCtrl-C ends everything.`)
      if (!process.argv.includes('--no-open')) openInBrowser(`${front.url}/`, programs)
      return await untilTheEnd(site, stop.signal)
    } finally { await front.close() }
  } catch (error) {
    // Ctrl-C while it starts is no fault to report, but there is no disc either
    if (!stop.signal.aborted) throw error
    say('stopped before the disc was complete')
    return 1
  } finally {
    await programs.stopAll()
    await site?.close()
    await rm(folder, { recursive: true, force: true })
  }
}

/** @returns true when the disc holds every image */
async function downloadOne ({ url, instances }: Site, file: string, programs: Programs, signal: AbortSignal): Promise<boolean> {
  const wanted = instances.filter(({ accessionNumber }) => accessionNumber === SHOWN).length
  say(`downloading ${SHOWN}, ${wanted} images ...`)
  const startedAt = performance.now()
  const answer = await fetch(`${url}/api/iso/download?accession_number=${SHOWN}`, { signal })
  if (!answer.ok || answer.body === null) throw new Error(await answer.text())
  await pipeline(Readable.fromWeb(answer.body as Parameters<typeof Readable.fromWeb>[0]), createWriteStream(file))
  const seconds = (performance.now() - startedAt) / 1_000
  const listing = await programs.run('isoinfo', ['-f', '-R', '-i', file])
  const paths = listing.stdout.split('\n').filter(path => path !== '')
  const images = paths.filter(path => /\/IM\d{6}$/.test(path)).length
  const size = Number(answer.headers.get('content-length'))
  say(`\n  ${file}\n  ${images} of ${wanted} images, ${(size / 1e6).toFixed(1)} MB, ${seconds.toFixed(1)} s\n`)
  for (const path of paths.filter(path => path.split('/').length === 2)) say(`  ${path}`)
  return images === wanted
}

/** Where there is a desktop; the address stands in the terminal all the same. */
function openInBrowser (url: string, programs: Programs): void {
  const hasScreen = [process.env['DISPLAY'], process.env['WAYLAND_DISPLAY']].some(display => display !== undefined && display !== '')
  const opener = findProgram('xdg-open')
  if (!hasScreen || opener === undefined) return
  programs.run(opener, [url], { timeoutMs: 30_000 }).catch(() => { /* whoever has no browser opens the address elsewhere */ })
}

async function untilTheEnd ({ service }: Site, signal: AbortSignal): Promise<number> {
  await new Promise<void>(resolve => {
    // keeps the process up: the child's pipes alone would do, but not if it dies
    const timer = setInterval(() => {}, 60_000)
    const end = (): void => { clearInterval(timer); resolve() }
    signal.addEventListener('abort', end, { once: true })
    void service.ended.then(end)
  })
  return signal.aborted ? 0 : 1
}

main().then(code => { process.exitCode = code }, (error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
