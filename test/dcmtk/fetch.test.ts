/** What a C-MOVE says while it runs, as movescu prints it (`-d`, DCMTK 3.6.7). */
import t from 'tap'
import { followResponses, sentOf, type SubOperations } from '../../src/dcmtk/fetch.ts'

const NAMES = ['Remaining', 'Completed', 'Failed', 'Warning'] as const

function response (status: string, counts: Partial<Record<typeof NAMES[number], number>>, type = 'C-MOVE RSP'): string[] {
  const field = (name: string, value: string | number): string => `D: ${name.padEnd(30)}: ${value}`
  return [
    field('Message Type', type), field('Message ID Being Responded To', 1), ...NAMES.map(name => field(`${name} Suboperations`, counts[name] ?? 'none')),
    field('DIMSE Status', status)
  ]
}

const PENDING = '0xff00: Pending'

function follow (...responses: string[][]): { counts: SubOperations, status: number | undefined, told: number } {
  let told = 0
  const { onLine, counts, status } = followResponses(() => { told++ })
  for (const line of responses.flat()) onLine(line)
  return { counts, status: status(), told }
}

t.test('the last of each count; what is absent or 65535 is not known', async t => {
  const unknown = { remaining: undefined, completed: undefined, failed: undefined, warning: undefined, total: undefined }
  t.strictSame(follow().counts, unknown)
  t.strictSame(follow(response('0x0000: Success', {})), { counts: unknown, status: 0, told: 1 })
  t.strictSame(follow(response('0x0000: Success', { Completed: 65_535 })).counts, unknown)
  const { counts } = follow(response(PENDING, { Remaining: 3 }), response(PENDING, { Remaining: 1, Completed: 2 }), response('0xb000: Warning', { Failed: 1 }))
  t.strictSame(counts, { remaining: 1, completed: 2, failed: 1, warning: undefined, total: 3 })
})

t.test('the total is the sum within one response: the last pending one still had something remaining', async t => {
  const last = response('0x0000: Success', { Completed: 4, Failed: 0, Warning: 1 })
  const { counts } = follow(response(PENDING, { Remaining: 1, Completed: 4, Failed: 0, Warning: 0 }), last)
  t.equal(counts.total, 5)
  t.equal(sentOf(counts), 5)
})

t.test('C-STORE messages in between do not count', async t => {
  t.equal(follow(response('0x0000: Success', { Completed: 9 }, 'C-STORE RSP')).status, undefined)
})

t.test('tens of thousands of responses: nothing rests on what is kept of the output', async t => {
  const responses = Array.from({ length: 20_000 }, (_, n) => response(PENDING, { Remaining: 20_000 - n, Completed: n }))
  t.match(follow(...responses, response('0x0000: Success', { Completed: 20_000 })),
    { counts: { completed: 20_000, total: 20_000 }, status: 0, told: 20_001 })
})
