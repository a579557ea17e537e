/** The page of a link that met a busy service: counts down, and opens the same link again by itself. */
import { $, duration, say, write } from './words.js'

const { seconds, url } = $('busy').dataset
const untilMs = performance.now() + Number(seconds) * 1000

function show () {
  const left = (untilMs - performance.now()) / 1000
  write($('busy'), say('busy_goes_on', { left: duration(Math.max(0, left)) }))
  if (left > 0) {
    setTimeout(show, 1000)
    return
  }
  // a download leaves this page as it is
  $('busy').hidden = true
  location.replace(url)
}

$('busy').hidden = false
show()
