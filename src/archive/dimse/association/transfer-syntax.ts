/**
 * What our Storage SCP takes: which services, and which of the transfer syntaxes that a presentation context offers (PS3.8 9.3.3.2 lets the
 * acceptor choose one). The sender may hold the object in any of them; what we choose is what it will convert to, if it must and can.
 */

/** Nothing is lost in them, and no pixel is compressed. */
export const EXPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2.1'
export const IMPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2'
export const EXPLICIT_BIG_ENDIAN = '1.2.840.10008.1.2.2'
export const DEFLATED_LITTLE_ENDIAN = '1.2.840.10008.1.2.1.99'
const ENCAPSULATED_UNCOMPRESSED = '1.2.840.10008.1.2.1.98'

/** Compressed without loss, the commonest in archives first. */
export const LOSSLESS_COMPRESSED: readonly string[] = [
  '1.2.840.10008.1.2.4.70', // JPEG lossless, first-order prediction
  '1.2.840.10008.1.2.4.90', // JPEG 2000 lossless
  '1.2.840.10008.1.2.4.80', // JPEG-LS lossless
  '1.2.840.10008.1.2.5', // RLE lossless
  '1.2.840.10008.1.2.4.57', // JPEG lossless, process 14
  '1.2.840.10008.1.2.4.201', // HTJ2K lossless
  '1.2.840.10008.1.2.4.202', // HTJ2K lossless RPCL
  '1.2.840.10008.1.2.4.92', // JPEG 2000 part 2 lossless
  '1.2.840.10008.1.2.4.110', // JPEG XL lossless
  '1.2.840.10008.1.2.8.1' // deflated image frames
]

/** Lossy, or such that nobody can tell; only what was stored in one of them should come in one of them. */
export const LOSSY: readonly string[] = [
  '1.2.840.10008.1.2.4.50', // JPEG baseline
  '1.2.840.10008.1.2.4.91', // JPEG 2000
  '1.2.840.10008.1.2.4.51', // JPEG extended
  '1.2.840.10008.1.2.4.81', // JPEG-LS near-lossless
  '1.2.840.10008.1.2.4.203', // HTJ2K
  '1.2.840.10008.1.2.4.111', // JPEG XL, JPEG recompression
  '1.2.840.10008.1.2.4.112', // JPEG XL
  '1.2.840.10008.1.2.4.93', // JPEG 2000 part 2
  // MPEG2, MPEG-4, HEVC, each also as fragmentable (.1)
  ...['100', '101', '102', '103', '104', '105', '106'].flatMap(n => [`1.2.840.10008.1.2.4.${n}`, `1.2.840.10008.1.2.4.${n}.1`]),
  '1.2.840.10008.1.2.4.107', '1.2.840.10008.1.2.4.108'
]

/** In these an object does not hold its pixels, or is no data set of DICOM: JPIP referenced, SMPTE ST 2110, MIME and XML encapsulation. */
const NOT_AN_OBJECT = /^1\.2\.840\.10008\.1\.2\.(?:4\.(?:94|95|204|205)|7\.\d+|6\.\d+)$/

/** From best to worst, without the lossless compressed ones, whose place depends on how many are offered. */
const ORDER: readonly string[] = [EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN, ENCAPSULATED_UNCOMPRESSED, EXPLICIT_BIG_ENDIAN]

/**
 * The best of the transfer syntaxes of one presentation context, or undefined when none will do.
 *
 * 1. One lossless compressed syntax, whatever stands beside it: it is what the sender has stored, and it comes as stored.
 * 2. Uncompressed: Explicit VR Little Endian, Implicit VR Little Endian, Encapsulated Uncompressed, Explicit VR Big Endian. Also where several
 *    lossless compressed ones are offered: then none of them says what is stored, and every sender can send uncompressed.
 * 3. Several lossless compressed ones alone: the sender's first.
 * 4. Lossy ones, the sender's first. 5. Deflated. 6. A private or unknown syntax.
 */
export function bestTransferSyntax (offered: readonly string[]): string | undefined {
  const lossless = offered.filter(uid => LOSSLESS_COMPRESSED.includes(uid))
  const uncompressed = ORDER.find(uid => offered.includes(uid))
  if (new Set(lossless).size === 1) return lossless[0]
  return uncompressed ?? lossless[0] ?? offered.find(uid => LOSSY.includes(uid)) ?? offered.find(uid => uid === DEFLATED_LITTLE_ENDIAN) ??
    offered.find(uid => uid !== '' && !NOT_AN_OBJECT.test(uid))
}

export const VERIFICATION = '1.2.840.10008.1.1'
const STORAGE_PREFIX = '1.2.840.10008.5.1.4.1.1.'
/** Composite instances outside the storage branch (PS3.4 B.5, GG.3, I.4): of radiotherapy, hanging protocols, palettes, implants, stored prints. */
const FURTHER_STORAGE: ReadonlySet<string> = new Set([
  '1.2.840.10008.5.1.4.34.1', '1.2.840.10008.5.1.4.34.7', '1.2.840.10008.5.1.4.34.10', '1.2.840.10008.5.1.4.38.1', '1.2.840.10008.5.1.4.39.1',
  '1.2.840.10008.5.1.4.43.1', '1.2.840.10008.5.1.4.44.1', '1.2.840.10008.5.1.4.45.1', '1.2.840.10008.5.1.1.27', '1.2.840.10008.5.1.1.29', '1.2.840.10008.5.1.1.30'
])

/** Storage classes, standard or private: what a UID outside of DICOM's own means, only the sender knows. */
export function isStorageClass (uid: string): boolean {
  return uid.startsWith(STORAGE_PREFIX) || FURTHER_STORAGE.has(uid) || (uid !== '' && uid !== '1.2.840.10008' && !uid.startsWith('1.2.840.10008.'))
}
