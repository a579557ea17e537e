/** A program that stands still before its work: what comes before its end can be looked at for as long as a test wants. */
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { temporaryFolder } from './world.ts'

export interface HeldProgram {
  /** To be configured instead of the program. */
  path: string
  /** From now on each of its runs stands still, or from the nth from now on. */
  hold (fromRun?: number): void
  letGo (): void
  /** Its runs since it was last held. */
  runs (): number
}

/** It is not held yet. */
export function heldProgram (t: Pick<Test, 'teardown'>, program: string): HeldProgram {
  const folder = temporaryFolder(t, 'held')
  const [path, runs, held] = [join(folder, program), join(folder, 'runs'), join(folder, 'held')]
  writeFileSync(runs, '')
  writeFileSync(path, `#!/bin/sh
echo >> ${runs}
run=$(wc -l < ${runs})
while from=$(cat ${held} 2> /dev/null) && [ "$run" -ge "$from" ]; do sleep 0.02; done
exec ${program} "$@"
`)
  chmodSync(path, 0o755)
  return {
    path,
    hold: (fromRun = 1) => {
      writeFileSync(runs, '')
      writeFileSync(held, String(fromRun))
    },
    letGo: () => { rmSync(held, { force: true }) },
    runs: () => readFileSync(runs, 'utf8').length
  }
}
