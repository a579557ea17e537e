/** Hundreds of hostile requests over a raw socket: none starts a process, gets a 5xx, or puts into an answer what it brought. */
import pLimit from 'p-limit'
import t, { type Test } from 'tap'
import { freePort } from '../../demo/ports.ts'
import { nothingLeft, service, type Overrides } from '../world.ts'
import { headFault, raw, type RawAnswer } from './raw.ts'
import { HOSTILE, type Hostile } from './requests.ts'

/** JSON that repeats nothing; or, for a browser, a page that may hold its own link, escaped, and leads nowhere else. */
function shapeFaults (name: string, { head, headers, body }: RawAnswer): string[] {
  if (headers.get('content-type')?.startsWith('text/html') !== true) {
    return [...(/EVIL/.test(head + body) ? ['it comes back'] : []), ...(NODE_ITSELF.includes(name) || /"error":.*"code":.*"request_id":/.test(body) ? [] : ['not our shape'])]
  }
  const links = [...body.matchAll(/(?:href|src|action)\s*=\s*"([^"]*)"/g)].map(([, link = '']) => link)
  return [
    ...(/EVIL/.test(head) ? ['it comes back in a header'] : []),
    ...(/<script>EVIL|<img src=x|<svg|onerror=EVIL(?!&)|EVIL"/.test(body.replace(/(?:href|src|action|value)="[^"]*"/g, '')) ? ['it is not escaped'] : []),
    ...links.filter(link => !/^(?:\/(?![/\\])|\?|#|$)/.test(link)).map(link => `a link to ${link.slice(0, 60)}`),
    ...(headers.get('content-security-policy')?.includes("default-src 'none'") === true ? [] : ['no policy'])
  ]
}

const AT_ONCE = 16
/** Answered before anybody is asked, without a body. */
const NODE_ITSELF = ['broken: no Host', 'body: Expect: EVIL']

async function attack (t: Test, requests: readonly Hostile[], overrides: Overrides): Promise<void> {
  // nobody is at the PACS: a request that came so far would answer 502
  const mkiso = await service(t, { aeTitle: 'NOBODY', host: '127.0.0.1', port: await freePort() }, await freePort(), overrides)
  const port = Number(new URL(mkiso.url).port)
  const before = mkiso.app.dcmtk.programs.started
  const limit = pLimit(AT_ONCE)
  const statuses = new Map<number, number>()
  await Promise.all(requests.map(async ({ name, bytes, also = [] }) => await limit(async () => {
    const answer = await raw(port, bytes, true)
    statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
    const faults = [
      ...(answer.status >= 400 && answer.status < 500) || also.includes(answer.status) ? [] : [`status ${answer.status}`],
      ...headFault(answer) === undefined ? [] : [`header ${JSON.stringify(headFault(answer))}`],
      ...answer.status >= 400 ? shapeFaults(name, answer) : [],
      ...answer.headers.has('content-disposition') ? ['a file name'] : []
    ]
    t.strictSame(faults, [], name)
  })))
  t.comment(`${requests.length} requests: ${[...statuses].sort(([a], [b]) => a - b).map(([status, count]) => `${count} x ${status === 0 ? 'closed' : status}`).join(', ')}`)
  t.equal(mkiso.app.dcmtk.programs.started, before, 'no process was started')
  t.strictSame(await nothingLeft(mkiso), [])
  t.strictSame(mkiso.log.filter(({ level }) => Number(level) >= 50), [], 'no error of ours')
  t.notMatch(JSON.stringify(mkiso.log), /EVIL/, 'nor does it stand in the log')
}

t.test(`${HOSTILE.length} hostile requests`, async t => {
  t.ok(HOSTILE.length >= 300)
  await attack(t, HOSTILE, {})
})

t.test('hostile keys and signatures', async t => {
  const secret = '0123456789abcdef0123456789abcdef'
  const ask = (name: string, query: string, headers = ''): Hostile =>
    ({ name, bytes: Buffer.from(`GET /api/iso/download?accession_number=A${query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${headers}\r\n`, 'latin1') })
  const keys = ['', ' ', 'EVIL', 'RIGHT', 'righ', 'right,right', '"right"', 'right\x00', '\xff', 'null', 'undefined', 'true', '[]', '*', 'EVIL'.repeat(2_000), `sha256:${secret}`]
  const signatures = ['', 'EVIL', '0', '0'.repeat(63), '0'.repeat(64), '0'.repeat(65), '0'.repeat(128), 'g'.repeat(64), '%00'.repeat(64), secret, '&signature=', '[]']
  const attacks = [
    ...keys.map(key => ask(`key ${key.slice(0, 20)}`, '', `X-API-Key: ${key}\r\n`)), ask('two keys', '', 'X-API-Key: EVIL\r\nX-API-Key: right\r\n'), ask('key in the query', '&x-api-key=right&api_key=right'), ask('key as a cookie', '', 'Cookie: x-api-key=right\r\n'),
    ask('key in Authorization', '', 'Authorization: Bearer right\r\n'), ask('from this machine', '', 'X-Forwarded-For: 127.0.0.1\r\n'),
    ...signatures.flatMap(signature => [ask(`signature ${signature}`, `&expires=9999999999&signature=${signature}`), ask(`signature ${signature}, no end`, `&signature=${signature}`)])
  ]
  await attack(t, attacks, { auth: { enabled: true, api_key: 'right', signed_links: { secret } } })
})
