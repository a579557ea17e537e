/** `npm run fuzz -- --minutes 10 --seed 1`: every property in turn, until so much processor time is spent. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import fc from 'fast-check'
import { Programs } from '../../src/process.ts'
import { associationProperties, fileProperties, multipartProperties } from './properties.ts'

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string', default: String(Date.now() % 2 ** 31) } } })
const RUNS_A_TURN = 1_000
/** A parser that takes more is one that keeps what it was given. */
const MOST_GROWTH_BYTES = 300 * 1024 ** 2

const folder = mkdtempSync(join(tmpdir(), 'mkiso-fuzz-'))
const programs = new Programs()
let faults = 0
try {
  const properties = [...associationProperties(), ...multipartProperties(), ...await fileProperties(folder, programs)]
  const runs = properties.map(() => 0)
  const spentS = (): number => { const { user, system } = process.cpuUsage(); return (user + system) / 1e6 }
  const startBytes = process.memoryUsage().rss
  console.log(`seed ${values.seed}, ${values.minutes} minutes of a processor`)
  for (let seed = Number(values.seed); spentS() < 60 * Number(values.minutes) && faults === 0; seed++) {
    for (const [index, { name, run }] of properties.entries()) {
      const details = await run({ numRuns: RUNS_A_TURN, seed })
      runs[index] = (runs[index] ?? 0) + details.numRuns
      if (!details.failed) continue
      faults++
      console.log(`not ok - ${name}\n${fc.defaultReportMessage(details) ?? ''}`)
    }
  }
  const grown = process.memoryUsage().rss - startBytes
  if (grown > MOST_GROWTH_BYTES) { faults++; console.log(`not ok - memory grew by ${Math.round(grown / 1024 ** 2)} MiB`) }
  for (const [index, { name }] of properties.entries()) console.log(`${runs[index] ?? 0} runs - ${name}`)
  console.log(`${Math.round(spentS())} processor seconds, ${Math.round(grown / 1024 ** 2)} MiB more, ${faults} faults`)
} finally {
  await programs.stopAll()
  rmSync(folder, { recursive: true, force: true })
}
process.exitCode = faults === 0 ? 0 : 1
