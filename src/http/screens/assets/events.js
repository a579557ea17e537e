/** Server-Sent Events over fetch: unlike EventSource it can send a key, and it sees the status and the body of an error. */

/** An answer that is no stream of events: `error`, `code`, `detail`, `request_id`, as the service sends them. */
export class AnswerError extends Error {
  constructor (status, body) {
    super(body.error ?? String(status))
    this.status = status
    this.body = body
  }
}

/**
 * Follows until `onState` answers true. A connection that breaks is made again where `again` is set, a service that is away is waited for.
 * @throws AnswerError when the service refuses, TypeError when it cannot be reached
 */
export async function follow (url, { method = 'GET', headers = {}, signal, again = true, onState, onLost = () => {} }) {
  let everConnected = false
  for (let pauseMs = 500; ; pauseMs = Math.min(pauseMs * 2, 8000)) {
    try {
      const answer = await fetch(typeof url === 'function' ? url() : url, { method, headers: { ...headers, accept: 'text/event-stream' }, signal, cache: 'no-store' })
      if (!answer.ok) throw new AnswerError(answer.status, await bodyOf(answer))
      everConnected = true
      pauseMs = 500
      if (await read(answer.body, onState)) return
    } catch (error) {
      const away = !(error instanceof AnswerError) || [502, 503, 504].includes(error.status)
      if (signal?.aborted || !away || !everConnected || !again) throw error
    }
    if (!again) throw new TypeError('the connection broke')
    onLost()
    await new Promise(resolve => { setTimeout(resolve, pauseMs) })
  }
}

async function bodyOf (answer) {
  const text = await answer.text()
  try { return JSON.parse(text) } catch { return { error: `${answer.status} ${answer.statusText}` } }
}

async function read (stream, onState) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return false
    const events = (rest + value).split('\n\n')
    rest = events.pop()
    for (const event of events) {
      if (event.startsWith('data: ') && onState(JSON.parse(event.slice(6)))) {
        await reader.cancel()
        return true
      }
    }
  }
}
