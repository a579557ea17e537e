/**
 * Which presentation contexts a C-GET proposes for storage (PS3.4 C.5.3): there are 128 at most, and an archive that does not convert sends an object
 * only by a context of its class and of the transfer syntax that it is stored in. So each compressed syntax has a context of its own, and the classes
 * that are likely have all of them.
 */
import { DEFLATED_LITTLE_ENDIAN, EXPLICIT_BIG_ENDIAN, EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN, LOSSLESS_COMPRESSED, LOSSY } from './association/transfer-syntax.ts'
import type { ProposedContext } from './association/pdu.ts'

export type StorageContext = Omit<ProposedContext, 'id'>

const storage = (...numbers: string[]): string[] => numbers.map(number => `1.2.840.10008.5.1.4.1.1.${number}`)

/** Images by Modality (0008,0060). */
const BY_MODALITY: Record<string, readonly string[]> = {
  CT: storage('2', '2.1', '2.2'),
  MR: storage('4', '4.1', '4.3', '4.2', '4.4'),
  US: storage('6.1', '3.1', '6.2', '6', '3'),
  CR: storage('1', '1.1', '1.1.1'),
  DX: storage('1.1', '1.1.1', '1'),
  MG: storage('1.2', '1.2.1', '13.1.3', '13.1.4', '13.1.5'),
  IO: storage('1.3', '1.3.1'),
  PX: storage('1.1', '1.3', '1'),
  XA: storage('12.1', '12.1.1', '13.1.1', '12.3'),
  RF: storage('12.2', '12.2.1', '12.1'),
  NM: storage('20'),
  PT: storage('128', '128.1', '130'),
  RTIMAGE: storage('481.1'),
  SEG: storage('66.4', '66.5', '66.7'),
  ES: storage('77.1.1', '77.1.1.1', '77.1.4'),
  GM: storage('77.1.2', '77.1.2.1'),
  SM: storage('77.1.6', '77.1.3'),
  XC: storage('77.1.4', '77.1.4.1'),
  OP: storage('77.1.5.1', '77.1.5.2', '77.1.5.4'),
  OPT: storage('77.1.5.4', '77.1.5.5', '77.1.5.8')
}
/** A modality may write these beside its own images. */
const SECONDARY_CAPTURE = storage('7', '7.4')
/** Where the modality is not known, or is none of those above. */
const COMMONEST = [...storage('2', '4', '1', '1.1', '6.1', '3.1', '12.1'), ...SECONDARY_CAPTURE.slice(0, 1)]

/** Every storage class that DCMTK 3.6.7 knows, the commonest first: reports, states and plans stand where an image may have company. */
const ALL: readonly string[] = [
  ...storage('2', '4', '1', '1.1', '1.1.1', '6.1', '3.1', '12.1', '12.2', '20', '128', '7', '1.2', '1.2.1', '88.11', '88.22', '88.33', '88.34', '88.59', '88.67', '11.1', '104.1'),
  ...storage('88.35', '88.65', '88.68', '88.69', '88.70', '88.40', '88.50', '481.1', '481.2', '481.3', '481.4', '481.5', '481.6', '481.7', '66', '66.1', '66.2', '66.3', '66.4', '66.5'),
  ...storage('2.1', '4.1', '12.1.1', '12.2.1', '13.1.3', '6.2', '77.1.1', '77.1.2', '77.1.4', '77.1.5.1', '77.1.6', '9.1.1', '9.1.2', '9.2.1', '9.4.1', '104.2', '11.2', '11.3', '11.4'),
  ...storage('2.2', '4.2', '4.3', '4.4', '1.3', '1.3.1', '7.1', '7.2', '7.3', '7.4', '13.1.1', '13.1.2', '13.1.4', '13.1.5', '12.3', '130', '128.1', '68.1', '68.2', '67'),
  ...storage('77.1.1.1', '77.1.2.1', '77.1.3', '77.1.4.1', '77.1.5.2', '77.1.5.3', '77.1.5.4', '77.1.5.5', '77.1.5.6', '77.1.5.7', '77.1.5.8'),
  ...storage('9.1.3', '9.3.1', '9.4.2', '9.5.1', '9.6.1', '14.1', '14.2', '30', '3', '5', '6', '90.1', '91.1', '104.3', '104.4', '104.5', '66.6', '66.7'),
  ...storage('11.5', '11.6', '11.7', '11.8', '11.9', '11.10', '11.11', '78.1', '78.2', '78.3', '78.4', '78.5', '78.6', '78.7', '78.8', '79.1', '80.1', '81.1', '82.1', '131'),
  ...storage('88.71', '88.72', '88.73', '88.74', '88.75', '88.76', '481.8', '481.9', '481.10', '481.11', '481.12', '481.13', '481.14', '481.15', '481.16', '481.17', '481.18'),
  ...storage('481.19', '481.20', '481.21', '481.22', '200.1', '200.2', '200.3', '200.7', '200.8', '501.1', '501.2.1', '501.3', '501.4', '501.5', '501.6', '601.1', '601.2'),
  ...storage('9.1.1', '9.6.2', '9.7.1', '9.7.2', '9.7.3', '9.7.4', '9.8.1'),
  '1.2.840.10008.5.1.4.34.7', '1.2.840.10008.5.1.4.34.10'
]

const COMPRESSED = [...LOSSLESS_COMPRESSED, ...LOSSY]
/** In which nearly all compressed images of archives are. */
const COMMON_COMPRESSED = ['70', '90', '80', '50', '91'].map(n => `1.2.840.10008.1.2.4.${n}`).concat('1.2.840.10008.1.2.5')
const UNCOMPRESSED = [EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN]

/**
 * For a first try: all syntaxes for the classes that the modality makes likely, and as many other classes as there is room for, uncompressed.
 * @param room presentation contexts that may be proposed
 */
export function likelyContexts (modality: string | undefined, room: number): StorageContext[] {
  const ofModality = modality === undefined ? undefined : BY_MODALITY[modality]
  const likely = ofModality === undefined ? COMMONEST : [...ofModality, ...SECONDARY_CAPTURE]
  const syntaxes = ofModality === undefined ? COMMON_COMPRESSED : [...new Set([...COMMON_COMPRESSED, ...LOSSLESS_COMPRESSED, ...LOSSY.slice(0, 5)])]
  const contexts = likely.flatMap(abstractSyntax => contextsOf(abstractSyntax, syntaxes))
  const others = ALL.filter(abstractSyntax => !likely.includes(abstractSyntax)).map(abstractSyntax => ({ abstractSyntax, transferSyntaxes: UNCOMPRESSED }))
  return [...new Map([...contexts.slice(0, room - 30), ...others].map(context => [JSON.stringify(context), context])).values()].slice(0, room)
}

/** For classes that are known: every syntax, in as many associations as that needs. */
export function exactContexts (classes: Iterable<string>, room: number): StorageContext[][] {
  return inGroups([...classes].flatMap(abstractSyntax => [
    ...contextsOf(abstractSyntax, COMPRESSED), { abstractSyntax, transferSyntaxes: [DEFLATED_LITTLE_ENDIAN] }, { abstractSyntax, transferSyntaxes: [EXPLICIT_BIG_ENDIAN] }
  ]), room)
}

/** Where nothing tells the class: all classes uncompressed, then the images with what is common. */
export function blindContexts (room: number): StorageContext[][] {
  const images = [...new Set([...Object.values(BY_MODALITY).flat(), ...SECONDARY_CAPTURE])]
  return inGroups([
    ...[...new Set(ALL)].map(abstractSyntax => ({ abstractSyntax, transferSyntaxes: UNCOMPRESSED })),
    ...images.flatMap(abstractSyntax => contextsOf(abstractSyntax, COMMON_COMPRESSED).slice(1))
  ], room)
}

function contextsOf (abstractSyntax: string, compressed: readonly string[]): StorageContext[] {
  return [{ abstractSyntax, transferSyntaxes: UNCOMPRESSED }, ...compressed.map(uid => ({ abstractSyntax, transferSyntaxes: [uid] }))]
}

function inGroups (contexts: readonly StorageContext[], size: number): StorageContext[][] {
  return Array.from({ length: Math.ceil(contexts.length / size) }, (_, index) => contexts.slice(index * size, (index + 1) * size))
}
