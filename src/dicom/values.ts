/** Values as their VR asks (PS3.5 6.2), made of what real objects hold: old forms are rewritten, what means nothing is left out. */
import { withoutPadding } from './padding.ts'

const DATE = /^(\d{4})([-./]?)(\d{2})\2(\d{2})$/
const TIME = /^(\d{2})(?::?(\d{2})(?::?(\d{2})(?:[.,](\d{1,6})\d*)?)?)?$/
const DATE_TIME = /^(\d{4})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:\.\d{1,6})?)?)?)?)?)?([+-]\d{4})?$/
const MOST_DIGITS_OF_DS = 16

/** `19970424` of `1997.04.24`, the form of ACR-NEMA; undefined for what is no date. */
export function dateOf (text: string): string | undefined {
  const [, year = '', , month = '', day = ''] = DATE.exec(text.trim()) ?? []
  return isDay(year, month, day) ? year + month + day : undefined
}

/** `140438.5` of `14:04:38.5`; undefined for what is no time. */
export function timeOf (text: string): string | undefined {
  const [match, hour = '', minute = '', second = '', fraction = ''] = TIME.exec(text.trim()) ?? []
  if (match === undefined || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return undefined
  return hour + minute + second + (fraction === '' ? '' : `.${fraction}`)
}

export function dateTimeOf (text: string): string | undefined {
  const trimmed = text.trim()
  const [match, year = '', month = '01', day = '01', hour = '00', minute = '00', second = '00'] = DATE_TIME.exec(trimmed) ?? []
  const legal = isDay(year, month, day) && Number(hour) < 24 && Number(minute) < 60 && Number(second) <= 60
  return match !== undefined && legal ? trimmed : undefined
}

function isDay (year: string, month: string, day: string): boolean {
  const [y, m, d] = [Number(year), Number(month), Number(day)]
  return y > 0 && m >= 1 && m <= 12 && d >= 1 && d <= new Date(Date.UTC(2000 + y % 400, m, 0)).getUTCDate()
}

/** IS: a whole number of 32 bits. `1.0` is one (Horos). */
export function integerOf (text: string): string | undefined {
  const match = /^([+-]?\d+)(?:\.0*)?$/.exec(text.trim())
  const value = Number(match?.[1] ?? Number.NaN)
  return Number.isInteger(value) && Math.abs(value) < 2 ** 31 ? String(value) : undefined
}

/** DS: at most 16 characters; a longer one is rounded. */
export function decimalOf (text: string): string | undefined {
  const trimmed = text.trim().replace(',', '.')
  if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(trimmed) || !Number.isFinite(Number(trimmed))) return undefined
  if (trimmed.length <= MOST_DIGITS_OF_DS) return trimmed
  for (let digits = MOST_DIGITS_OF_DS; digits > 0; digits--) {
    const shorter = String(Number(Number(trimmed).toPrecision(digits)))
    if (shorter.length <= MOST_DIGITS_OF_DS) return shorter
  }
  return undefined
}

/** CS: at most 16 of `A-Z 0-9 _` and blanks. */
export function codeOf (text: string): string | undefined {
  const code = text.trim().toUpperCase().replaceAll('-', '_')
  return /^[A-Z0-9_ ]{1,16}$/.test(code) ? code : undefined
}

/** A UID in the form of PS3.5 9.1. */
export function uidOf (text: string): string | undefined {
  const uid = withoutPadding(text).trim()
  return uid.length <= 64 && /^(0|[1-9]\d*)(\.(0|[1-9]\d*))+$/.test(uid) ? uid : undefined
}
