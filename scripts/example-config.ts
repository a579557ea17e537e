/** Writes config/mkiso.example.yaml from the schema, so that the two cannot drift apart: `tsx scripts/example-config.ts`. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { exampleYaml } from '../src/config/example.ts'

writeFileSync(join(import.meta.dirname, '../config/mkiso.example.yaml'), exampleYaml())
