/** The page of a download: follows the disc that is made for it, starts its download, and can cancel it. A reload finds the same disc again. */
import { AnswerError, follow } from './events.js'
import { cancelPause, isBusy, pause } from './pause.js'
import { problemOf, showProblem, showProgress, showSilent } from './progress.js'
import { $, announce, date, element, megabytes, number, say, time, write } from './words.js'

const screen = $('screen')
const { progress, key, format } = screen.dataset
const isProtected = 'protected' in screen.dataset
const store = {
  get: name => sessionStorage.getItem(`mkiso ${name} ${key}`),
  set: (name, value) => { sessionStorage.setItem(`mkiso ${name} ${key}`, value) },
  remove: name => { sessionStorage.removeItem(`mkiso ${name} ${key}`) }
}
let started = false
/** The password has gone out, and so the one that is shown opens the file. */
let posted = false
let cancelled = false
/** Why the service could not begin; the page goes on by itself. */
let busy
/** Of a page that was opened, not loaded again: what was begun before it. When that has gone out meanwhile, another one is wanted. */
let earlier
let anew = false

/** 80 bits in letters and digits that nobody mixes up, in four groups. Made here, and shown here: the service keeps it no longer than it encrypts. */
function makePassword () {
  const letters = 'abcdefghjkmnpqrstuvwxyz23456789'
  // a byte that would favour some letters is left out
  const most = 256 - 256 % letters.length
  const chosen = []
  while (chosen.length < 16) for (const byte of crypto.getRandomValues(new Uint8Array(32))) if (byte < most) chosen.push(letters[byte % letters.length])
  return chosen.slice(0, 16).join('').replace(/.{4}(?=.)/g, '$&-')
}

/** @param good false for what nobody wanted: cancelled, stopped */
function finish (title, text, link, good = false) {
  $('work').hidden = true
  // what has ended cannot be had any more
  $('download').hidden = true
  $('finished').classList.toggle('good', good)
  for (const id of ['finished-patient', 'finished-file', 'finished-warning']) $(id).hidden = true
  write($('finished-title'), title)
  write($('finished-text'), text)
  $('finished').hidden = false
  if (link !== undefined) write($('anew'), link)
  $('anew').hidden = link === undefined
  document.title = title
  announce($('finished-title'))
}

/** Everything is on the computer, and kept here for a while: until then the images can be looked at. */
function showSaved () {
  finish(say('saved'), savedText(), say('download_again'), true)
  const { patient = '', file = '', silent = [] } = JSON.parse(store.get('saved') ?? '{}')
  showSilent($('finished-warning'), { archives_silent: silent })
  for (const [id, text] of [['finished-patient', patient], ['finished-file', file]]) {
    write($(id), text)
    $(id).hidden = text === ''
  }
  const { searchParams } = new URL(location.href)
  if (searchParams.has('set')) sessionStorage.setItem(takenKey(searchParams), 'yes')
  const look = document.getElementById('look')
  if (look !== null) look.hidden = false
}

/** The disc is made: one click of our own on the link to it. */
function startDownload ({ link }) {
  if (isProtected) {
    // in the body of a form, never in an address
    $('password-form').action = link
    $('password-field').value = $('password').textContent
  }
  $('download').href = link
  $('download').setAttribute('download', '')
  // who chooses a part, or shows the code to somebody, does not want it here meanwhile
  if (!started && $('part')?.open !== true && $('phone')?.open !== true) {
    started = true
    $('download').click()
  }
  // browsers may refuse a download that nobody has clicked on
  write($('finished-title'), say('phase_ready'))
  write($('finished-text'), say('download_ready_text'))
  $('download').hidden = $('finished').hidden = false
}

/** What is known of the saved disc; with the tab it is forgotten. */
function keepSaved ({ patient_name: name, file_name: file, size_bytes: size, archives_silent: silent }) {
  store.set('saved', JSON.stringify({ patient: isProtected ? '' : name, file: file === undefined ? '' : say('saved_file', { name: file, size: say('megabytes', { count: megabytes(size ?? 0) }) }), silent }))
}

/** One of a set, by the name that its link gives the set: no number and no name of a patient. */
const takenKey = parameters => `mkiso taken ${parameters.get('set')} ${parameters.get('disc')}`

const isPhone = () => navigator.userAgentData?.mobile ?? /Android|iPhone|iPad|Mobile/.test(navigator.userAgent)

function savedText () {
  if (format !== 'zip' && isPhone()) return say('saved_text_phone')
  return say(isProtected ? 'saved_text_protected' : format === 'zip' ? 'saved_text_zip' : 'saved_text')
}

function showSet (set) {
  finish(say('set_title', { discs: set.length }), say('set_text'), undefined, true)
  $('discs').replaceChildren(...set.map(({ disc, link: href, images, size_bytes: size, studies }) => {
    const link = element('a', say('disc_of', { disc, discs: set.length }), 'button')
    link.href = href
    const taken = element('span', '', 'ok')
    const head = element('p')
    head.append(link, ' ', taken)
    const contents = element('ul', '', 'soft')
    contents.append(...studies.map(({ accession_number: accessionNumber, date: studyDate, description, series }) => element('li', [
      accessionNumber, date(studyDate), description || say('study'),
      series.map(one => say('set_series', { modality: one.modality, description: one.description, images: say('choose_images', { count: number(one.images) }) }).replace(/ +/g, ' ').trim()).join(', ')
    ].filter(text => text !== '').join(' · '))))
    const item = document.createElement('li')
    item.append(head, element('p', say('set_disc', { images: say('choose_images', { count: number(images) }), size: say('megabytes', { count: megabytes(size) }) })), contents)
    const mark = () => { write(taken, sessionStorage.getItem(takenKey(new URL(href, location.href).searchParams)) === 'yes' ? say('set_taken') : '') }
    mark()
    // whoever comes back from the page of a disc
    addEventListener('pageshow', mark)
    return item
  }))
  $('discs').hidden = false
}

function onState (state) {
  if (cancelled) return true
  anew = state.outcome === 'success' && state.id === earlier
  if (anew) {
    store.remove('id')
    return true
  }
  earlier = undefined
  store.set('id', state.id)
  // loaded again while the file goes out, which has the password that was shown before
  if (isProtected && !posted && (state.phase === 'streaming' || state.outcome === 'success')) $('password-card').hidden = true
  showProgress(state)
  if (state.outcome === undefined) {
    if (state.link !== undefined) startDownload(state)
    else $('finished').hidden = true
    return false
  }
  $('finished').hidden = true
  $('download').hidden = true
  if (isBusy(state.error)) {
    busy = state.error
    return true
  }
  if (state.outcome === 'success') {
    store.remove('id')
    store.set('done', 'yes')
    keepSaved(state)
    showSaved()
  } else if (state.error?.set !== undefined && state.error.code === 'DISC_TOO_SMALL') {
    showSet(state.error.set)
  } else if (state.error !== undefined) {
    showProblem(state.error)
  } else if (state.sent_bytes > 0) {
    finish(say('download_stopped'), '', say('download_again'))
  } else {
    finish(say('cancelled'), say('cancelled_text'), say('start_again'))
  }
  return true
}

/** Where the progress of our own disc is, once we have one. */
function address () {
  const url = new URL(progress, location.href)
  const id = store.get('id')
  if (id !== null) url.searchParams.set('id', id)
  return url
}

/**
 * In a frame of its own: Firefox and WebKit break all connections of a page whose form is sent to another address, the one that tells its progress too,
 * though what comes is a download and the page stays (measured: Firefox 153, WebKitGTK 2.50; by script and by a person's click, the first form and any other;
 * neither Chromium nor a link with `download` does so).
 */
function postPassword () {
  const frame = element('iframe')
  frame.name = `saving-${document.querySelectorAll('iframe').length}`
  frame.hidden = true
  document.body.append(frame)
  // a download is no page: what is loaded says why there is none
  frame.addEventListener('load', () => {
    const page = frame.contentDocument
    // each frame begins with an empty page
    if (page?.URL === 'about:blank') return
    const { code, request } = page?.querySelector('[data-code]')?.dataset ?? {}
    cancelled = true
    showProblem(code === undefined ? { error: say('connection_lost') } : { code, request_id: request })
    $('finished').hidden = true
  })
  posted = true
  $('password-form').target = frame.name
  $('password-form').submit()
}

$('download').addEventListener('click', event => {
  if (!isProtected) return
  event.preventDefault()
  postPassword()
})

$('cancel').addEventListener('click', async () => {
  if (cancelPause()) return
  $('cancel').disabled = true
  const answer = await fetch(address(), { method: 'DELETE' }).catch(() => undefined)
  // what has just ended says so by itself
  if (answer?.ok !== true) { $('cancel').disabled = false; return }
  cancelled = true
  $('finished').hidden = true
  finish(say('cancelled'), say('cancelled_text'), say('start_again'))
})

/** Ticks for the series: a part of the study is another page, with the part in its address. */
async function offerPart () {
  const studies = new URL($('part').dataset.studies, location.href)
  if (store.get('id') !== null) studies.searchParams.set('id', store.get('id'))
  const answer = await fetch(studies, { headers: { accept: 'application/json' }, cache: 'no-store' }).catch(() => undefined)
  const body = await answer?.json().catch(() => undefined)
  if (answer?.ok !== true || body === undefined) {
    write($('choose-failed'), say(body?.code ?? 'connection_lost'))
    $('choose-failed').hidden = false
    return
  }
  $('choose-failed').hidden = true
  $('choices').replaceChildren(...body.studies.flatMap(({ accession_number: accessionNumber, date: studyDate, series }) => series.map(one => {
    const tick = element('input')
    tick.type = 'checkbox'
    tick.checked = true
    tick.value = one.uid
    const label = element('label')
    const images = one.images === undefined ? '' : say('choose_images', { count: number(one.images) })
    const study = body.studies.length > 1 ? `${accessionNumber}, ${date(studyDate)}` : ''
    label.append(tick, [one.modality, one.description || `${say('series')} ${one.number ?? ''}`.trim(), images, study].filter(text => text !== '').join(' · '))
    const item = element('li')
    item.append(label)
    return item
  })))
  $('choose').hidden = false
}

/** A link and its QR code, made when somebody asks for it. */
$('phone')?.addEventListener('toggle', async () => {
  if (!$('phone').open || !$('qr').hidden) return
  const answer = await fetch($('phone').dataset.link, { headers: { accept: 'application/json' }, cache: 'no-store' }).catch(() => undefined)
  const body = await answer?.json().catch(() => undefined)
  if (answer?.ok !== true || body === undefined) { write($('phone-until'), say(body?.code ?? 'connection_lost')); return }
  $('qr').src = body.qr
  $('phone-link').href = body.link
  write($('phone-link'), say('phone_link'))
  write($('phone-until'), body.expires_at === undefined ? '' : say('phone_until', { time: time(body.expires_at) }))
  $('qr').hidden = $('phone-link').hidden = false
})

/** The longest list that an address holds (series of the API). */
const LONGEST_LIST = 6500

$('part')?.addEventListener('toggle', async () => { if ($('part').open && $('choose').hidden) await offerPart() })
$('choose')?.addEventListener('submit', async event => {
  event.preventDefault()
  const ticks = [...$('choices').querySelectorAll('input')]
  const series = ticks.filter(({ checked }) => checked).map(({ value }) => value)
  const hint = series.length === 0 ? 'choose_none' : series.length === ticks.length ? 'choose_all' : series.join().length > LONGEST_LIST ? 'choose_many' : undefined
  $('choose-hint').hidden = hint === undefined
  if (hint !== undefined) { write($('choose-hint'), say(hint)); return }
  // a retrieval under way is joined by the next page before this one has been given up; a download of the whole is not wanted any more
  if (started) await fetch(address(), { method: 'DELETE' }).catch(() => undefined)
  const page = new URL(location.href)
  page.searchParams.set('series', series.join())
  location.assign(page.href.replaceAll('%2C', ','))
})

async function main () {
  screen.hidden = false
  // beside this page it would make a second file of the same
  const without = document.getElementById('without')
  if (without !== null) without.hidden = true
  const [navigation] = performance.getEntriesByType('navigation')
  // a tab that a browser opens again by itself must not fetch a patient's images again
  if (navigation?.type !== 'navigate' && store.get('done') === 'yes') {
    showSaved()
    // it was shown once
    if (isProtected) $('password-card').hidden = true
    return
  }
  store.set('done', 'no')
  if (isProtected) write($('password'), makePassword())
  if (navigation?.type === 'navigate') earlier = store.get('id') ?? undefined
  do {
    busy = undefined
    anew = false
    try {
      await follow(address, { onState, onLost: () => { write($('phase'), say('connection_lost')) } })
    } catch (error) {
      if (!(error instanceof AnswerError) && !(error instanceof TypeError)) throw error
      if (isBusy(error.body)) busy = error.body
      else showProblem(problemOf(error))
    }
  } while (anew || (busy !== undefined && await pause(busy)))
  if (busy !== undefined) finish(say('cancelled'), say('cancelled_text'), say('start_again'))
}

await main()
