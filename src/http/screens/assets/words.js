/** The words of the page, and numbers and dates in its language. */

const texts = JSON.parse(document.body.dataset.words)
const locale = document.body.dataset.locale

export function say (key, values = {}) {
  return (texts[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole)
}

export const has = key => key in texts

export function number (value, digits = 0) {
  return new Intl.NumberFormat(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value)
}

export const megabytes = bytes => number(bytes / 1e6, bytes < 1e7 ? 1 : 0)

export function duration (seconds) {
  // steps, so that the figure does not flicker
  if (seconds < 90) return say('seconds_left', { count: number(seconds < 10 ? Math.ceil(seconds) : Math.ceil(seconds / 5) * 5) })
  return say('minutes_left', { count: number(Math.ceil(seconds / 60)) })
}

export const time = iso => new Intl.DateTimeFormat(locale, { dateStyle: 'short', timeStyle: 'medium' }).format(new Date(iso))

/** A DICOM date. */
export function date (dicom) {
  const match = /^(\d{4})(\d\d)(\d\d)$/.exec(dicom)
  return match === null ? say('no_date') : new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeZone: 'UTC' }).format(new Date(`${match[1]}-${match[2]}-${match[3]}T00:00:00Z`))
}

export const $ = id => document.getElementById(id)

/** An element with text; never HTML, since names come from elsewhere. */
export function element (tag, text = '', className = '') {
  const made = document.createElement(tag)
  made.textContent = text
  if (className !== '') made.className = className
  return made
}

/** What has happened: said by a screen reader; the focus follows, unless somebody is at something else on the page. */
export function announce (heading) {
  write($('news'), heading.textContent)
  const { activeElement: active } = document
  if (active === null || active === document.body || active.closest('[hidden], #work, #ask, #finished, #problem') !== null) heading.focus()
}

/** Writes only what is new: a screen reader, and a hand that selects, are left in peace. */
export function write (target, text) {
  if (target.textContent !== text) target.textContent = text
}
