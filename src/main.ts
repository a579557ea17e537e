#!/usr/bin/env node
/** The process; src/cli/ holds what it does. */
import './heap.ts'
import { run } from './cli/run.ts'

process.exitCode = await run(process.argv.slice(2))
