/** The service is busy: that is a wait and no end. Counts down what it said (Retry-After), and goes on by itself, unless somebody cancels. */
import { $, duration, say, write } from './words.js'

/** Where an answer does not say how long, seconds. */
const DEFAULT_SECONDS = 30

export const isBusy = error => ['TOO_MANY_CONCURRENT', 'OVERLOADED'].includes(error?.code)

let end

/** @returns true to go on, false when it was cancelled */
export async function pause ({ code, retry_after: seconds = DEFAULT_SECONDS }) {
  $('problem').hidden = true
  $('work').hidden = false
  $('cancel').disabled = false
  write($('phase'), say(code))
  $('bar').removeAttribute('value')
  $('stuck').hidden = $('place').hidden = true
  $('hint').hidden = false
  const untilMs = performance.now() + seconds * 1000
  const goesOn = await new Promise(resolve => {
    end = resolve
    const show = () => {
      const left = (untilMs - performance.now()) / 1000
      // no live region: a screen reader need not say each second
      write($('hint'), say('busy_goes_on', { left: duration(Math.max(0, left)) }))
      document.title = `${duration(Math.max(0, left))} · ${say(code)}`
      if (left <= 0) resolve(true)
      else timer = setTimeout(show, 1000)
    }
    let timer
    show()
    addEventListener('pagehide', () => { clearTimeout(timer) }, { once: true })
  })
  end = undefined
  $('hint').hidden = true
  return goesOn
}

/** @returns false when nothing waits */
export function cancelPause () {
  if (end === undefined) return false
  end(false)
  return true
}
