/** Prints while the service, the robot and the network fail: each once, or named as unknown. More of them: `npm run print-storm`. */
import t from 'tap'
import { storm } from './storm.ts'

t.test('every print is on the robot once, or somebody is told to look', async t => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
  t.comment(`seed ${seed}`)
  const { wrong, states, troubles, seconds } = await storm(t, { prints: 20, seed })
  t.strictSame(wrong, [], `seed ${seed}`)
  t.comment(`${JSON.stringify(states)} after ${JSON.stringify(troubles)}, ${seconds} s`)
})
