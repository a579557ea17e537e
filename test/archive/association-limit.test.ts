import { setMaxListeners } from 'node:events'
import fc from 'fast-check'
import t from 'tap'
import { AssociationLimit, QUERIES_BEFORE_A_MOVE, type TurnKind } from '../../src/archive/dimse/association-limit.ts'
import { eventually } from '../eventually.ts'

function gate (): { open: () => void, passed: Promise<void> } {
  let open = (): void => {}
  const passed = new Promise<void>(resolve => { open = resolve })
  return { open, passed }
}

const stays = new AbortController().signal
setMaxListeners(0, stays)
const only = (moves: number): AssociationLimit => new AssociationLimit({ associations: moves, moves })

t.test('so many at a time, first come first served', async t => {
  const limit = only(2)
  const gates = [gate(), gate(), gate(), gate()]
  const order: number[] = []
  const all = gates.map(async ({ passed }, index) => {
    await limit.take('move', async () => { order.push(index); await passed }, stays)
  })
  await new Promise(resolve => setImmediate(resolve))
  t.strictSame(limit.moves, { active: 2, waiting: 2 })
  for (const { open } of gates) open()
  await Promise.all(all)
  t.strictSame(order, [0, 1, 2, 3])
})

t.test('one who leaves the queue costs the others nothing', async t => {
  const limit = only(1)
  const first = gate()
  const running = limit.take('move', async () => { await first.passed }, stays)
  const leaving = new AbortController()
  let began = false
  const left = limit.take('move', async () => { began = true }, leaving.signal)
  const third = limit.take('move', async () => 'third', stays)
  leaving.abort(new Error('gone'))
  await t.rejects(left, { message: 'gone' })
  first.open()
  await running
  t.equal(await third, 'third')
  t.notOk(began, 'its task never began')
})

t.test('a wait that is too long ends with 503 and Retry-After', async t => {
  const limit = only(1)
  const first = gate()
  const running = limit.take('move', async () => { await first.passed }, stays)
  let began = false
  const never = async (): Promise<void> => { began = true }
  await t.rejects(limit.take('move', never, stays, 20),
    { code: 'TOO_MANY_CONCURRENT', statusCode: 503, detail: /pacs.max_moves/, fields: { retryAfterSeconds: 30 } })
  await t.rejects(limit.take('query', never, stays, 20), { code: 'TOO_MANY_CONCURRENT', detail: /pacs.max_associations/ })
  first.open()
  await running
  t.notOk(began)
  t.equal(await limit.take('move', async () => 'next', stays, 20), 'next')
})

t.test('a task that fails gives its turn back', async t => {
  const limit = only(1)
  await t.rejects(limit.take('move', async () => { throw new Error('no') }, stays), { message: 'no' })
  t.equal(await limit.take('move', async () => 1, stays), 1)
})

t.test('one association: queries and moves alternate, and a move that waits is let in after some queries', async t => {
  const limit = new AssociationLimit({ associations: 1, moves: 4 })
  const order: TurnKind[] = []
  const take = async (kind: TurnKind): Promise<void> => { await limit.take(kind, async () => { order.push(kind) }, stays) }
  await Promise.all([take('move'), take('move'), ...Array.from({ length: QUERIES_BEFORE_A_MOVE + 2 }, async () => { await take('query') })])
  t.strictSame(order, ['move', ...Array.from({ length: QUERIES_BEFORE_A_MOVE }, () => 'query'), 'move', 'query', 'query'])
})

t.test('a pause ends early when another turn has ended, and at once when its request has left', async t => {
  const limit = new AssociationLimit({ associations: 3, moves: 3 })
  const other = gate()
  const running = limit.take('move', async () => { await other.passed }, stays)
  const paused = limit.take('query', async () => { await limit.pause(3_600_000, stays) }, stays)
  const leaving = new AbortController()
  const left = limit.take('query', async () => { await limit.pause(3_600_000, leaving.signal) }, leaving.signal)
  t.ok(await eventually(() => limit.underWay === 1), 'those who pause have no association')
  leaving.abort(new Error('gone'))
  await t.rejects(left, { message: 'gone' })
  other.open()
  await Promise.all([running, paused])
  t.equal(limit.underWay, 0)
})

/** What a task does, and whether its request leaves while it waits. */
const tasks = fc.array(fc.record({
  kind: fc.constantFrom<TurnKind>('query', 'move'),
  leaves: fc.boolean(),
  fails: fc.boolean(),
  /** Turns of the event loop. */
  lasts: fc.nat({ max: 3 }),
  after: fc.nat({ max: 5 })
}), { maxLength: 40 })
const limits = fc.record({ associations: fc.integer({ min: 1, max: 5 }), moves: fc.integer({ min: 1, max: 7 }) })
const turnsOfTheLoop = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise(resolve => setImmediate(resolve))
}

t.test('property: never more than the limits, each task once or not at all, in its order, and nothing waits for ever', async t => {
  await fc.assert(fc.asyncProperty(limits, tasks, async (limits, tasks) => {
    const limit = new AssociationLimit(limits)
    const running = { query: 0, move: 0 }
    const begun: Record<TurnKind, number[]> = { query: [], move: [] }
    const asked: Record<TurnKind, number[]> = { query: [], move: [] }
    await Promise.all(tasks.map(async ({ kind, leaves, fails, lasts, after }, index) => {
      await turnsOfTheLoop(after)
      const request = new AbortController()
      asked[kind].push(index)
      const turn = limit.take(kind, async () => {
        begun[kind].push(index)
        running[kind]++
        if (running.query + running.move > limits.associations || running.move > limits.moves) throw new RangeError('too many at a time')
        await turnsOfTheLoop(lasts)
        running[kind]--
        if (fails) throw new Error('fails')
      }, request.signal)
      if (leaves) request.abort(new Error('left'))
      await turn.catch((error: unknown) => { if (error instanceof RangeError) throw error })
    }))
    const inOrder = (['query', 'move'] as const).every(kind =>
      begun[kind].join() === asked[kind].filter(index => begun[kind].includes(index)).join())
    const staying = tasks.flatMap(({ leaves }, index) => leaves ? [] : [index])
    const allBegan = staying.every(index => begun.query.includes(index) || begun.move.includes(index))
    const nothingLeft = limit.underWay === 0 && limit.queries.waiting === 0 && limit.moves.waiting === 0
    return inOrder && allBegan && nothingLeft
  }), { numRuns: 300 })
  t.pass('300 histories')
})
