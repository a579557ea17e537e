/** Documents in DICOM objects, as files that a browser shows: structured reports, PDF, CDA. */
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import type { Config } from '../../config/schema.ts'
import { ENCAPSULATED_DOCUMENT } from '../../dicom/encapsulated-document.ts'
import { readObject, type DicomObject } from '../../dicom/part10.ts'
import type { Programs, SpawnOptions } from '../../process.ts'
import { documentLimits, reportFault, reportLimits } from '../render-limits.ts'
import { cdaPage } from './cda.ts'
import { renderReport } from './report.ts'

export interface RenderedDocument { path: string, extension: 'HTM' | 'PDF' }

const ENCAPSULATED_PDF = '1.2.840.10008.5.1.4.1.1.104.1'
const ENCAPSULATED_CDA = '1.2.840.10008.5.1.4.1.1.104.2'
const STRUCTURED_REPORT = /^1\.2\.840\.10008\.5\.1\.4\.1\.1\.88\.(?!59$|67$|68$)/

export function isDocument ({ sopClassUid }: DicomObject): boolean {
  return STRUCTURED_REPORT.test(sopClassUid) || sopClassUid === ENCAPSULATED_PDF || sopClassUid === ENCAPSULATED_CDA
}

/**
 * @param base the path of the file to write, without its extension
 * @throws Error when there is nothing to show
 */
export async function renderDocument (
  programs: Programs, dcmtk: Config['dcmtk'], object: DicomObject, path: string, base: string, run: SpawnOptions
): Promise<RenderedDocument> {
  const { sopClassUid } = object
  const extension = sopClassUid === ENCAPSULATED_PDF ? 'PDF' : 'HTM'
  const target = `${base}.${extension.toLowerCase()}`
  if (sopClassUid === ENCAPSULATED_PDF) {
    const result = await programs.run(dcmtk.dcm2pdf, [path, target], { ...run, limits: documentLimits(object) })
    if (result.exitCode !== 0 || !existsSync(target)) throw new Error(result.stderr.trim())
  } else if (sopClassUid === ENCAPSULATED_CDA) {
    await writeFile(target, cdaPage(await encapsulated(path)))
  } else {
    const fault = reportFault(object)
    if (fault !== undefined) throw new Error(fault)
    await renderReport(programs, dcmtk.dsr2html, path, target, { ...run, limits: reportLimits(object) })
  }
  return { path: target, extension }
}

/** @throws Error when there is none, or it is too large */
async function encapsulated (path: string): Promise<Buffer> {
  const document = (await readObject(path, new Set([ENCAPSULATED_DOCUMENT]))).attributes.get(ENCAPSULATED_DOCUMENT)
  if (document === undefined) throw new Error('there is no document in it')
  return document.value
}
