/** Studies of phantoms, written as files; the same description gives the same UIDs each time. */
import { createHash } from 'node:crypto'
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pLimit from 'p-limit'
import type { Programs } from '../../src/process.ts'
import { encoderFor, specificCharacterSet, type CharacterSet } from './character-sets.ts'
import { KINDS, type PhantomKind } from './kinds.ts'
import { part10, uidOf, type Element } from './writer.ts'

export type { CharacterSet } from './character-sets.ts'
export type { PhantomKind } from './kinds.ts'

export interface PhantomPatient {
  patientId: string
  /** DICOM person name: `Yamada^Tarou=山田^太郎`. */
  patientName: string
  /** `YYYYMMDD` */
  birthDate: string
  sex: string
  issuer?: string
  /** Default ISO_IR 192, which is UTF-8. */
  characterSet?: CharacterSet
}

export interface PhantomSeries {
  kind: PhantomKind
  count: number
  description?: string
  /** Body Part Examined, over what the kind says. */
  bodyPart?: string
  /** Keywords of attributes to leave out. */
  omit?: ReadonlyArray<keyof typeof OMITTABLE>
  rows?: number
  columns?: number
}

export interface PhantomStudy {
  accessionNumber: string
  patient: PhantomPatient
  /** `YYYYMMDD` */
  studyDate: string
  studyDescription: string
  series: readonly PhantomSeries[]
  /** Distinguishes studies with the same accession number. */
  seed?: string
}

export interface PhantomInstance {
  path: string
  sopInstanceUid: string
  sopClassUid: string
  seriesInstanceUid: string
  studyInstanceUid: string
  accessionNumber: string
  /** From 1 in each series. */
  instanceNumber: number
  /** Of the value of (7FE0,0010); undefined for compressed ones and those without pixels. */
  pixelDataSha256: string | undefined
}

const OMITTABLE = {
  Modality: ['00080060'], PatientID: ['00100020'], StudyID: ['00200010'], SeriesNumber: ['00200011'], InstanceNumber: ['00200013'], WindowCenter: ['00281050', '00281051']
} satisfies Record<string, string[]>

const BODY_PART_EXAMINED = '00180015'

/** Writes `<dir>/<SOP Instance UID>.dcm` for every instance. */
export async function writeStudy (study: PhantomStudy, dir: string, programs: Programs): Promise<PhantomInstance[]> {
  mkdirSync(dir, { recursive: true })
  const seed = `${study.accessionNumber}/${study.seed ?? ''}`
  const { patient } = study
  const characterSet = patient.characterSet ?? 'ISO_IR 192'
  const encode = encoderFor(characterSet)
  const studyInstanceUid = uidOf(seed)
  const limit = pLimit(4)
  const instances: PhantomInstance[] = []
  const compressing: Array<Promise<void>> = []
  for (const [index, series] of study.series.entries()) {
    const kind = KINDS[series.kind]
    const seriesInstanceUid = uidOf(`${seed}/${index}`)
    const left = new Set((series.omit ?? []).flatMap(keyword => OMITTABLE[keyword]))
    const frameOfReferenceUid = uidOf(`${seed}/frame`)
    for (let n = 1; n <= series.count; n++) {
      const sopInstanceUid = uidOf(`${seed}/${index}/${n}`)
      const content = kind.content({ rows: series.rows ?? kind.size, columns: series.columns ?? kind.size, n, salt: index + 1, frameOfReferenceUid })
      const elements: Element[] = [
        ['00080005', 'CS', specificCharacterSet(characterSet)], ['00080020', 'DA', study.studyDate], ['00080030', 'TM', '101010'], ['00080050', 'SH', study.accessionNumber],
        ['00080060', 'CS', kind.modality], ['00080070', 'LO', 'Phantom works'], ['00080080', 'LO', 'Phantom hospital'], ['00080090', 'PN', ''], ['00081030', 'LO', study.studyDescription],
        ['0008103E', 'LO', series.description ?? `${kind.modality} ${index + 1}`], ['00081090', 'LO', 'Phantom'], ['00100010', 'PN', patient.patientName], ['00100020', 'LO', patient.patientId],
        ...(patient.issuer === undefined ? [] : [['00100021', 'LO', patient.issuer] as const]), ['00100030', 'DA', patient.birthDate], ['00100040', 'CS', patient.sex],
        ['00081070', 'PN', ''], ...(kind.unpaired === true ? [] : [['00200060', 'CS', ''] as const]),
        ['00181000', 'LO', '1'], ['00181020', 'LO', '1'], ['0020000D', 'UI', studyInstanceUid], ['0020000E', 'UI', seriesInstanceUid], ['00200010', 'SH', study.accessionNumber.slice(0, 16)],
        ['00200011', 'IS', String(index + 1)], ['00200013', 'IS', String(n)], ...content
      ]
      const { bodyPart } = series
      const kept = [
        ...elements.filter(([tag]) => !left.has(tag) && !(bodyPart !== undefined && tag === BODY_PART_EXAMINED)),
        ...(bodyPart === undefined ? [] : [[BODY_PART_EXAMINED, 'CS', bodyPart] as const])
      ]
      const path = join(dir, `${sopInstanceUid}.dcm`)
      writeFileSync(path, part10(kind.sopClassUid, sopInstanceUid, kept, encode))
      const pixels = content.find(([tag]) => tag === '7FE00010')?.[2]
      instances.push({
        path, sopInstanceUid, sopClassUid: kind.sopClassUid, seriesInstanceUid, studyInstanceUid, accessionNumber: study.accessionNumber, instanceNumber: n,
        pixelDataSha256: Buffer.isBuffer(pixels) && kind.compress === undefined ? createHash('sha256').update(pixels).digest('hex') : undefined
      })
      const { compress } = kind
      if (compress !== undefined) {
        compressing.push(limit(async () => {
          const result = await programs.run(compress.program, [...compress.args, path, `${path}.new`])
          if (result.exitCode !== 0) throw new Error(`${compress.program}: ${result.stderr}`)
          renameSync(`${path}.new`, path)
        }))
      }
    }
  }
  await Promise.all(compressing)
  return instances
}
