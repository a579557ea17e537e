/** Names of downloads. */
import { withoutBothEnds } from '../dicom/padding.ts'
import { cutText } from '../text.ts'

const LONGEST = 150

/** `X`, of `X.iso` */
export function isoFileName (accessionNumber: string): string {
  return clean(accessionNumber)
}

/** `{PATIENT_NAME}-{X_Y}`, of `{PATIENT_NAME}-{X_Y}.iso`, in any script, without what a file system or a header cannot take. */
export function isoFileNameForPatient (patientName: string, accessionNumbers: readonly string[]): string {
  const name = clean(patientName)
  const before = `${name === '' ? 'PATIENT' : name}-`
  const numbers = accessionNumbers.map(clean)
  const all = before + numbers.join('_')
  if (cutText(all, LONGEST) === all) return all
  // half a number is another number: whole ones, and how many there are beside them
  for (let kept = numbers.length - 1; kept > 0; kept--) {
    const some = `${before}${numbers.slice(0, kept).join('_')}_and_${numbers.length - kept}_more`
    if (cutText(some, LONGEST) === some) return some
  }
  return cutText(all, LONGEST)
}

/** A DICOM person name for a file name: the alphabetic group, components as words (PS3.5 6.2.1). */
export function nameFromDicom (personName: string): string {
  const groups = personName.split('=')
  const group = groups.find(text => text.replace(/[\^ ]/g, '') !== '') ?? ''
  return group.split('^').filter(part => part.trim() !== '').join(' ')
}

function clean (text: string): string {
  const legal = text
    .normalize('NFC')
    .toWellFormed()
    // control and format characters (bidirectional overrides too), and what Windows refuses in a name
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\uFFFD]/gu, ' ')
    .replace(/[<>:"/\\|?*%]/g, '_')
    .replace(/\s+/g, ' ')
  return cutText(withoutBothEnds(legal, /[. ]/), LONGEST)
}
