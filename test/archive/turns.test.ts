import t from 'tap'
import { Turns } from '../../src/archive/dimse/turns.ts'

function gate (): { open: () => void, passed: Promise<void> } {
  let open = (): void => {}
  const passed = new Promise<void>(resolve => { open = resolve })
  return { open, passed }
}

const stays = new AbortController().signal

t.test('so many at a time, first come first served', async t => {
  const turns = new Turns(2)
  const gates = [gate(), gate(), gate(), gate()]
  const order: number[] = []
  const all = gates.map(async ({ passed }, index) => {
    await turns.take(async () => { order.push(index); await passed }, stays)
  })
  await new Promise(resolve => setImmediate(resolve))
  t.strictSame([turns.active, turns.waiting], [2, 2])
  for (const { open } of gates) open()
  await Promise.all(all)
  t.strictSame(order, [0, 1, 2, 3])
})

t.test('one who leaves the queue costs the others nothing', async t => {
  const turns = new Turns(1)
  const first = gate()
  const running = turns.take(async () => { await first.passed }, stays)
  const leaving = new AbortController()
  let began = false
  const left = turns.take(async () => { began = true }, leaving.signal)
  const third = turns.take(async () => 'third', stays)
  leaving.abort(new Error('gone'))
  await t.rejects(left, { message: 'gone' })
  first.open()
  await running
  t.equal(await third, 'third')
  t.notOk(began, 'its task never began')
})

t.test('a wait that is too long ends with 503 and Retry-After', async t => {
  const turns = new Turns(1)
  const first = gate()
  const running = turns.take(async () => { await first.passed }, stays)
  let began = false
  await t.rejects(turns.take(async () => { began = true }, stays, 20), { code: 'TOO_MANY_CONCURRENT', statusCode: 503, fields: { retryAfterSeconds: 30 } })
  first.open()
  await running
  t.notOk(began)
  t.equal(await turns.take(async () => 'next', stays, 20), 'next')
})

t.test('a task that fails gives its turn back', async t => {
  const turns = new Turns(1)
  await t.rejects(turns.take(async () => { throw new Error('no') }, stays), { message: 'no' })
  t.equal(await turns.take(async () => 1, stays), 1)
})
