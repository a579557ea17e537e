/** What DICOMDIR and pages cost against the bare image, without a PACS. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseConfig } from '../src/config/load.ts'
import { readObject } from '../src/dicom/part10.ts'
import { buildDicomdir } from '../src/disc/dicomdir/dicomdir.ts'
import { authorImage } from '../src/disc/image/author.ts'
import { layOut, linkFiles, type DiscSource } from '../src/disc/layout.ts'
import { asItCame } from '../src/disc/uncompress.ts'
import { whatCame } from '../src/studies/what-came.ts'
import { renderPages } from '../src/disc/pages/pages.ts'
import { profileOf } from '../src/disc/profile.ts'
import { filesOf } from '../src/disc/contents.ts'
import { placeViewer } from '../src/disc/viewer/disc-viewer.ts'
import { NO_WEB_CONTENT } from '../src/disc/web/web-content.ts'
import { silentLog, type Programs } from '../src/process.ts'
import { writeStudy } from '../demo/phantoms/catalogue.ts'
import { ctStudy } from '../demo/phantoms/studies.ts'
import { median, table } from './figures.ts'

const VIEWER = 'what the viewer shows: descriptions, plan, names on the disc'
const VIEWER_PAGE = 'INDEX.HTM with the viewer'
const VIEWER_IMAGE = 'directories of the image with the viewer\'s names'
const DCMMKDIR = 'for comparison: the DICOMDIR by dcmmkdir'
const STEPS = [
  'bare image: genisoimage to its last byte', 'read each image once, for all that is asked of it (while others arrive)', 'hard links under legal names', 'DICOMDIR from the records',
  'INDEX.HTM, README.TXT, a page for each study', 'directories of the image, by genisoimage', VIEWER, VIEWER_PAGE, VIEWER_IMAGE, DCMMKDIR
] as const

/** @returns lines of Markdown */
export async function discCosts (images: number, rounds: number, folder: string, programs: Programs): Promise<string[]> {
  const config = parseConfig(`iso: {temp_dir: ${folder}, microdicom_path: ''}`, 'bench', { env: {} })
  const study = ctStudy('DISC', images)
  const instances = await writeStudy(study, join(folder, 'received'), programs)
  const received = async (): Promise<DiscSource[]> => await Promise.all(instances.map(async ({ path }) => asItCame({ path, object: await readObject(path) })))
  const { patientId, patientName, birthDate, sex } = study.patient
  const patient = { patientId, patientName, birthDate, sex, issuerOfPatientId: '' }
  const described = {
    studyInstanceUid: instances[0]?.studyInstanceUid ?? '', accessionNumber: 'DISC', patient, studyDate: study.studyDate, studyTime: '', studyDescription: study.studyDescription,
    studyId: 'DISC', seriesCount: undefined, instanceCount: undefined, seriesListing: 'whole' as const, series: []
  }
  const { signal } = new AbortController()
  const times = new Map<string, number[]>()
  const timed = async <T> (step: typeof STEPS[number], work: () => T | Promise<T>): Promise<T> => {
    const startedAt = performance.now()
    const result = await work()
    times.set(step, [...times.get(step) ?? [], performance.now() - startedAt])
    return result
  }
  for (let round = 0; round < rounds; round++) {
    const root = join(folder, 'root')
    mkdirSync(root)
    const files = await timed(STEPS[1], received)
    const contents = layOut([{ study: whatCame(described, files.map(({ object }) => object)), patient, files }])
    await timed(STEPS[2], () => { linkFiles(contents, root) })
    await timed(DCMMKDIR, async () => { await programs.run('dcmmkdir', ['+r', '-Pgp', '+D', join(folder, 'dcmmkdir'), '+id', root, 'DICOM']) })
    await timed(STEPS[0], async () => { await programs.run('genisoimage', ['-quiet', '-iso-level', '1', '-J', '-r', '-o', '/dev/null', root]) })
    const { bytes } = await timed(STEPS[3], () => buildDicomdir(contents, config.iso.volume_id))
    writeFileSync(join(root, 'DICOMDIR'), bytes)
    const pages = await timed(STEPS[4], () => renderPages({
      contents, disc: config.disc, web: NO_WEB_CONTENT, notListed: [], missing: 0, createdAt: new Date(), profile: profileOf(filesOf(contents)), viewer: undefined
    }))
    for (const { path, text } of pages) {
      mkdirSync(join(root, path, '..'), { recursive: true })
      writeFileSync(join(root, path), text)
    }
    writeFileSync(join(folder, 'order'), `${join(root, 'DICOMDIR')} 1\n`)
    await timed(STEPS[5], async () => {
      await authorImage({ programs, tools: config.tools, iso: config.iso, log: silentLog }, { root, grafts: [], sortFile: join(folder, 'order'), largestFileBytes: 1_000_000 }, join(folder, 'head'), signal)
    })
    const shown = await timed(VIEWER, async () => await placeViewer(root, { contents, web: NO_WEB_CONTENT, disc: config.disc, roomBytes: Infinity, headers: 'before', log: silentLog, signal }))
    const [index] = await timed(VIEWER_PAGE, () => renderPages({
      contents, disc: config.disc, web: NO_WEB_CONTENT, notListed: [], missing: 0, createdAt: new Date(), profile: undefined, viewer: undefined, pictures: shown.data
    }))
    writeFileSync(join(root, 'INDEX.HTM'), index?.text ?? '')
    await timed(VIEWER_IMAGE, async () => {
      const source = { root, grafts: [], sortFile: join(folder, 'order'), largestFileBytes: 1_000_000, spans: shown.spans }
      await authorImage({ programs, tools: config.tools, iso: config.iso, log: silentLog }, source, join(folder, 'head'), signal)
    })
    rmSync(root, { recursive: true })
  }
  rmSync(join(folder, 'received'), { recursive: true })
  return table(['', 'ms'], STEPS.map(step => [step, median(times.get(step) ?? []).toFixed(0)]))
}
