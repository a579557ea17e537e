/** The page of a print: shows whose studies these are, asks, sends, and tells what the robot has confirmed. */
import { AnswerError, follow } from './events.js'
import { problemOf, showProblem, showProgress, showStudies } from './progress.js'
import { $, number, say, write } from './words.js'

const form = $('ask')
let sending = false

function onState (state) {
  showProgress(state)
  sending = state.phase === 'sending' && state.sent_images > 0
  // half a disc at the robot helps nobody
  if (state.phase === 'sending') $('cancel').disabled = true
  if (state.outcome === undefined) return false
  sending = false
  $('work').hidden = true
  if (state.error !== undefined) {
    showProblem(state.error)
  } else if (state.outcome === 'success') {
    write($('finished-title'), say('printed'))
    write($('finished-text'), say('printed_text', { count: number(state.files_sent), destination: state.destination }))
    $('finished').hidden = false
    document.title = say('printed')
  }
  return true
}

form.addEventListener('submit', async event => {
  event.preventDefault()
  form.hidden = true
  $('work').hidden = false
  write($('hint'), say('print_stay'))
  $('hint').hidden = false
  const stop = new AbortController()
  $('cancel').addEventListener('click', () => { stop.abort() })
  try {
    await follow(form.action, { method: 'POST', signal: stop.signal, again: false, onState })
  } catch (error) {
    $('work').hidden = true
    if (stop.signal.aborted) showProblem({ error: say('print_failed') })
    else if (error instanceof AnswerError) showProblem(problemOf(error))
    else showProblem({ error: sending ? say('print_lost') : say('connection_lost') })
  }
})

/** Whose they are, before anybody says yes. */
async function find () {
  const answer = await fetch(form.dataset.find, { headers: { accept: 'application/json' } })
  const body = await answer.json().catch(() => ({ error: String(answer.status) }))
  if (answer.ok) {
    showStudies(body, $('asked-patient'), $('asked-studies'))
  } else {
    form.hidden = true
    showProblem(body)
  }
}

await find()
