/** What an instance of each kind holds beside patient, study and series. */
import { angiography, bodySection, ultrasoundSector, withNumber } from './pixels.ts'
import { uidOf, type Element } from './writer.ts'

export type PhantomKind = 'CT' | 'MR' | 'US-colour' | 'CR' | 'XA-multiframe' | 'XA-multiframe-jpeg' | 'CT-jpeg' | 'CT-jpeg2000' | 'CT-rle' |
  'SR' | 'ECG' | 'RTPLAN' | 'RTSTRUCT' | 'RTDOSE' | 'PDF' | 'PR'

export interface KindContext {
  rows: number
  columns: number
  /** From 1. */
  n: number
  /** A number of the series, so that two series have no equal images. */
  salt: number
  frameOfReferenceUid: string
}

interface Kind {
  modality: string
  sopClassUid: string
  size: number
  content (context: KindContext): Element[]
  /** Laterality (0020,0060) must be absent: the part of the body is not a paired one, or there is none (PS3.3 C.7.3.1, type 2C). */
  unpaired?: boolean
  /** Program that compresses it afterwards. */
  compress?: { program: string, args: readonly string[] }
}

const drawn = new Map<string, Uint16Array>()

function section (rows: number, columns: number): Uint16Array {
  const key = `${rows}x${columns}`
  const known = drawn.get(key) ?? bodySection(rows, columns)
  drawn.set(key, known)
  return known
}

function greyPixels ({ rows, columns, n, salt }: KindContext): Element[] {
  return [
    ['00280002', 'US', 1], ['00280004', 'CS', 'MONOCHROME2'], ['00280010', 'US', rows], ['00280011', 'US', columns], ['00280100', 'US', 16],
    ['00280101', 'US', 12], ['00280102', 'US', 11], ['00280103', 'US', 0], ['7FE00010', 'OW', withNumber(section(rows, columns), rows, columns, n, salt)]
  ]
}

function plane ({ n, frameOfReferenceUid, rows }: KindContext): Element[] {
  const spacing = (350 / rows).toFixed(6)
  return [
    ['00200032', 'DS', `-175\\-175\\${n * 5}`], ['00200037', 'DS', '1\\0\\0\\0\\1\\0'], ['00200052', 'UI', frameOfReferenceUid], ['00201040', 'LO', ''],
    ['00180050', 'DS', '5'], ['00185100', 'CS', 'HFS'], ['00280030', 'DS', `${spacing}\\${spacing}`]
  ]
}

function ct (context: KindContext): Element[] {
  return [
    ...greyPixels(context), ...plane(context), ['00080008', 'CS', 'ORIGINAL\\PRIMARY\\AXIAL'], ['00180060', 'DS', '120'], ['00200012', 'IS', '1'],
    ['00281050', 'DS', '40'], ['00281051', 'DS', '400'], ['00281052', 'DS', '-1024'], ['00281053', 'DS', '1'], ['00281054', 'LO', 'HU'],
    ['00080022', 'DA', '20240305'], ['00080032', 'TM', '101500']
  ]
}

const CT = '1.2.840.10008.5.1.4.1.1.2'

function xa ({ rows, columns, n }: KindContext): Element[] {
  const frames = 10
  return [
    ['00080008', 'CS', 'ORIGINAL\\PRIMARY\\SINGLE PLANE'], ['00280002', 'US', 1], ['00280004', 'CS', 'MONOCHROME2'], ['00280008', 'IS', String(frames)],
    ['00280009', 'AT', '00181063'], ['00181063', 'DS', '66'], ['00280010', 'US', rows], ['00280011', 'US', columns], ['00280100', 'US', 8], ['00280101', 'US', 8],
    ['00280102', 'US', 7], ['00280103', 'US', 0], ['00281040', 'CS', 'LIN'], ['00180060', 'DS', '80'], ['00181150', 'IS', '10'], ['00181151', 'IS', '300'],
    ['00181155', 'CS', 'GR'], ['00181500', 'CS', 'STATIONARY'], ['00181510', 'DS', '0'], ['00181511', 'DS', '0'], ['00282110', 'CS', '00'], ['00200020', 'CS', 'L\\F'],
    ['7FE00010', 'OB', angiography(rows, columns, frames, n)]
  ]
}

function code (value: string, scheme: string, meaning: string): Element[] {
  return [['00080100', 'SH', value], ['00080102', 'SH', scheme], ...(scheme === 'SCPECG' ? [['00080103', 'SH', '1.3'] as const] : []), ['00080104', 'LO', meaning]]
}

function text (concept: Element[], value: string): Element[] {
  return [['0040A010', 'CS', 'CONTAINS'], ['0040A040', 'CS', 'TEXT'], ['0040A043', 'SQ', [concept]], ['0040A160', 'UT', value]]
}

function sr ({ n }: KindContext): Element[] {
  return [
    ['00080012', 'DA', '20240305'], ['00080013', 'TM', '103000'], ['00080023', 'DA', '20240305'], ['00080033', 'TM', '103000'], ['00081111', 'SQ', []],
    ['0040A032', 'DT', '20240305103000'], ['0040A040', 'CS', 'CONTAINER'], ['0040A043', 'SQ', [code('18748-4', 'LN', 'Diagnostic Imaging Report')]], ['0040A050', 'CS', 'SEPARATE'],
    ['0040A372', 'SQ', []], ['0040A491', 'CS', 'COMPLETE'], ['0040A493', 'CS', 'UNVERIFIED'],
    ['0040A730', 'SQ', [
      text(code('121071', 'DCM', 'Finding'), `Phantom finding ${n}: a round lesion that wanders from image to image.`),
      text(code('121077', 'DCM', 'Conclusion'), 'Nothing that a phantom need worry about.')
    ]]
  ]
}

function ecg ({ n }: KindContext): Element[] {
  const samples = 1_000
  const channels = 2
  const data = Buffer.alloc(samples * channels * 2)
  for (let i = 0; i < samples; i++) {
    const beat = i % 250
    const value = beat < 8 ? 900 - 200 * Math.abs(beat - 4) : Math.round(60 * Math.sin(beat / 18)) + n
    for (let channel = 0; channel < channels; channel++) data.writeInt16LE(value * (channel === 0 ? 1 : -1), (i * channels + channel) * 2)
  }
  const channel = (lead: string, value: string): Element[] => [
    ['003A0208', 'SQ', [code(value, 'SCPECG', lead)]], ['003A0210', 'DS', '1'], ['003A0211', 'SQ', [code('uV', 'UCUM', 'microvolt')]], ['003A0212', 'DS', '1'],
    ['003A0213', 'DS', '0'], ['003A0215', 'DS', '0'], ['003A021A', 'US', 16]
  ]
  return [
    ['0008002A', 'DT', '20240305101500'], ['00080023', 'DA', '20240305'], ['00080033', 'TM', '101500'], ['00400555', 'SQ', []], ['00181030', 'LO', 'ECG'],
    ['54000100', 'SQ', [[
      ['003A0004', 'CS', 'ORIGINAL'], ['003A0005', 'US', channels], ['003A0010', 'UL', samples], ['003A001A', 'DS', '500'],
      ['003A0200', 'SQ', [channel('Lead I', '5.6.3-9-1'), channel('Lead II', '5.6.3-9-2')]],
      ['54001004', 'US', 16], ['54001006', 'CS', 'SS'], ['54001010', 'OW', data]
    ]]]
  ]
}

function pdf ({ n }: KindContext): Element[] {
  const content = `BT /F1 24 Tf 72 720 Td (Phantom report ${n}) Tj ET`
  const objects = [
    '<< /Type /Catalog /Pages 2 0 R >>', '<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
    '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>',
    `<< /Length ${content.length} >>\nstream\n${content}\nendstream`, '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>'
  ]
  let body = '%PDF-1.4\n'
  const offsets = objects.map((object, index) => {
    const offset = body.length
    body += `${index + 1} 0 obj\n${object}\nendobj\n`
    return offset
  })
  const xref = body.length
  body += `xref\n0 6\n0000000000 65535 f \n${offsets.map(offset => `${String(offset).padStart(10, '0')} 00000 n \n`).join('')}trailer << /Size 6 /Root 1 0 R >>\nstartxref\n${xref}\n%%EOF\n`
  return [
    ['00080023', 'DA', '20240305'], ['00080033', 'TM', '103000'], ['0008002A', 'DT', '20240305103000'], ['00280301', 'CS', 'NO'], ['00420010', 'ST', 'Phantom report'], ['00080064', 'CS', 'WSD'],
    ['0040A043', 'SQ', []], ['00420011', 'OB', Buffer.from(body, 'latin1')], ['00420012', 'LO', 'application/pdf']
  ]
}

function structureSet ({ frameOfReferenceUid }: KindContext): Element[] {
  return [
    ['30060002', 'SH', 'PHANTOM'], ['30060008', 'DA', '20240305'], ['30060009', 'TM', '110000'], ['00200052', 'UI', frameOfReferenceUid], ['00201040', 'LO', ''],
    ['30060020', 'SQ', [[['30060022', 'IS', '1'], ['30060024', 'UI', frameOfReferenceUid], ['30060026', 'LO', 'Body'], ['30060036', 'CS', 'MANUAL']]]],
    ['30060039', 'SQ', [[['30060084', 'IS', '1']]]], ['30060080', 'SQ', [[['30060082', 'IS', '1'], ['30060084', 'IS', '1'], ['300600A4', 'CS', 'EXTERNAL'], ['300600A6', 'PN', '']]]]
  ]
}

function plan ({ n }: KindContext): Element[] {
  return [
    ['300A0002', 'SH', `PLAN${n}`], ['300A0006', 'DA', '20240305'], ['300A0007', 'TM', '110000'], ['300A000C', 'CS', 'TREATMENT_DEVICE'], ['300E0002', 'CS', 'UNAPPROVED'],
    ['300A0070', 'SQ', [[['300A0071', 'IS', '1'], ['300A0078', 'IS', '20'], ['300A0080', 'IS', '0'], ['300A00A0', 'IS', '0']]]]
  ]
}

function presentationState (): Element[] {
  return [
    ['00700080', 'CS', 'PHANTOM'], ['00700081', 'LO', ''], ['00700082', 'DA', '20240305'], ['00700083', 'TM', '110000'], ['00700084', 'PN', ''], ['20500020', 'CS', 'IDENTITY'],
    ['00081115', 'SQ', [[['0020000E', 'UI', uidOf('referenced series')], ['00081140', 'SQ', [[['00081150', 'UI', CT], ['00081155', 'UI', uidOf('referenced image')]]]]]]],
    ['0070005A', 'SQ', [[['00700052', 'SL', [1, 1]], ['00700053', 'SL', [64, 64]], ['00700100', 'CS', 'SCALE TO FIT'], ['00700101', 'DS', '1\\1']]]]
  ]
}

export const KINDS: Record<PhantomKind, Kind> = {
  CT: { modality: 'CT', sopClassUid: CT, size: 256, content: ct },
  'CT-jpeg': { modality: 'CT', sopClassUid: CT, size: 128, content: ct, compress: { program: 'dcmcjpeg', args: ['+e1'] } },
  'CT-jpeg2000': { modality: 'CT', sopClassUid: CT, size: 128, content: ct, compress: { program: 'gdcmconv', args: ['--j2k'] } },
  'CT-rle': { modality: 'CT', sopClassUid: CT, size: 128, content: ct, compress: { program: 'dcmcrle', args: [] } },
  MR: {
    modality: 'MR', sopClassUid: '1.2.840.10008.5.1.4.1.1.4', size: 128,
    content: context => [
      ...greyPixels(context), ...plane(context), ['00080008', 'CS', 'ORIGINAL\\PRIMARY\\OTHER'], ['00180020', 'CS', 'SE'], ['00180021', 'CS', 'NONE'], ['00180022', 'CS', ''], ['00180023', 'CS', '2D'],
      ['00180080', 'DS', '500'], ['00180081', 'DS', '15'], ['00180091', 'IS', '1'], ['00281050', 'DS', '900'], ['00281051', 'DS', '1600']
    ]
  },
  CR: {
    modality: 'CR', sopClassUid: '1.2.840.10008.5.1.4.1.1.1', size: 128, unpaired: true,
    content: context => [
      ...greyPixels(context), ['00080008', 'CS', 'ORIGINAL\\PRIMARY'], ['00180015', 'CS', 'CHEST'], ['00185101', 'CS', 'PA'], ['00200020', 'CS', 'L\\F'], ['00281050', 'DS', '900'], ['00281051', 'DS', '1600']
    ]
  },
  'US-colour': {
    modality: 'US', sopClassUid: '1.2.840.10008.5.1.4.1.1.6.1', size: 240,
    content: ({ rows, columns, n }) => [
      ['00080008', 'CS', 'ORIGINAL\\PRIMARY\\ABDOMINAL\\0001'], ['00280002', 'US', 3], ['00280004', 'CS', 'RGB'], ['00280006', 'US', 0], ['00280010', 'US', rows], ['00280011', 'US', columns],
      ['00280014', 'US', 1], ['00280100', 'US', 8], ['00280101', 'US', 8], ['00280102', 'US', 7], ['00280103', 'US', 0], ['00282110', 'CS', '00'], ['00200020', 'CS', ''],
      ['7FE00010', 'OB', ultrasoundSector(rows, columns, n)]
    ]
  },
  'XA-multiframe': { modality: 'XA', sopClassUid: '1.2.840.10008.5.1.4.1.1.12.1', size: 256, content: xa },
  'XA-multiframe-jpeg': { modality: 'XA', sopClassUid: '1.2.840.10008.5.1.4.1.1.12.1', size: 256, content: xa, compress: { program: 'dcmcjpeg', args: ['+e1'] } },
  SR: { modality: 'SR', sopClassUid: '1.2.840.10008.5.1.4.1.1.88.11', size: 0, content: sr },
  ECG: { modality: 'ECG', sopClassUid: '1.2.840.10008.5.1.4.1.1.9.1.2', size: 0, unpaired: true, content: ecg },
  RTPLAN: { modality: 'RTPLAN', sopClassUid: '1.2.840.10008.5.1.4.1.1.481.5', size: 0, content: plan },
  RTSTRUCT: { modality: 'RTSTRUCT', sopClassUid: '1.2.840.10008.5.1.4.1.1.481.3', size: 0, content: structureSet },
  RTDOSE: {
    modality: 'RTDOSE', sopClassUid: '1.2.840.10008.5.1.4.1.1.481.2', size: 64,
    content: context => [
      ...greyPixels(context).filter(([tag]) => !['00280101', '00280102'].includes(tag)), ['00280101', 'US', 16], ['00280102', 'US', 15], ...plane(context),
      ['30040002', 'CS', 'GY'], ['30040004', 'CS', 'PHYSICAL'], ['3004000A', 'CS', 'PLAN'], ['3004000E', 'DS', '0.001'],
      ['300C0002', 'SQ', [[['00081150', 'UI', '1.2.840.10008.5.1.4.1.1.481.5'], ['00081155', 'UI', uidOf('referenced plan')]]]]
    ]
  },
  PDF: { modality: 'DOC', sopClassUid: '1.2.840.10008.5.1.4.1.1.104.1', size: 0, content: pdf },
  PR: { modality: 'PR', sopClassUid: '1.2.840.10008.5.1.4.1.1.11.1', size: 0, content: presentationState }
}
