/** What stands before the data set of a DICOM file: preamble, prefix and file meta information (PS3.10 7.1), always explicit VR little endian. */
import { element, uint32 } from './element-writer.ts'

export interface FileMeta {
  sopClassUid: string
  /** Bytes where it is padded further than to even length. */
  sopInstanceUid: string | Buffer
  transferSyntaxUid: string
  implementationClassUid: string
  /** At most 16 characters. */
  implementationVersionName: string
  /** Source Application Entity Title; empty for none. */
  sourceAeTitle: string
}

const PREAMBLE = Buffer.concat([Buffer.alloc(128), Buffer.from('DICM', 'latin1')])
const VERSION = Buffer.from([0, 1])

export function fileBeginning (meta: FileMeta): Buffer {
  const elements = Buffer.concat([
    element(0x00020001, 'OB', VERSION),
    element(0x00020002, 'UI', meta.sopClassUid),
    element(0x00020003, 'UI', meta.sopInstanceUid),
    element(0x00020010, 'UI', meta.transferSyntaxUid),
    element(0x00020012, 'UI', meta.implementationClassUid),
    element(0x00020013, 'SH', meta.implementationVersionName),
    ...meta.sourceAeTitle === '' ? [] : [element(0x00020016, 'AE', meta.sourceAeTitle)]
  ])
  return Buffer.concat([PREAMBLE, element(0x00020000, 'UL', uint32(elements.length)), elements])
}
