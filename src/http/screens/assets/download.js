/** The page of a download: follows the disc that is made for it, starts its download, and can cancel it. A reload finds the same disc again. */
import { AnswerError, follow } from './events.js'
import { problemOf, showProblem, showProgress } from './progress.js'
import { $, element, say, write } from './words.js'

const screen = $('screen')
const { progress, key, format } = screen.dataset
const isProtected = 'protected' in screen.dataset
const store = { get: name => sessionStorage.getItem(`mkiso ${name} ${key}`), set: (name, value) => { sessionStorage.setItem(`mkiso ${name} ${key}`, value) } }
let started = false
let cancelled = false

/** 80 bits in letters and digits that nobody mixes up, in four groups. Made here, and shown here: the service keeps it no longer than it encrypts. */
function makePassword () {
  const letters = 'abcdefghjkmnpqrstuvwxyz23456789'
  // a byte that would favour some letters is left out
  const most = 256 - 256 % letters.length
  const chosen = []
  while (chosen.length < 16) for (const byte of crypto.getRandomValues(new Uint8Array(32))) if (byte < most) chosen.push(letters[byte % letters.length])
  return chosen.slice(0, 16).join('').replace(/.{4}(?=.)/g, '$&-')
}

function finish (title, text, link) {
  $('work').hidden = true
  write($('finished-title'), title)
  write($('finished-text'), text)
  $('finished').hidden = false
  if (link !== undefined) write($('anew'), link)
  $('anew').hidden = link === undefined
  document.title = title
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
  if (!started) {
    started = true
    $('download').click()
  }
  // browsers may refuse a download that nobody has clicked on
  write($('finished-title'), say('phase_ready'))
  write($('finished-text'), say('download_ready_text'))
  $('download').hidden = $('finished').hidden = false
}

function savedText () {
  return say(isProtected ? 'saved_text_protected' : format === 'zip' ? 'saved_text_zip' : 'saved_text')
}

function showSet (links) {
  finish(say('set_title', { discs: links.length }), say('set_text'))
  $('discs').replaceChildren(...links.map((href, index) => {
    const link = element('a', say('disc_of', { disc: index + 1, discs: links.length }), 'button')
    link.href = href
    const item = document.createElement('li')
    item.append(link)
    return item
  }))
  $('discs').hidden = false
}

function onState (state) {
  if (cancelled) return true
  store.set('id', state.id)
  showProgress(state)
  if (state.outcome === undefined) {
    if (state.link !== undefined) startDownload(state)
    else $('finished').hidden = true
    return false
  }
  $('finished').hidden = true
  $('download').hidden = true
  if (state.outcome === 'success') {
    store.set('done', 'yes')
    finish(say('saved'), savedText(), say('download_again'))
  } else if (state.error?.discs !== undefined && state.error.code === 'DISC_TOO_SMALL') {
    showSet(state.error.discs)
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

$('download').addEventListener('click', event => {
  if (!isProtected) return
  event.preventDefault()
  $('password-form').submit()
})

$('cancel').addEventListener('click', async () => {
  $('cancel').disabled = true
  const answer = await fetch(address(), { method: 'DELETE' }).catch(() => undefined)
  // what has just ended says so by itself
  if (answer?.ok !== true) { $('cancel').disabled = false; return }
  cancelled = true
  $('finished').hidden = true
  finish(say('cancelled'), say('cancelled_text'), say('start_again'))
})

async function main () {
  screen.hidden = false
  const [navigation] = performance.getEntriesByType('navigation')
  // a tab that a browser opens again by itself must not fetch a patient's images again
  if (navigation?.type !== 'navigate' && store.get('done') === 'yes') {
    finish(say('saved'), savedText(), say('download_again'))
    // it was shown once
    if (isProtected) $('password-card').hidden = true
    return
  }
  store.set('done', 'no')
  if (isProtected) write($('password'), makePassword())
  try {
    await follow(address, { onState, onLost: () => { write($('phase'), say('connection_lost')) } })
  } catch (error) {
    if (!(error instanceof AnswerError) && !(error instanceof TypeError)) throw error
    showProblem(problemOf(error))
  }
}

await main()
