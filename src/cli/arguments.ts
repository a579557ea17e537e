/** The arguments, and the texts that explain them. */
import { parseArgs } from 'node:util'
import { PRODUCT } from '../product.ts'

export const COMMANDS = ['serve', 'doctor'] as const
export type Command = typeof COMMANDS[number]

export const USAGE = `${PRODUCT.name} ${PRODUCT.version}

  mkiso [serve]                               run the service
  mkiso doctor                                ask PACS, publisher, HIS, programs, ports and disk, and say what to change
  mkiso COMMAND --help                        more about a command

  --config FILE    the configuration; default $MKISO_CONFIG, else config/mkiso.yaml
  --check-config   check it, say what is wrong, and end
  --help, -h       this text
  --version        the version

Exit codes: 0 done, 1 configuration or this machine, 2 arguments, 4 doctor: something must be changed, 130 Ctrl-C.
`

export const COMMAND_USAGE: Record<Command, string> = {
  serve: `mkiso [serve] [--config FILE]

Runs the service until SIGTERM or Ctrl-C: no new work, downloads under way have server.shutdown_grace, exit 0.
`,
  doctor: `mkiso doctor [--accession NUMBER] [--json] [--config FILE]

Asks the real things and prints a line for each: ok, warning, ? (could not be told) or FAIL, with what to change. Exit code 4 when there is
a FAIL. It fetches one image from the PACS, of the last days or of the given accession number, and throws it away.

  --accession NUMBER  an accession number that the PACS has
  --json              for a program
`
}

/** Wrong arguments, with the sentence to print. */
export class UsageError extends Error {}

const OPTIONS = {
  config: { type: 'string' },
  'check-config': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
  accession: { type: 'string' },
  json: { type: 'boolean' }
} as const

type Option = keyof typeof OPTIONS

const GENERAL: readonly Option[] = ['config', 'check-config', 'help', 'version']
const OF_COMMAND: Record<Command, readonly Option[]> = { serve: [], doctor: ['accession', 'json'] }

export type Arguments = ReturnType<typeof parseArguments>

/** @throws UsageError */
export function parseArguments (args: readonly string[], env: Record<string, string | undefined> = process.env) {
  const { values, positionals } = parse(args)
  const [first = 'serve', ...operands] = positionals
  const command = COMMANDS.find(name => name === first)
  if (command === undefined) throw new UsageError(`there is no command ${first}`)
  for (const option of Object.keys(values) as Option[]) {
    if (!GENERAL.includes(option) && !OF_COMMAND[command].includes(option)) throw new UsageError(`${command} has no option --${option}`)
  }
  if (operands.length > 0) throw new UsageError(`${command} takes no ${operands.join(' ')}`)
  return { command, values, config: values.config ?? env['MKISO_CONFIG'] ?? 'config/mkiso.yaml' }
}

function parse (args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true, strict: true })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message.split('\n')[0] : String(error))
  }
}
