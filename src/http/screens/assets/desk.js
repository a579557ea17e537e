/** The desk: finds studies, takes those of one person, shows what is under way, and who has had what. */
import { AnswerError, follow } from './events.js'
import { isBusy } from './pause.js'
import { bytesText, imagesText, placeText, setBar, share, silentText, stuckText } from './progress.js'
import { $, date, duration, element, has, number, say, time, write } from './words.js'

const json = { headers: { accept: 'application/json' }, cache: 'no-store' }
const most = Number($('results').dataset.max)

/** Where an answer does not say how long it is busy, seconds. */
const DEFAULT_SECONDS = 30

/** @returns the body; `error` in it where it is none of what was asked for */
async function ask (url, options = json) {
  const answer = await fetch(url, options).catch(() => undefined)
  if (answer === undefined) return { error: say('connection_lost') }
  const body = await answer.json().catch(() => ({}))
  return answer.ok ? body : { status: answer.status, ...body, error: body.error ?? String(answer.status) }
}

function sentenceOf ({ code, error, detail }) {
  // the detail says what to change in a search
  if (code === 'INVALID_REQUEST' && detail !== undefined) return detail
  return has(code) ? `${say(code)} ${say(`${code}_advice`)}` : error
}

const nameOf = ({ user, key, address }) => user ?? key ?? address
const patientText = ({ name, id, birth_date: birth }) => [name || say('no_name'), id, birth === '' ? '' : date(birth)].filter(text => text !== '').join(' · ')

// --- find and tick ---

let studies = []
const ticked = () => [...$('studies').querySelectorAll('input:checked')].map(({ value }) => studies[Number(value)])
const numbersOf = chosen => [...new Set(chosen.map(({ accession_number: accessionNumber }) => accessionNumber))]
const linkTo = (path, numbers, more = '') => `${path}?accession_number=${numbers.map(encodeURIComponent).join(',')}${more}`

function rowOf (study, index) {
  const row = document.createElement('tr')
  const tick = document.createElement('input')
  tick.type = 'checkbox'
  tick.value = String(index)
  tick.disabled = study.blocked !== undefined
  tick.setAttribute('aria-label', [say('desk_take'), patientText(study.patient), date(study.date), study.description || say('study'), study.accession_number].join(', '))
  tick.addEventListener('change', () => { onTick(tick) })
  const cell = document.createElement('td')
  cell.append(tick)
  if (study.blocked !== undefined) {
    const reason = element('p', say(`desk_blocked_${study.blocked}`), 'soft')
    reason.id = `blocked-${index}`
    tick.setAttribute('aria-describedby', reason.id)
    cell.append(reason)
  }
  row.append(cell, element('td', patientText(study.patient)), element('td', date(study.date)), element('td', [study.description || say('study'), study.modalities.join(', ')].filter(text => text !== '').join(' · ')),
    element('td', study.images === undefined ? '–' : number(study.images)), element('td', study.accession_number || '–'), element('td', study.archives.join(', ') || '–'))
  return row
}

function onTick (tick) {
  const { accession_number: accessionNumber } = studies[Number(tick.value)]
  const ticks = [...$('studies').querySelectorAll('input')]
  // a disc is of an accession number: all of its studies
  for (const other of ticks) if (studies[Number(other.value)].accession_number === accessionNumber && !other.disabled) other.checked = tick.checked
  showTaken()
}

/** Only one person's studies go together: the service would refuse others, and the page says so before. */
function showTaken () {
  const chosen = ticked()
  const [first] = chosen
  let others = false
  for (const tick of $('studies').querySelectorAll('input')) {
    const { person, blocked } = studies[Number(tick.value)]
    const isOther = first !== undefined && person !== first.person
    others ||= isOther
    tick.disabled = blocked !== undefined || isOther
    if (blocked === undefined) {
      if (isOther) tick.setAttribute('aria-describedby', 'take-hint')
      else tick.removeAttribute('aria-describedby')
    }
  }
  const numbers = numbersOf(chosen)
  const tooMany = numbers.length > most
  write($('take-hint'), tooMany ? say('desk_too_many', { count: number(most) }) : others ? say('desk_one_person') : '')
  $('take-hint').hidden = !tooMany && !others
  $('take').hidden = first === undefined || tooMany
  $('ask').hidden = true
  write($('asked'), '')
  if (first === undefined) return
  write($('chosen'), `${first.patient.name || say('no_name')} · ${numbers.join(', ')}`)
  $('take-iso').href = linkTo('/download', numbers, '&format=iso')
  $('take-zip').href = linkTo('/download', numbers, '&format=zip')
  $('take-look').href = linkTo('/look', numbers)
  $('take-look').hidden = !chosen.every(({ kept }) => kept)
}

let searching = 0

async function search (url) {
  const mine = ++searching
  $('wrong').hidden = true
  write($('found'), say('desk_searching'))
  const body = await ask(url)
  if (mine !== searching) return
  if (body.error !== undefined) {
    $('results').hidden = true
    if (isBusy(body)) {
      waitAndSearch(url, body, mine)
      return
    }
    write($('found'), '')
    write($('wrong'), sentenceOf(body))
    $('wrong').hidden = false
    return
  }
  studies = body.studies
  $('studies').replaceChildren(...studies.map(rowOf))
  $('results').hidden = studies.length === 0
  const persons = new Set(studies.map(({ person }) => person)).size
  write($('found'), [studies.length === 0 ? say('desk_none') : say('desk_found', { count: number(studies.length), persons: number(persons) }), body.cut ? say('desk_cut') : ''].join(' ').trim())
  showTaken()
}

/** A busy archive is a wait: it is asked again when it has said that it makes sense. */
function waitAndSearch (url, body, mine) {
  const seconds = body.retry_after ?? DEFAULT_SECONDS
  write($('found'), `${say(body.code)} ${say('busy_goes_on', { left: duration(seconds) })}`)
  setTimeout(() => { if (mine === searching) search(url) }, seconds * 1000)
}

$('find').addEventListener('submit', event => {
  event.preventDefault()
  const url = new URL($('find').dataset.url, location.href)
  for (const [name, value] of new FormData($('find'))) if (value.trim() !== '') url.searchParams.set(name, ['from', 'to'].includes(name) ? value.replaceAll('-', '') : value.trim())
  search(url)
})

// --- print ---

let asking

function askForPrint (before) {
  write($('question'), say(before === undefined ? 'print_question' : 'print_again_question'))
  write($('ask-whose'), $('chosen').textContent)
  $('before').hidden = before === undefined
  if (before !== undefined) {
    const values = { time: time(before.since), who: nameOf(before.asked_by), sent: number(before.sent_images), count: number(before.images_expected ?? before.images_received) }
    write($('before'), say(before.state === 'unknown' ? 'print_before_unknown' : 'print_before', values))
  }
  write($('send'), say(before === undefined ? 'print_now' : 'print_again'))
  write($('asked'), '')
  $('send').disabled = false
  $('ask').hidden = false
  $('question').focus()
}

$('take-print').addEventListener('click', () => {
  // one name for one yes: what is sent twice by a bad connection is one print
  asking = { numbers: numbersOf(ticked()), again: false, key: [...crypto.getRandomValues(new Uint8Array(16))].map(byte => byte.toString(16).padStart(2, '0')).join('') }
  askForPrint()
})
$('not-now').addEventListener('click', () => {
  $('ask').hidden = true
  $('take-print').focus()
})
$('send').addEventListener('click', async () => {
  $('send').disabled = true
  const { numbers, again, key } = asking
  const url = linkTo($('ask').dataset.url, numbers, again ? '&again=true' : '')
  const body = await ask(url, { ...json, method: 'POST', headers: { ...json.headers, prefer: 'respond-async', 'idempotency-key': key } })
  if (body.code === 'PRINTED_ALREADY' && body.job !== undefined) {
    asking = { ...asking, again: true }
    askForPrint(body.job)
    return
  }
  $('send').disabled = false
  if (body.error !== undefined && body.id === undefined) {
    write($('asked'), isBusy(body) ? `${say(body.code)} ${say('desk_again_in', { left: duration(body.retry_after ?? DEFAULT_SECONDS) })}` : sentenceOf(body))
    return
  }
  $('ask').hidden = true
  write($('asked'), say('desk_asked'))
  $('take-print').focus()
})

// --- the queue ---

const rows = new Map()
const CANCEL_URL = $('queue').dataset.cancel

function queueRow (item) {
  let row = rows.get(item.id)
  if (row === undefined) {
    const li = document.createElement('li')
    const text = document.createElement('p')
    const title = element('strong')
    const figures = element('span', '', 'soft')
    const stuck = element('span', '', 'bad')
    text.append(title, document.createElement('br'), figures, ' ', stuck)
    const button = element('button', say('cancel'))
    button.type = 'button'
    button.addEventListener('click', async () => {
      button.disabled = true
      const url = item.kind === 'download' ? `${CANCEL_URL}/${item.id}` : `/api/iso/print/jobs/${item.id}?accession_number=${item.accession_numbers.map(encodeURIComponent).join(',')}`
      const body = await ask(url, { ...json, method: 'DELETE' })
      if (body.error !== undefined && body.status !== undefined) button.disabled = false
    })
    const bar = document.createElement('progress')
    bar.max = 1000
    li.append(text, button, bar)
    row = { li, title, figures, stuck, bar, button }
    rows.set(item.id, row)
  }
  return row
}

function printPhase (job) {
  if (job.waits_for !== undefined) return job.waits_for
  if (job.state === 'sending') return 'sending'
  return job.images_expected === undefined && job.images_received === 0 ? 'finding' : 'receiving'
}

let underWay = ''

function showQueue ({ downloads, prints, since }) {
  const now = Date.parse(since)
  const items = [...downloads.map(item => ({ ...item, kind: 'download' })), ...prints.map(job => ({ ...job, kind: 'print', phase: printPhase(job), started_at: job.created_at }))]
  for (const [id, { li }] of rows) {
    if (items.some(item => item.id === id)) continue
    li.remove()
    rows.delete(id)
  }
  for (const item of items) {
    const { li, title, figures, stuck, bar, button } = queueRow(item)
    const numbers = item.accession_numbers.join(', ')
    write(title, [say(`kind_${item.kind}`), numbers, item.patient_name].filter(text => text !== '').join(' · '))
    const isUnknown = item.state === 'unknown'
    write(figures, [
      isUnknown ? say('print_before_unknown', { time: time(item.since), who: nameOf(item.asked_by), sent: number(item.sent_images), count: number(item.images_expected ?? 0) }) : say(`phase_${item.phase}`), placeText(item),
      // of what has ended its sentence says it all
      ...(isUnknown ? [] : [imagesText(item), item.kind === 'download' ? bytesText(item) : undefined, nameOf(item.asked_by), say('desk_for', { time: duration(Math.max(0, (now - Date.parse(item.started_at)) / 1000)) })])
    ].filter(text => text !== undefined && text !== '–').join(' · '))
    write(stuck, [stuckText(item), silentText(item)].filter(text => text !== undefined).join(' '))
    bar.setAttribute('aria-label', `${say(`kind_${item.kind}`)} ${numbers}`)
    button.setAttribute('aria-label', `${say('cancel')} ${numbers}`)
    button.hidden = item.state === 'sending' || isUnknown
    bar.hidden = isUnknown
    setBar(bar, share(item))
    if (li.parentNode === null) $('queue').append(li)
  }
  $('nothing').hidden = items.length > 0
  const ids = items.map(({ id }) => id).join()
  // what has gone from here stands in the history
  if (ids !== underWay) loadHistory()
  underWay = ids
}

async function watch () {
  try {
    await follow($('queue').dataset.url, {
      onState: state => {
        $('lost').hidden = true
        showQueue(state)
        return false
      },
      onLost: () => {
        write($('lost'), say('connection_lost'))
        $('lost').hidden = false
      }
    })
  } catch (error) {
    write($('lost'), error instanceof AnswerError ? sentenceOf({ error: error.message, ...error.body }) : say('connection_lost'))
    $('lost').hidden = false
  }
}

// --- who has had what ---

function historyRow ({ at, kind, accession_numbers: numbers, patients, by, outcome, images }) {
  const row = document.createElement('tr')
  const again = document.createElement('td')
  if (numbers.length > 0) {
    const link = element('a', say(kind === 'print' ? 'print_again' : 'desk_again'))
    link.href = linkTo(kind === 'print' ? '/print' : '/download', numbers)
    link.target = '_blank'
    link.rel = 'noopener'
    link.setAttribute('aria-label', `${link.textContent}: ${numbers.join(', ')}`)
    again.append(link)
  }
  row.append(element('td', time(at)), element('td', patients.map(({ name, id }) => [name || say('no_name'), id].filter(text => text !== '').join(' · ')).join('; ') || '–'), element('td', numbers.join(', ')),
    element('td', nameOf(by)), element('td', [say(`kind_${kind}`), say(`desk_outcome_${outcome}`), images === undefined ? '' : say('choose_images', { count: number(images) })].filter(text => text !== '').join(' · ')), again)
  return row
}

let loading = 0

async function loadHistory () {
  const mine = ++loading
  const url = new URL($('filter').dataset.url, location.href)
  const text = $('text').value.trim()
  if (text !== '') url.searchParams.set('text', text)
  const body = await ask(url)
  if (mine !== loading) return
  if (body.error !== undefined) {
    write($('history-note'), sentenceOf(body))
    return
  }
  $('history').replaceChildren(...body.entries.map(historyRow))
  write($('history-note'), [body.entries.length === 0 ? say('no_results') : '', body.source === 'memory' ? say('desk_memory') : '', body.cut ? say('desk_history_cut') : ''].join(' ').trim())
}

$('filter').addEventListener('submit', event => {
  event.preventDefault()
  loadHistory()
})

await Promise.all([loadHistory(), watch()])
