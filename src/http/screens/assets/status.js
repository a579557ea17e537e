/** The operator's page: what runs, what has ended, and what each dependency lacks. The key stays in this tab. */
import { AnswerError, follow } from './events.js'
import { bytesText, imagesText, placeText, setBar, share, silentText, stuckText } from './progress.js'
import { setUpTest } from './self-test.js'
import { $, element, number, say, time, write } from './words.js'

const KEY = 'mkiso operator key'
const keyNeeded = $('board').dataset.keyNeeded === 'true'
const headers = () => keyNeeded ? { 'x-api-key': sessionStorage.getItem(KEY) ?? '' } : {}
const rows = new Map()

/** One row for each activity, kept between events, so that a button does not vanish under a finger. */
function rowOf (activity) {
  let row = rows.get(activity.id)
  if (row === undefined) {
    const item = document.createElement('li')
    const text = document.createElement('p')
    const title = element('strong')
    const figures = element('span', '', 'soft')
    text.append(title, document.createElement('br'), figures)
    const button = element('button', say('cancel'))
    button.type = 'button'
    button.addEventListener('click', async () => {
      button.disabled = true
      const answer = await fetch(`/status/activities/${activity.id}`, { method: 'DELETE', headers: headers() }).catch(() => undefined)
      if (answer?.ok !== true) button.disabled = false
    })
    const bar = document.createElement('progress')
    bar.max = 1000
    item.append(text, button, bar)
    row = { item, title, figures, bar, button }
    rows.set(activity.id, row)
  }
  return row
}

function showRunning (running) {
  for (const [id, { item }] of rows) {
    if (running.some(activity => activity.id === id)) continue
    item.remove()
    rows.delete(id)
  }
  for (const activity of running) {
    const { item, title, figures, bar, button } = rowOf(activity)
    write(title, [say(`kind_${activity.kind}`), activity.accession_numbers.join(', '), activity.patient_name].filter(text => text !== '').join(' · '))
    write(figures, [stuckText(activity), archivesText(activity), silentText(activity), say(`phase_${activity.phase}`), placeText(activity), imagesText(activity), bytesText(activity), took(activity.duration_ms), activity.request_id].filter(text => text !== undefined).join(' · '))
    bar.setAttribute('aria-label', `${say(`kind_${activity.kind}`)} ${activity.accession_numbers.join(', ')}`)
    button.setAttribute('aria-label', `${say('cancel')} ${activity.accession_numbers.join(', ')}`)
    button.hidden = activity.kind === 'print' && activity.phase === 'sending'
    setBar(bar, share(activity))
    if (item.parentNode === null) $('running').append(item)
  }
  $('nothing').hidden = running.length > 0
}

const took = ms => `${number(ms / 1000, ms < 10_000 ? 1 : 0)} s`

/** Where the studies come from, where there are several archives. */
function archivesText ({ studies }) {
  const names = [...new Set(studies.flatMap(({ archives = [] }) => archives))]
  return names.length === 0 ? undefined : say('from_archives', { names: names.join(', ') })
}

function resultOf (activity) {
  const cell = document.createElement('td')
  const { outcome, cancelled_by: by, error } = activity
  if (outcome === 'success') cell.append(element('span', say('outcome_success'), 'ok'))
  else if (outcome === 'set') cell.append(element('span', say('outcome_set'), 'ok'))
  else if (error === undefined) cell.append(element('span', say(`outcome_cancelled_${by}`), 'soft'))
  else cell.append(element('span', say('outcome_failed'), 'bad'), ` · ${[say(error.code), error.detail].filter(text => text !== undefined).join(' ')}`)
  for (const text of [archivesText(activity), silentText(activity)]) if (text !== undefined) cell.append(` · ${text}`)
  return cell
}

let shownResults = ''
const nameOf = ({ user, key, address }) => user ?? key ?? address

/** Rows in which every word of the search stands somewhere. */
function filterResults () {
  const words = $('search').value.toLowerCase().split(/\s+/).filter(word => word !== '')
  let left = 0
  for (const row of $('finished').rows) {
    row.hidden = !words.every(word => row.textContent.toLowerCase().includes(word))
    if (!row.hidden) left++
  }
  const isEmpty = $('finished').rows.length > 0 && left === 0
  write($('search-none'), isEmpty ? say('search_none') : '')
}
$('search').addEventListener('input', filterResults)

function showFinished (finished) {
  const newest = `${finished.length} ${finished[0]?.id}`
  if (newest === shownResults) return
  shownResults = newest
  $('finished').replaceChildren(...finished.map(activity => {
    const row = document.createElement('tr')
    row.append(element('td', time(activity.started_at)), element('td', took(activity.duration_ms)), element('td', `${say(`kind_${activity.kind}`)} ${activity.accession_numbers.join(', ')}`),
      element('td', activity.patient_name || '–'), element('td', activity.asked_by === undefined ? '–' : nameOf(activity.asked_by)), element('td', imagesText(activity)), resultOf(activity), element('td', activity.request_id, 'id'))
    return row
  }))
  $('no-results').hidden = finished.length > 0
  filterResults()
}

/** Prints of which nobody knows what the robot has, each until somebody says that they have looked. */
function showUnknown (prints) {
  $('unknown-card').hidden = prints.length === 0
  $('unknown').replaceChildren(...prints.map(print => {
    const item = document.createElement('li')
    const text = document.createElement('p')
    const { user, key, address } = print.asked_by
    const values = { time: time(print.since), who: user ?? key ?? address, sent: number(print.sent_images), count: number(print.images_expected ?? 0) }
    text.append(element('strong', [print.accession_numbers.join(', '), print.patient_name].filter(part => part !== '').join(' · ')), document.createElement('br'),
      element('span', [say('unknown_print', values), print.destination, print.id].join(' · '), 'soft'))
    const button = element('button', say('looked'))
    button.type = 'button'
    button.setAttribute('aria-label', `${say('looked')} ${print.accession_numbers.join(', ')}`)
    button.addEventListener('click', async () => {
      button.disabled = true
      const answer = await fetch(`/api/iso/print/jobs/${print.id}/acknowledge`, { method: 'POST', headers: headers() }).catch(() => undefined)
      if (answer?.ok !== true) button.disabled = false
    })
    item.append(text, button)
    return item
  }))
}

let shownUnknown = ''

function showChecks ({ checks, archives }) {
  const names = Object.keys(archives)
  // of several archives each has a line of its own
  const shown = Object.entries(checks).flatMap(([name, check]) => name === 'pacs' && names.length > 1
    ? names.map(archive => [`${say('check_pacs')} ${archive}`, archives[archive]])
    : [[say(`check_${name}`), check]])
  $('checks').replaceChildren(...shown.map(([title, { status, detail, latency_ms: latency }]) => {
    const item = document.createElement('li')
    const head = document.createElement('p')
    head.append(element('strong', title), ' ', element('span', say(`status_${status}`), status === 'down' ? 'bad' : status), latency === undefined ? '' : ` ${number(latency)} ms`)
    item.append(head)
    if (detail !== undefined) item.append(element('p', detail, 'soft'))
    return item
  }))
}

let shownChecks = ''

function onState (state) {
  $('lost').hidden = true
  $('board').hidden = false
  $('names').hidden = state.names
  write($('names'), state.names ? '' : say('names_hidden'))
  showRunning(state.running)
  showFinished(state.finished)
  const unknown = JSON.stringify(state.unknown_prints)
  if (unknown !== shownUnknown) showUnknown(JSON.parse(shownUnknown = unknown))
  const { checks: all = {}, archives = {} } = state.health ?? {}
  const checks = JSON.stringify({ checks: all, archives })
  if (checks !== shownChecks) showChecks(JSON.parse(shownChecks = checks))
  const { slots, moves, kept, disk } = state.resources
  write($('slots'), `${number(slots.in_use)} / ${number(slots.size)}`)
  write($('moves'), `${number(moves.active)} / ${number(moves.max)}${moves.waiting > 0 ? `, ${say('moves_waiting', { count: number(moves.waiting) })}` : ''}`)
  write($('kept'), `${number(kept.studies)} (${number(kept.bytes / 1e9, 1)} / ${number(kept.max_bytes / 1e9)} GB)`)
  write($('disk'), disk === undefined ? '–' : say('disk_free_of', { free: number(disk.free_bytes / 1e9, 1), total: number(disk.total_bytes / 1e9, 1) }))
  write($('uptime'), time(state.started_at))
  return false
}

function askForKey (wrong) {
  $('board').hidden = true
  $('key-form').hidden = false
  $('key-wrong').hidden = !wrong
  write($('key-wrong'), wrong ? say('key_wrong') : '')
  $('key').focus()
}

async function watch () {
  $('key-form').hidden = true
  $('forget').hidden = !keyNeeded
  try {
    await follow('/status/events', {
      get headers () { return headers() },
      onState,
      onLost: () => { $('lost').hidden = false; write($('lost'), say('connection_lost')) }
    })
  } catch (error) {
    if (error instanceof AnswerError && error.status === 401) {
      sessionStorage.removeItem(KEY)
      askForKey(true)
    } else {
      $('lost').hidden = false
      write($('lost'), error instanceof AnswerError ? error.message : say('connection_lost'))
    }
  }
}

$('key-form').addEventListener('submit', event => {
  event.preventDefault()
  sessionStorage.setItem(KEY, $('key').value)
  $('key').value = ''
  watch()
})

setUpTest(headers)

$('forget').addEventListener('click', () => {
  sessionStorage.removeItem(KEY)
  location.reload()
})

if (!keyNeeded || sessionStorage.getItem(KEY) !== null) await watch()
else askForKey(false)
