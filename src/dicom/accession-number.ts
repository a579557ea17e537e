import { MkisoError } from '../errors.ts'
import { withoutBothEnds } from './padding.ts'

/**
 * Longest accession number that is accepted. VR SH allows 16 characters (PS3.5 6.2), but HIS that write more exist and PACS keep them.
 */
export const ACCESSION_NUMBER_MAX_LENGTH = 64

/**
 * What an accession number may look like. `*`, `?` and `\` are wildcards and the list separator of a C-FIND (PS3.4 C.2.2.2): `*` would
 * burn the whole PACS. A comma separates accession numbers in a link. A leading hyphen would be an option to a program. The rest is kept
 * narrow since the text also becomes a file name.
 */
export const ACCESSION_NUMBER_PATTERN = '^[A-Za-z0-9](?:[A-Za-z0-9._/+:#=() -]*[A-Za-z0-9._/+:#=()-])?$'

/** The rule in words. */
export const ACCESSION_NUMBER_RULE = 'accession_number may hold letters, digits, blanks and . _ / + : # = ( ) -, and starts with a letter or a digit; ' +
  'wildcards (*, ?, \\) are refused, and several numbers go to download-multiple'

const PATTERN = new RegExp(ACCESSION_NUMBER_PATTERN)

/**
 * @returns the accession number without padding blanks, which are not part of an SH value (PS3.5 6.2)
 * @throws MkisoError INVALID_ACCESSION_NUMBER
 */
export function checkAccessionNumber (text: string): string {
  const value = withoutBothEnds(text, / /)
  const fault = (detail: string): MkisoError => new MkisoError('INVALID_ACCESSION_NUMBER', detail)
  if (value === '') throw fault('accession_number is empty')
  if (value.length > ACCESSION_NUMBER_MAX_LENGTH) throw fault(`accession_number is longer than ${ACCESSION_NUMBER_MAX_LENGTH} characters`)
  if (/[*?\\]/.test(value)) throw fault('accession_number holds *, ? or \\, which are wildcards in DICOM')
  if (value.includes(',')) throw fault('accession_number names several; use download-multiple')
  if (value.includes('..') || !PATTERN.test(value)) throw fault(ACCESSION_NUMBER_RULE)
  return value
}

/**
 * A list as it stands in a link: `X,Y,Z`. Empty items are ignored, and one that comes twice counts once.
 * @param max most accession numbers in one request
 * @throws MkisoError INVALID_ACCESSION_NUMBER, TOO_MANY_ACCESSION_NUMBERS
 */
export function parseAccessionNumbers (list: string, max: number): string[] {
  const items = list.split(',').filter(item => item.trim() !== '').map(checkAccessionNumber)
  const distinct = [...new Set(items)]
  if (distinct.length === 0) throw new MkisoError('INVALID_ACCESSION_NUMBER', 'accession_number is empty')
  if (distinct.length === 1 && items.length > 1) throw new MkisoError('INVALID_ACCESSION_NUMBER', 'the list holds the same accession number again and again')
  if (distinct.length > max) throw new MkisoError('TOO_MANY_ACCESSION_NUMBERS', `the list holds ${distinct.length} accession numbers, at most ${max} are allowed`)
  return distinct
}
