/** The operator's page: tests what a disc needs, line by line, and shows what to type elsewhere. */
import { AnswerError, follow } from './events.js'
import { $, element, has, number, say, write } from './words.js'

const CLASSES = { ok: 'ok', warning: 'warning', unknown: 'warning', down: 'bad' }

function itemOf ({ name, status, detail, advice }) {
  const item = document.createElement('li')
  const head = document.createElement('p')
  head.append(element('span', say(`finding_${status}`), CLASSES[status]), ' ', element('strong', name), ` ${detail}`)
  item.append(head)
  // an entry of a PACS is aligned by blanks
  if (advice.length > 0) item.append(element('pre', advice.join('\n')))
  return item
}

function showFindings ({ findings, ended, fault }) {
  const list = $('findings')
  for (const finding of findings.slice(list.childElementCount)) list.append(itemOf(finding))
  const count = status => number(findings.filter(finding => finding.status === status).length)
  if (!ended) return false
  write($('test-state'), [say('test_done', { ok: count('ok'), warning: count('warning'), unknown: count('unknown'), down: count('down') }), fault].filter(text => text !== undefined).join(' '))
  return true
}

/** @param headers gives those that carry the key */
export function setUpTest (headers) {
  $('test').addEventListener('submit', async event => {
    event.preventDefault()
    if ($('test-now').disabled) return
    $('test-now').disabled = true
    $('findings').replaceChildren()
    write($('test-state'), say('test_running'))
    const url = new URL('/status/test', location.href)
    const asked = $('test-number').value.trim()
    if (asked !== '') url.searchParams.set('accession_number', asked)
    try {
      await follow(url, { method: 'POST', headers: headers(), again: false, onState: showFindings })
    } catch (error) {
      const { code, detail } = error instanceof AnswerError ? error.body : {}
      write($('test-state'), [has(code) ? say(code) : say('connection_lost'), detail].filter(text => text !== undefined).join(' '))
    }
    $('test-now').disabled = false
  })

  $('snippets').addEventListener('toggle', async () => {
    if (!$('snippets').open || $('snippet-list').childElementCount > 0) return
    const answer = await fetch('/status/snippets', { headers: headers(), cache: 'no-store' }).catch(() => undefined)
    const body = await answer?.json().catch(() => undefined)
    if (answer?.ok !== true) { $('snippet-list').replaceChildren(element('p', has(body?.code) ? say(body.code) : say('connection_lost'), 'lost')); return }
    $('snippet-list').replaceChildren(...body.snippets.flatMap(({ name, where, text }, index) => {
      const title = element('h3', `${say(`snippet_${name}`)} · ${where}`)
      title.id = `snippet-${index}`
      const box = element('pre', text)
      box.tabIndex = 0
      box.setAttribute('role', 'region')
      box.setAttribute('aria-labelledby', title.id)
      return [title, box]
    }))
  })
}
