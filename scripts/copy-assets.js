/** After tsc: what is not TypeScript but belongs to the program (templates, languages). */
import { cpSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
cpSync(join(root, 'src'), join(root, 'dist/src'), { recursive: true, filter: path => !path.endsWith('.ts') })
