/**
 * The page of a print: shows whose studies these are, asks, sends, and tells what the robot has confirmed. The print is the service's: a page
 * that is loaded again, or opened a second time, finds it by its studies.
 */
import { AnswerError, follow } from './events.js'
import { cancelPause, isBusy, pause } from './pause.js'
import { problemOf, showProblem, showProgress, showSilent, showStudies } from './progress.js'
import { $, announce, date, number, say, time, write } from './words.js'

const form = $('ask')
const { robot, set, again: againUrl, find: findUrl, jobs: jobsUrl } = form.dataset
/** Of this tab: the print that it has begun, and the name of the one that it is about to begin. */
const OWN = `mkiso print ${set}`
const PENDING = `mkiso print pending ${set}`
let known = false

const json = { headers: { accept: 'application/json' }, cache: 'no-store' }
const isUnderWay = ({ state }) => ['queued', 'fetching', 'sending'].includes(state)
const jobUrl = (id, below = '') => jobsUrl.replace(/\/jobs(?=\?|$)/, `/jobs/${id}${below}`)
const nameOf = ({ user, key, address }) => user ?? key ?? address

/** randomUUID is there over HTTPS only. */
function newName () {
  return [...crypto.getRandomValues(new Uint8Array(16))].map(byte => byte.toString(16).padStart(2, '0')).join('')
}

function phaseOf (job) {
  if (job.waits_for !== undefined) return job.waits_for
  if (job.state === 'sending') return 'sending'
  return job.images_expected === undefined && job.images_received === 0 ? 'finding' : 'receiving'
}

function show (...ids) {
  for (const id of ['ask', 'work', 'finished', 'problem']) $(id).hidden = !ids.includes(id)
}

/** Asks; after an earlier print of the same with what happened to it, and then on purpose. */
function ask (before, sentence) {
  show('ask')
  $('send').disabled = false
  const once = before === undefined && sentence === undefined
  write($('question'), say(once ? 'print_question' : 'print_again_question'))
  write($('send'), say(once ? 'print_now' : 'print_again'))
  if (!once) form.action = againUrl
  $('before').hidden = once
  if (before !== undefined) {
    const values = { time: time(before.since), who: nameOf(before.asked_by), sent: number(before.sent_images), count: number(before.images_expected ?? before.images_received) }
    write($('before'), say(before.state === 'unknown' ? 'print_before_unknown' : 'print_before', values))
  } else if (sentence !== undefined) {
    write($('before'), sentence)
  }
  document.title = $('question').textContent
  if (!known) find()
}

/** How it ended; green only where the robot has everything. */
function showEnded (job, tone) {
  const { patient_name: name = '' } = job
  showSilent($('finished-warning'), tone === 'good' ? job : {})
  $('finished').classList.toggle('good', tone === 'good')
  write($('finished-patient'), name)
  $('finished-patient').hidden = name === ''
  write($('more'), say(tone === 'good' ? 'print_again' : 'print_ask'))
  announce($('finished-title'))
}

/** Nothing has gone to the robot, as somebody wanted. */
function showNothing (title, text, job = {}) {
  show('finished')
  write($('finished-title'), title)
  write($('finished-text'), text)
  document.title = title
  $('more').onclick = () => {
    ask()
    $('question').focus()
  }
  showEnded(job, 'none')
}

$('no').addEventListener('click', () => { showNothing(say('print_not'), say('print_not_text')) })

function showEnd (job) {
  if (job.state === 'sent') {
    show('finished')
    write($('finished-title'), say('printed'))
    write($('finished-text'), say('printed_text', { count: number(job.sent_images), destination: robot }))
    document.title = say('printed')
    showEnded(job, 'good')
    $('more').onclick = () => { ask(job) }
  } else if (job.state === 'cancelled') {
    showNothing(say('cancelled'), say('print_cancelled'), job)
  } else if (job.state === 'unknown') {
    ask(job)
  } else if (job.error?.code === 'PRINTED_ALREADY') {
    ask(undefined, say('PRINTED_ALREADY'))
  } else if (job.state === 'failed' && isBusy(job.error)) {
    // nothing has gone to the robot, and the person on this page has said yes
    waitAndSend(job.error)
  } else {
    show('problem')
    showProblem(job.state === 'failed' && job.error !== undefined ? job.error : { error: say('print_failed') })
  }
}

async function watch (job) {
  show('work')
  write($('hint'), say('print_stay'))
  $('hint').hidden = false
  let sending = false
  const cancel = $('cancel')
  cancel.disabled = false
  cancel.onclick = async () => {
    cancel.disabled = true
    const answer = await fetch(jobUrl(job.id), { ...json, method: 'DELETE' }).catch(() => undefined)
    if (answer?.ok !== true) cancel.disabled = sending
  }
  try {
    await follow(jobUrl(job.id, '/events'), {
      onState: now => {
        sending = now.state === 'sending'
        // half a disc at the robot helps nobody
        if (sending) cancel.disabled = true
        if (isUnderWay(now)) showProgress({ ...now, phase: phaseOf(now) })
        else showEnd(now)
        return !isUnderWay(now)
      },
      onLost: () => { write($('phase'), say(sending ? 'print_lost' : 'connection_lost')) }
    })
  } catch (error) {
    show('problem')
    showProblem(error instanceof AnswerError ? problemOf(error) : { error: say(sending ? 'print_lost' : 'connection_lost') })
  }
}

/** The service is busy: the same is sent once more when it has said that it makes sense. */
async function waitAndSend (error) {
  show('work')
  $('cancel').onclick = () => { cancelPause() }
  if (await pause(error)) await send()
  else ask()
}

form.addEventListener('submit', async event => {
  event.preventDefault()
  if ($('send').disabled) return
  $('send').disabled = true
  await send()
})

async function send () {
  // the same print when this page is loaded again before the answer is there
  const name = sessionStorage.getItem(PENDING) ?? newName()
  sessionStorage.setItem(PENDING, name)
  let answer
  try {
    answer = await fetch(form.action, { ...json, method: 'POST', headers: { ...json.headers, prefer: 'respond-async', 'idempotency-key': name } })
  } catch {
    show('problem')
    showProblem({ error: say('connection_lost') })
    return
  }
  const body = await answer.json().catch(() => ({ error: `${answer.status} ${answer.statusText}` }))
  if (answer.status < 500) sessionStorage.removeItem(PENDING)
  if (answer.ok) {
    sessionStorage.setItem(OWN, body.id)
    await watch(body)
  } else if (body.job !== undefined) {
    await meet(body.job)
  } else if (isBusy(body)) {
    await waitAndSend(body)
  } else {
    show('problem')
    showProblem(body)
  }
}

/** A print of the same studies that is there already. */
async function meet (job) {
  if (isUnderWay(job)) await watch(job)
  else if (job.state === 'sent' && sessionStorage.getItem(OWN) === job.id) showEnd(job)
  else if (job.state === 'sent' || (job.state === 'unknown' && job.acknowledged === undefined)) ask(job)
  else ask()
}

/** Whose they are, before anybody says yes. */
async function find () {
  known = true
  const answer = await fetch(findUrl, json).catch(() => undefined)
  const body = await answer?.json().catch(() => undefined) ?? { error: answer === undefined ? say('connection_lost') : String(answer.status) }
  if ($('ask').hidden) return
  if (answer?.ok === true) {
    const { name_from: from, patient_name: name, patient_id: id, birth_date: birth, images } = body
    showStudies({ ...body, patient_name: from === 'his' ? say('name_from_his', { name }) : name }, $('asked-patient'), $('asked-studies'))
    const person = [birth === '' ? '' : say('born', { date: date(birth) }), id === '' ? '' : `${say('patient_id')} ${id}`, images === undefined ? '' : say('choose_images', { count: number(images) })]
    write($('asked-person'), person.filter(text => text !== '').join(' · '))
    $('asked-person').hidden = $('asked-person').textContent === ''
    showSilent($('asked-warning'), body)
  } else {
    show('problem')
    showProblem(body)
  }
}

/** The newest print of the same studies that means something for a further one. */
async function newest () {
  const answer = await fetch(jobsUrl, json).catch(() => undefined)
  if (answer?.ok !== true) return undefined
  const { jobs } = await answer.json()
  return jobs.find(isUnderWay) ?? jobs.find(({ state }) => ['sent', 'unknown'].includes(state))
}

// a page that comes back as it was left, by "back"
addEventListener('pageshow', event => { if (event.persisted) location.reload() })

const job = await newest()
if (job === undefined) ask()
else await meet(job)
