/** The application profile that a disc's content allows (PS3.11 D, H): what a reader must be able to decode. */
import type { DiscFile } from './contents.ts'

const EXPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2.1'
/** Baseline, extended, and lossless first-order prediction, which the JPEG profiles name. */
const JPEG = /^1\.2\.840\.10008\.1\.2\.4\.(50|51|70)$/
const JPEG_2000 = /^1\.2\.840\.10008\.1\.2\.4\.9[01]$/

/** @returns the profile's name, or undefined when an object is in a transfer syntax that no general purpose profile has */
export function profileOf (files: readonly Pick<DiscFile, 'transferSyntaxUid'>[]): string | undefined {
  const syntaxes = new Set(files.map(({ transferSyntaxUid }) => transferSyntaxUid))
  syntaxes.delete(EXPLICIT_LITTLE_ENDIAN)
  // CD media take uncompressed objects only
  if (syntaxes.size === 0) return 'STD-GEN-CD'
  if ([...syntaxes].every(syntax => JPEG.test(syntax))) return 'STD-GEN-DVD-JPEG, STD-GEN-USB-JPEG'
  if ([...syntaxes].every(syntax => JPEG_2000.test(syntax))) return 'STD-GEN-DVD-J2K, STD-GEN-USB-J2K'
  return undefined
}
