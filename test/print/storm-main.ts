/** `npm run print-storm`: 300 prints, or as many as PRINTS says; SEED for the same troubles again. */
import { storm } from './storm.ts'

const teardowns: Array<() => unknown> = []
const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
console.log(`seed ${seed}`)
try {
  const result = await storm({ teardown: (fn: () => unknown) => { teardowns.push(fn) } }, { prints: Number(process.env['PRINTS'] ?? 300), seed, built: true })
  console.log(JSON.stringify(result, null, 2))
  process.exitCode = result.wrong.length === 0 ? 0 : 1
} finally {
  for (const teardown of teardowns.reverse()) await teardown()
}
