/** Images to order: every UID, whose it is, and pixels that say which object it is, so that one that was taken for another shows. */
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PhantomInstance, PhantomPatient } from '../demo/phantoms/catalogue.ts'
import { part10, type Element } from '../demo/phantoms/writer.ts'

export const CT = '1.2.840.10008.5.1.4.1.1.2'

export interface MadeImage {
  studyInstanceUid: string
  seriesInstanceUid: string
  sopInstanceUid: string
  accessionNumber: string
  patient: PhantomPatient
  /** What the pixels are made from: the same text, the same pixels. */
  content: string
  instanceNumber?: number
  seriesNumber?: number
  /** `YYYYMMDD` */
  studyDate?: string
  studyDescription?: string
  /** Rows and columns of 16 bits. */
  size?: number
  sopClassUid?: string
  modality?: string
  /** Elements over ours, and beside them. */
  more?: readonly Element[]
}

/** The value of (7FE0,0010). */
export function pixelsOf (content: string, size = 8): Buffer {
  return Buffer.alloc(size * size * 2, createHash('sha256').update(content).digest())
}

/** As world.ts tells it of a file. */
export function pixelsSha256 (content: string, size = 8): string {
  return createHash('sha256').update(pixelsOf(content, size)).digest('hex')
}

/** A whole file. */
export function bytesOf (image: MadeImage): Buffer {
  const { patient, size = 8, sopClassUid = CT, instanceNumber = 1, seriesNumber = 1 } = image
  const elements: Element[] = [
    ['00080005', 'CS', 'ISO_IR 192'], ['00080008', 'CS', 'ORIGINAL\\PRIMARY\\AXIAL'], ['00080020', 'DA', image.studyDate ?? '20240501'], ['00080030', 'TM', '101010'],
    ['00080050', 'SH', image.accessionNumber], ['00080060', 'CS', image.modality ?? 'CT'], ['00081030', 'LO', image.studyDescription ?? 'Made'],
    ['00100010', 'PN', patient.patientName], ['00100020', 'LO', patient.patientId], ['00100030', 'DA', patient.birthDate], ['00100040', 'CS', patient.sex],
    ['0020000D', 'UI', image.studyInstanceUid], ['0020000E', 'UI', image.seriesInstanceUid], ['00200010', 'SH', '1'], ['00200011', 'IS', String(seriesNumber)],
    ['00200013', 'IS', String(instanceNumber)], ['00280002', 'US', 1], ['00280004', 'CS', 'MONOCHROME2'], ['00280010', 'US', size], ['00280011', 'US', size],
    ['00280100', 'US', 16], ['00280101', 'US', 16], ['00280102', 'US', 15], ['00280103', 'US', 0], ['7FE00010', 'OW', pixelsOf(image.content, size)]
  ]
  const { more = [] } = image
  const over = new Set(more.map(([tag]) => tag))
  return part10(sopClassUid, image.sopInstanceUid, [...elements.filter(([tag]) => !over.has(tag)), ...more], text => Buffer.from(text, 'utf8'))
}

/** The data set alone, as it goes over the wire in Explicit VR Little Endian. */
export function dataSetOf (image: MadeImage): Buffer {
  const file = bytesOf(image)
  return file.subarray(132 + 12 + file.readUInt32LE(140))
}

let files = 0

/** Writes a file for each, under a name that says nothing. */
export function writeImages (dir: string, images: readonly MadeImage[]): PhantomInstance[] {
  mkdirSync(dir, { recursive: true })
  return images.map(image => {
    const path = join(dir, `made${++files}.dcm`)
    writeFileSync(path, bytesOf(image))
    const { sopInstanceUid, seriesInstanceUid, studyInstanceUid, accessionNumber, instanceNumber = 1, sopClassUid = CT } = image
    return { path, sopInstanceUid, sopClassUid, seriesInstanceUid, studyInstanceUid, accessionNumber, instanceNumber, pixelDataSha256: pixelsSha256(image.content, image.size) }
  })
}
