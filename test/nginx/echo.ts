/** An HTTP server that tells what it was asked, so that a test sees what nginx passes on. */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

export interface Asked {
  method: string
  url: string
  headers: IncomingHttpHeaders
}

export interface Echo {
  /** `host:port` */
  address: string
  asked: Asked[]
  /** Answers instead of the echo. */
  answer: ((request: IncomingMessage, response: ServerResponse) => void) | undefined
}

export async function startEcho (t: Pick<Test, 'teardown'>): Promise<Echo> {
  const server = createServer((request, response) => {
    const asked = { method: request.method ?? '', url: request.url ?? '', headers: request.headers }
    echo.asked.push(asked)
    if (echo.answer !== undefined) { echo.answer(request, response); return }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(asked))
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(async () => {
    server.closeAllConnections()
    await new Promise(resolve => { server.close(resolve) })
  })
  const echo: Echo = { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, asked: [], answer: undefined }
  return echo
}
