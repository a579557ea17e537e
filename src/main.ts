#!/usr/bin/env node
/** The process; src/cli/ holds what it does. */
import { run } from './cli/run.ts'

process.exitCode = await run(process.argv.slice(2))
