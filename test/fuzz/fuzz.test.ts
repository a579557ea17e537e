/** A moment of `npm run fuzz`, and what it has found. */
import fc from 'fast-check'
import t from 'tap'
import { programsOf, temporaryFolder } from '../world.ts'
import { associationProperties, fileProperties, multipartProperties } from './properties.ts'

const RUNS = 300

t.test('bytes that were changed anywhere', async t => {
  for (const { name, run } of [...associationProperties(), ...multipartProperties(), ...await fileProperties(temporaryFolder(t, 'fuzz'), programsOf(t))]) {
    await t.test(name, async t => {
      const details = await run({ numRuns: RUNS })
      if (details.failed) t.fail(fc.defaultReportMessage(details)?.slice(0, 4_000) ?? 'it failed')
      else t.equal(details.numRuns, RUNS)
    })
  }
})
