/** The progress of one activity: bar, figures, speed, time left; and a failure as a sentence. */
import { $, announce, date, duration, element, has, megabytes, number, say, write } from './words.js'

/** Speed is the mean over so long. */
const WINDOW_MS = 5000

/** How far the present phase is, 0 to 1; undefined when nobody knows. */
export function share (state) {
  const { images_received: received, images_expected: expected, sent_images: sent, sent_bytes: bytes, size_bytes: size } = state
  if (state.phase === 'receiving' && expected) return received / expected
  if (state.phase === 'sending' && expected) return sent / expected
  if (state.phase === 'streaming' && size) return bytes / size
  // a ZIP goes out while images come
  if (state.phase === 'streaming' && expected) return received / expected
  if (state.phase === 'ready' || state.outcome === 'success') return 1
  return undefined
}

export function imagesText (state) {
  const { images_received: received, images_expected: expected, sent_images: sent } = state
  if (state.phase === 'sending') return say('sent_of', { sent: number(sent), expected: number(expected) })
  if (expected !== undefined) return say('images_of', { received: number(received), expected: number(expected) })
  return received > 0 ? say('images_count', { received: number(received) }) : '–'
}

/** As {@link imagesText} where "images" stands beside it. */
function countText ({ phase, images_received: received, images_expected: expected, sent_images: sent }) {
  if (expected !== undefined) return say('count_of', { count: number(phase === 'sending' ? sent : received), total: number(expected) })
  return received > 0 ? number(received) : '–'
}

export function bytesText (state) {
  if (state.size_bytes !== undefined && state.sent_bytes > 0) return say('megabytes_of', { count: megabytes(state.sent_bytes), total: megabytes(state.size_bytes) })
  const bytes = state.size_bytes ?? state.received_bytes
  return bytes > 0 ? say('megabytes', { count: megabytes(bytes) }) : '–'
}

export function setBar (bar, part) {
  if (part === undefined) bar.removeAttribute('value')
  else bar.value = Math.round(part * 1000)
}

let samples = []
let phase = ''

export function showProgress (state) {
  if (state.phase !== phase) {
    phase = state.phase
    samples = []
  }
  const part = share(state)
  // the only live text: a screen reader says each phase once, and the figures when it is asked
  write($('phase'), say(`phase_${state.phase}`))
  setBar($('bar'), part)
  write($('images'), countText(state))
  write($('bytes'), bytesText(state))
  showSpeed(state, part)
  showWait(state)
  document.title = `${part === undefined ? '' : `${number(part * 100)} % · `}${say(`phase_${state.phase}`)}`
  showStudies(state, $('patient'), $('studies'))
}

/** Whom it waits for; undefined while it waits for nobody. */
export function placeText ({ place }) {
  return place === undefined ? undefined : say('place', { place: number(place) })
}

/** Who sends nothing, though it was asked and is asked again. */
export function stuckText ({ stuck }) {
  if (stuck === undefined) return undefined
  const { archive, ae_title: title, address } = stuck
  return title === undefined ? say('stuck_here', { archive }) : say('stuck', { archive, title, address })
}

/** Which archives did not answer, and may have had images of it; undefined where none is known. */
export function silentText ({ archives_silent: silent = [] }) {
  return silent.length === 0 ? undefined : say('archive_silent', { names: silent.join(', ') })
}

/** Shows it, or nothing. */
export function showSilent (target, state) {
  const text = silentText(state)
  write(target, text ?? '')
  target.hidden = text === undefined
}

function showWait (state) {
  for (const [id, text] of [['place', placeText(state)], ['stuck', stuckText(state)]]) {
    write($(id), text ?? '')
    $(id).hidden = text === undefined
  }
}

function showSpeed (state, part) {
  const now = performance.now()
  samples = [...samples.filter(({ at }) => now - at < WINDOW_MS), { at: now, bytes: state.phase === 'streaming' ? state.sent_bytes : state.received_bytes, part }]
  const [first] = samples
  const seconds = (now - first.at) / 1000
  const moves = ['receiving', 'streaming', 'sending'].includes(state.phase) && seconds > 0.5
  const bytesPerSecond = moves ? (samples.at(-1).bytes - first.bytes) / seconds : 0
  const partPerSecond = moves && part !== undefined ? (part - first.part) / seconds : 0
  write($('speed'), bytesPerSecond > 0 ? say('megabytes_per_second', { count: number(bytesPerSecond / 1e6, 1) }) : '–')
  write($('left'), partPerSecond > 0 ? duration((1 - part) / partPerSecond) : '–')
}

export function showStudies (state, patient, list) {
  if (state.studies.length === 0 || list.childElementCount === state.studies.length) return
  write(patient, state.patient_name === '' ? say('no_name') : state.patient_name)
  list.replaceChildren(...state.studies.map(study => element('li', [date(study.date), study.description || say('study'), study.modalities.join(', '), study.accession_number].filter(text => text !== '').join(' · '))))
  patient.hidden = list.hidden = false
}

/** `error`: the body of an error's answer. */
export function showProblem (error) {
  $('work').hidden = true
  write($('sentence'), has(error.code) ? say(error.code) : error.error ?? say('screen_error'))
  write($('advice'), has(error.code) ? say(`${error.code}_advice`) : '')
  write($('detail'), [error.code, error.detail, error.destination].filter(text => text !== undefined).join(': '))
  $('technical').hidden = error.detail === undefined
  write($('request'), error.request_id === undefined ? '' : `${say('request_id')}: ${error.request_id}`)
  $('request').hidden = error.request_id === undefined
  // what stays wrong is not tried again
  const stays = error.code !== undefined && !$('problem').dataset.retry.split(' ').includes(error.code)
  $('try').hidden = stays
  const without = document.getElementById('without')
  if (without !== null) without.hidden = stays
  $('problem').hidden = false
  announce($('sentence'))
  document.title = $('sentence').textContent
}

/** What a page shows when a stream of events could not be had. */
export function problemOf (error) {
  return error.body ?? { error: say('connection_lost') }
}
